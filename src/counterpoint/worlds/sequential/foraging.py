"""`foraging`: agents of different strength collect food, some of it too heavy for one alone.

A twin of lbforaging's level-based foraging: same state and actions in, the same observations,
rewards and ends out, to the last bit. Random starts have the same distribution: the original tries
cells until one fits; here one of those that fit is drawn. One difference: in the original the cells
where agents stood in the episode before are not free to agents that are placed earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.errors import SettingError
from counterpoint.settings import Range
from counterpoint.worlds.sequential.actions import Actions
from counterpoint.worlds.sequential.twin import Twin
from counterpoint.worlds.sequential.world import StepSettings, View

NOTHING, NORTH, SOUTH, WEST, EAST, LOAD = range(6)
DIRECTIONS = np.array([[0, -1, 1, 0, 0, 0], [0, 0, 0, -1, 1, 0]])
"""[2, 6] rows and columns that each action moves by."""
ROW, COLUMN, LEVEL = range(3)
UNSEEN = np.array([-1, -1, 0])[:, None, None]
"""The observed values of a thing that an agent does not see."""


@dataclass(frozen=True, kw_only=True)
class ForagingSettings(StepSettings):
    """Settings of `foraging`; the defaults are those of Foraging-8x8-2p-3f-v3."""

    size: Annotated[int, Range(4, 100)] = 8
    """Rows and columns of the field."""
    agents: Annotated[int, Range(1, 64)] = 2
    """Team size."""
    food: Annotated[int, Range(1, 64)] = 3
    """Pieces of food at the start."""
    sight: Annotated[int | None, Range(1, 100)] = None
    """Sight of an agent, in cells; None: the whole field."""
    min_level: Annotated[int, Range(1, 100)] = 1
    """Level of the weakest agent that there can be."""
    max_level: int = 2
    """Level of the strongest agent that there can be."""
    max_food: Annotated[int | None, Range(1, 10_000)] = None
    """Level of the heaviest food; None: the three weakest agents (or all, of fewer) together."""
    force_coop: bool = False
    """Whether all food is of the highest level."""
    penalty: Annotated[float, Range(0.0, 1e6)] = 0.0
    """The penalty of each agent that tries to load food with too little strength."""
    normalize: bool = True
    """Whether all the food of an episode pays 1 in sum, rather than level times level."""
    horizon: Annotated[int, Range(1, 1_000_000)] = 50
    """Maximum number of steps of an episode."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("max_level", self.min_level, 100)
        if self.agents + self.food * 5 > self.size**2:
            raise SettingError(
                f"got agents={self.agents}, food={self.food}, size={self.size}; "
                "wanted a larger field, or fewer things on it"
            )


