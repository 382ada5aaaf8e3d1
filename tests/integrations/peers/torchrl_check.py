"""TorchRL with our parts: prints one JSON line. Run by test_benchmarl_peer.py, in its own packages.

PYTHONPATH=src .venv/peers/bin/python tests/integrations/peers/torchrl_check.py
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import torch

warnings.filterwarnings("ignore")

import torchrl  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from tensordict.nn import TensorDictModule, TensorDictSequential  # noqa: E402
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer  # noqa: E402
from torchrl.envs import RewardSum, TransformedEnv  # noqa: E402
from torchrl.envs.utils import check_env_specs  # noqa: E402
from torchrl.modules import NormalParamExtractor, ProbabilisticActor, TanhNormal  # noqa: E402
from torchrl.objectives import ClipPPOLoss  # noqa: E402

from counterpoint.credit import advantages, catalogue  # noqa: E402
from counterpoint.errors import SettingError, WorldError  # noqa: E402
from counterpoint.integrations.torchrl import (  # noqa: E402
    NormalizeAdvantage,
    NormalizeOnExtend,
    WorldEnv,
)
from counterpoint.worlds import find_world  # noqa: E402

WORLDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("spread", {}),
    ("spread", {"continuous": True, "stakes": "agent_0:100"}),
    ("speaker_listener", {}),
    ("speaker_listener", {"continuous": True}),
    ("foraging", {}),
    ("repeated_game", {}),
)


def main() -> None:
    torch.manual_seed(0)
    document = {
        "torchrl": torchrl.__version__,
        "module": module(),
        "buffer": buffer(),
        "loss": loss(),
        "minibatches": minibatches(),
        "worlds": {f"{name} {settings}": world(name, settings) for name, settings in WORLDS},
        "trajectory": trajectory(),
    }
    print(json.dumps(document))


def batch(steps: int = 40, agents: int = 3) -> TensorDict:
    raw = torch.randn(8, steps // 8, agents, 1) * torch.tensor([100.0, 1.0, 0.1])[:, None]
    group = TensorDict({"advantage": raw}, raw.shape[:3])
    return TensorDict({"agents": group}, raw.shape[:2])


def kernel(raw: torch.Tensor, scheme: str, state: Any = None) -> Any:
    agents = np.tile(np.arange(raw.shape[-2]), raw.numel() // raw.shape[-2])
    labels = {"agent": agents, "rollout": np.arange(len(agents)) // raw.shape[-2]}
    given = raw.double().numpy().reshape(-1)
    return advantages(given, labels, catalogue()[scheme], state=state)


def module() -> dict[str, Any]:
    """As a module after others: values, types, running state in a state dict, masks, evaluation."""
    normalize, state, apart = NormalizeAdvantage("group_reward_decoupled"), None, 0.0
    chain = TensorDictSequential(
        TensorDictModule(lambda x: x, [("agents", "advantage")], [("agents", "advantage")]),
        normalize,
    )
    for _ in range(3):
        td = batch()
        wanted = kernel(td["agents", "advantage"], "group_reward_decoupled", state)
        state = wanted.state
        got = chain(td)["agents", "advantage"]
        apart = max(apart, float(np.abs(got.numpy().reshape(-1) - wanted.values).max()))
    again = NormalizeAdvantage("group_reward_decoupled")
    torch.save(normalize.state_dict(), "module.pt")
    again.load_state_dict(torch.load("module.pt", weights_only=True))
    before = again.credit.state_dict()
    again.eval()(batch())
    masked = batch()
    masked["agents", "mask"] = torch.ones(8, 5, 3, dtype=torch.bool)
    masked["agents", "mask"][0, 0, 1] = False
    masked["agents", "advantage"][0, 0, 1] = 1e9  # means nothing: nobody was there
    own = masked["agents", "advantage"][:, :, 1].reshape(-1)[1:].double()
    NormalizeAdvantage("mappo_per_agent")(masked)
    rest = masked["agents", "advantage"][:, :, 1].reshape(-1)
    lonely = TensorDict({"agents": TensorDict({"advantage": torch.randn(1, 3, 1)}, [1, 3])}, [1])
    return {
        "apart": apart,
        "dtype": str(got.dtype),
        "restored": before == normalize.credit.state_dict(),
        "evaluation moves nothing": again.credit.state_dict() == before,
        "absent": float(rest[0]),
        "apart beside an absent one": float(
            (rest[1:] - (own - own.mean()) / own.std(correction=0)).abs().max()
        ),
        "one step": NormalizeAdvantage()(lonely)["agents", "advantage"].reshape(-1).tolist(),
    }


def buffer() -> dict[str, Any]:
    """In a replay buffer: the whole batch once, the caller's batch untouched, minibatches as is."""
    normalize = NormalizeAdvantage("mappo_per_agent")
    replay = TensorDictReplayBuffer(storage=LazyTensorStorage(100), batch_size=10)
    plain = list(replay.state_dict()["_transforms"])
    replay.append_transform(NormalizeOnExtend(normalize))
    td = batch().reshape(-1)
    raw = td["agents", "advantage"].clone()
    replay.extend(td)
    stored = replay.storage.get(slice(0, 40))["agents", "advantage"].numpy().reshape(-1)
    for _ in range(5):
        replay.sample()
    return {
        "apart": float(np.abs(stored - kernel(raw, "mappo_per_agent").values).max()),
        "untouched": bool((td["agents", "advantage"] == raw).all()),
        "calls": normalize.credit.updates,
        "same checkpoint": list(replay.state_dict()["_transforms"]) == plain,
    }


