"""What goes into a sandbox and what comes out of it, as bytes; `inside.py` is the other end.

Each way is one line of JSON and the bytes that it announces. Nothing that comes out is trusted: no
path of it is joined to a folder here, and each is checked once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from stat import S_ISLNK
from typing import Any

from counterpoint.errors import SettingError
from counterpoint.workers.repository.files import FILE, LINK, PROGRAM, File, Mode
from counterpoint.workers.repository.paths import refused, refused_link
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.sandbox.limits import Limits


@dataclass(frozen=True)
class Brought:
    """What came out of a sandbox."""

    status: int | None = None
    """Exit status of the command, negative where a signal ended it; None where it did not end by
    itself."""
    changed: Mapping[str, File] = field(default_factory=dict)
    """Path from the top of `/task` to each file or link that is new or another."""
    removed: tuple[str, ...] = ()
    """Paths of files that are gone."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Path to why what is there does not come out: git's own, a link that leaves, and so on."""
    ignored: tuple[str, ...] = ()
    """New files that the repository's `.gitignore` names; they do not come out."""
    results: bytes = b""
    """What the command wrote to the file of its results."""
    report: bytes = b""
    """What a runner of tests reported."""
    setup: bytes = b""
    """What the command left in `/setup`, as an archive, where that was asked for."""
    late: bool = False
    """Whether the time of the command ended it. What it did until then is here."""


def way_in(
    content: Content | Mapping[str, bytes | File], limits: Limits, beside: Mapping[str, bytes]
) -> tuple[dict[str, Any], list[bytes]]:
    """Returns a head for `inside.py`, and the bytes that follow it.

    Args:
        content: a commit's, or path to content.
        limits: how many bytes and files there may be.
        beside: files in the work folder that are not part of the work.

    Raises:
        SettingError: there are more.
    """
    pack, folder, commit, setup = b"", "", "", b""
    files: dict[str, File | None] = {}
    if isinstance(content, Content):
        _require_room(content.size, len(content.entries), limits)
        pack, folder, commit = content.pack(), content.prefix, content.commit
        setup = content.repository.setup
        files = dict(content.changes)
    else:
        files = {path: data if isinstance(data, File) else File(data)
                 for path, data in content.items()}  # fmt: skip
    known = content.entries if isinstance(content, Content) else files
    hidden = {folder + path: File(data) for path, data in beside.items()
              if folder + path not in known}  # fmt: skip
    files |= hidden
    _require_room(sum(len(file.data) for file in files.values() if file), len(files), limits)
    rows = [(path, int(file.mode, 8) if file else -1, file.data if file else b"")
            for path, file in files.items()]  # fmt: skip
    head = {"pack": len(pack), "setup": len(setup), "commit": commit, "folder": folder,
            "hidden": sorted(hidden),
            "content": [(path, mode, len(data)) for path, mode, data in rows]}  # fmt: skip
    return head, [setup, pack, *(data for _, _, data in rows)]


def _require_room(size: int, count: int, limits: Limits) -> None:
    """Return where the files fit.

    Raises:
        SettingError: they do not; the message names the limit.
    """
    what = f"got files of {size / 2**20:.0f} MiB in the repository; the limit"
    if size > limits.disk_mb << 20:
        raise SettingError(
            f"{what} disk_mb = {limits.disk_mb}: set disk_mb under [limits] in the plan to more"
        )
    if count > limits.files:
        raise SettingError(
            f"got {count:,} files in the repository; the limit files = {limits.files}: set files "
            "under [limits] in the plan to more"
        )


def way_out(packed: bytes, hidden: set[str]) -> Brought | None:
    """Returns what came out, with each path checked, or None where it makes no sense.

    Args:
        packed: what `inside.py` wrote.
        hidden: paths of files that are not part of the work.
    """
    try:
        return _read(packed, hidden)
    except (ValueError, LookupError, TypeError):
        return None


def _read(packed: bytes, hidden: set[str]) -> Brought:
    line, _, body = packed.partition(b"\n")
    head = json.loads(line)
    status, removed, ignored = head["status"], head["removed"], head["ignored"]
    if type(status) is not int or not all(type(n) is str for n in (*removed, *ignored)):
        raise ValueError("no status")
    changed: dict[str, File] = {}
    why_not: dict[str, str] = {}
    place = 0
    for path, mode, size in head["files"]:
        if type(path) is not str or not 0 <= size <= len(body) - place:
            raise ValueError("no file")
        data = body[place : place + size]
        place += size
        kind: Mode = LINK if S_ISLNK(mode) else PROGRAM if mode & 0o100 else FILE
        target = data.decode("utf-8", "surrogateescape")
        if path in hidden:
            continue
        if why := refused_link(path, target) if kind == LINK else refused(path):
            why_not[path] = why
        else:
            changed[path] = File(data, kind)
    report = body[place : place + head["report"]]
    results = body[place + len(report) : place + len(report) + head["results"]]
    why_not |= {path: why for path in removed if path not in hidden and (why := refused(path))}
    gone = tuple(path for path in removed if path not in hidden and path not in why_not)
    place += len(report) + len(results)
    setup = body[place:]
    late = head["late"] is True
    return Brought(status, changed, gone, why_not, tuple(ignored), results, report, setup, late)
