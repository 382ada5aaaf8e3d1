"""Small environments of other people's making, named for what they do."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv


class LeavesOneByOne(ParallelEnv):
    """Agent k leaves after step k + 1: the even ones for good, the odd ones are cut off.

    Rewards are 1 for everybody who is there; observations are (own number, time, dice).
    """

    metadata = {"name": "leaves_one_by_one"}  # noqa: RUF012

    def __init__(self, agents: int = 3, prize: float = 1.0) -> None:
        self.possible_agents = [f"walker_{k}" for k in range(agents)]
        self.prize, self.max_cycles = prize, agents
        self._seen, self._can = spaces.Box(-9, 9, (3,), np.float32), spaces.Discrete(2)

    def observation_space(self, agent: str) -> Any:
        return self._seen

    def action_space(self, agent: str) -> Any:
        return self._can

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.rng = np.random.default_rng(seed)
        self.agents, self.time = self.possible_agents[:], 0
        return self._look(), {name: {} for name in self.agents}

    def step(self, actions: Any) -> Any:
        assert set(actions) == set(self.agents)
        self.time += 1
        seen, here = self._look(), self.agents
        out = f"walker_{self.time - 1}"
        even = (self.time - 1) % 2 == 0
        over = {name: name == out and even for name in here}
        cut = {name: name == out and not even for name in here}
        self.agents = [name for name in here if name != out]
        return seen, dict.fromkeys(here, self.prize), over, cut, {name: {} for name in here}

    def _look(self) -> Any:
        dice = float(self.rng.random())
        return {
            name: np.array([int(name[-1]), self.time, dice], dtype=np.float32)
            for name in self.agents
        }


class ForgetsItsSeed(LeavesOneByOne):
    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(None, options)


class ForgetsToPay(LeavesOneByOne):
    """Says nothing of what `whom` gets in step `when`."""

    def __init__(self, whom: str = "walker_1", when: int = 2, agents: int = 3) -> None:
        super().__init__(agents)
        self.whom, self.when = whom, when

    def step(self, actions: Any) -> Any:
        seen, rewards, *rest = super().step(actions)
        if self.time == self.when:
            rewards.pop(self.whom, None)
        return seen, rewards, *rest


class NeverEnds(LeavesOneByOne):
    """Nobody leaves, whatever `max_cycles` says."""

    def __init__(self, max_cycles: int = 10**6) -> None:
        super().__init__(2)
        self.max_cycles = max_cycles

    def step(self, actions: Any) -> Any:
        nobody = dict.fromkeys(self.agents, False)
        return self._look(), dict.fromkeys(self.agents, 1.0), nobody, nobody, {}


class PassesAHat(AECEnv):
    """Three take turns for two rounds; who acts pays 1 to the next one, who has it at once.

    In the infos stands which of the three actions are legal: all but the player's own number.
    """

    metadata = {"name": "passes_a_hat"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = ["a", "b", "c"]
        self.observation_spaces = dict.fromkeys(self.possible_agents, spaces.Discrete(7))
        self.action_spaces = dict.fromkeys(self.possible_agents, spaces.Discrete(3, start=1))

    def observation_space(self, agent: str) -> Any:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self.action_spaces[agent]

    def observe(self, agent: str) -> int:
        return self.turn

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self.agents, self.turn = self.possible_agents[:], 0
        self.rewards = dict.fromkeys(self.agents, 0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {
            name: {"action_mask": np.array([k != j for j in range(3)], dtype=np.int8)}
            for k, name in enumerate(self.agents)
        }
        self.agent_selection = "a"
        self.heard: list[tuple[str, int]] = []

    def step(self, action: Any) -> None:
        name = self.agent_selection
        if self.terminations[name]:
            self._was_dead_step(action)
            return
        self.heard.append((name, action))
        self.turn += 1
        following = self.possible_agents[self.turn % 3]
        self.rewards = dict.fromkeys(self.agents, 0) | {following: 1, name: -1}
        self.agent_selection = following
        if self.turn == 6:
            self.terminations = dict.fromkeys(self.agents, True)


class PassesAHatAndForgets(PassesAHat):
    """Does not say what `c` gets when `a` acts."""

    def step(self, action: Any) -> None:
        super().step(action)
        if self.agent_selection == "b":
            self.rewards.pop("c", None)


class ActsInManyWays(ParallelEnv):
    """One agent; the constructor says what it sees and does. It is paid what it does, in sum."""

    metadata = {"name": "acts_in_many_ways"}  # noqa: RUF012

    def __init__(self, sees: str = "box", does: str = "many") -> None:
        self.possible_agents = ["solo"]
        box = spaces.Box(0, 1, (2, 3), np.float64)
        self._sees = {
            "box": box,
            "dict": spaces.Dict({"observation": box, "action_mask": spaces.MultiBinary(6)}),
            "one": spaces.Discrete(4, start=2),
            "several": spaces.MultiDiscrete([2, 3]),
            "bits": spaces.MultiBinary(3),
            "text": spaces.Text(5),
        }[sees]
        self._does = {
            "many": spaces.MultiDiscrete([2, 3]),
            "bits": spaces.MultiBinary(2),
            "too_many": spaces.MultiDiscrete([20, 20]),
            "numbers": spaces.Box(-1, 2, (2, 2), np.float32),
            "unbounded": spaces.Box(-np.inf, 2, (2,), np.float32),
        }[does]

    def observation_space(self, agent: str) -> Any:
        return self._sees

    def action_space(self, agent: str) -> Any:
        return self._does

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = ["solo"]
        self._sees.seed(seed)
        return self._look(), {"solo": {}}

    def step(self, actions: Any) -> Any:
        self.got = actions["solo"]
        paid = {"solo": float(np.sum(self.got))}
        return self._look(), paid, {"solo": False}, {"solo": False}, {"solo": {}}

    def _look(self) -> Any:
        self.shown = self._sees.sample()
        if isinstance(self.shown, dict):
            self.shown["action_mask"] = np.array([0, 1, 1, 0, 0, 1], dtype=np.int8)
        return {"solo": self.shown}


class MixesKinds(LeavesOneByOne):
    """One agent gives numbers where the others choose; each is paid the sum of what it does.

    With masks, the first choice of the last agent is not legal; the masks of numbers allow nothing.
    """

    def __init__(self, masks: bool = False) -> None:
        super().__init__()
        self.masks = masks

    def action_space(self, agent: str) -> Any:
        return {
            "walker_0": spaces.Box(0, 1, (3,), np.float32),
            "walker_1": spaces.MultiDiscrete([2, 2], start=[1, 1]),
            "walker_2": self._can,
        }[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        seen, _ = super().reset(seed)
        return seen, self._masks()

    def step(self, actions: Any) -> Any:
        for name, action in actions.items():
            assert self.action_space(name).contains(action), (name, action)
        seen, _, over, cut, _ = super().step(actions)
        paid = {name: float(np.sum(action)) for name, action in actions.items()}
        return seen, paid, over, cut, self._masks()

    def _masks(self) -> Any:
        masks = {"walker_0": np.zeros(3), "walker_2": np.array([0, 1])}
        return {
            name: {"action_mask": masks[name]} if self.masks and name in masks else {}
            for name in self.agents
        }


class HasNoNames(LeavesOneByOne):
    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = []


NOT_AN_ENVIRONMENT = 3


def makes_a_list() -> list[int]:
    return []
