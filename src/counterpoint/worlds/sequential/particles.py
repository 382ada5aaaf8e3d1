"""The multi-agent particle worlds: discs on a plane, pushed by thrust and by contact.

`spread` and `speaker_listener` are twins of mpe2's `simple_spread_v3` and
`simple_speaker_listener_v4`: same state and actions in, the same observations, rewards and ends
out. Axes: 2 dimensions of the plane, A agents, P pairs of agents, E copies. Arithmetic is in double
precision and in the original's order, so that twins agree with it bit for bit.

Source: the particle worlds of Lowe et al. 2017 (arXiv:1706.02275) and Mordatch & Abbeel 2017, with
the constants and the order of integration of mpe2 1.1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.settings import Range
from counterpoint.worlds.sequential.actions import Actions
from counterpoint.worlds.sequential.twin import Twin
from counterpoint.worlds.sequential.world import StepSettings, View

SECONDS, DAMPING, THRUST = 0.1, 0.25, 5.0
"""Length of a step, share of the velocity lost in it, acceleration of an agent at full thrust."""
CONTACT_FORCE, CONTACT_MARGIN = 100.0, 0.001
"""Force per unit of penetration, and how softly contact sets in."""
MOVES = 5
"""Stay, left, right, down, up."""

_ACCELERATION = THRUST * np.array([[0.0, -1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, -1.0, 1.0]])


def acceleration(actions: NDArray[Any], continuous: bool) -> Floats:
    """Returns the thrust, [2, ..., E], of `MOVES` [E, ...] or of strengths [E, ..., 5].

    Strengths lie in [0, 1] and are single precision, as in the original. Opposite ones cancel out,
    and the first one (stay) does nothing.
    """
    if not continuous:
        moved: Floats = _ACCELERATION[:, actions.T]
        return moved
    strength = np.clip(actions[..., :MOVES].astype(np.float32), 0.0, 1.0).T
    net = np.stack([strength[2] - strength[1], strength[4] - strength[3]])
    return net.astype(np.float64) * THRUST


def contact_forces(apart: Floats, distance: Floats, touching: float) -> Floats:
    """Returns the force on the first disc of each pair, [2, P, E]; the second feels the opposite.

    The force is 100 d/|d| m log(1 + exp((touching - |d|) / m)): smooth, nearly 0 from a distance,
    nearly linear in the penetration.

    Args:
        apart: [2, P, E] position of the first minus that of the second, d.
        distance: [P, E] its length |d|.
        touching: sum of the radii.
    """
    penetration = np.logaddexp(0, -(distance - touching) / CONTACT_MARGIN) * CONTACT_MARGIN
    return CONTACT_FORCE * apart / distance * penetration


def move(position: Floats, velocity: Floats, force: Floats) -> None:
    """Moves discs [2, ...] of mass 1 by one step, in place: first along the old velocity."""
    position += velocity * SECONDS
    velocity *= 1 - DAMPING
    velocity += force * SECONDS


def head_for(target: Floats, position: Floats, velocity: Floats, steps: int = 3) -> Ints:
    """Returns the move [...] that brings coasting discs nearest to `target` [2, ...].

    It lands there after `steps` steps. Scripted teams steer with it; it is no part of the worlds.
    """
    kept = 1 - DAMPING
    glide = SECONDS * (1 - kept**steps) / DAMPING  # what a unit of velocity covers meanwhile
    missed = target - position - glide * velocity
    pushes = np.moveaxis(acceleration(np.arange(MOVES), False), 1, 0)  # [5, 2]
    carried = pushes * SECONDS * SECONDS * (1 - kept ** (steps - 1)) / DAMPING
    left = missed[:, None] - carried.T.reshape(2, MOVES, *(1,) * (missed.ndim - 1))
    nearest: Ints = length(left).argmin(axis=0)
    return nearest


def length(vectors: Floats) -> Floats:
    """Returns the Euclidean length [...] of vectors [2, ...]."""
    lengths: Floats = np.sqrt(vectors[0] * vectors[0] + vectors[1] * vectors[1])
    return lengths


def pairs(agents: int) -> tuple[Ints, Ints]:
    """Returns the indices [P] of both agents of each pair, in the original order."""
    first, second = np.triu_indices(agents, 1)
    return first, second


RADIUS = 0.15
"""Radius of an agent. Landmarks are points without collisions."""


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
    2 (N - 1) zeros, since nobody speaks. Episodes end only when their time is over.
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


LANDMARKS = 3
"""Places to go; the speaker has a word for each."""
BRIGHT, DARK = 0.65, 0.15
"""The speaker sees the goal's colour: this much in the goal's own place, and in the others."""


@dataclass(frozen=True, kw_only=True)
class SpeakerListenerSettings(StepSettings):
    """Settings of `speaker_listener`."""

    horizon: Annotated[int, Range(1, 1_000_000)] = 25
    """Steps of an episode."""
    continuous: bool = False
    """Whether an action is strengths in [0, 1]: three of words, or five of moves."""


class SpeakerListener(Twin):
    """A speaker that stands still, a listener that moves, three landmarks, one of them the goal.

    Both are paid minus the squared distance from the listener to the goal, in each step. The
    speaker sees the goal's colour, nothing else. The listener sees its velocity, where the
    landmarks are from it, and the word that was said in the step before. Episodes end only when
    their time is over.
    """

    name = "speaker_listener"
    settings_type = SpeakerListenerSettings
    summary = "a speaker that cannot move names the goal to a listener that does not know it"
    source = "twin of mpe2 simple_speaker_listener_v4 (Lowe et al. 2017, arXiv:1706.02275)"
    settings: SpeakerListenerSettings
    scale = (
        "team sum: the reward, which both get, added over both and all steps (twice what either "
        "gets); reference: a scripted team"
    )
    measured = (-79.43, -14.91)  # 50,000 and 20,000 episodes: +- .58 and .22 (95%)
    measured_silent = -30.71  # 50,000 episodes: +- .19 (95%)

    def build(self) -> None:
        given, copies = self.settings, self.copies
        self.agents = ("speaker_0", "listener_0")
        self.roles = ("speaker", "listener")
        self.speakers = ("speaker_0",)
        self.seen_sizes = (LANDMARKS, 2 + 2 * LANDMARKS + LANDMARKS)
        self.actions = tuple(
            Actions(size, *(((0.0,) * size, (1.0,) * size) if given.continuous else ()))
            for size in (LANDMARKS, MOVES)
        )
        self.state_size = sum(self.seen_sizes)
        self.horizon = given.horizon
        self.held |= {
            "position": np.zeros((2, copies)),
            "velocity": np.zeros((2, copies)),
            "landmarks": np.zeros((2, LANDMARKS, copies)),
            "goal": np.zeros(copies, dtype=np.int64),
            "message": np.zeros((LANDMARKS, copies)),
        }

    def begin(self, copies: Ints) -> None:
        places = self.rng.uniform(-1.0, 1.0, (len(copies), 1 + LANDMARKS, 2)).T
        self.held["position"][:, copies] = places[:, 0]
        self.held["landmarks"][..., copies] = places[:, 1:]
        self.held["goal"][copies] = self.rng.integers(LANDMARKS, size=len(copies))
        self.held["velocity"][:, copies] = 0.0
        self.held["message"][:, copies] = 0.0

    def advance(self, actions: NDArray[Any]) -> tuple[Floats, Bools]:
        position, continuous = self.held["position"], self.settings.continuous
        force = acceleration(actions[:, 1], continuous)
        move(position, self.held["velocity"], force)
        spoken, words = actions[:, 0], np.arange(LANDMARKS)[:, None]
        if continuous:
            strengths = spoken[:, :LANDMARKS].astype(np.float32)
            self.held["message"][...] = np.clip(strengths, 0.0, 1.0).T
        else:
            self.held["message"][...] = spoken == words
        goal = self.held["landmarks"][:, self.held["goal"], np.arange(self.copies)]
        away = position - goal
        own = -(away[0] * away[0] + away[1] * away[1])
        return np.repeat(own[:, None], 2, axis=1), np.zeros(self.copies, dtype=bool)

    def view(self) -> View:
        here, e = self.held["position"], self.copies
        colour = np.full((LANDMARKS, e), DARK)
        colour[self.held["goal"], np.arange(e)] = BRIGHT
        landmarks = (self.held["landmarks"] - here[:, None]).swapaxes(0, 1).reshape(-1, e)
        drawn = np.concatenate([colour, self.held["velocity"], landmarks, self.held["message"]])
        state = np.ascontiguousarray(drawn.T, dtype=np.float32)
        seen = np.zeros((e, 2, max(self.seen_sizes)), dtype=np.float32)
        seen[:, 0, :LANDMARKS] = state[:, :LANDMARKS]
        seen[:, 1] = state[:, LANDMARKS:]
        return View(seen, state, np.ones((e, 2), dtype=bool))

    def scripted(self, rng: np.random.Generator) -> NDArray[Any]:
        """Returns the name of the goal, and a move to where the last word points, [E, 2]."""
        message = self.held["message"]
        target = (self.held["landmarks"] * message).sum(axis=1)
        target = np.where(message.any(axis=0), target, self.held["landmarks"].mean(axis=1))
        moves = head_for(target, self.held["position"], self.held["velocity"])
        return np.stack([self.held["goal"], moves], axis=1)

    def silent(self, rng: np.random.Generator) -> NDArray[Any]:
        """Returns a word by chance, and a move to the mean of the landmarks, [E, 2].

        It is the best place for a listener that knows nothing of the goal: the mean squared
        distance to three equally likely goals is least there.
        """
        position, velocity = self.held["position"], self.held["velocity"]
        moves = head_for(self.held["landmarks"].mean(axis=1), position, velocity)
        return np.stack([rng.integers(LANDMARKS, size=self.copies), moves], axis=1)
