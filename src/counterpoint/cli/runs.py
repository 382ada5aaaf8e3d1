"""`counterpoint runs`: the training runs of this machine, and how they stand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from counterpoint.cli.messages import say
from counterpoint.cli.output import print_json, print_result
from counterpoint.errors import OutputError, SettingError
from counterpoint.runs.index import Index, find_runs
from counterpoint.runs.status import STATES, RunFacts, read_all

SHOWN = (*STATES, "missing")


@dataclass(frozen=True)
class Runs:
    """List training runs: which world and scheme, how far, how well, and whether they still run.

    A run is `running`, `finished`, `stopped` (interrupted or killed: it can be resumed), `failed`
    (an error ended it), or `missing` (its folder is gone).

    Examples:
      counterpoint runs --status stopped
      counterpoint runs --here results --world regions --json
    """

    here: Path | None = None
    """List the runs in this folder and below it, and put them into the index."""
    world: str | None = None
    """Only runs on this world."""
    scheme: str | None = None
    """Only runs under this scheme."""
    status: str | None = None
    """Only runs that are running, finished, stopped, failed or missing."""
    prune: bool = False
    """First forget the runs whose folder is gone."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Look, filter, print."""
        if self.status is not None and self.status not in SHOWN:
            raise SettingError(f"got status {self.status!r}; wanted one of {', '.join(SHOWN)}")
        index = Index()
        if self.prune:
            say(f"forgotten: {index.prune()}")
        runs = [run for run in self._all(index) if self._wanted(run)]
        if self.json:
            print_json([run_document(run) for run in runs])
        elif runs:
            print_result(_table(runs))
        else:
            print_result("No such runs. `counterpoint runs --here FOLDER` looks into a folder.")
        return 0

    def _all(self, index: Index) -> list[RunFacts]:
        if self.here is None:
            return index.rows()
        if not self.here.is_dir():
            raise SettingError(f"got --here {self.here}, which is no folder; wanted one with runs")
        found = list(find_runs(self.here))
        try:
            index.rebuild(found)
        except OutputError as error:
            say(f"counterpoint: {error}")
        return read_all(found)

    def _wanted(self, run: RunFacts) -> bool:
        pairs = ((self.world, run.world), (self.scheme, run.scheme), (self.status, run.status))
        return all(wanted in (None, told) for wanted, told in pairs)


def run_document(run: RunFacts) -> Mapping[str, Any]:
    """A run as `--json` prints it."""
    return {("return" if key == "returned" else key): value for key, value in asdict(run).items()}


def _table(runs: list[RunFacts]) -> Table:
    table = Table(title="Runs")
    for name in ("world", "scheme", "seed", "status", "done", "return", "normalized", "updated"):
        numeric = name in ("seed", "done", "return", "normalized")
        table.add_column(name, justify="right" if numeric else "left")
    table.add_column("folder", overflow="fold")
    for run in runs:
        done = _text(run.step) + (f" of {run.budget}" if run.budget is not None else "")
        done += f" {run.axis}s" if done and run.axis else ""
        told = (run.updated or "")[:16].replace("T", " ")
        cells = (run.world, run.scheme, run.seed, run.status, done)
        numbers = ("" if x is None else f"{x:.3f}" for x in (run.returned, run.normalized))
        folder = _short(run.path)
        table.add_row(*(escape(_text(x)) for x in (*cells, *numbers, told, folder)))
    return table


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _short(path: str) -> str:
    """The path from here where it lies below, else in full."""
    here = os.getcwd() + os.sep
    return path.removeprefix(here)
