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
from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.runs.executor import ExecutorName, run_tasks
from counterpoint.runs.files import write_atomically
from counterpoint.runs.task import Advance

LEAST_SPENT = 0.9
"""The share of the budget that an arm has to be able to use."""


@dataclass(frozen=True)
class ArmOutcome:
    """What came of one arm."""

    champion: Floats
    """[R] the worth of the champion: exact in a game."""
    believed: Floats
    """[R] the estimate for which it was chosen; where none is chosen, its worth."""
    spent: int
    """What one repeat was charged, in updates."""
    diversity: Floats | None = None
    """[R] effective number of different members in the end; None where it is not known."""
    against: Floats | None = None
    """[N, N] mean pay of each member (row) with or against each (column), the best member of each
    repeat first; of a league its mains, then its exploiters. None where members do not meet."""

    @classmethod
    def joined(cls, parts: list[ArmOutcome]) -> ArmOutcome:
        """Returns several repeats that ran apart as one."""

        weights = np.array([len(one.champion) for one in parts], dtype=float)
        met = [one.against for one in parts if one.against is not None]
        different = [one.diversity for one in parts if one.diversity is not None]
        return cls(
            np.concatenate([one.champion for one in parts]),
            np.concatenate([one.believed for one in parts]),
            parts[0].spent,
            np.concatenate(different) if different else None,
            np.average(np.array(met), axis=0, weights=weights) if met else None,
        )


def require_budget(updates: int, spent: int, budget: int, arm: str, evaluations: int) -> None:
    """Checks that a budget can be split.

    Raises:
        SettingError: a member would have no update besides its evaluations, or less than nine
            tenths of the budget would be used.
    """
    if updates < 1 or not LEAST_SPENT * budget <= spent <= budget:
        raise SettingError(
            f"got a budget of {budget} updates, of which {arm} can use {max(0, spent)}: wanted one "
            f"that leaves each member an update besides its evaluations ({evaluations}), and of "
            f"which {LEAST_SPENT:.0%} is used"
        )


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
        """Returns the shares of the budget at which arms are measured; the last is 1."""

    @property
    def repeats_at_once(self) -> int:
        """Returns the number of repeats of one cell."""

    @property
    def span(self) -> tuple[float, float] | None:
        """Returns the lowest and highest payoff of a duel; None for other games."""

    def arms(self, members: Sequence[int]) -> list[tuple[str, int]]:
        """Returns name and size of each arm."""

    def facts(self) -> Facts:
        """Returns what the result says of the game or the world."""

    def split(self, name: str, members: int, budget: int) -> Any:
        """Raises SettingError unless the budget can be split."""

    def key(self) -> Mapping[str, object]:
        """Returns what results depend on besides arm, budget and repeats, ready for JSON."""

    def run(self, name: str, members: int, budget: int, first: int, repeats: int) -> ArmOutcome:
        """Returns the outcome of one arm at one budget, for repeats from `first` on."""


@dataclass(frozen=True)
class PopulationCell:
    """One arm at one budget, for some repeats: a task for any executor."""

    made: Arms
    name: str
    members: int
    budget: int
    first: int
    repeats: int
    folder: Path | None

    def __call__(self, advance: Advance) -> ArmOutcome:
        """Returns the outcome; if it was not kept before, it is computed and kept."""
        outcome = self._kept()
        if outcome is None:
            outcome = self.made.run(self.name, self.members, self.budget, self.first, self.repeats)
            if self.folder is not None:
                document = {"key": self._key(), "found": _told(outcome)}
                write_atomically(self._file(self.folder), msgspec.json.encode(document))
        advance()
        return outcome

    def _key(self) -> dict[str, Any]:
        own = {"arm": self.name, "members": self.members, "budget": self.budget,
               "first": self.first, "repeats": self.repeats, "version": __version__}  # fmt: skip
        return {**self.made.key(), **own}

    def _file(self, folder: Path) -> Path:
        # the name of the file changes with everything that the outcome depends on
        digest = hashlib.sha256(msgspec.json.encode(self._key(), order="sorted")).hexdigest()
        return folder / "cells" / f"{self.name}-{self.budget}-{self.first}-{digest[:12]}.json"

    def _kept(self) -> ArmOutcome | None:
        """Returns the outcome that was kept; None if there is none, or it cannot be read."""
        if self.folder is None:
            return None
        try:
            document = msgspec.json.decode(self._file(self.folder).read_bytes())
            if document["key"] != msgspec.json.decode(msgspec.json.encode(self._key())):
                return None
            outcome = document["found"]
            arrays: dict[str, Any] = {
                name: None if value is None else np.array(value, dtype=np.float64)
                for name, value in outcome.items()
            }
            return ArmOutcome(**arrays | {"spent": int(outcome["spent"])})
        except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
            return None


def _told(one: ArmOutcome) -> dict[str, Any]:
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
) -> dict[str, dict[int, ArmOutcome]]:
    """Returns the outcome of each arm by budget; budgets that an arm cannot split are left out.

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
    cells: list[PopulationCell] = []
    for budget in reversed(budgets):  # the longest first, so that none is waited for in the end
        for name, size in arms:
            try:
                made.split(name, size, budget)
            except SettingError:
                continue
            for first in range(0, repeats, made.repeats_at_once):
                count = min(made.repeats_at_once, repeats - first)
                places.append((name, budget))
                cells.append(PopulationCell(made, name, size, budget, first, count, folder))
    done = run_tasks(
        cells, workers=workers, executor=executor,
        on_progress=(lambda n: on_progress(n, len(cells))) if on_progress else None,
    )  # fmt: skip
    parts: dict[tuple[str, int], list[ArmOutcome]] = {}
    for place, spending in zip(places, done, strict=True):
        parts.setdefault(place, []).append(spending)
    return {
        name: {b: ArmOutcome.joined(parts[name, b]) for b in budgets if (name, b) in parts}
        for name, _ in arms
    }
