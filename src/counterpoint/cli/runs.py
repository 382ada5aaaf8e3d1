"""`counterpoint runs`: the training runs of this machine, with their status."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import RenderableType

from counterpoint.cli.messages import say
from counterpoint.cli.results import command_line, finish
from counterpoint.errors import OutputError, SettingError, choices
from counterpoint.report.terminal.tables import text_table
from counterpoint.runs.find import find_folders
from counterpoint.runs.index import Index
from counterpoint.runs.seal import edits
from counterpoint.runs.status import RUN, STATES, RunFacts, read_all

SHOWN = (*STATES, "missing")
SAID = 5
"""Most paths that are left out and named."""


@dataclass(frozen=True)
class Runs:
    """List training runs with their world, scheme, progress, last return and status.

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
    """First remove the runs with missing folders from the index."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Reads, filters and prints."""
        if self.status is not None and self.status not in SHOWN:
            raise SettingError(f"got status {self.status!r}{choices(self.status, SHOWN)}")
        index = Index()
        if self.prune:
            say(f"forgotten: {index.prune()}")
        wanted = {"world": self.world, "scheme": self.scheme, "status": self.status}
        runs = [
            run
            for run in self._all(index)
            if all(value in (None, getattr(run, name)) for name, value in wanted.items())
        ]
        for run in runs:
            for edit in edits(Path(run.path)):
                say(f"counterpoint: warning: {run.path}: {edit}")
        finish(msgspec.to_builtins(runs), lambda _: [_table(runs)], None, self.json, _then(runs))
        return 0

    def _all(self, index: Index) -> list[RunFacts]:
        if self.here is None:
            return index.rows()
        if not self.here.is_dir():
            raise SettingError(f"got --here {self.here}, which is no folder; wanted one with runs")
        left_out: list[str] = []
        folders = find_folders(
            self.here, (RUN,), left_out=lambda path, reason: left_out.append(f"{path}: {reason}")
        )
        runs = read_all(
            (found.path for found in folders), left_out=lambda path, reason: left_out.append(reason)
        )
        if left_out:
            more = f"; and {len(left_out) - SAID} more" if len(left_out) > SAID else ""
            say(f"counterpoint: warning: left out: {'; '.join(left_out[:SAID])}{more}")
        try:
            index.rebuild(Path(run.path) for run in runs)
        except OutputError as error:
            say(f"counterpoint: {error}")
        return runs


def _then(runs: list[RunFacts]) -> str:
    """Returns the command that continues a stopped run, or else that shows the last one."""
    stopped = [run for run in runs if run.status == "stopped"]
    there = [run for run in runs if run.status != "missing"]
    if stopped:
        return command_line("resume", stopped[-1].path)
    return command_line("report", there[-1].path) if there else "counterpoint train spread"


def _table(runs: list[RunFacts]) -> RenderableType:
    if not runs:
        return "No such runs. `counterpoint runs --here FOLDER` looks into a folder."
    numeric = ("seed", "done", "return", "normalized")
    titles = ("world", "scheme", "seed", "status", *numeric[1:], "updated", "folder")
    return text_table(titles, map(_row, runs), title="Runs", numeric=numeric)


def _row(run: RunFacts) -> list[str]:
    done = _text(run.step) + (f" of {run.budget}" if run.budget is not None else "")
    done += f" {run.axis}s" if done and run.axis else ""
    numbers = ("" if x is None else f"{x:.3f}" for x in (run.returned, run.normalized))
    updated = (run.updated or "")[:16].replace("T", " ")
    path = run.path.removeprefix(os.getcwd() + os.sep)  # short where it lies below this folder
    cells = (run.world, run.scheme, run.seed, run.status, done, *numbers, updated, path)
    return [_text(cell) for cell in cells]


def _text(value: object) -> str:
    return "" if value is None else str(value)
