"""Every arm at every budget as tasks of their own, kept on disk once they are done.

A cell is one arm at one budget, for some repeats; a comparison that was killed reads the cells that
were done and runs the others. Start with `run_cells`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.machine.files import read_ordinary
from counterpoint.results.parts import Settings
from counterpoint.runs.executor import ExecutorName, run_tasks
from counterpoint.runs.files import is_whole, with_checksum, write_atomically
from counterpoint.runs.task import Advance

CELLS = "cells"
"""Name of the folder of kept cells."""
LEAST_SPENT = 0.9
"""The share of the budget that an arm has to be able to use."""


@dataclass(frozen=True)
class ArmOutcome:
    """The outcome of one arm."""

    champion: Floats
    """[R] the worth of the champion: exact in a game."""
    believed: Floats
    """[R] the estimate for which the champion was chosen, or its worth if none was chosen."""
    spent: int
    """The charge of one repeat, in updates."""
    diversity: Floats | None = None
    """[R] effective number of different members in the end; None if it is not known."""
    against: Floats | None = None
    """[N, N] mean pay of each member (row) with or against each (column), the best member of each
    repeat first; in a league the main learner first. None if members do not meet."""

    @classmethod
    def joined(cls, parts: list[ArmOutcome]) -> ArmOutcome:
        """Returns the outcomes of repeats that ran apart as one."""
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
    """Facts about a game or a world that are known before anybody learns: fields of the result."""

    source: str
    optimum: float | None
    unit: str
    exact: bool
    settings: Settings


class Arms(ABC):
    """The arms of a game, or of a sequential environment."""

    fractions: ClassVar[tuple[float, ...]]
    """Shares of the budget at which arms are measured, to find where one overtakes another; the
    last is 1."""
    repeats_at_once: ClassVar[int]
    """Repeats of one cell."""

    @property
    def span(self) -> tuple[float, float] | None:
        """Returns the lowest and highest payoff of a duel; None for other games."""
        return None

    def arms(self, members: Sequence[int]) -> list[tuple[str, int]]:
        """Returns name and size of each arm; only in a duel members can meet past selves."""
        arms: list[tuple[str, int]] = []
        for size in sorted(members):
            arms.append(("single" if size == 1 else f"best_of_{size}", size))
            if size >= 4:
                arms.append((f"pbt_{size}", size))
            if self.span is not None:
                names = ("average", "past_selves") if size == 1 else (f"league_{size}",)
                arms += [(name, size) for name in names]
        return arms

    @abstractmethod
    def facts(self) -> Facts:
        """Returns what the result says of the game or the world."""

    @abstractmethod
    def split(self, name: str, members: int, budget: int) -> object:
        """Returns how an arm splits a budget.

        Raises:
            SettingError: it cannot, so that nearly all of it is used.
        """

    @abstractmethod
    def key(self) -> Settings:
        """Returns what results depend on besides arm, budget and repeats, ready for JSON."""

    @abstractmethod
    def run(self, name: str, members: int, budget: int, first: int, repeats: int) -> ArmOutcome:
        """Returns the outcome of one arm at one budget, for repeats from `first` on."""


class _KeptCell(msgspec.Struct):
    """The file of a cell that was done."""

    key: msgspec.Raw
    outcome: ArmOutcome = msgspec.field(name="found")


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
        own = {"arm": self.name, "members": self.members, "budget": self.budget,
               "first": self.first, "repeats": self.repeats, "version": __version__}  # fmt: skip
        key = msgspec.json.encode({**self.made.key(), **own}, order="sorted")
        # the name of the file changes with everything that the outcome depends on
        digest = hashlib.sha256(key).hexdigest()
        name = f"{self.name}-{self.budget}-{self.first}-{digest[:12]}.json"
        file = None if self.folder is None else self.folder / CELLS / name
        outcome = None if file is None else _kept(file, key)
        if outcome is None:
            outcome = self.made.run(self.name, self.members, self.budget, self.first, self.repeats)
            if file is not None:
                cell = _KeptCell(msgspec.Raw(key), outcome)
                data = msgspec.json.encode(cell, enc_hook=np.ndarray.tolist)
                write_atomically(file, with_checksum(data))
        advance()
        return outcome


def damaged_cells(folder: Path) -> list[Path]:
    """Returns the kept cells of a folder that are not as they were written."""
    return [file for file in sorted((folder / CELLS).glob("*.json")) if not _is_readable(file)]


def _is_readable(file: Path) -> bool:
    """Returns whether a file is a cell as it was written; a dangling link and a pipe are none."""
    try:
        return is_whole(read_ordinary(file))
    except OSError:
        return False


def _kept(file: Path, key: bytes) -> ArmOutcome | None:
    """Returns the outcome in a file; None if there is none, or it is damaged or another's."""
    try:
        data = read_ordinary(file)
        cell = msgspec.json.decode(
            data if is_whole(data) else b"", type=_KeptCell,
            dec_hook=lambda _, value: np.array(value, dtype=np.float64),
        )  # fmt: skip
    except (OSError, msgspec.DecodeError, TypeError, ValueError):
        return None
    wanted, outcome = msgspec.json.decode(key), cell.outcome
    by_repeat = (outcome.champion, outcome.believed, outcome.diversity)
    whole = all(one is None or one.shape == (wanted["repeats"],) for one in by_repeat)
    return outcome if whole and msgspec.json.decode(cell.key) == wanted else None


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
        budgets: updates of one repeat.
        repeats: R, the repeats of each.
        folder: where cells are kept; None keeps none.
        workers, executor: as `run_tasks`.
        on_progress: called with the number of cells that are done, and of all.
    """
    cells: list[PopulationCell] = []
    for budget in reversed(budgets):  # the longest first, so that none is waited for in the end
        for name, size in arms:
            try:
                made.split(name, size, budget)
            except SettingError:
                continue
            for first in range(0, repeats, made.repeats_at_once):
                count = min(made.repeats_at_once, repeats - first)
                cells.append(PopulationCell(made, name, size, budget, first, count, folder))
    done = run_tasks(
        cells, workers=workers, executor=executor,
        on_progress=(lambda n: on_progress(n, len(cells))) if on_progress else None,
    )  # fmt: skip
    parts: dict[tuple[str, int], list[ArmOutcome]] = {}
    for cell, outcome in zip(cells, done, strict=True):
        parts.setdefault((cell.name, cell.budget), []).append(outcome)
    return {
        name: {b: ArmOutcome.joined(parts[name, b]) for b in budgets if (name, b) in parts}
        for name, _ in arms
    }
