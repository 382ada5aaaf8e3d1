"""Every arm at every budget as tasks of their own, kept on disk once they are done.

A cell is one arm at one budget, for some repeats; a comparison that was killed finds the cells that
were done and runs the others. Start with `run_cells`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from counterpoint import __version__
from counterpoint.errors import SettingError
from counterpoint.population.arms import Spending
from counterpoint.runs.executor import ExecutorName, run_tasks
from counterpoint.runs.files import write_atomically
from counterpoint.runs.task import Advance


@dataclass(frozen=True)
class Facts:
    """What is known of a game or a world before anybody learns it."""

    source: str
    """Where it comes from."""
    optimum: float | None
    """What the best team gets, or a good one where the best is not known."""
    unit: str
    """The quantity that a champion is measured in."""
    exact: bool
    """Whether that is computed exactly, and not measured in episodes."""
    settings: Mapping[str, Any]
    """How members begin and learn."""


class Arms(Protocol):
    """What runs one arm: of games, or of sequential environments."""

    @property
    def fractions(self) -> tuple[float, ...]:
        """Shares of the budget at which arms are measured; the last is 1."""

    @property
    def repeats_at_once(self) -> int:
        """Repeats of one cell."""

    @property
    def span(self) -> tuple[float, float] | None:
        """Lowest and highest payoff of a game in which one wins what the other loses, else None."""

    def arms(self, members: Sequence[int]) -> list[tuple[str, int]]:
        """Name and size of each arm."""

    def facts(self) -> Facts:
        """What the result says of the game or the world."""

    def split(self, name: str, members: int, budget: int) -> Any:
        """Returns if the budget can be split; raises SettingError if it cannot."""

    def key(self) -> dict[str, Any]:
        """What the results depend on, beside arm, budget and repeats; ready for JSON."""

    def run(self, name: str, members: int, budget: int, first: int, repeats: int) -> Spending:
        """Repeats `first` and after of one arm at one budget."""


@dataclass(frozen=True)
class Cell:
    """One arm at one budget, for some repeats: a task for any executor."""

    made: Arms
    name: str
    members: int
    budget: int
    first: int
    repeats: int
    folder: Path | None

    def __call__(self, advance: Advance) -> Spending:
        """Look whether it was done before; else do it, and keep it."""
        found = self._kept()
        if found is None:
            found = self.made.run(self.name, self.members, self.budget, self.first, self.repeats)
            if self.folder is not None:
                told = {"key": self._key(), "found": _told(found)}
                write_atomically(self._file(self.folder), msgspec.json.encode(told))
        advance()
        return found

    def _key(self) -> dict[str, Any]:
        own = {"arm": self.name, "members": self.members, "budget": self.budget,
               "first": self.first, "repeats": self.repeats, "version": __version__}  # fmt: skip
        return {**self.made.key(), **own}

    def _file(self, folder: Path) -> Path:
        digest = hashlib.sha256(msgspec.json.encode(self._key(), order="sorted")).hexdigest()
        return folder / "cells" / f"{self.name}-{self.budget}-{self.first}-{digest[:12]}.json"

    def _kept(self) -> Spending | None:
        """What was kept; None where nothing was, or what is there cannot be read."""
        if self.folder is None:
            return None
        try:
            told = msgspec.json.decode(self._file(self.folder).read_bytes())
            if told["key"] != msgspec.json.decode(msgspec.json.encode(self._key())):
                return None
            found = told["found"]
            arrays: dict[str, Any] = {
                name: None if value is None else np.array(value, dtype=np.float64)
                for name, value in found.items()
            }
            return Spending(**arrays | {"spent": int(found["spent"])})
        except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
            return None


def _told(one: Spending) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in vars(one).items()
    }


def run_cells(
    made: Arms,
    arms: Sequence[tuple[str, int]],
    budgets: Sequence[int],
    repeats: int,
    folder: Path | None = None,
    *,
    workers: int | None = None,
    executor: ExecutorName = "processes",
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[int, Spending]]:
    """What came of each arm, by budget; those that cannot be split are left out.

    Args:
        made: what runs them.
        arms: name and members of each.
        budgets: in updates, for one repeat.
        repeats: R, of each.
        folder: where cells are kept; None keeps none.
        workers, executor: as `run_tasks`.
        on_progress: told how many cells are done, and of how many.
    """
    places: list[tuple[str, int]] = []
    cells: list[Cell] = []
    for budget in reversed(budgets):  # the longest first, so that none is waited for in the end
        for name, size in arms:
            try:
                made.split(name, size, budget)
            except SettingError:
                continue
            for first in range(0, repeats, made.repeats_at_once):
                count = min(made.repeats_at_once, repeats - first)
                places.append((name, budget))
                cells.append(Cell(made, name, size, budget, first, count, folder))
    done = run_tasks(
        cells, workers=workers, executor=executor,
        on_progress=(lambda n: on_progress(n, len(cells))) if on_progress else None,
    )  # fmt: skip
    parts: dict[tuple[str, int], list[Spending]] = {}
    for place, spending in zip(places, done, strict=True):
        parts.setdefault(place, []).append(spending)
    return {
        name: {b: Spending.joined(parts[name, b]) for b in budgets if (name, b) in parts}
        for name, _ in arms
    }
