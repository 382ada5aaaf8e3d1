"""What the recipes share: from trainings to cells, from cells to a table and a JSON file.

A cell is one number over seeds with its interval, beside the number of earlier runs (in `earlier`,
as text). Scripts call `recipe(...)` at their end; `bench/run.py` runs them all.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from counterpoint import __version__
from counterpoint.credit import Scheme
from counterpoint.stats import bootstrap_interval, time_to_threshold
from counterpoint.train import Training, train
from counterpoint.worlds import find_world

NEVER = "never"


@dataclass(frozen=True)
class Cell:
    """One number of a table; `value` is None where half of the seeds never got there."""

    row: str
    column: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    earlier: str = ""
    form: str = ".3f"

    def __str__(self) -> str:
        numbers = (self.value, self.low, self.high)
        shown = ((NEVER if x is None else f"{x:{self.form}}") for x in numbers)
        value, low, high = (text.replace("-0.000", "0.000") for text in shown)
        return value if self.n < 2 else f"{value} [{low}, {high}]"


@dataclass(frozen=True)
class Page:
    """One table of a recipe."""

    title: str
    cells: Sequence[Cell]
    note: str = ""


def trained(
    world: str, scheme: str | Scheme, seeds: int, settings: Mapping[str, object] | None = None
) -> Training:
    """Trains one arm on seeds 0 to `seeds` - 1."""
    return train(find_world(world).make(settings), scheme, range(seeds))


def iqm(row: str, column: str, samples: NDArray[np.float64], earlier: str = "") -> Cell:
    """Returns the interquartile mean over seeds, with its bootstrap interval."""
    interval = bootstrap_interval(samples, rng=np.random.default_rng(0))
    return Cell(row, column, interval.value, interval.low, interval.high, interval.n, earlier)


def number(row: str, column: str, value: float, earlier: str = "", form: str = ".3f") -> Cell:
    """Returns a number that has no interval: one figure for all seeds, or an exact one."""
    return Cell(row, column, value, None, None, 1, earlier, form)


def updates_to(
    row: str, column: str, curves: NDArray[np.float64], level: float, earlier: str = ""
) -> Cell:
    """Returns the median number of updates until the curves [S, T] reach `level`, with its
    interval.
    """
    median = time_to_threshold(curves, level).median
    numbers = (median.value, median.low, median.high)
    value, low, high = (None if np.isinf(x) else float(x) for x in numbers)
    return Cell(row, column, value, low, high, median.n, earlier, ".0f")


def final_accuracy(done: Training, agents: slice | int) -> NDArray[np.float64]:
    """Returns the accuracy [S] of some agents after the last update, averaged over them."""
    last = done.accuracy[:, -1, agents]
    return last if last.ndim == 1 else last.mean(axis=-1)


def recipe(name: str, tables: Callable[[int], Sequence[Page]], seeds: int) -> None:
    """Runs a recipe from the command line: prints its tables, and writes them to the folder of
    `--out`.

    Args:
        name: of the JSON file.
        tables: from a number of seeds to the tables.
        seeds: how many, unless the command line says otherwise.
    """
    parser = argparse.ArgumentParser(description=f"Run the recipe {name}.")
    parser.add_argument("--seeds", type=int, default=seeds, help="seeds per cell")
    parser.add_argument("--out", type=Path, help="folder for the numbers, as JSON")
    given = parser.parse_args()
    start = time.process_time()
    pages = tables(given.seeds)
    seconds = time.process_time() - start
    console = Console(width=150)
    for page in pages:
        console.print(page.title, style="bold")
        console.print(_drawn(page))
        if page.note:
            console.print(page.note, style="dim")
        console.print()
    console.print(f"{name}: {given.seeds} seeds, {seconds:.1f} CPU-seconds")
    if given.out is not None:
        _write(given.out / f"{name}.json", name, given.seeds, seconds, pages)


def _drawn(page: Page) -> Table:
    rows = list(dict.fromkeys(cell.row for cell in page.cells))
    columns = list(dict.fromkeys(cell.column for cell in page.cells))
    at = {(cell.row, cell.column): cell for cell in page.cells}
    table = Table()
    table.add_column("")
    for column in columns:
        table.add_column(column)
    for row in rows:
        shown = [at.get((row, column)) for column in columns]
        table.add_row(row, *("" if cell is None else _with_earlier(cell) for cell in shown))
    return table


def _with_earlier(cell: Cell) -> str:
    return f"{cell}\n[dim]earlier {cell.earlier}[/dim]" if cell.earlier else str(cell)


def _write(path: Path, name: str, seeds: int, seconds: float, pages: Sequence[Page]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "recipe": name,
        "version": __version__,
        "seeds": seeds,
        "cpu_seconds": round(seconds, 2),
        "tables": [asdict(page) for page in pages],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
