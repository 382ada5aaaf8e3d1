"""What lies in a folder: every result and every run below it, read again only if a file changed.

Start at `Survey`; `read_folder` reads one of them whole. Nothing here writes, except that a team
that is at work now has its queue opened, as `counterpoint team status` does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from counterpoint import __version__
from counterpoint.errors import CounterpointError, LogError, RunError
from counterpoint.machine.files import read_ordinary
from counterpoint.report.headings import heading
from counterpoint.report.page import PAGE
from counterpoint.report.toolkit.safe_text import visible
from counterpoint.results import Document, FolderResult, Result, TeamResult, read_result
from counterpoint.results.folder import FolderEntry, LeftOut
from counterpoint.results.saved import RESULTS
from counterpoint.runs.find import FoundFolder, find_folders
from counterpoint.runs.lock import is_locked
from counterpoint.runs.provenance import RunFile
from counterpoint.runs.seal import require_unedited
from counterpoint.runs.status import (
    CHECKPOINTS,
    EPISODES,
    LOCK,
    METRICS,
    RUN,
    SEAL,
    STATUS,
    read_facts,
    read_run,
    read_status,
)
from counterpoint.settings import NOT_JSON
from counterpoint.train.result import training_result
from counterpoint.workers.loop import RESULT
from counterpoint.workers.memory import LOGS, NOTES
from counterpoint.workers.results import result_of
from counterpoint.workers.state import QUEUE, REPOSITORY, TEAM, TeamState
from counterpoint.workers.strangers import require_valid_queue

DEPTH = 8
"""Levels below the folder that are searched."""
MARKS = (RESULTS, RUN, TEAM)
"""A folder with one of these holds a result or a run."""
SHOWN = (STATUS, METRICS, EPISODES, SEAL, RESULT, QUEUE, f"{QUEUE}-wal")
"""Other files that a page shows."""
NAMES = frozenset((*MARKS, *SHOWN, PAGE, LOCK))
SKIPPED = (CHECKPOINTS, REPOSITORY, LOGS, NOTES)

Signature = tuple[object, ...]
"""It changes if one of the files behind a page does, or if a process begins or ends its work."""


class Match(NamedTuple):
    """A folder that holds a result or a run, as it is now."""

    folder: FoundFolder
    relative: str
    """Its path from the listed folder on; `.` is the listed folder itself."""
    signature: Signature


class Look(NamedTuple):
    """What lies in a folder at one moment."""

    matches: list[Match]
    left_out: list[LeftOut]
    """What is not searched."""

    @property
    def token(self) -> str:
        """A text that differs if something in the list or on a page does."""
        facts = [(one.relative, one.signature) for one in self.matches]
        digest = hashlib.sha256(repr((facts, self.left_out)).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()[:16]


class Survey:
    """The results and runs in a folder.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, tuple[Signature, FolderEntry | LeftOut]] = {}
        """Path to what was read there, and the signature that it had then."""

    def look(self) -> Look:
        """Returns the folders with a result or a run as they are now."""
        left_out, odd = list[LeftOut](), set[Path]()

        def leave(path: Path, reason: str) -> None:
            left_out.append(LeftOut(path=visible(self._relative(path)), reason=reason))
            if path.name in NAMES:
                odd.add(path.parent)

        folders = find_folders(self.folder, NAMES, skip=SKIPPED, depth=DEPTH, left_out=leave)
        matches = [
            Match(one, self._relative(one.path), _signature(one))
            for one in folders
            # a file that is a link could lead anywhere, so nothing of its folder is read
            if one.path not in odd and any(mark in one.files for mark in MARKS)
        ]
        return Look(matches, left_out)

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path, self.folder)

    def result(self, look: Look | None = None) -> FolderResult:
        """Returns the list, now or at a moment; only what has changed since the last is read."""
        matches, missing = look or self.look()
        known, entries, holders = {}, list[FolderEntry](), list[str]()
        left_out = [*missing]
        for one in matches:
            before = self._known.get(one.relative)
            fresh = before is None or before[0] != one.signature
            read = _read(one) if before is None or fresh else before[1]
            known[one.relative] = one.signature, read
            if isinstance(read, LeftOut):
                left_out.append(read)
                continue
            entries.append(replace(read, inside=_holder(one.relative, holders)))
            if not read.is_run:
                holders.append(one.relative)
        self._known = known
        entries.sort(key=lambda entry: (entry.updated, entry.path), reverse=True)
        return FolderResult(
            version=__version__, folder=visible(str(self.folder)), entries=entries,
            left_out=left_out, depth=DEPTH,
        )  # fmt: skip


def _holder(relative: str, holders: Iterable[str]) -> str:
    """Returns the path of the result whose folder holds this one, the innermost; "" if none does.

    Paths come parents first, so the last one that fits is the innermost.
    """
    inside = [h for h in holders if h == "." or relative.startswith(f"{h}{os.sep}")]
    return visible(inside[-1]) if inside else ""


