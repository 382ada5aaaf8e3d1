"""An environment in which one agent chooses and another gives numbers, as a user writes it."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

BEST = 5.0
"""The return of the best team: 1 in each of 5 steps."""


class SortsAndAims(ParallelEnv):
    """The sorter names which of 3 lamps is on; the aimer points at a place in [-2, 2].

    Each step pays the team 1 if the sorter is right, minus the distance of the aimer, to the sorter
    alone. The aimer gives 2 numbers of which the second counts.
    """

    metadata = {"name": "sorts_and_aims"}  # noqa: RUF012

    def __init__(self, names="sorter_0 aimer_0", masks=False):
        self.possible_agents, self.masks = str(names).split(), masks
        self.rng = np.random.default_rng(0)

    def observation_space(self, agent):
        if agent.startswith("sorter"):
            return spaces.Discrete(3)
        return spaces.Box(-2, 2, (1,), np.float32)

    def action_space(self, agent):
        if agent.startswith("sorter"):
            return spaces.MultiDiscrete([3, 2], start=[1, 1])
        return spaces.Box(-2, 2, (2,), np.float32)

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.agents, self.time = list(self.possible_agents), 0
        return self._look(), self._infos()

    def step(self, actions):
        assert all(self.action_space(agent).contains(a) for agent, a in actions.items()), actions
        reward = 0.0
        for agent, action in actions.items():
            if agent.startswith("sorter"):
                reward += float(action[0] - 1 == self.lamp)
            else:
                reward -= abs(float(action[1] - self.place))
        self.time += 1
        rewards = {agent: reward * agent.startswith("sorter") for agent in self.agents}
        over = dict.fromkeys(self.agents, self.time == 5)
        seen, infos = self._look(), self._infos()
        if self.time == 5:
            self.agents = []
        return seen, rewards, dict.fromkeys(over, False), over, infos

    def _look(self):
        self.lamp, self.place = int(self.rng.integers(3)), float(self.rng.uniform(-2, 2))
        return {
            agent: self.lamp if agent.startswith("sorter") else np.float32([self.place])
            for agent in self.agents
        }

    def _infos(self):
        if not self.masks:
            return {agent: {} for agent in self.agents}
        sizes = {agent: 6 if agent.startswith("sorter") else 2 for agent in self.agents}
        return {agent: {"action_mask": np.arange(n) != 1} for agent, n in sizes.items()}
