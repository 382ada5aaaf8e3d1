"""How a command ends: its result is saved and printed. Start at `finish`."""

from __future__ import annotations

import json as json_
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from rich.console import RenderableType
from rich.text import Text

from counterpoint.cli.console import SafeConsole
from counterpoint.cli.messages import say
from counterpoint.errors import EditedError, LogError, OutputError, RunError
from counterpoint.machine.files import read_ordinary
from counterpoint.machine.terminal import escaped
from counterpoint.readers.lines import json_value
from counterpoint.report import render
from counterpoint.report.next_steps import next_steps
from counterpoint.report.page import PAGE, stamped
from counterpoint.report.terminal.layout import Paragraph
from counterpoint.report.toolkit.numerals import counted
from counterpoint.results import ComparisonResult, Result, document_of, encode
from counterpoint.results.saved import KINDS, RESULTS
from counterpoint.runs.files import Replacement, sweep_partial
from counterpoint.runs.provenance import provenance
from counterpoint.runs.seal import accepted_edits, edits, remove_seal, require_ours, seal_of
from counterpoint.runs.status import RUN, SEAL, read_run

D = TypeVar("D")
CELLS = "cells"
"""The folder with the parts of a long comparison that are done, beside its result."""
PIPED = 100
"""Number of columns where there is no terminal and COLUMNS is not set."""