def loss() -> dict[str, Any]:
    """Their own normalization on a minibatch of one, and a loss that would normalize twice."""
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), NormalParamExtractor())
    actor = ProbabilisticActor(
        TensorDictModule(net, ["observation"], ["loc", "scale"]),
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        return_log_prob=True,
    )
    critic = TensorDictModule(torch.nn.Linear(4, 1), ["observation"], ["state_value"])
    made = ClipPPOLoss(
        actor, critic, normalize_advantage=True, normalize_advantage_exclude_dims=(1,)
    )
    td = actor(TensorDict({"observation": torch.randn(1, 3, 4)}, [1, 3])).detach()
    td["advantage"], td["value_target"] = torch.randn(1, 3, 1), torch.randn(1, 3, 1)
    theirs = bool(made(td)["loss_objective"].isnan())
    try:
        NormalizeAdvantage.for_loss(made)
        refused = ""
    except SettingError as error:
        refused = str(error)
    same = actor(TensorDict({"observation": torch.randn(1600, 3, 4)}, [1600, 3])).detach()
    same["advantage"] = torch.full((1600, 3, 1), 100.1)  # nobody did better than anybody
    same["value_target"] = torch.randn(1600, 3, 1)
    rounded = float(made(same)["loss_objective"])
    made.normalize_advantage = False
    normalize = NormalizeAdvantage.for_loss(made)
    return {
        "theirs on one step is NaN": theirs,
        "ours": float(made(normalize(td))["loss_objective"]),
        "theirs on a constant": rounded,
        "ours on a constant": float(made(normalize(same))["loss_objective"]),
        "refused": refused,
    }


def minibatches() -> dict[str, float]:
    """How far statistics of minibatches of M steps put values from those of all 1,600, in RMS."""
    scale, shift = torch.tensor([100.0, 1.0, 1.0]), torch.tensor([0.0, 0.5, -0.5])
    raw = torch.randn(1600, 3, 1) * scale[:, None] + shift[:, None]

    def normalized(part: torch.Tensor) -> torch.Tensor:
        td = TensorDict({"agents": {"advantage": part.clone()}}, part.shape[:1])
        return NormalizeAdvantage()(td)["agents", "advantage"]

    whole = normalized(raw)
    return {
        str(size): float((torch.cat([normalized(p) for p in raw.split(size)]) - whole).square()
                         .mean().sqrt())
        for size in (400, 64, 16, 4)
    }  # fmt: skip


def world(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Specifications hold, and copies start anew within a rollout."""
    env = WorldEnv(find_world(name).make(settings, copies=4, seed=0))
    check_env_specs(env, seed=0)
    summed = TransformedEnv(env, RewardSum(reset_keys=["_reset"] * len(env.group_map)))
    steps = 2 * (env.world.horizon or 50) + 3
    played = summed.rollout(steps, break_when_any_done=False)
    return {
        "shape": list(played.shape),
        "ended": int(played["next", "done"].sum()),
        "groups": {
            group: list(played["next", group, "reward"].shape[2:]) for group in env.group_map
        },
    }


def trajectory() -> dict[str, Any]:
    """The environment shows the world's own observations and rewards, restarts included."""
    env = WorldEnv(find_world("spread").make({}, copies=4, seed=3))
    twin = find_world("spread").make({}, copies=4, seed=3)
    env.set_seed(3)
    twin.reset(3)
    seen, same = twin.reset().seen, True
    played = env.rollout(60, break_when_any_done=False)
    for t in range(60):
        step = twin.step(played["agents", "action"][:, t].numpy())
        after = played["next", "agents"][:, t]
        same &= np.array_equal(seen, played["agents", "observation"][:, t].numpy())
        same &= np.array_equal(step.last.seen, after["observation"].numpy())
        same &= np.array_equal(step.reward.astype(np.float32), after["reward"][..., 0].numpy())
        seen = step.view.seen
    mask = TensorDict({"_reset": torch.ones(4, 1, dtype=torch.bool)}, [4])
    try:
        env.reset(mask)
        refused = False
    except WorldError:
        refused = True
    return {"same": bool(same), "a reset in the middle is refused": refused}


if __name__ == "__main__":
    main()
