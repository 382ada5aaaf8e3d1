"""`spread`: agents cover landmarks together, and pay for bumping into each other.

A twin of mpe2's `simple_spread_v3`: same state and actions in, the same observations, rewards and
ends out, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.settings import Range
from counterpoint.worlds.sequential.particles import (
    MOVES,
    acceleration,
    contact_forces,
    head_for,
    length,
    move,
    pairs,
)
from counterpoint.worlds.sequential.twin import Twin
from counterpoint.worlds.sequential.world import Actions, StepSettings, View

RADIUS = 0.15
"""Of an agent. Landmarks are points that nothing bumps into."""


@dataclass(frozen=True, kw_only=True)
class SpreadSettings(StepSettings):
    """Settings of `spread`."""

    agents: Annotated[int, Range(1, 64)] = 3
    """Team size; there are as many landmarks."""
    local_ratio: Annotated[float, Range(0.0, 1.0)] = 0.5
    """Weight of an agent's own collisions in its reward; the rest weighs the team's distances."""
    horizon: Annotated[int, Range(1, 1_000_000)] = 25
    """Steps of an episode."""
    continuous: bool = False
    """Whether an action is five strengths in [0, 1] instead of one of five moves."""


class Spread(Twin):
    """N agents and N landmarks at random places in the square [-1, 1]^2.

    With local ratio w, agent a is paid -(1 - w) D - w C(a) in each step: D is the sum over
    landmarks of the distance to the nearest agent, C(a) the number of agents that a touches. An
    agent sees its velocity, its position, where landmarks and the other agents are from it, and
    2 (N - 1) zeros, since nobody speaks. Episodes end for want of time only.
    """

    name = "spread"
    settings_type = SpreadSettings
    summary = "agents cover as many landmarks, and pay for bumping into each other"
    source = "twin of mpe2 simple_spread_v3 (Lowe et al. 2017, arXiv:1706.02275)"
    settings: SpreadSettings
    scale = (
        "team sum: own rewards, as weighted by local_ratio, added over agents and steps "
        "(not the mean over agents, not one agent's); reference: a scripted team"
    )
    measured = (-79.29, -22.53)  # 50,000 and 20,000 episodes: +- .21 and .14 (95%)

    def build(self) -> None:
        given, copies = self.settings, self.copies
        n = given.agents
        self.agents = tuple(f"agent_{i}" for i in range(n))
        self.roles = ("agent",) * n
        self.seen_sizes = (6 * n,) * n
        strengths = ((0.0,) * MOVES, (1.0,) * MOVES) if given.continuous else ()
        self.actions = (Actions(MOVES, *strengths),) * n
        self.state_size = 6 * n * n
        self.horizon = given.horizon
        shape = (2, n, copies)
        self.held |= {name: np.zeros(shape) for name in ("position", "velocity", "landmarks")}
        self.first, self.second = pairs(n)
        self.others = np.array([[b for b in range(n) if b != a] for a in range(n)], dtype=np.int64)

    def begin(self, copies: Ints) -> None:
        n = self.settings.agents
        places = self.rng.uniform(-1.0, 1.0, (len(copies), 2 * n, 2)).T
        self.held["position"][..., copies] = places[:, :n]
        self.held["landmarks"][..., copies] = places[:, n:]
        self.held["velocity"][..., copies] = 0.0

    def advance(self, actions: NDArray[Any]) -> tuple[Floats, Bools]:
        position, w = self.held["position"], self.settings.local_ratio
        force = acceleration(actions, self.settings.continuous)
        apart = position[:, self.first] - position[:, self.second]
        pushed = contact_forces(apart, length(apart), 2 * RADIUS)
        for pair, (a, b) in enumerate(zip(self.first, self.second, strict=True)):
            force[:, a] += pushed[:, pair]
            force[:, b] -= pushed[:, pair]
        move(position, self.held["velocity"], force)

        gaps = length(position[:, :, None] - self.held["landmarks"][:, None])  # [A, N, E]
        uncovered = -gaps.min(axis=0).sum(axis=0)
        touching = length(position[:, self.first] - position[:, self.second]) < 2 * RADIUS
        bumps = np.zeros(position.shape[1:])
        for pair, (a, b) in enumerate(zip(self.first, self.second, strict=True)):
            bumps[a] -= touching[pair]
            bumps[b] -= touching[pair]
        own = uncovered * (1 - w) + bumps * w
        return np.ascontiguousarray(own.T), np.zeros(self.copies, dtype=bool)

    def view(self) -> View:
        n, e = self.settings.agents, self.copies
        position = self.held["position"]
        drawn = np.zeros((n, 3 * n, 2, e), dtype=np.float32)  # [A, D / 2, 2, E]
        drawn[:, 0] = self.held["velocity"].swapaxes(0, 1)
        drawn[:, 1] = position.swapaxes(0, 1)
        here = position[:, :, None]
        drawn[:, 2 : n + 2] = np.moveaxis(self.held["landmarks"][:, None] - here, 0, 2)
        drawn[:, n + 2 : 2 * n + 1] = np.moveaxis(position[:, self.others] - here, 0, 2)
        state = np.ascontiguousarray(drawn.reshape(-1, e).T)
        return View(state.reshape(e, n, 6 * n), state, np.ones((e, n), dtype=bool))

    def scripted(self, rng: np.random.Generator) -> NDArray[Any]:
        """Returns moves towards the landmarks of the shortest matching, [E, A]."""
        distances = length(self.held["position"][:, :, None] - self.held["landmarks"][:, None])
        mine = shortest_matching(distances)  # [A, E]
        target = np.take_along_axis(self.held["landmarks"], mine[None], axis=1)
        return head_for(target, self.held["position"], self.held["velocity"]).T


def shortest_matching(distances: Floats) -> Ints:
    """Returns a different landmark for each agent, [A, E], at short distances.

    With up to 6 agents the sum of the distances is minimal. With more, the shortest distance that
    is left decides, one pair after the other.

    Args:
        distances: [A, N, E] between agents and landmarks.
    """
    n, e = len(distances), distances.shape[-1]
    if n <= 6:
        orders = np.array(list(permutations(range(n))))  # [n!, A]
        sums = sum(distances[a, orders[:, a]] for a in range(n))
        best: Ints = orders[np.argmin(sums, axis=0)].T
        return best
    left, copy = distances.copy(), np.arange(e)
    mine = np.zeros((n, e), dtype=np.int64)
    for _ in range(n):
        agent, landmark = np.divmod(left.reshape(n * n, e).argmin(axis=0), n)
        mine[agent, copy] = landmark
        left[agent, :, copy] = np.inf
        left[:, landmark, copy] = np.inf
    return mine
