"""A place where agents' code runs; what comes out of it is files, text and a status.

Bubblewrap with namespaces of its own: no network, no other processes, an empty environment, a file
system of which only /usr and what is named can be read, and one folder, `/task`, in memory and of
limited size. Files go in and changed files come out as an archive, so that nothing of this machine
is shared for writing. As root, everything runs under a private user id. Start with `run`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import selectors
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path, PurePosixPath

from counterpoint.errors import MissingPackageError, SettingError
from counterpoint.worlds.base import require

INSTALL = "apt-get install bubblewrap"
PRIVATE_UIDS = 61_000, 61_184
"""User ids that Debian and systemd leave to nobody in particular: one is used as root."""
PYTHON = "/usr/bin/python3"
"""What runs inside; it has to be in /usr."""
CHUNK = 1 << 16
NETWORK = ("resolv.conf", "hosts", "nsswitch.conf", "ssl", "ca-certificates")
"""What of /etc is shown where the network is shared."""
NOT_COPIED = (".git",)
"""What of a folder does not go in."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What code in the sandbox may use.

    Raises:
        SettingError: a limit out of range.
    """

    seconds: float = 60.0
    """Wall clock, after which everything is killed."""
    memory_mb: int = 1024
    """Address space of one process, in MiB."""
    processes: int = 64
    """At a time."""
    disk_mb: int = 128
    """Of all files in `/task` together, in MiB; they are in memory."""
    output_mb: int = 8
    """Of standard output and error together, in MiB; more ends the run."""

    def __post_init__(self) -> None:
        require("seconds", self.seconds, 0.05, 86_400)
        require("memory_mb", self.memory_mb, 64, 1 << 20)
        require("processes", self.processes, 4, 4096)
        require("disk_mb", self.disk_mb, 1, 1 << 16)
        require("output_mb", self.output_mb, 1, 1 << 12)


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
    """Which limit ended it: seconds, output or disk; or `the sandbox` where it broke."""


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
    """
    limits = limits or Limits()
    tool = shutil.which("bwrap")
    if tool is None:
        raise MissingPackageError(f"agents' code runs in bubblewrap only: {INSTALL}")
    inside = files("counterpoint.team").joinpath("inside.py").read_bytes()
    told = {
        "command": list(command), "env": dict(env or {}), **asdict(limits),
    }  # fmt: skip
    feed = json.dumps(told).encode() + b"\n" + _archive(content)
    script, result = os.pipe(), os.pipe()
    try:
        os.write(script[1], inside)  # shorter than a pipe holds
        os.close(script[1])
        line = [*_private_user(), tool, *_walls(limits, readable, network, script[0]),
                PYTHON, "-I", "-S", "/inside.py", str(result[1])]  # fmt: skip
        begun = time.monotonic()
        process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={},
            pass_fds=(script[0], result[1]), start_new_session=True, cwd="/",
        )  # fmt: skip
    finally:
        os.close(script[0])
        os.close(result[1])
    try:
        told_back, stopped = _converse(process, feed, result[0], limits, begun)
    finally:
        os.close(result[0])
        _end(process)
    output, errors, archive = told_back
    seconds = time.monotonic() - begun
    status: int | None = None
    changed: dict[str, bytes] = {}
    removed: list[str] = []
    if not stopped:
        try:
            status, changed, removed = _opened(archive)
        except (ValueError, LookupError, TypeError, tarfile.TarError, EOFError):
            stopped = "the sandbox"
    return Ended(status, output.decode(errors="replace"), errors.decode(errors="replace"), seconds,
                 changed, tuple(removed), stopped)  # fmt: skip


def _private_user() -> list[str]:
    """As root, what gives root up; each process of ours has a user id of its own."""
    if os.geteuid() != 0:
        return []
    low, high = PRIVATE_UIDS
    uid = str(low + os.getpid() % (high - low))
    return [str(shutil.which("setpriv")), "--reuid", uid, "--regid", uid, "--clear-groups",
            "--no-new-privs"]  # fmt: skip