def _signature(folder: FoundFolder) -> Signature:
    files = ((name, at.st_mtime_ns, at.st_size, at.st_ino)
             for name, at in sorted(folder.files.items()) if name not in (PAGE, LOCK))  # fmt: skip
    return (*files, LOCK in folder.files and is_locked(folder.path / LOCK))


def _read(one: Match) -> FolderEntry | LeftOut:
    """Returns the row of a folder, or why it has none: a damaged result hides no other."""
    try:
        return _entry(one)
    except (CounterpointError, OSError) as error:
        reason = str(error)
    except Exception as error:  # a document can be valid and still contradict itself
        reason = f"it contradicts itself ({type(error).__name__}: {error})"
    return LeftOut(path=visible(one.relative), reason=visible(reason.splitlines()[0]))


def _entry(one: Match) -> FolderEntry:
    path, files = one.folder.path, one.folder.files
    result = read_folder(path, short=True)
    head = heading(result)
    address = quote(os.fsencode(one.relative))
    entry = FolderEntry(
        path=visible(one.relative), address=address, kind=head.kind, subject=head.subject,
        headline=head.sentence, page=quote(os.fsencode(os.path.normpath(f"{one.relative}/{PAGE}"))),
    )  # fmt: skip
    if RESULTS in files:
        return replace(entry, updated=_saved(path) or _latest(files, (RESULTS,)))
    latest = _latest(files, (*MARKS, *SHOWN))
    if isinstance(result, TeamResult):
        running = is_locked(path / LOCK)
        status = "running" if running else "finished" if result.over else "stopped"
        return replace(entry, status=status, updated=latest)
    facts, state = read_facts(path), read_status(path)
    has_ended = facts.status == state.status != "running"
    return replace(
        entry, status=facts.status, returned=facts.returned,
        error="" if state.error is UNSET or facts.status != "failed" else visible(state.error),
        updated=(_utc(facts.updated or "") if has_ended else "") or latest,
    )  # fmt: skip


def _latest(files: Mapping[str, os.stat_result], names: Sequence[str]) -> str:
    """Returns when one of the files last changed."""
    seconds = max(at.st_mtime for name, at in files.items() if name in names)
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _saved(path: Path) -> str:
    """Returns when a result was saved, as the run.json beside it says; "" if it does not."""
    try:
        return _utc(msgspec.json.decode(read_ordinary(path / RUN), type=RunFile).created or "")
    except (OSError, *NOT_JSON):
        return ""


def _utc(text: str) -> str:
    """Returns a time of ISO 8601 in UTC; "" if it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return ""


def holds_result(path: Path) -> bool:
    """Returns whether a folder is a result or a run itself, as far as its files tell."""
    if (path / RESULTS).exists() or (path / TEAM).is_file():
        return True
    with suppress(RunError):
        read_run(path)
        return True
    return False


def read_folder(path: Path, *, short: bool = False) -> Result:
    """Returns the result in a folder, or the run in it as far as it has come.

    Args:
        path: a folder that `--out`, `counterpoint train` or `counterpoint team run` wrote.
        short: leave out what makes the world of a training, which may import a package: its
            references and its texts.

    Raises:
        EditedError: a file is not as it was written, and nobody accepted that.
        LogError: there is no result, or it is damaged.
        RunError: the run is damaged.
        UnknownNameError: it is a result of another version.
    """
    require_unedited(path)
    if (path / RESULTS).exists():
        return read_result(load(path))
    if (path / TEAM).is_file():
        return _team_result(path)
    if (path / RUN).is_file():
        return training_result(path, short=short)
    return read_result(load(path))  # it says what is missing


def load(path: Path) -> Document:
    """Returns the document saved in a folder, or in a results.json itself.

    Raises:
        LogError: there is no document, or it is not JSON.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        document: Document = msgspec.json.decode(read_ordinary(file), type=dict)
    except (OSError, *NOT_JSON) as error:
        reason = getattr(error, "strerror", None) or error
        raise LogError(
            f"could not read {file} ({reason}); wanted a folder that `--out` wrote, with "
            f"{RESULTS} of a comparison or a diagnosis, or {RUN} of a run"
        ) from error
    return document


def _team_result(path: Path) -> TeamResult:
    """Returns the result of a team: of its queue while it is at work here, else of its last stop.

    The folder of a team that is not at work may come from anywhere, so its queue stays closed.
    """
    if is_locked(path / LOCK):
        state = TeamState.load(path)
        require_valid_queue(state.queue)
        return result_of(state)
    try:
        return msgspec.json.decode(read_ordinary(path / RESULT), type=TeamResult)
    except FileNotFoundError as error:
        raise RunError(
            f"the team has no {RESULT}: it was killed; `counterpoint team status` shows it"
        ) from error
    except (OSError, *NOT_JSON) as error:
        raise LogError(
            f"could not read {path / RESULT} ({error}); wanted that of a team"
        ) from error
