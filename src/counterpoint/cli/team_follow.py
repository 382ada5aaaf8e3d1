"""`counterpoint team status --follow`: the work of each worker, until the run is over."""

from __future__ import annotations

import time
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from counterpoint.cli.messages import say
from counterpoint.report.toolkit.numerals import counted
from counterpoint.runs.lock import is_locked
from counterpoint.workers.memory import log_tail
from counterpoint.workers.queue.rows import AttemptRow
from counterpoint.workers.state import LOCK, TeamState

PAUSE_SECONDS = 0.5
LONGEST_LINE = 48
"""Characters of the last line of a log that the table shows."""
_AT_WORK = ("running", "handed", "merging")


def follow(folder: Path) -> None:
    """Show a run until no process runs it: a table in a terminal, else a line for each change."""
    state, console = TeamState.load(folder), Console(stderr=True)
    if console.is_terminal:
        with Live(_table(state), console=console, auto_refresh=False) as live:
            while is_locked(state.folder / LOCK):
                live.update(_table(state), refresh=True)
                time.sleep(PAUSE_SECONDS)
        return
    shown: set[tuple[int, str]] = set()
    while is_locked(state.folder / LOCK):
        for attempt in _under_way(state):
            if (key := (attempt.id, attempt.status)) not in shown:
                shown.add(key)
                say(f"{attempt.worker}: {attempt.task}, {attempt.status}")
        time.sleep(PAUSE_SECONDS)


def _under_way(state: TeamState) -> list[AttemptRow]:
    return [attempt for attempt in state.queue.attempts() if attempt.status in _AT_WORK]


def _cut(line: str) -> str:
    """Returns the line, cut where it would make a row of the table high."""
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def _table(state: TeamState) -> Table:
    """The task of each worker, its seconds, and the last line of its log."""
    counts = state.queue.counts()
    title = f"{counts.get('done', 0)} of {counted(sum(counts.values()), 'task')} done"
    table = Table("worker", "task", "seconds", "last line", box=SIMPLE_HEAD, title=title)
    for attempt in _under_way(state):
        lines = log_tail(state.folder, attempt.id, 200).splitlines()
        since = f"{time.time() - attempt.started:.0f}"
        last = _cut(lines[-1]) if lines else attempt.status
        cells = (attempt.worker, attempt.task, since, last)
        table.add_row(*(Text(cell) for cell in cells))
    return table
