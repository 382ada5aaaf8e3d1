"""A place where agents' code runs; what comes out of it is bytes, text and a status.

Bubblewrap with namespaces of its own: no network, no other processes, an empty environment, a file
system of which only /usr and what is named can be read, and one folder, `/task`, in memory and of
limited size. Files go in as objects of git or as bytes, and changed files come out as bytes, so
that nothing of this machine is shared for writing, and no path that comes out is ever followed.
As root, everything runs under a private user id. Start with `run`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from stat import S_ISLNK
from typing import Any

from counterpoint.errors import MissingPackageError, SettingError
from counterpoint.workers.repository.files import FILE, LINK, PROGRAM, File, Mode
from counterpoint.workers.repository.paths import refused, refused_link
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.sandbox.cgroups import not_enforced
from counterpoint.workers.sandbox.limits import Limits as Limits
from counterpoint.workers.sandbox.process import PYTHON as PYTHON
from counterpoint.workers.sandbox.process import OnOutput, run_bubblewrap

INSTALL = "apt-get install bubblewrap"
RESULTS = "{results}"
"""What stands in a command for the file of its results; its place inside is another each time."""


@dataclass(frozen=True)
class CommandResult:
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


@dataclass(frozen=True)
class SandboxResult(CommandResult):
    """How a run in the sandbox ended, and what came out."""

    output: str = ""
    """Its standard output."""
    errors: str = ""
    """Its standard error."""
    seconds: float = 0.0
    """Wall clock."""
    stopped: str = ""
    """Which limit it ran into and its value, `seconds (60)`; or `the sandbox` where that broke.

    Too many seconds, files or bytes of output end it. A process that is killed because memory is
    over, a full disk and a process that cannot be started are errors inside: they are named where
    the command ends with a status that is not 0."""


def why_no_sandbox() -> str | None:
    """In words, why nothing can run in a sandbox here, and what to do; None if it can."""
    for tool in ("bwrap", *(("setpriv",) if os.geteuid() == 0 else ())):
        if shutil.which(tool) is None:
            return f"agents' code runs in bubblewrap only, and there is no {tool}: {INSTALL}"
    if not Path(PYTHON).exists():
        return f"the sandbox needs {PYTHON}: apt-get install python3"
    ended = run(["/bin/true"], {}, Limits(seconds=20))
    if ended.status != 0:
        why = " ".join((ended.errors or ended.stopped).split())
        return (
            f"bubblewrap cannot make a sandbox here ({why:.200}); it needs user namespaces: "
            "sysctl user.max_user_namespaces=15000"
        )
    return None


def require_ready() -> None:
    """Return where code can run in a sandbox.

    Raises:
        MissingPackageError: it cannot; the message says what to install.
    """
    why = why_no_sandbox()
    if why is not None:
        raise MissingPackageError(why)


def run(
    command: Sequence[str],
    content: Content | Mapping[str, bytes | File],
    limits: Limits | None = None,
    *,
    env: Mapping[str, str] | None = None,
    readable: Sequence[Path] = (),
    network: bool = False,
    given: Mapping[str, bytes] | None = None,
    beside: Mapping[str, bytes] | None = None,
    stdin: bytes = b"",
    bring: bool = True,
    report: bool = False,
    keep_setup: bool = False,
    hear: OnOutput | None = None,
) -> SandboxResult:
    """Run a command in a sandbox of its own, in the folder `/task`.

    Args:
        command: program and arguments, as they are called inside; `{results}` in them is a file for
            results, outside of `/task`.
        content: what `/task` holds: the files of a commit, as a repository of that one commit in
            whose work folder the command starts; or path to content.
        limits: what it may use.
        env: the whole environment, besides PATH, HOME and LANG.
        readable: folders of this machine that can be read inside, at the same place. They have to
            be readable for everybody where this process is root.
        network: share the machine's network, names and certificates included.
        given: path inside to files that can only be read.
        beside: files in the work folder that are not part of the work: they are hidden from git,
            where the commit has none of that name, and never come out.
        stdin: what the command reads.
        bring: whether changed files come out.
        keep_setup: whether what the command leaves in `/setup` comes out.
        report: whether a runner of tests can report, to the descriptor in COUNTERPOINT_REPORT.
        hear: called with output and errors as they come.

    Raises:
        MissingPackageError: there is no bubblewrap.
        SettingError: a readable folder is not there, or not readable; the files are larger than the
            limit on them.
        OSError: this machine has no more processes, descriptors or control groups to give.
    """
    limits = limits or Limits()
    tool = shutil.which("bwrap")
    if tool is None:
        raise MissingPackageError(f"agents' code runs in bubblewrap only: {INSTALL}")
    told, body = pack_input(content, limits, beside or {})
    results = (
        f"/tmp/{secrets.token_hex(16)}.xml" if any(RESULTS in word for word in command) else ""
    )
    told |= {
        "command": [word.replace(RESULTS, results) for word in command], "env": dict(env or {}),
        "stdin": len(stdin), "bring": bring, "keep": keep_setup, "report": report,
        "results": results, **asdict(limits),
        "address_mb": limits.memory_mb if "memory" in not_enforced() else 0,
    }  # fmt: skip
    feed = b"".join([json.dumps(told).encode(), b"\n", *body, stdin])
    inside = files("counterpoint.workers.inside").joinpath("inside.py").read_bytes()
    shown = {"/inside.py": inside, **(given or {})}
    objects = told["pack"] + told["setup"]
    said = run_bubblewrap(tool, limits, readable, network, feed, shown, objects, hear)
    brought = None if said.stopped else unpack_output(said.result, set(told["hidden"]))
    stopped = said.stopped or said.met or "the sandbox"
    if brought is not None:
        stopped = "seconds" if brought.late else said.met if brought.status != 0 else ""
    return SandboxResult(
        **vars(brought or CommandResult()), output=said.output.decode(errors="replace"),
        errors=said.errors.decode(errors="replace"), seconds=said.seconds,
        stopped=limits.named(stopped),
    )  # fmt: skip


def pack_input(
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


def unpack_output(packed: bytes, hidden: set[str]) -> CommandResult | None:
    """Returns what came out, with each path checked, or None where it makes no sense.

    Args:
        packed: what `inside.py` wrote.
        hidden: paths of files that are not part of the work.
    """
    try:
        return _read(packed, hidden)
    except (ValueError, LookupError, TypeError):
        return None


def _read(packed: bytes, hidden: set[str]) -> CommandResult:
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
    return CommandResult(
        status, changed, gone, why_not, tuple(ignored), results, report, setup, late
    )
