"""The seal of a folder: what its files were when they were written, so that no edit goes unseen.

`seal.json` holds the plan as it was, the SHA-256 of each file, of the acknowledged rows of each
series and of the manifest of each checkpoint, and a checksum of itself. A training writes it with
each checkpoint, a command with its result. Start with `edits`, which names each difference.

A seal finds damage and edits, not forgery: who changes a file can write a new seal.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from counterpoint.errors import CheckpointError, EditedError, OutputError, RunError
from counterpoint.machine.files import read_ordinary
from counterpoint.runs import checkpoint
from counterpoint.runs.files import is_whole, with_checksum, write_atomically
from counterpoint.runs.find import find_folders
from counterpoint.runs.lock import Lock
from counterpoint.runs.metrics import Digest, SealedSeries, step_of
from counterpoint.runs.status import (
    CHECKPOINTS,
    LOCK,
    RUN,
    SEAL,
    SERIES,
    STATUS,
    now,
    read_status,
    write_status,
)

SCHEMA = "counterpoint.seal/1"
TRIES = 3
"""How often a folder is looked at whose process writes a new seal meanwhile."""
MOST_NAMED = 3
"""Most differences that one line names."""
LONGEST = 60
"""Most characters of a value that a line shows."""


GONE, AS_WRITTEN = "is gone or cannot be read", "is not as it was written"


class SealedFile(msgspec.Struct, frozen=True):
    """A file as it was."""

    bytes: int
    sha256: str


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `seal.json`, without its checksum."""

    schema: str = SCHEMA
    plan: dict[str, Any] = {}
    """The content of run.json, to say what a changed field was."""
    files: dict[str, SealedFile] = {}
    """Name of a file, from the folder on, to what it was."""
    series: dict[str, SealedSeries] = {}
    """Name of a series to its acknowledged rows."""
    checkpoints: dict[str, str] = {}
    """Step of each checkpoint to the SHA-256 of its manifest."""
    closed: bool = False
    """Whether the training is finished: no row may follow."""
    accepted: list[str] = []
    """Edits that a user accepted, each with its time."""


_DOCUMENT = re.compile(rb'"schema": ?"counterpoint\.|"judge_reward": ')
_PAGE = b'<meta name="generator" content="Counterpoint'
_PAGE_ENDING = ".html"


def write_seal(folder: Path, seal: Seal) -> None:
    """Writes the seal of a folder.

    Raises:
        OutputError: it could not be written; an earlier one is as it was.
    """
    write_atomically(folder / SEAL, _encoded(seal))


def seal_of(files: Mapping[str, bytes]) -> bytes:
    """Returns the content of the seal of a result.

    Args:
        files: name of each file, from the folder on, to its content; run.json has the plan.
    """
    sealed = {name: sealed_file(data) for name, data in files.items()}
    return _encoded(Seal(plan=_plan_in(files.get(RUN)), files=sealed))


def remove_seal(folder: Path) -> None:
    """Removes the seal of a folder, if it has one, before its files are written again.

    Raises:
        OutputError: it could not be removed.
    """
    try:
        (folder / SEAL).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"could not remove {folder / SEAL} ({error.strerror or error}); choose another folder "
            "with --out"
        ) from error


def sealed_file(data: bytes) -> SealedFile:
    """Returns the size and the hash of a file's content."""
    return SealedFile(len(data), hashlib.sha256(data).hexdigest())


def manifests(folder: Path, until: int | None = None) -> dict[str, str]:
    """Returns the hash of the manifest of each checkpoint of a run, up to a step.

    Args:
        folder: the run directory.
        until: the last step; None takes all.
    """
    found = {}
    for step in checkpoint.steps(folder / CHECKPOINTS):
        data = _read(folder / CHECKPOINTS / str(step) / checkpoint.MANIFEST)
        if data is not None and (until is None or step <= until):
            found[str(step)] = hashlib.sha256(data).hexdigest()
    return found


def read_seal(folder: Path) -> Seal | None:
    """Returns the seal of a folder; None if it has none, or a damaged one."""
    return _decoded(_read(folder / SEAL))


def has_seal(folder: Path) -> bool:
    """Returns whether a folder has a seal, damaged or not."""
    return os.path.lexists(folder / SEAL)


def require_ours(path: Path, *, page: bool = False) -> None:
    """Checks that a file to be replaced is one of its kind that a command of ours has written, or
    is empty.

    It is known by the seal beside it, by the schema of a document, by the generator that a page
    names, or by the rewards of a ranking.

    Args:
        path: the file.
        page: whether a page is to be written: it never replaces a document.

    Raises:
        OutputError: it is somebody's own, or of another kind.
    """
    try:
        data = read_ordinary(path)
    except OSError:  # there is none, or one that cannot be replaced either
        return
    is_sealed = path.name != SEAL and page == (path.suffix == _PAGE_ENDING)
    is_sealed = is_sealed and _DOCUMENT.search(_read(path.parent / SEAL) or b"") is not None
    is_document = _DOCUMENT.search(data) is not None
    if data.strip() and not (_PAGE in data if page else is_document) and not is_sealed:
        what = "is no page" if is_document else "no command of counterpoint wrote it"
        raise OutputError(f"{path} is there, and {what}; choose another place with --out")