def demand_writable(folder: Path) -> None:
    """Makes a folder, and checks before any work is done that files can be written there.

    Raises:
        OutputError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write to {folder} ({error.strerror or error})") from error


def prepare(folder: Path, reuses: str = "") -> None:
    """Makes the folder for results, before any work is done for them.

    What killed processes have left in it half-written is deleted, and how much it was is printed.
    Nothing else changes, since the work may still be refused: the seal of a result that is there
    goes with the first file that it is of.

    Args:
        folder: the folder.
        reuses: name of a file there that the work goes on with.

    Raises:
        EditedError: that file is not as it was written.
        OutputError: it cannot be made or written to, or holds a training run or somebody's own file
            of a name of ours.
    """
    _spare(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        differing = [*edits(folder), *accepted_edits(folder)] if reuses else []
        if about := [edit for edit in differing if reuses in edit]:
            raise EditedError(
                f"{folder} is not as it was written: {about[0]}; remove {reuses} to begin again"
            )
    except OSError as error:
        raise OutputError(
            f"cannot write to {folder} ({error.strerror or error}); wanted a folder: choose "
            "another one with --out"
        ) from error
    say_swept(folder, folder / CELLS)


def say_swept(*folders: Path) -> None:
    """Deletes what killed processes have left half-written in folders, and prints how much."""
    if swept := sum(map(sweep_partial, folders)):
        say(
            f"counterpoint: {counted(swept, 'half-written file')} of killed processes removed "
            f"from {folders[0]}"
        )


def save(
    result: Result, folder: Path, beside: Iterable[Path] = (), texts: Mapping[str, str] = {}
) -> Path:
    """Writes report.html, results.json and run.json to `folder`; returns the path of the page.

    Args:
        result: what to save.
        folder: where.
        beside: other files in the folder that belong to the result; all are sealed.
        texts: name of another file that is written with these to its content.

    Raises:
        OutputError: something could not be written, or the folder holds a training run or
            somebody's own file of a name of ours; the files that were there are as they were.
    """
    _spare(folder)
    _say_other(folder, result)
    page = folder / PAGE
    files = {
        **{name: text.encode() for name, text in texts.items()},
        RUN: provenance(getattr(result, "config", {})).encode(),
        RESULTS: encode(result),
    }
    sealed = {path.relative_to(folder).as_posix(): read_ordinary(path) for path in beside} | files
    with Replacement() as replacement:
        for name, data in files.items():
            replacement.add(folder / name, data)
        replacement.add(folder / SEAL, seal_of(sealed))
        # last, so that it is not older than its result
        replacement.add(page, stamped(render(result, beside=folder)))
        remove_seal(folder)  # until the files that it is of are all there
        replacement.publish()
    return page


def finish(
    document: D,
    parts: Callable[[D], Iterable[RenderableType]],
    out: Path | None,
    json: bool,
    then: str = "",
    beside: Iterable[Path] = (),
    texts: Mapping[str, str] = {},
) -> None:
    """Saves a result where `--out` says so, and prints it; a list of things is only printed.

    Args:
        document: a result, or what `--json` prints of a list of things.
        parts: what a terminal shows of it.
        out: folder for the page, the result and what is needed to do it again; None saves nothing.
        json: print the document as JSON alone.
        then: the command to go on with, in place of the one that the result itself names.
        beside: other files in `out` that belong to the result; they are sealed with it.
        texts: name of another file to its content; it is written to `out` with the result.

    Raises:
        OutputError: something could not be written.
    """
    # saved before it is printed: a pipe that closes early loses no result
    page, lost = None, None
    if out and isinstance(document, Result):
        try:
            page = save(document, out, beside, texts)
        except OutputError as error:  # a full disk loses none either
            lost = error
    if json:
        sys.stdout.write(encoded(document) + "\n")
        sys.stdout.flush()
    else:
        print_result(*parts(document))
    if lost is not None:
        raise lost
    if page:
        say(f"report: {page}")
    if not then and isinstance(document, Result):
        then = first_step(document, out)
    if then and not json:
        say(f"next: {then}")


def encoded(document: object) -> str:
    """Returns a document as one line of JSON that is safe in a terminal."""
    return escaped(json_.dumps(document_of(document), allow_nan=False, ensure_ascii=False))


def first_step(result: Result, out: Path | None = None) -> str:
    """Returns the most useful line to go on with after a result, behind what it needs first.

    It is empty if nothing follows.

    Args:
        result: the result.
        out: where it was saved: the same comparison with more seeds goes on there.
    """
    step = next(iter(next_steps(result)), None)
    if step is None:
        return ""
    line = step.line
    if isinstance(result, ComparisonResult) and line.startswith("counterpoint compare ") and out:
        line += f" --out {shlex.quote(str(out))}"
    path = os.environ.get("PYTHONPATH")
    if path and line.startswith("counterpoint ") and ":" in str(getattr(result, "world", "")):
        line = f"PYTHONPATH={shlex.quote(path)} {line}"  # a world of one's own is imported from it
    return f"{step.before}, then {line}" if step.before else line


def command_line(*words: object) -> str:
    """Returns the words as a line that a shell reads as the same words: `resume 'a b'`."""
    return shlex.join(["counterpoint", *map(str, words)])


def print_result(*parts: RenderableType) -> None:
    """Prints tables and sentences for a person, on standard output.

    Nothing is cut, and no line is wider than the terminal or COLUMNS say, unless it is one word.
    """
    shown = [
        Paragraph(Text(part) if isinstance(part, str) else part)
        if isinstance(part, str | Text)
        else part
        for part in parts
    ]
    SafeConsole(width=_width()).print(*shown, sep="\n", crop=False)


def _width() -> int | None:
    """Returns the number of columns to fill if that is not for the terminal to say."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return None if sys.stdout.isatty() else PIPED


def _say_other(folder: Path, result: Result) -> None:
    """Prints that the result of another command is replaced, if one lies in a folder."""
    try:
        schema = json_value(read_ordinary(folder / RESULTS), RESULTS)["schema"]
    except (OSError, LogError, TypeError, KeyError):  # there is none, or none to lose
        return
    if isinstance(schema, str) and KINDS.get(schema, type(result)) is not type(result):
        say(f"counterpoint: {folder} held the result of another command ({schema}): it is replaced")


def _spare(folder: Path) -> None:
    """Refuses a folder with somebody's own files of our names, and that of a training: without its
    run.json it could not be resumed."""
    for name in (RUN, RESULTS, PAGE, SEAL):
        require_ours(folder / name, page=name == PAGE)
    try:
        read_run(folder)
    except RunError:
        return
    raise OutputError(f"{folder} holds a training run; choose another folder with --out")
