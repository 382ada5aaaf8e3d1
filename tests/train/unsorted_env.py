"""A user's own environment, which can list its agents in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv


class PassesParcels(ParallelEnv):
    """Three porters, three doors: each is paid for its own door, and less where another was too.

    Chance is drawn by name, so that nothing that happens depends on the order of `names`.
    """

    metadata = {"name": "passes_parcels"}  # noqa: RUF012

    def __init__(self, names: str = "porter_0 porter_1 runner_0") -> None:
        self.possible_agents, self.max_cycles = names.split(), 6
        self._sees, self._can = spaces.Box(-9, 9, (3,), np.float32), spaces.Discrete(3)

    def observation_space(self, agent: str) -> Any:
        return self._sees

    def action_space(self, agent: str) -> Any:
        return self._can

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.rng, self.time = np.random.default_rng(seed), 0
        self.agents = self.possible_agents[:]
        return self._look(), {name: {} for name in self.agents}

    def step(self, actions: Any) -> Any:
        self.time += 1
        doors = list(actions.values())
        paid = {
            name: float(actions[name] == self.door[name]) / doors.count(actions[name])
            for name in self.agents
        }
        cut = dict.fromkeys(self.agents, self.time == self.max_cycles)
        seen, infos = self._look(), {name: {} for name in self.agents}
        here, self.agents = self.agents, [] if self.time == self.max_cycles else self.agents
        return seen, paid, dict.fromkeys(here, False), cut, infos

    def _look(self) -> Any:
        self.door = {name: int(self.rng.integers(3)) for name in sorted(self.possible_agents)}
        return {name: np.eye(3, dtype=np.float32)[self.door[name]] for name in self.agents}