def accepted_edits(folder: Path) -> list[str]:
    """Returns the edits of a folder that a user accepted, each with its time."""
    seal = read_seal(folder)
    return [] if seal is None else seal.accepted


def require_unedited(folder: Path) -> None:
    """Checks a run or a result against its seal; one without a seal passes.

    Raises:
        EditedError: something is not as it was written; the first differences are named.
    """
    if found := edits(folder):
        raise edited(folder, found)


def edited(folder: Path, found: Sequence[str]) -> EditedError:
    """Returns the error about differences of a folder from its seal; the first are named."""
    more = len(found) - MOST_NAMED
    named = "; ".join(found[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
    command = "resume" if _is_training(folder) else "report"
    if not _plan(folder):
        return EditedError(
            f"{folder} is not as it was written: {named}. Put the files back: without {RUN}, which "
            "has the plan, what is there now cannot be accepted"
        )
    return EditedError(
        f"{folder} is not as it was written: {named}. Put the files back, or accept what is there "
        f"now, which is recorded and shown: counterpoint {command} {shlex.quote(str(folder))} "
        "--accept-edits"
    )


def edits(folder: Path) -> list[str]:
    """Returns what differs from the seal of a folder, a sentence each: the file, and the field or
    the row.

    It is empty where nothing differs, and where there has never been a seal. Rows after the last
    acknowledged one may follow in a training that is not finished. A damaged checkpoint is none,
    as long as an intact one is left: `RunDirectory.open` passes it over.
    """
    found: list[str] = []
    for _ in range(TRIES):
        data = _read(folder / SEAL)
        found = list(_edits(folder, data))
        if not found or _read(folder / SEAL) == data:
            break
    return found


def damaged_checkpoints(folder: Path) -> list[str]:
    """Returns the damage of each checkpoint of a run, a sentence each."""
    damaged = []
    try:
        steps = checkpoint.steps(folder / CHECKPOINTS)
    except OSError as error:
        return [f"{folder / CHECKPOINTS} cannot be read ({error.strerror or error})"]
    for step in steps:
        try:
            checkpoint.verify(folder / CHECKPOINTS / str(step))
        except CheckpointError as error:
            damaged.append(str(error))
    return damaged


def edits_below(folder: Path, *, checkpoints: bool = False) -> Iterator[str]:
    """Yields each difference of the sealed folders below a folder.

    Args:
        folder: where to search; its own seal is passed over.
        checkpoints: also read all checkpoints, and yield the damage of each.
    """
    for found in find_folders(folder, (SEAL,)):
        if found.path != folder:
            for edit in edits(found.path):
                yield f"{found.path}: {edit}"
            if checkpoints:
                yield from damaged_checkpoints(found.path)


def accept_edits(folder: Path) -> list[str]:
    """Seals a run or a result as it is now, and records in the seal what differed; returns that.

    Checkpoints that are damaged are set aside if none is intact.

    Raises:
        BusyError: another process works there.
        RunError: run.json cannot be read.
        OutputError: it could not be written.
    """
    training = _is_training(folder)
    lock = Lock(folder / LOCK) if training else None
    try:
        found = edits(folder)
        latest = checkpoint.latest(folder / CHECKPOINTS) if training else None
        lost = latest.damaged if latest is not None and latest.step is None else {}
        found += lost.values()
        if not found:
            return []
        plan, old = _plan(folder), read_seal(folder) or Seal()
        if not plan:
            raise RunError(f"{folder / RUN} cannot be read; put it back: it is the plan")
        names = [RUN, *(name for name in old.files if name != RUN and (folder / name).is_file())]
        series = {
            name: Digest(read_ordinary(folder / name)).sealed()
            for name in SERIES
            if training and (folder / name).is_file()
        }
        if training:
            for step in lost:
                checkpoint.set_aside(folder / CHECKPOINTS, step)
            write_status(folder, replace(read_status(folder), updated=now()))
        at = now()
        seal = Seal(
            plan=plan,
            files={name: sealed_file(read_ordinary(folder / name)) for name in names},
            series=series,
            checkpoints=manifests(folder),
            closed=old.closed,
            accepted=[*old.accepted, *(f"{at} {edit}" for edit in found)],
        )
        write_seal(folder, seal)
        return found
    finally:
        if lock is not None:
            lock.release()


def _edits(folder: Path, data: bytes | None) -> Iterator[str]:
    """Yields what differs from the bytes of a seal; see `edits`."""
    if data is None:
        if has_seal(folder) or _plan(folder).get("sealed") is True:
            yield f"{SEAL}: {GONE}"
        return
    seal = _decoded(data)
    if seal is None:
        yield f"{SEAL}: {AS_WRITTEN}"
        return
    for name, file in seal.files.items():
        now_there = _read(folder / name)
        if now_there is None:
            yield f"{name}: {GONE}"
        elif sealed_file(now_there) != file:
            yield f"{name}: " + (_plan_edit(folder, seal.plan) if name == RUN else AS_WRITTEN)
    for name, series in seal.series.items():
        rows = _read(folder / name)
        edit = GONE if rows is None else _series_edit(rows, series, seal)
        if edit:
            yield f"{name}: {edit}"
    if seal.plan.get("kind") == "train":
        yield from _status_edits(folder, seal)
        try:
            yield from _checkpoint_edits(folder, seal)
        except OSError:  # the folder of checkpoints cannot be listed
            yield f"{CHECKPOINTS}: {GONE}"


def _status_edits(folder: Path, seal: Seal) -> Iterator[str]:
    data = _read(folder / STATUS)
    if data is None:
        if seal.closed or seal.checkpoints:  # it is written after the first seal
            yield f"{STATUS}: {GONE}"
    elif not is_whole(data):
        yield f"{STATUS}: {AS_WRITTEN}"


def _checkpoint_edits(folder: Path, seal: Seal) -> Iterator[str]:
    there = manifests(folder)
    for step, digest in seal.checkpoints.items():
        if there.get(step, digest) != digest and _is_intact(folder, step):
            yield f"{CHECKPOINTS}/{step}: is not the checkpoint that this run wrote"
    newest = max(map(int, seal.checkpoints), default=None)
    if newest is None or seal.closed:  # a finished run needs none
        return
    present = checkpoint.steps(folder / CHECKPOINTS)
    if not any(step >= newest for step in present):
        yield f"{CHECKPOINTS}/{newest}: is gone"


def _is_intact(folder: Path, step: int | str) -> bool:
    try:
        checkpoint.verify(folder / CHECKPOINTS / str(step))
    except CheckpointError:
        return False
    return True


def _plan_edit(folder: Path, old: Mapping[str, Any]) -> str:
    """Returns in words which fields of run.json differ, with their old and new values."""
    plan = _plan(folder)
    if not plan:
        return "cannot be read"
    was, now_there = _fields(old), _fields(plan)
    changed = [
        f"{name} is {_short(now_there, name)}, was {_short(was, name)}"
        for name in {**was, **now_there}
        if was.get(name, _ABSENT) != now_there.get(name, _ABSENT)
    ]
    more = f", and {len(changed) - MOST_NAMED} more" if len(changed) > MOST_NAMED else ""
    return ", ".join(changed[:MOST_NAMED]) + more if changed else f"{AS_WRITTEN}, in no field"


_ABSENT = object()


def _fields(document: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Returns the fields of nested mappings, path to value."""
    flat: dict[str, Any] = {}
    for name, value in document.items():
        path = f"{before}{name}"
        flat |= _fields(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return flat


def _short(fields: Mapping[str, Any], name: str) -> str:
    text = msgspec.json.encode(fields[name]).decode() if name in fields else "not there"
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _series_edit(data: bytes, sealed: SealedSeries, seal: Seal) -> str:
    """Returns in words which rows of a series differ; an empty text if none does."""
    lines = data.split(b"\n")
    if hashlib.sha256(data[: sealed.bytes]).hexdigest() == sealed.sha256:
        rest = [line for line in data[sealed.bytes :].split(b"\n") if line]
        if not rest:
            return ""
        if seal.closed:
            return f"has {len(rest)} more after row {sealed.rows}, its last"
        steps = [step_of(line) for line in (*lines[: sealed.rows][-1:], *rest)]
        known = [step for step in steps if step is not None]
        back = next((new for old, new in pairwise(known) if new < old), None)
        return "" if back is None else f"goes back to step {back} after row {sealed.rows}"
    there, was = Digest(data).marks(), _marks(sealed)
    changed = [i for i, (new, old) in enumerate(zip(there, was, strict=False)) if new != old]
    lacking = sealed.rows - len(there)
    words = []
    if changed:
        first = changed[0]
        step = step_of(lines[first])
        at = "" if step is None else f" (step {step})"
        others = f" and {len(changed) - 1} more are" if len(changed) > 1 else " is"
        words.append(f"row {first + 1}{at}{others} not as written")
    if lacking > 0:
        words.append(f"{lacking} of {sealed.rows} rows are gone")
    return ", ".join(words) or AS_WRITTEN


def _marks(sealed: SealedSeries) -> list[int]:
    marks: list[int] = np.frombuffer(base64.b64decode(sealed.lines), dtype="<u4").tolist()
    return marks


def _decoded(data: bytes | None) -> Seal | None:
    if data is None or not is_whole(data):
        return None
    try:
        return msgspec.json.decode(data, type=Seal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _encoded(seal: Seal) -> bytes:
    return with_checksum(msgspec.json.encode(seal))


def _plan(folder: Path) -> dict[str, Any]:
    """Returns the content of run.json as it is now; empty if it cannot be read."""
    return _plan_in(_read(folder / RUN))


def _plan_in(data: bytes | None) -> dict[str, Any]:
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(data or b"", type=dict[str, Any])
    return {}


def _is_training(folder: Path) -> bool:
    seal = read_seal(folder)
    return "train" in (_plan(folder).get("kind"), seal and seal.plan.get("kind"))


def _read(file: Path) -> bytes | None:
    try:
        return read_ordinary(file)
    except OSError:
        return None
