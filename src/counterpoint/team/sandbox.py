"""A place where agents' code runs; what comes out of it is files, text and a status.

Bubblewrap with namespaces of its own: no network, no other processes, an empty environment, a file
system of which only /usr and what is named can be read, and one folder, `/task`, in memory and of
limited size. Files go in and changed files come out as an archive, so that nothing of this machine
is shared for writing. As root, everything runs under a private user id. Start with `run`.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from counterpoint.errors import MissingPackageError
from counterpoint.team.limits import Limits as Limits
from counterpoint.team.process import PYTHON as PYTHON
from counterpoint.team.process import converse

INSTALL = "apt-get install bubblewrap"
NOT_COPIED = (".git",)
"""What of a folder does not go in."""


@dataclass(frozen=True)
class Ended:
    """How a run in the sandbox ended."""

    status: int | None
    """Exit status of the command, negative where a signal ended it; None where it did not end by
    itself."""
    output: str
    """Its standard output."""
    errors: str
    """Its standard error."""
    seconds: float
    """Wall clock."""
    changed: Mapping[str, bytes] = field(default_factory=dict)
    """Path to content of each file in `/task` that is new or another."""
    removed: tuple[str, ...] = ()
    """Paths of files that are gone."""
    stopped: str = ""
    """Which limit it ran into and its value, `seconds (60)`; or `the sandbox` where that broke.

    Too many seconds, files or bytes of output or memory end it. A full disk and a process that
    cannot be started are errors inside: they are named where the command ends with a status that
    is not 0."""


def ready() -> str | None:
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
    why = ready()
    if why is not None:
        raise MissingPackageError(why)


def run(
    command: Sequence[str],
    content: Path | Mapping[str, bytes],
    limits: Limits | None = None,
    *,
    env: Mapping[str, str] | None = None,
    readable: Sequence[Path] = (),
    network: bool = False,
) -> Ended:
    """Run a command in a sandbox of its own, in the folder `/task`.

    Args:
        command: program and arguments, as they are called inside.
        content: what `/task` holds: a folder (without its .git), or path to content.
        limits: what it may use.
        env: the whole environment, besides PATH, HOME and LANG.
        readable: folders of this machine that can be read inside, at the same place. They have to
            be readable for everybody where this process is root.
        network: share the machine's network, names and certificates included.

    Raises:
        MissingPackageError: there is no bubblewrap.
        SettingError: a readable folder is not there, or not readable.
        OSError: this machine has no more processes, descriptors or control groups to give.
    """
    limits = limits or Limits()
    tool = shutil.which("bwrap")
    if tool is None:
        raise MissingPackageError(f"agents' code runs in bubblewrap only: {INSTALL}")
    told = {
        "command": list(command), "env": dict(env or {}), **asdict(limits),
    }  # fmt: skip
    feed = json.dumps(told).encode() + b"\n" + _archive(content)
    said = converse(tool, limits, readable, network, feed)
    stopped = said.stopped
    status: int | None = None
    changed: dict[str, bytes] = {}
    removed: list[str] = []
    if not stopped:
        try:
            status, changed, removed = _opened(said.result)
        except (ValueError, LookupError, TypeError, tarfile.TarError, EOFError):
            stopped = "the sandbox"
    if not stopped and status != 0:
        stopped = said.met
    return Ended(status, said.output.decode(errors="replace"), said.errors.decode(errors="replace"),
                 said.seconds, changed, tuple(removed), limits.named(stopped))  # fmt: skip


def _archive(content: Path | Mapping[str, bytes]) -> bytes:
    """What goes in, as an uncompressed tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        if isinstance(content, Path):
            for path in sorted(content.iterdir()):
                if path.name not in NOT_COPIED:
                    tar.add(path, path.name, filter=_plain)
        else:
            for name, data in content.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Files and folders alone: a link would be followed inside, and means nothing there."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info if info.isfile() or info.isdir() else None


def _opened(archive: bytes) -> tuple[int, dict[str, bytes], list[str]]:
    """Status, changed files and removed paths of what came back; nothing in it is trusted."""
    head, _, body = archive.partition(b"\n")
    told = json.loads(head)
    status, removed = told["status"], told["removed"]
    if not isinstance(status, int) or not all(isinstance(name, str) for name in removed):
        raise ValueError("no status")
    changed: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as tar:
        for info in tar:
            if info.isfile() and _inside(info.name):
                stream = tar.extractfile(info)
                changed[info.name] = stream.read() if stream else b""
    return status, changed, [name for name in removed if _inside(name)]


def _inside(name: str) -> bool:
    """Whether a path stays within its folder, and out of git's."""
    path = PurePosixPath(name)
    parts = path.parts
    return (
        bool(parts)
        and not path.is_absolute()
        and ".." not in parts
        and not any(part.lower().rstrip(". ") in NOT_COPIED for part in parts)
    )
