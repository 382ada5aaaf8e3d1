"""Two agents who each see a bit in some unit, and are paid 1 for naming it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.worlds.sequential.actions import Actions
from counterpoint.worlds.sequential.twin import Twin
from counterpoint.worlds.sequential.world import Extent, SeenPart, View


class NamesTheBit(Twin):
    """Episodes of 5 steps. The bit is seen as `low` or `low + unit`, beside a 3."""

    name, summary, source, scale = "bit", "names the bit", "ours", "sum"
    measured = (5.0, 10.0)
    low, unit = 100_000.0, 1.0

    def build(self) -> None:
        self.agents, self.roles = ("agent_0", "agent_1"), ("agent", "agent")
        self.seen_sizes, self.state_size, self.horizon = (2, 2), 4, 5
        self.actions = (Actions(2), Actions(2))
        self.extents = np.full((2, 2), Extent.WIDE, dtype=np.int8)
        self.held["bit"] = np.zeros((2, self.copies), dtype=np.int64)

    def begin(self, copies: NDArray[Any]) -> None:
        self.held["bit"][:, copies] = self.rng.integers(2, size=(2, len(copies)))

    def advance(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        own = (actions == self.held["bit"].T).astype(np.float64)
        self.begin(np.arange(self.copies))
        return own, np.zeros(self.copies, dtype=bool)

    def view(self) -> View:
        seen = np.full((self.copies, 2, 2), 3.0, dtype=np.float32)
        seen[..., 0] = self.low + self.unit * self.held["bit"].T
        return View(seen, seen.reshape(self.copies, 4), np.ones((self.copies, 2), dtype=bool))

    def scripted(self, rng: np.random.Generator) -> NDArray[Any]:
        return self.held["bit"].T


class NamesTheSmallBit(NamesTheBit):
    """The same bit as 0 or 1."""

    low = 0.0


class NamesTheLargeBit(NamesTheBit):
    """The same bit as 0 or 1000."""

    low, unit = 0.0, 1000.0


class RemembersTheBit(NamesTheBit):
    """The bit of an episode is seen at its first step alone, as -1 or 1, and named at the others.

    An agent that remembers nothing is right half of the time, whatever it does.
    """

    measured = (4.0, 8.0)

    def build(self) -> None:
        super().build()
        self.extents = None

    def advance(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        right = (actions == self.held["bit"].T) & (self.held["time"] > 0)[:, None]
        return right.astype(np.float64), np.zeros(self.copies, dtype=bool)

    def view(self) -> View:
        seen = np.zeros((self.copies, 2, 2), dtype=np.float32)
        seen[..., 0] = (2 * self.held["bit"].T - 1) * (self.held["time"] == 0)[:, None]
        return View(seen, seen.reshape(self.copies, 4), np.ones((self.copies, 2), dtype=bool))


class NamesTheShape(NamesTheBit):
    """A picture of 8 x 8 pixels: a domino that lies (0) or stands (1) somewhere, in some colour.

    Behind the picture stands a number that means nothing.
    """

    side = 8

    def build(self) -> None:
        super().build()
        size = 3 * self.side**2
        self.seen_sizes, self.state_size, self.extents = (size + 1,) * 2, 2, None
        picture = SeenPart("camera", (self.side, self.side, 3), 0, image=True)
        self.seen_parts = ((picture, SeenPart("nothing", (1,), size)),) * 2
        self.held["place"] = np.zeros((3, 2, self.copies), dtype=np.int64)

    def begin(self, copies: NDArray[Any]) -> None:
        super().begin(copies)
        places = self.rng.integers(
            [[[self.side - 1]], [[self.side - 1]], [[3]]], size=(3, 2, len(copies))
        )
        self.held["place"][..., copies] = places

    def view(self) -> View:
        seen = np.zeros((self.copies, 2, 3 * self.side**2 + 1), dtype=np.float32)
        pictures = seen[..., :-1].reshape(self.copies, 2, self.side, self.side, 3)
        copy, agent = np.ogrid[: self.copies, :2]
        (row, column, colour), bit = self.held["place"].swapaxes(1, 2), self.held["bit"].T
        pictures[copy, agent, row, column, colour] = 1.0
        pictures[copy, agent, row + bit, column + 1 - bit, colour] = 1.0
        state = np.zeros((self.copies, 2), dtype=np.float32)
        return View(seen, state, np.ones((self.copies, 2), dtype=bool))


class SortsAndAims(Twin):
    """The sorter names a bit, and is paid for it; the aimer points at 0.5 or -0.5, within [-1, 1].

    The aimer pays its distance, and nothing else is paid. Its second number means nothing.
    """

    name, summary, source, scale = "sorts_and_aims", "sorts and aims", "ours", "sum"
    measured = (5 / 3 - 25 / 8, 5.0)  # of 3 names one is right; the mean distance is 0.625

    def build(self) -> None:
        self.agents, self.roles = ("aimer", "sorter"), ("aimer", "sorter")
        self.seen_sizes, self.state_size, self.horizon = (1, 1), 2, 5
        self.actions = (Actions(2, (-1.0, -1.0), (1.0, 1.0)), Actions(3))
        self.held["bit"] = np.zeros((2, self.copies), dtype=np.int64)

    def begin(self, copies: NDArray[Any]) -> None:
        self.held["bit"][:, copies] = self.rng.integers(2, size=(2, len(copies)))

    def advance(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        aim, sort = self.held["bit"]
        own = np.zeros((self.copies, 2))
        own[:, 0] = -np.abs(actions[:, 0, 0] - (aim - 0.5))
        own[:, 1] = actions[:, 1, 0] == sort
        self.begin(np.arange(self.copies))
        return own, np.zeros(self.copies, dtype=bool)

    def view(self) -> View:
        state = self.held["bit"].T.astype(np.float32)
        return View(state[..., None].copy(), state, np.ones((self.copies, 2), dtype=bool))

    def scripted(self, rng: np.random.Generator) -> NDArray[Any]:
        aim, sort = self.held["bit"]
        return np.stack([np.stack([aim - 0.5, aim], -1), np.stack([sort, sort], -1)], 1)
