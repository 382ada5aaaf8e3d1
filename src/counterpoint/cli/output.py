"""Where output goes: results to standard output, progress and messages to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table

from counterpoint.cli.messages import escaped, printable, say

WIDEST = 10_000
"""Most columns of a table that is not shown in a terminal."""


class _Console(Console):
    """A console on which no text but its own moves the cursor or turns the direction of text."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of a renderable."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)


def print_json(document: Any) -> None:
    """The document as JSON on standard output, and nothing else there."""
    encoded = json.dumps(document, allow_nan=False, ensure_ascii=False)
    sys.stdout.write(escaped(encoded) + "\n")
    sys.stdout.flush()


def print_result(*parts: RenderableType) -> None:
    """Tables and sentences for a person, on standard output.

    Where that is no terminal, a table is as wide as what it holds, and nothing of it is cut.
    """
    console = _Console()
    if not console.is_terminal:
        wide = console.options.update(max_width=WIDEST)
        tables = [part for part in parts if isinstance(part, Table)]
        widths = [Measurement.get(console, wide, table).maximum for table in tables]
        console = _Console(width=max([console.width, *widths]))
    console.print(*parts, sep="\n")


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error; the function takes what is done, and of how much.

    Where standard error is no terminal, a line every tenth instead.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _by_tenths(title)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _by_tenths(title: str) -> Callable[[int, int], None]:
    last = 0

    def report(done: int, total: int) -> None:
        nonlocal last
        tenth = 10 * done // max(total, 1)
        if tenth > last:
            last = tenth
            say(f"{title}: {done} of {total} ({10 * tenth}%)")

    return report