class Foraging(Twin):
    """Agents and food of given levels on a square field; nobody walks through food.

    Agents move at once; if several would enter the same cell, none of them moves. Agents that
    load beside the same food take it if the sum of their levels reaches its level, and are paid in
    proportion to their levels. The episode terminates when no food is left. The end of time is a
    cut-off here; the original calls it a termination too.

    An agent sees (row, column, level) of each piece of food in its sight, then of itself and of
    the others in its sight; rows and columns count from the corner of what it sees, and things out
    of sight are (-1, -1, 0), behind the rest. The state is the same for the whole field.
    """

    name = "foraging"
    settings_type = ForagingSettings
    summary = "agents of different strength collect food that may need several of them"
    source = "twin of lbforaging 2.0 (Papoudakis et al. 2021, arXiv:2006.07869)"
    settings: ForagingSettings
    scale = (
        "team sum: rewards added over agents and steps, 1 if all food is collected (where "
        "normalize is on); reference: a scripted team"
    )
    measured = (0.1854, 0.9997)  # 50,000 and 20,000 episodes: +- .0019 and .0002 (95%)

    def build(self) -> None:
        given, copies = self.settings, self.copies
        n, f = given.agents, given.food
        self.agents = tuple(f"agent_{i}" for i in range(n))
        self.roles = ("agent",) * n
        self.seen_sizes = (3 * (n + f),) * n
        self.actions = (Actions(6),) * n
        self.state_size = 3 * (n + f)
        self.horizon = given.horizon
        self.sight = given.sight if given.sight is not None else given.size
        self.held |= {
            "food": np.zeros((3, f, copies), dtype=np.int64),
            "agents": np.zeros((3, n, copies), dtype=np.int64),
            "spawned": np.zeros(copies, dtype=np.int64),
        }
        self.order = np.array([[a] + [b for b in range(n) if b != a] for a in range(n)])

    def begin(self, copies: Ints) -> None:
        s, count = self.settings, len(copies)
        places = first_places(self.rng, count, s.size, s.agents)
        level = self.rng.integers(s.min_level, s.max_level + 1, (s.agents, count))
        most = np.sort(level, axis=0)[:3].sum(axis=0)
        if s.max_food is not None:
            most[:] = s.max_food
        food = fields(self.rng, places, s.size, s.food, most, s.force_coop)
        self.held["agents"][..., copies] = np.concatenate([places, level[None]])
        self.held["food"][..., copies] = food
        self.held["spawned"][copies] = food[LEVEL].sum(axis=0)

    def advance(self, actions: NDArray[Any]) -> tuple[Floats, Bools]:
        food, agents, s = self.held["food"], self.held["agents"], self.settings
        chosen = np.asarray(actions).T  # [A, E]
        there = food[LEVEL] > 0
        wanted = agents[:LEVEL] + DIRECTIONS[:, chosen]
        allowed = ((wanted >= 0) & (wanted < s.size)).all(axis=0)
        rows, columns = abs(food[:LEVEL, :, None] - wanted[:, None])  # [F, A, E]
        allowed &= ~(((rows + columns) == 0) & there[:, None]).any(axis=0)
        wanted = np.where(allowed, wanted, agents[:LEVEL])
        # one number for each cell: agents whose cells are equal would collide, and stay
        cell = wanted[ROW] * s.size + wanted[COLUMN]
        alone = (cell[:, None] == cell[None]).sum(axis=0) == 1
        agents[:LEVEL] = np.where(alone, wanted, agents[:LEVEL])

        adjacent = self._adjacent() & (chosen == LOAD)  # [F, A, E] is loading this piece
        party = (adjacent * agents[LEVEL]).sum(axis=1)  # [F, E]
        taken = adjacent.any(axis=1) & (party >= food[LEVEL])
        shared = agents[LEVEL] * food[LEVEL][:, None] * (adjacent & taken[:, None])
        whole = party * self.held["spawned"] if s.normalize else np.ones_like(party)
        own = (shared / np.maximum(whole, 1)[:, None]).sum(axis=0)
        if s.penalty:
            own -= s.penalty * (adjacent & ~taken[:, None]).any(axis=0)
        food[LEVEL][taken] = 0
        return np.ascontiguousarray(own.T), ~food[LEVEL].any(axis=0)

    def view(self) -> View:
        food, agents, sight = self.held["food"], self.held["agents"], self.sight
        n, f, e = self.settings.agents, self.settings.food, self.copies
        corner = np.maximum(agents[:LEVEL] - sight, 0)  # [2, A, E] of the part that is seen
        pieces = _from_corner(np.repeat(food[:, None], n, axis=1), corner)  # [3, A, F, E]
        near = abs(food[:LEVEL, None] - agents[:LEVEL, :, None]).max(axis=0) <= sight
        mates = _from_corner(agents[:, self.order], corner)  # [3, A, A, E]
        inside = (mates[:LEVEL] >= 0) & (mates[:LEVEL] <= 2 * sight)
        within: Bools = np.logical_and.reduce(inside, axis=0)
        drawn = np.empty((n, f + n, 3, e), dtype=np.float32)
        drawn[:, :f] = np.moveaxis(_in_front(pieces, near & (pieces[LEVEL] > 0)), 0, 2)
        drawn[:, f:] = np.moveaxis(_in_front(mates, within), 0, 2)
        whole = np.concatenate([np.where(food[LEVEL] > 0, food, UNSEEN), agents], axis=1)
        state = np.ascontiguousarray(whole.T, dtype=np.float32).reshape(e, -1)
        seen = np.ascontiguousarray(drawn.reshape(-1, e).T).reshape(e, n, -1)
        return View(seen, state, np.ones((e, n), dtype=bool))

    def scripted(self, rng: np.random.Generator) -> NDArray[Any]:
        """Returns moves [E, A] to the nearest piece of food; agents load once they are enough."""
        food, agents = self.held["food"], self.held["agents"]
        distances = abs(food[:LEVEL, :, None] - agents[:LEVEL, None]).sum(axis=0)  # [F, A, E]
        sums = np.where(food[LEVEL] > 0, distances.sum(axis=1), np.iinfo(np.int64).max)
        goal, copy = sums.argmin(axis=0), np.arange(self.copies)
        target = food[:LEVEL, goal, copy]  # [2, E]
        adjacent = self._adjacent()[goal, :, copy].T
        enough = (agents[LEVEL] * adjacent).sum(axis=0) >= food[LEVEL, goal, copy]
        moves = _steps_towards(target, agents[:LEVEL], food, rng)
        return np.where(adjacent, np.where(enough, LOAD, NOTHING), moves).T

    def _adjacent(self) -> Bools:
        """Returns whether the agent stands beside the food that is still there, [F, A, E]."""
        food, agents = self.held["food"], self.held["agents"]
        distances = abs(food[:LEVEL, :, None] - agents[:LEVEL, None]).sum(axis=0)
        adjacent: Bools = (distances == 1) & (food[LEVEL] > 0)[:, None]
        return adjacent


