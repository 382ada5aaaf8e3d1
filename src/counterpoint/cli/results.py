"""Saving results: the document, the page, and what is needed to do it again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from rich.console import RenderableType

from counterpoint.cli.messages import say
from counterpoint.cli.output import print_json, print_result
from counterpoint.errors import LogError, OutputError, RunError
from counterpoint.report import write_report
from counterpoint.results import Result, document_of
from counterpoint.runs.files import write_atomically
from counterpoint.runs.provenance import provenance
from counterpoint.runs.status import RUN, read_run

R = TypeVar("R", bound=Result)
RESULTS = "results.json"
PAGE = "report.html"


def prepare(folder: Path) -> None:
    """Make the folder for results, before any work is done for them.

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


def save(document: Mapping[str, Any], folder: Path) -> Path:
    """Write report.html, results.json and run.json to `folder`; the path of the page.

    Raises:
        OutputError: something could not be written, or the folder holds a training run; files that
            were there are whole.
    """
    _spare_a_run(folder)
    page = write_report(document, folder)
    facts = provenance(document.get("config", {}))
    write_atomically(folder / RUN, msgspec.json.format(msgspec.json.encode(facts)))
    write_atomically(folder / RESULTS, msgspec.json.encode(document))
    return page


def finish(
    result: R,
    parts: Callable[[R], Iterable[RenderableType]],
    out: Path | None,
    json: bool,
) -> None:
    """Saves a result where `--out` says so, and prints it.

    Args:
        result: what a command has found.
        parts: what a terminal shows of it.
        out: folder for the page, the result and what is needed to do it again.
        json: print the result as JSON alone.

    Raises:
        OutputError: something could not be written.
    """
    document = document_of(result)
    saved = save(document, out) if out else None
    print_json(document) if json else print_result(*parts(result))
    if saved:
        say(f"report: {saved}")


def _spare_a_run(folder: Path) -> None:
    """Refuse a folder in which run.json is that of a training, which could not be resumed then."""
    try:
        read_run(folder)
    except RunError:
        return
    raise OutputError(f"{folder} holds a training run; choose another folder with --out")


def load(path: Path) -> dict[str, Any]:
    """The document saved in a folder, or in a results.json itself.

    Raises:
        LogError: there is none, or it is no JSON.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        document: dict[str, Any] = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        within = [f.parent.name for f in sorted(path.glob(f"*/{RESULTS}"))] if path.is_dir() else []
        hint = f": it has {', '.join(within)}" if within else ""
        told_by = getattr(error, "strerror", None) or error
        raise LogError(
            f"could not read {file} ({told_by}){hint}; wanted a folder that `--out` wrote, with "
            f"{RESULTS} of a comparison or a diagnosis, or {RUN} of a run"
        ) from error
    return document
