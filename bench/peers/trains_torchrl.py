"""TorchRL's PPO on the team of bench/trainers.py.

    python bench/peers/trains_torchrl.py --out FOLDER --seeds 0 1

One policy for both agents, a critic for each. TorchRL's own way is IPPOLoss as it comes, which
normalizes each minibatch, per agent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from own_rewards import OWN, STATEFUL, Training, run
from own_rewards_env import COPIES, STEPS, SYMBOLS, Symbols, shares
from small_team import ROLES
from tensordict.nn import InteractionType, TensorDictModule
from torchrl.modules import MultiAgentMLP, ProbabilisticActor
from torchrl.objectives import ValueEstimators
from torchrl.objectives.multiagent import IPPOLoss

from counterpoint.integrations.torchrl import NormalizeAdvantage

HOOKS = {"pooled": "mappo_pooled", "per agent": "mappo_per_agent", "adaptive": "adaptive"}
EPOCHS, PARTS = 4, 4


def parts(seed: int, scheme: str) -> tuple[Any, Any, Any, Any, Any]:
    """Returns environment, actor, loss, optimizer, and our module or None."""
    torch.manual_seed(seed)
    env = Symbols()
    kind = {"n_agents": len(ROLES), "depth": 2, "num_cells": 64, "activation_class": torch.nn.Tanh}
    width = len(ROLES)
    logits = MultiAgentMLP(width, SYMBOLS, centralized=False, share_params=True, **kind)
    values = MultiAgentMLP(width, 1, centralized=False, share_params=False, **kind)
    actor = ProbabilisticActor(
        TensorDictModule(logits, [("agents", "observation")], [("agents", "logits")]),
        in_keys={"logits": ("agents", "logits")},
        out_keys=[("agents", "action")],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
        log_prob_key=("agents", "log_prob"),
        default_interaction_type=InteractionType.RANDOM,  # it takes the mode otherwise
    )
    critic = TensorDictModule(values, [("agents", "observation")], [("agents", "state_value")])
    more = {} if scheme == OWN else {"normalize_advantage": False}
    loss = IPPOLoss(actor, critic, **more)
    keys = ("advantage", "value_target", "reward", "done", "terminated", "action")
    loss.set_keys(
        value=("agents", "state_value"),
        sample_log_prob=("agents", "log_prob"),
        **{key: ("agents", key) for key in keys},
    )
    loss.make_value_estimator(ValueEstimators.GAE, gamma=0.9, lmbda=0.9)
    normalize = None
    if scheme != OWN:
        normalize = NormalizeAdvantage.for_loss(loss, HOOKS.get(scheme, scheme), names=ROLES)
    return env, actor, loss, torch.optim.Adam(loss.parameters(), lr=1e-3), normalize


def train(scheme: str, seed: int, updates: int, training: Training) -> None:
    env, actor, loss, optimizer, normalize = parts(seed, scheme)
    for _ in range(updates):
        update(env, actor, loss, optimizer, normalize, training)


def update(
    env: Any, actor: Any, loss: Any, optimizer: Any, normalize: Any, training: Training
) -> None:
    """Makes one update of an episode in every copy."""
    with torch.no_grad():
        batch = env.rollout(STEPS, actor, break_when_any_done=False)
        for key in ("done", "terminated"):
            flag = batch["next", key].unsqueeze(-2).expand(*batch.shape, len(ROLES), 1)
            batch["next", "agents", key] = flag
        loss.value_estimator(batch)
        if normalize is not None:
            normalize(batch)
    flat = batch.reshape(-1)
    for _ in range(EPOCHS):
        for index in torch.randperm(COPIES * STEPS).chunk(PARTS):
            losses = loss(flat[index])
            names = [key for key in losses.keys() if key.startswith("loss_")]  # noqa: SIM118
            sum(losses[name] for name in names).backward()
            torch.nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
    training.scored(shares(batch))
    training.ticked()


def resume(folder: Path) -> tuple[Any, Any]:
    env, actor, loss, optimizer, normalize = parts(0, STATEFUL)
    for _ in range(2):
        update(env, actor, loss, optimizer, normalize, Training())
    saved = normalize.credit.state_dict()
    torch.save([loss.state_dict(), optimizer.state_dict(), normalize.state_dict()], folder / "s.pt")
    env, actor, loss, optimizer, normalize = parts(1, STATEFUL)
    for to, state in zip((loss, optimizer, normalize), torch.load(folder / "s.pt"), strict=True):
        to.load_state_dict(state)
    restored = normalize.credit.state_dict()
    update(env, actor, loss, optimizer, normalize, Training())
    return saved, restored


if __name__ == "__main__":
    run("TorchRL", ("torchrl", "tensordict", "torch"), train, resume)