def _from_corner(things: Ints, corner: Ints) -> Ints:
    """Returns `things` [3, A, X, E] with rows and columns counted from `corner` [2, A, E]."""
    things[:LEVEL] -= corner[:, :, None]
    return things


def _in_front(things: Ints, seen: Bools) -> Ints:
    """Returns `things` [3, A, X, E] with those `seen` [A, X, E] first, and `UNSEEN` behind them."""
    if seen.all():
        return things
    order = np.argsort(~seen, axis=1, kind="stable")  # those that are seen keep their order
    moved = np.take_along_axis(things, order[None], axis=2)
    shown: Ints = np.where(np.take_along_axis(seen, order, axis=1), moved, UNSEEN[..., None])
    return shown


def _steps_towards(target: Ints, agents: Ints, food: Ints, rng: np.random.Generator) -> Ints:
    """Returns moves [A, E] of agents [2, A, E] to `target` [2, E], around obstacles."""
    after = agents[:, None] + DIRECTIONS[:, 1:LOAD, None, None]  # [2, 4, A, E]
    cost = abs(after - target[:, None, None]).sum(axis=0) + rng.random(after.shape[1:]) / 2
    pieces = abs(after[:, :, None] - food[:LEVEL, None, :, None]).sum(axis=0)  # [4, F, A, E]
    cost += 1000.0 * ((pieces == 0) & (food[LEVEL] > 0)[None, :, None]).any(axis=1)
    cost += 10.0 * (abs(after[:, :, None] - agents[:, None, :, None]).sum(axis=0) == 0).any(axis=1)
    cost += 1000.0 * (after < 0).any(axis=0)
    moves: Ints = NORTH + cost.argmin(axis=0)
    return moves


def first_places(rng: np.random.Generator, copies: int, size: int, agents: int) -> Ints:
    """Returns different cells for the agents, [2, A, E]; all placements are equally likely."""
    chance = rng.random((copies, size * size))
    cells = np.argpartition(chance, range(agents), axis=1)[:, :agents].T
    return np.stack(np.divmod(cells, size))


def fields(
    rng: np.random.Generator, agents: Ints, size: int, food: int, most: Ints, heavy: bool
) -> Ints:
    """Returns row, column and level of the food, [3, F, E], sorted by cell; level 0 is no food.

    Args:
        rng: where chance comes from.
        agents: [2, A, E] rows and columns that are taken.
        size: rows and columns of the field.
        food: F. Where no cell is left that fits, there is less.
        most: [E] the highest level.
        heavy: whether all food is of the highest level.
    """
    copies = agents.shape[-1]
    copy = np.arange(copies)
    free: Bools = np.zeros((copies, size, size), dtype=bool)
    free[:, 1:-1, 1:-1] = True
    free[copy, agents[0], agents[1]] = False
    # more food stands neither around a piece nor two cells from it in its row or column
    near = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)] + [(-2, 0), (2, 0), (0, -2), (0, 2)]
    cell, level = np.zeros((2, food, copies), dtype=np.int64)
    for piece in range(food):
        flat = free.reshape(copies, -1).cumsum(axis=1)
        fits = flat[:, -1] > 0
        # the n-th free cell is where the count of free ones first exceeds n
        nth = (rng.random(copies) * flat[:, -1]).astype(np.int64)
        cell[piece] = (flat > nth[:, None]).argmax(axis=1)
        drawn = most if heavy else rng.integers(1, most + 1)
        level[piece] = np.where(fits, drawn, 0)
        row, column = np.divmod(cell[piece], size)
        for r, c in near:
            cells = np.clip(row + r, 0, size - 1), np.clip(column + c, 0, size - 1)
            free[copy[fits], cells[0][fits], cells[1][fits]] = False
    order = np.argsort(np.where(level > 0, cell, size * size), axis=0, kind="stable")
    cell, level = (np.take_along_axis(array, order, axis=0) for array in (cell, level))
    return np.stack([*np.divmod(cell, size), level])
