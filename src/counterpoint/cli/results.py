"""How a command ends: its result is saved and printed. Start at `finish`."""

from __future__ import annotations

import json as json_
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table

from counterpoint.cli.messages import escaped, printable, say
from counterpoint.errors import OutputError, RunError
from counterpoint.report import write_report
from counterpoint.report.next_steps import next_steps
from counterpoint.results import Result, document_of, encode
from counterpoint.results.saved import RESULTS
from counterpoint.runs.files import write_atomically
from counterpoint.runs.provenance import provenance
from counterpoint.runs.status import RUN, read_run

D = TypeVar("D")
WIDEST = 10_000
"""Maximum number of columns of a table that is not shown in a terminal."""


def prepare(folder: Path) -> None:
    """Makes the folder for results, before any work is done for them.

    Raises:
        OutputError: it cannot be made or written to, or holds a training run.
    """
    _spare_a_run(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to {folder} ({error.strerror or error}); wanted a folder: choose "
            "another one with --out"
        ) from error


def save(result: Result, folder: Path) -> Path:
    """Writes report.html, results.json and run.json to `folder`; returns the path of the page.

    Raises:
        OutputError: something could not be written, or the folder holds a training run; files that
            were there are whole.
    """
    _spare_a_run(folder)
    write_atomically(folder / RUN, provenance(getattr(result, "config", {})).encode())
    write_atomically(folder / RESULTS, encode(result))
    return write_report(result, folder)  # last, so that it is not older than its result


def finish(
    document: D,
    parts: Callable[[D], Iterable[RenderableType]],
    out: Path | None,
    json: bool,
) -> None:
    """Saves a result where `--out` says so, and prints it; a list of things is only printed.

    Args:
        document: a result, or what `--json` prints of a list of things.
        parts: what a terminal shows of it.
        out: folder for the page, the result and what is needed to do it again; None saves nothing.
        json: print the document as JSON alone.

    Raises:
        OutputError: something could not be written.
    """
    # saved before it is printed: a pipe that closes early loses no result
    page = save(document, out) if out and isinstance(document, Result) else None
    if json:
        encoded = json_.dumps(document_of(document), allow_nan=False, ensure_ascii=False)
        sys.stdout.write(escaped(encoded) + "\n")
        sys.stdout.flush()
    else:
        print_result(*parts(document))
    if page:
        say(f"report: {page}")
    if isinstance(document, Result) and not json:
        for step in next_steps(document)[:1]:
            say(f"next: {step.line}")


def print_result(*parts: RenderableType) -> None:
    """Prints tables and sentences for a person, on standard output.

    If that is no terminal, a table is as wide as its cells, and nothing of it is cut.
    """
    console = _Console()
    if not console.is_terminal:
        wide = console.options.update(max_width=WIDEST)
        tables = [part for part in parts if isinstance(part, Table)]
        widths = [Measurement.get(console, wide, table).maximum for table in tables]
        console = _Console(width=max([console.width, *widths]))
    console.print(*parts, sep="\n")


class _Console(Console):
    """A console on which no text but its own moves the cursor or turns the direction of text."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yields the segments of a renderable."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)


def _spare_a_run(folder: Path) -> None:
    """Refuses the folder of a training: without its run.json it could not be resumed."""
    try:
        read_run(folder)
    except RunError:
        return
    raise OutputError(f"{folder} holds a training run; choose another folder with --out")
