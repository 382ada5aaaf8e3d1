"""Improving: passes of clipped policy gradient over one batch, actors and critics together.

Start with `improve`. Axis letters as in `networks.py`: A agents of one set, N sequences of L steps.

Source: Schulman et al. 2017, Proximal policy optimization algorithms, equations 7 and 9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from counterpoint.arrays import Floats
from counterpoint.train.adam import Adam
from counterpoint.train.ppo.critics import Valuer, asked_of
from counterpoint.train.ppo.networks import Inputs, Policy, folded, memory_of
from counterpoint.train.ppo.rollout import Batch
from counterpoint.train.ppo.settings import PolicySettings

Losses = dict[str, float]


@dataclass(frozen=True)
class Part:
    """One set's share of a batch, as sequences [A, N, L, ...]."""

    seen: Tensor
    """[A, N, L, D] what agents saw, and who they are."""
    keep: Tensor | None
    """[A, N, L] 0 where an episode starts; None without memory."""
    hidden: Tensor | None
    """[A, N, H] what actors remembered before each sequence."""
    legal: Tensor | None
    """[A, N, L, M] legal actions, where they change."""
    action: Tensor
    """[A, N, L] or [A, N, L, U] what they did."""
    log_prob: Tensor
    """[A, N, L] how likely that was."""
    advantage: Tensor
    """[A, N, L] what the gradient is weighted by."""
    active: Tensor | None
    """[A, N, L] 1 where the agent decided; None where it always did."""
    valued: Tensor
    """[A, N, L, D] what critics see; `seen` itself where that is the same."""
    critic_hidden: Tensor | None
    """[A, N, H] what critics remembered before each sequence."""
    target: Tensor
    """[A, N, L, K] what critics learn to say."""
    asked: Tensor | None
    """[A, N, L, D] what critics of actions see."""

    def at(self, which: Tensor) -> Part:
        """The sequences `which` alone."""
        own = {
            name: x if x is None else x.index_select(1, which)
            for name, x in vars(self).items()
            if name != "valued" or x is not self.seen
        }
        return Part(**({"valued": own["seen"]} | own))


def parts_of(batch: Batch, advantage: Floats, target: Floats, valuer: Valuer) -> list[Part]:
    """The batch by parameter set.

    Args:
        batch: what was played.
        advantage: [A, T, E].
        target: [A, T, E, K] returns in the reward's unit.
        valuer: the critics, their scale, and what they remembered.
    """
    t, settings, team = len(batch.ended), valuer.settings, valuer.team
    memory = settings.memory
    always = bool(batch.active[:, :t].all())
    keep = torch.from_numpy(~batch.starts[:t]).float().expand(len(batch.seen), -1, -1)
    mean, std = valuer.scale.numbers()
    given: dict[str, Tensor | None] = {
        "seen": torch.from_numpy(batch.seen[:, :t]),
        "keep": keep if memory == "gru" else None,
        "legal": None if batch.legal is None else torch.from_numpy(batch.legal),
        "action": torch.from_numpy(batch.action),
        "log_prob": torch.from_numpy(batch.log_prob),
        "advantage": torch.from_numpy(advantage.astype(np.float32)),
        "active": None if always else torch.from_numpy(batch.active[:, :t]).float(),
        "valued": None if settings.critic == "own" else valuer.inputs(batch)[:, :t],
        "target": torch.from_numpy(((target - mean) / std).astype(np.float32)),
        "asked": asked_of(batch) if len(team.answers) else None,
    }
    found = []
    for i, whose in enumerate(team.sets):
        own = {n: x if x is None else folded(x[whose.rows], memory) for n, x in given.items()}
        inputs: Inputs = team.actors[i].inputs
        for name in ("seen", "valued", "asked"):
            own[name] = None if own[name] is None else inputs(own[name])
        if own["valued"] is None:
            own["valued"] = own["seen"]
        hidden = {"hidden": batch.hidden, "critic_hidden": valuer.before}
        found.append(Part(**own, **{n: memory_of(x, whose) for n, x in hidden.items()}))
    return found


def improve(
    valuer: Valuer,
    adam: Adam,
    parts: list[Part],
    rng: np.random.Generator,
    lr: float,
) -> Losses:
    """Take `epochs` passes over the batch in `minibatches` shuffled parts.

    Args:
        valuer: whose team and settings these are.
        adam: of all parameters of the team.
        parts: the batch by parameter set.
        rng: of the shuffles.
        lr: learning rate.

    Returns:
        Means over the passes: policy loss, value loss, entropy (nats), kl (nats, of the policy
        that played against the present one), clipped (share of decisions).
    """
    settings = valuer.settings
    sequences = parts[0].seen.shape[1]
    count = min(settings.minibatches, sequences)
    totals: dict[str, Tensor] = {}
    for _ in range(settings.epochs):
        order = torch.from_numpy(rng.permutation(sequences))
        for which in order.tensor_split(count):
            adam.zero()
            loss = torch.zeros(())
            for i, part in enumerate(parts):
                small = part.at(which)
                policy_loss, told = policy_losses(valuer.team.actors[i], small, settings)
                told["value_loss"] = value_loss(valuer, i, small)
                loss = loss + policy_loss + settings.value_weight * told["value_loss"]
                for name, x in told.items():
                    totals[name] = totals.get(name, torch.zeros(())) + x.detach()
            loss.backward()
            adam.step(lr)
    passes = settings.epochs * count * len(parts)
    return {name: float(x) / passes for name, x in totals.items()}


def policy_losses(
    policy: Policy, part: Part, settings: PolicySettings
) -> tuple[Tensor, dict[str, Tensor]]:
    """The clipped surrogate with the entropy bonus, and what to tell of it."""
    log_prob, entropy = policy(part.seen, part.action, part.hidden, part.keep, part.legal)
    log_ratio = log_prob - part.log_prob
    ratio = log_ratio.exp()
    bounded = ratio.clamp(1 - settings.clip, 1 + settings.clip)
    gain = torch.minimum(ratio * part.advantage, bounded * part.advantage)
    told = {
        "policy_loss": -mean_of(gain, part.active),
        "entropy": mean_of(entropy, part.active),
        "kl": mean_of((ratio - 1) - log_ratio, part.active),
        "clipped": mean_of((ratio != bounded).float(), part.active),
    }
    return told["policy_loss"] - settings.entropy * told["entropy"], told


def value_loss(valuer: Valuer, i: int, part: Part) -> Tensor:
    """Half the squared error of set `i`'s critics, in units of the returns' variance."""
    out, _ = valuer.team.critics[i](part.valued, part.critic_hidden, part.keep)
    error = ((out - part.target) ** 2).sum(dim=-1)
    if part.asked is not None:
        q, _ = valuer.team.answers[i](part.asked)
        taken = q.gather(-1, part.action[..., None])
        error = error + ((taken - part.target) ** 2).sum(dim=-1)
    return 0.5 * mean_of(error, part.active)


def mean_of(x: Tensor, active: Tensor | None) -> Tensor:
    """The mean of `x` [A, N, L] over the decisions that were taken."""
    if active is None:
        return x.mean()
    return (x * active).sum() / active.sum().clamp(min=1.0)