def _walls(limits: Limits, readable: Sequence[Path], network: bool, script: int) -> list[str]:
    walls = [
        "--unshare-user", "--unshare-all", "--disable-userns", "--cap-drop", "ALL",
        "--die-with-parent", "--new-session", "--hostname", "sandbox",
        "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev",
        "--size", str((limits.disk_mb << 20) // 8 or 1), "--tmpfs", "/tmp",
        "--size", str(limits.disk_mb << 20), "--tmpfs", "/task",
        "--ro-bind-data", str(script), "/inside.py",
    ]  # fmt: skip
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path("/", name).is_symlink():
            walls += ["--symlink", f"usr/{name}", f"/{name}"]
        elif Path("/", name).is_dir():
            walls += ["--ro-bind", f"/{name}", f"/{name}"]
    shown = ("ld.so.cache", *(NETWORK if network else ()))
    for path in (Path("/etc", name) for name in shown):
        if path.exists():
            walls += ["--ro-bind", str(path.resolve()), str(path)]
    walls += ["--share-net"] if network else []
    for folder in readable:
        real = folder.resolve()
        if str(folder.absolute()).startswith("/task"):
            raise SettingError(f"got readable folder {folder}; inside, /task is where code works")
        if not real.is_dir() or not _readable(real):
            raise SettingError(
                f"got readable folder {folder}, which is not there or not readable for everybody; "
                "wanted one that the sandbox's user can read: chmod o+rx, its parents too"
            )
        walls += ["--ro-bind", str(real), str(folder.absolute())]
    return [*walls, "--remount-ro", "/", "--chdir", "/task"]


def _readable(folder: Path) -> bool:
    """Whether the sandbox's user gets there: anybody, where this process is root."""
    if os.geteuid() != 0:
        return os.access(folder, os.R_OK | os.X_OK)
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


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


def _converse(
    process: subprocess.Popen[bytes], feed: bytes, result: int, limits: Limits, begun: float
) -> tuple[tuple[bytes, bytes, bytes], str]:
    """Feed it, read all it says up to the limits; what it said, and which limit was hit."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    said = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray(),
            result: bytearray()}  # fmt: skip
    order = list(said)
    most = limits.output_mb << 20
    most_back = (limits.disk_mb << 20) * 2 + (1 << 20)
    pending, stopped = memoryview(feed), ""
    with selectors.DefaultSelector() as watch:
        for handle in said:
            os.set_blocking(handle, False)
            watch.register(handle, selectors.EVENT_READ)
        entry = process.stdin.fileno()
        os.set_blocking(entry, False)
        watch.register(entry, selectors.EVENT_WRITE)
        open_ends = set(said)
        while open_ends and not stopped:
            left = begun + limits.seconds - time.monotonic()
            if left <= 0:
                stopped = "seconds"
                break
            for key, _ in watch.select(min(left, 1.0)):
                if key.fd == entry:
                    pending = _write(key.fd, pending)
                    if not pending:
                        watch.unregister(key.fd)
                        process.stdin.close()
                    continue
                data = os.read(key.fd, CHUNK)
                said[key.fd] += data
                if not data:
                    watch.unregister(key.fd)
                    open_ends.discard(key.fd)
            if sum(len(said[handle]) for handle in order[:2]) > most:
                stopped = "output"
            elif len(said[result]) > most_back:
                stopped = "disk"
    output, errors, archive = (bytes(said[handle]) for handle in order)
    return (output[:most], errors[:most], archive), stopped


def _write(handle: int, pending: memoryview) -> memoryview:
    try:
        return pending[os.write(handle, pending[:CHUNK]) :]
    except BlockingIOError:
        return pending
    except BrokenPipeError:
        return pending[:0]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left; the namespace ends with its first process."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    process.wait()


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
