"""The team of bench/trainers.py as an environment of TorchRL: `Symbols`.

An agent sees its role and picks one of 24 symbols. One of them is a teller's and three are a
writer's; the share of right symbols is what it is paid for (shares by chance: 0.042 and 0.125, with
characters 0.044 and 0.115).
"""

from __future__ import annotations

from typing import Any

import torch
from own_rewards import paid
from small_team import ROLES
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Categorical, Composite, Unbounded
from torchrl.envs import EnvBase

SYMBOLS, RIGHT = 24, {"teller": (0, 1), "writer": (1, 4)}
"""How many symbols there are, and the right ones of each role."""
STEPS, COPIES = 32, 8
"""Steps of an episode, and environments side by side."""


class Symbols(EnvBase):
    """A team whose agents pick symbols; group `agents`, batch size [COPIES]."""

    def __init__(self, device: Any = "cpu") -> None:
        super().__init__(device=device, batch_size=[COPIES])
        shape = (COPIES, len(ROLES))
        seen = Unbounded((*shape, len(ROLES)))
        self.observation_spec = Composite(
            agents=Composite(observation=seen, shape=shape), shape=(COPIES,)
        )
        self.action_spec = Composite(
            agents=Composite(action=Categorical(SYMBOLS, shape), shape=shape), shape=(COPIES,)
        )
        self.reward_spec = Composite(
            agents=Composite(reward=Unbounded((*shape, 1)), shape=shape), shape=(COPIES,)
        )
        flag = Categorical(2, (COPIES, 1), dtype=torch.bool)
        self.done_spec = Composite(done=flag, terminated=flag.clone(), shape=(COPIES,))
        self.low, self.high = torch.tensor([RIGHT[role] for role in ROLES]).T
        self.steps = 0

    def _seen(self) -> TensorDict:
        roles = torch.eye(len(ROLES)).expand(COPIES, -1, -1).clone()
        agents = TensorDict({"observation": roles}, (COPIES, len(ROLES)))
        ended = torch.full((COPIES, 1), self.steps == STEPS)
        return TensorDict({"agents": agents, "done": ended, "terminated": ended.clone()}, (COPIES,))

    def _reset(self, tensordict: TensorDictBase | None = None, **_: Any) -> TensorDict:
        self.steps = 0
        return self._seen()

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        self.steps += 1
        action = tensordict["agents", "action"]
        right = ((action >= self.low) & (action < self.high)).float()
        rewards = [[[paid(role, float(x))] for role, x in zip(ROLES, row, strict=True)]
                   for row in right]  # fmt: skip
        out = self._seen()
        out["agents", "reward"] = torch.tensor(rewards)
        return out

    def _set_seed(self, seed: int | None) -> None:
        """There is no chance in the environment."""


def shares(batch: TensorDictBase) -> dict[str, list[float]]:
    """Returns role to the shares of the actions of a batch."""
    action = batch["agents", "action"].reshape(-1, len(ROLES))
    return {
        role: ((action[:, i] >= RIGHT[role][0]) & (action[:, i] < RIGHT[role][1])).float().tolist()
        for i, role in enumerate(ROLES)
    }
