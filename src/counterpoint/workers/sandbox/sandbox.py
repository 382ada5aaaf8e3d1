"""A place where agents' code runs; its output is bytes, text and a status.

Bubblewrap makes namespaces of their own: no network, no other processes, an empty environment. Of
the file system only /usr and the named folders can be read, and one folder, `/task`, in memory and
of limited size, can be written. Files go in as objects of git or as bytes, and changed files come
out as bytes, so nothing of this machine is shared for writing. No path that comes out is joined to
a folder here or followed. As root, everything runs under a private user id. Start with `run`.

Each way is one line of JSON and the bytes that it announces; `inside.py` is the other end.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISLNK

from counterpoint.errors import MissingPackageError, SettingError
from counterpoint.workers.inside.inside import CommandRequest, ContentHead
from counterpoint.workers.repository.files import (
    FILE,
    LINK,
    PROGRAM,
    File,
    Mode,
    refused,
    refused_link,
)
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.sandbox.cgroups import not_enforced
from counterpoint.workers.sandbox.process import PYTHON as PYTHON
from counterpoint.workers.sandbox.process import Limits as Limits
from counterpoint.workers.sandbox.process import OnOutput, run_bubblewrap
from counterpoint.workers.sandbox.process import SandboxInputs as SandboxInputs

INSTALL = "apt-get install bubblewrap"
RESULTS = "{results}"
"""What stands in a command for the file of its results; its place inside is another each time."""


@dataclass(frozen=True)
class SandboxResult:
    """The end and the output of a run in the sandbox; paths are from the top of `/task`."""

    status: int | None = None
    """Exit status of the command, negative if a signal ended it; None if it did not end by
    itself."""
    changed: Mapping[str, File] = field(default_factory=dict)
    """Path to each file or link that is new or was changed."""
    removed: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Path to why it does not come out: git's own, a link that leaves, and so on."""
    ignored: tuple[str, ...] = ()
    """New files that the repository's `.gitignore` names; they do not come out."""
    results: bytes = b""
    """Content of the file of results."""
    report: bytes = b""
    """The report of a runner of tests."""
    setup: bytes = b""
    """Content of `/setup`, as an archive, if the caller keeps it."""
    late: bool = False
    """Whether the time limit ended the command. Its work until then is here."""
    output: str = ""
    errors: str = ""
    """Standard error."""
    seconds: float = 0.0
    """Wall clock."""
    stopped: str = ""
    """The limit that was reached and its value, `seconds (60)`; or `the sandbox` if that broke.

    Too many seconds, files or bytes of output end the command. A process that is killed because
    memory is full, a full disk and a process that cannot be started are errors inside: they are
    named if the command ends with a status that is not 0."""

    def tail(self, most: int) -> str:
        """Returns the last characters of both outputs, with one space for each run of space."""
        return " ".join((self.output + " " + self.errors).split())[-most:]


def why_no_sandbox() -> str | None:
    """Returns why nothing can run in a sandbox here and what to do, or None if it can."""
    if sys.platform != "linux":
        return f"a team at work needs Linux, for its sandbox is bubblewrap; this is {sys.platform}"
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
    """Checks that code can run in a sandbox.

    Raises:
        MissingPackageError: it cannot; the message says what to install.
    """
    if (why := why_no_sandbox()) is not None:
        raise MissingPackageError(why)


