"""One sandbox as a process: begin it, feed it, read what it says up to its limits, end it.

Start with `converse`.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from counterpoint.workers.inside.inside import FULL, STOPPED
from counterpoint.workers.sandbox.cgroups import ControlGroup
from counterpoint.workers.sandbox.limits import SIDE, Limits
from counterpoint.workers.sandbox.readable import require_readable

PYTHON = "/usr/bin/python3"
"""What runs inside; it has to be in /usr."""
CHUNK = 1 << 16
AROUND_SECONDS, AROUND_BYTES = 4.0, 1e7
"""For laying out files and packing them, beside what the command may take; and one more second
for so many bytes that go in."""
OnOutput = Callable[[bytes], None]
PATIENCE_SECONDS = 5.0
"""For a sandbox to end that has said all it had to say."""
PRIVATE_UIDS = 61_000, 61_184
"""User ids that Debian and systemd leave to nobody in particular: one is used as root."""
NETWORK = ("resolv.conf", "hosts", "nsswitch.conf", "ssl", "ca-certificates")
"""What of /etc is shown where the network is shared."""


@dataclass(frozen=True)
class SandboxOutput:
    """What came out of a sandbox, none of it to be trusted but for how it ended."""

    output: bytes
    """Standard output, up to the limit."""
    errors: bytes
    """Standard error, up to the limit."""
    result: bytes
    """What its first program packed."""
    seconds: float
    """Wall clock."""
    stopped: str
    """The limit that ended it; nothing if it ended by itself."""
    met: str
    """The limit that it met and went on: the command may have failed because of it."""


def run_bubblewrap(
    tool: str, limits: Limits, readable: Sequence[Path], network: bool, feed: bytes,
    shown: Mapping[str, bytes], objects: int, hear: OnOutput | None = None,
) -> SandboxOutput:  # fmt: skip
    """Begin a sandbox, feed it, and read all it says; nothing of it runs on afterwards.

    The first program inside is told when it has to be over, on the clock that is the same in all
    namespaces, and has the reading end of a pipe that only this process holds open for writing.

    Args:
        tool: bubblewrap.
        limits: what everything inside may use.
        readable: folders that can be read inside.
        network: whether the machine's network is shared.
        feed: standard input of the first program.
        shown: path inside to files that can only be read; `/inside.py` is the first program.
        objects: bytes of git's objects, which are not charged to the limits.
        hear: called with output and errors as they come.

    Raises:
        SettingError: as `walls`.
        OSError: this machine has no more processes, descriptors or control groups to give.
    """
    with ControlGroup(limits.total_memory + objects, limits.total_processes) as group:
        begun = time.monotonic()
        line = [*group.enter(), *private_user(), tool]
        room = (limits.disk_mb << 20) + objects
        handles = {path: _memory_file(data) for path, data in shown.items()}
        try:
            line += bubblewrap_arguments(limits.disk_mb, room, readable, network, handles)
            process, result, lifeline = _start(
                line, limits, handles, begun + _most_seconds(limits, feed)
            )
        finally:
            for handle in handles.values():
                os.close(handle)
        stopped = "the sandbox"
        try:
            (output, errors, packed), stopped = _exchange(
                process, feed, result, limits, begun, hear
            )
        finally:
            os.close(result)
            status = _end(process, lifeline, patience=0.0 if stopped else PATIENCE_SECONDS)
        hit = group.hit()
    stopped = stopped or STOPPED.get(status, "")
    met = "memory" if "memory" in hit else "disk" if status == FULL else ""
    met = met or ("processes" if "processes" in hit else "")
    return SandboxOutput(output, errors, packed, time.monotonic() - begun, stopped, met)


def _most_seconds(limits: Limits, feed: bytes) -> float:
    """Seconds from its start after which a sandbox is over, whatever goes on inside."""
    return limits.seconds + AROUND_SECONDS + len(feed) / AROUND_BYTES


def _start(
    before: Sequence[str], limits: Limits, handles: Mapping[str, int], deadline: float
) -> tuple[subprocess.Popen[bytes], int, int]:
    """The process, the descriptor on which its result comes, and the one that keeps it alive."""
    result, lifeline = os.pipe(), os.pipe()
    try:
        line = [*before, PYTHON, "-I", "-S", "/inside.py", str(result[1]), str(lifeline[0]),
                repr(deadline), str(limits.files)]  # fmt: skip
        process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={},
            pass_fds=(*handles.values(), result[1], lifeline[0]), start_new_session=True, cwd="/",
        )  # fmt: skip
    except BaseException:
        os.close(result[0])
        os.close(lifeline[1])
        raise
    finally:
        for handle in (result[1], lifeline[0]):
            os.close(handle)
    return process, result[0], lifeline[1]


def _memory_file(data: bytes) -> int:
    """A descriptor from which these bytes can be read."""
    handle = os.memfd_create("given")
    with os.fdopen(os.dup(handle), "wb") as file:
        file.write(data)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _exchange(
    process: subprocess.Popen[bytes],
    feed: bytes,
    result: int,
    limits: Limits,
    begun: float,
    hear: OnOutput | None,
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
    pending, stopped, end = memoryview(feed), "", begun + _most_seconds(limits, feed)
    with selectors.DefaultSelector() as watch:
        for handle in said:
            os.set_blocking(handle, False)
            watch.register(handle, selectors.EVENT_READ)
        entry = process.stdin.fileno()
        os.set_blocking(entry, False)
        watch.register(entry, selectors.EVENT_WRITE)
        open_ends = set(said)
        while open_ends and not stopped:
            left = end - time.monotonic()
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
                if hear is not None and data and key.fd != result:
                    hear(data)
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


def _end(process: subprocess.Popen[bytes], lifeline: int, patience: float) -> int:
    """Kill whatever is left, after some patience; the status of the sandbox's first program.

    What is in a session of its own inside ends with bubblewrap, or as its lifeline is closed.
    """
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    os.close(lifeline)
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    return process.wait()


def bubblewrap_arguments(
    disk_mb: int, room: int, readable: Sequence[Path], network: bool, shown: Mapping[str, int]
) -> list[str]:
    """The arguments of bubblewrap, up to the command.

    Bubblewrap's own `--die-with-parent` is not among them: it is set too late for a parent that
    is killed while bubblewrap starts, and can leave a half-made sandbox behind. The first program
    inside watches for the death of its parent instead (`inside.py`). It is process 1 there, which
    nothing inside can stop or kill.

    Args:
        disk_mb: size of what is written, in MiB, of which /tmp and /dev/shm have a part each.
        room: size of /task, in bytes: the same, and git's objects.
        readable: folders that can be read inside, at the same place.
        network: share the machine's network.
        shown: path inside to a descriptor from which a file that can only be read is made.

    Raises:
        SettingError: as `require_readable`.
    """
    side = str(max((disk_mb << 20) // SIDE, 1 << 16))
    line = [
        "--unshare-user", "--unshare-all", "--disable-userns", "--cap-drop", "ALL",
        "--as-pid-1", "--new-session", "--hostname", "sandbox",
        "--ro-bind", "/usr", "/usr", "--proc", "/proc",
        "--dev", "/dev", "--size", side, "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
        "--size", side, "--tmpfs", "/tmp", "--size", str(room), "--tmpfs", "/task",
        "--size", str(room), "--tmpfs", "/setup",
    ]  # fmt: skip
    for inside, handle in shown.items():
        line += ["--ro-bind-data", str(handle), inside]
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path("/", name).is_symlink():
            line += ["--symlink", f"usr/{name}", f"/{name}"]
        elif Path("/", name).is_dir():
            line += ["--ro-bind", f"/{name}", f"/{name}"]
    named = ("ld.so.cache", *(NETWORK if network else ()))
    for path in (Path("/etc", name) for name in named):
        if path.exists():
            line += ["--ro-bind", str(path.resolve()), str(path)]
    line += ["--share-net"] if network else []
    for folder in readable:
        line += ["--ro-bind", str(require_readable(folder)), os.path.normpath(folder.absolute())]
    return [*line, "--remount-ro", "/", "--chdir", "/task"]


def private_user() -> list[str]:
    """As root, the command that gives root up; each process of ours has a user id of its own."""
    if os.geteuid() != 0:
        return []
    low, high = PRIVATE_UIDS
    uid = str(low + os.getpid() % (high - low))
    return [str(shutil.which("setpriv")), "--reuid", uid, "--regid", uid, "--clear-groups",
            "--no-new-privs"]  # fmt: skip