def run(
    command: Sequence[str],
    content: Content | Mapping[str, bytes | File],
    limits: Limits | None = None,
    inputs: SandboxInputs | None = None,
    *,
    collect: bool = True,
    keep_setup: bool = False,
    on_output: OnOutput | None = None,
) -> SandboxResult:
    """Runs a command in a sandbox of its own, in the folder `/task`, and returns how it ended.

    Args:
        command: program and arguments, as they are called inside; `{results}` in them is a file for
            results, outside of `/task`.
        content: the content of `/task`: the files of a commit, as a repository of that one commit
            in whose work folder the command starts; or path to content.
        limits: limits of the command.
        inputs: the inputs besides the content.
        collect: whether changed files come out.
        keep_setup: whether the content of `/setup` comes out.
        on_output: called with output and errors as they come.

    Raises:
        MissingPackageError: there is no bubblewrap.
        SettingError: a readable folder is not there, or not readable; the files are larger than the
            limit on them.
        OSError: this machine has no more processes, descriptors or control groups to give.
    """
    limits, inputs = limits or Limits(), inputs or SandboxInputs()
    tool = shutil.which("bwrap")
    if tool is None:
        raise MissingPackageError(f"agents' code runs in bubblewrap only: {INSTALL}")
    head, body = pack_content(content, limits, inputs.untracked)
    # code that could guess the name of the file could write another's results
    with_results = any(RESULTS in word for word in command)
    results = f"/tmp/{secrets.token_hex(16)}.xml" if with_results else ""
    request: CommandRequest = {
        **head, "command": [word.replace(RESULTS, results) for word in command],
        "env": dict(inputs.env), "stdin": len(inputs.stdin), "bring": collect, "keep": keep_setup,
        "report": inputs.report, "results": results, "seconds": limits.seconds,
        "processes": limits.processes, "disk_mb": limits.disk_mb, "output_mb": limits.output_mb,
        "address_mb": limits.memory_mb if "memory" in not_enforced() else 0,
    }  # fmt: skip
    feed = b"".join([json.dumps(request).encode(), b"\n", *body, inputs.stdin])
    objects = head["pack"] + head["setup"]
    raw = run_bubblewrap(tool, limits, inputs, feed, objects, on_output)
    unpacked = None if raw.stopped else unpack_result(raw.result, set(head["hidden"]))
    stopped = raw.stopped or raw.met or "the sandbox"
    if unpacked is not None:
        stopped = "seconds" if unpacked.late else raw.met if unpacked.status != 0 else ""
    return replace(
        unpacked or SandboxResult(), output=raw.output.decode(errors="replace"),
        errors=raw.errors.decode(errors="replace"), seconds=raw.seconds,
        stopped=limits.named(stopped),
    )  # fmt: skip


def pack_content(
    content: Content | Mapping[str, bytes | File], limits: Limits, untracked: Mapping[str, bytes]
) -> tuple[ContentHead, list[bytes]]:
    """Returns a head for `inside.py`, and the bytes that follow it.

    Raises:
        SettingError: there are more bytes or files than the limits allow.
    """
    pack, folder, commit, setup = b"", "", "", b""
    files: dict[str, File | None] = {}
    if isinstance(content, Content):
        _require_room(sum(e.size for e in content.entries.values()), len(content.entries), limits)
        pack, setup = content.repository.pack(content.commit), content.repository.setup
        folder, commit, files = content.prefix, content.commit, dict(content.changes)
    else:
        files = {path: data if isinstance(data, File) else File(data)
                 for path, data in content.items()}  # fmt: skip
    known = content.entries if isinstance(content, Content) else files
    hidden = {folder + path: File(data) for path, data in untracked.items()
              if folder + path not in known}  # fmt: skip
    files |= hidden
    _require_room(sum(len(file.data) for file in files.values() if file), len(files), limits)
    rows = [(path, int(file.mode, 8) if file else -1, file.data if file else b"")
            for path, file in files.items()]  # fmt: skip
    head: ContentHead = {
        "pack": len(pack), "setup": len(setup), "commit": commit, "folder": folder,
        "hidden": sorted(hidden), "content": [(path, mode, len(data)) for path, mode, data in rows],
    }  # fmt: skip
    return head, [setup, pack, *(data for _, _, data in rows)]


def _require_room(size: int, count: int, limits: Limits) -> None:
    """Raises SettingError, which names the limit, unless the files fit."""
    for used, text, name, most in (
        (size / 2**20, f"files of {size / 2**20:.0f} MiB", "disk_mb", limits.disk_mb),
        (count, f"{count:,} files", "files", limits.files),
    ):
        if used > most:
            raise SettingError(f"got {text} in the repository; the limit {name} = {most}: set "
                               f"{name} under [limits] in the plan to more")  # fmt: skip


def unpack_result(packed: bytes, hidden: set[str]) -> SandboxResult | None:
    """Returns what came out, without hidden paths, or None if it makes no sense.

    Code in the sandbox may have written it instead of `inside.py`: every type, size and path is
    checked.
    """
    try:
        return _unpack(packed, hidden)
    except (ValueError, LookupError, TypeError):
        return None


def _unpack(packed: bytes, hidden: set[str]) -> SandboxResult:
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
    # the files are followed by the report, the results, and whatever was kept of /setup
    report = body[place : place + head["report"]]
    results = body[place + len(report) : place + len(report) + head["results"]]
    why_not |= {path: why for path in removed if path not in hidden and (why := refused(path))}
    gone = tuple(path for path in removed if path not in hidden and path not in why_not)
    setup = body[place + len(report) + len(results) :]
    return SandboxResult(status, changed, gone, why_not, tuple(ignored), results, report, setup,
                         head["late"] is True)  # fmt: skip
