"""One sandbox as a process: start it, feed it, read its output up to its limits, end it.

Start with `run_bubblewrap`.
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
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from counterpoint.settings import require
from counterpoint.workers.inside.inside import FULL, STOPPED
from counterpoint.workers.sandbox.cgroups import ControlGroup
from counterpoint.workers.sandbox.readable import require_readable

PYTHON = "/usr/bin/python3"
"""What runs inside; it has to be in /usr."""
CHUNK = 1 << 16
AROUND_SECONDS, AROUND_BYTES = 4.0, 1e7
"""Seconds for laying out files and packing them, beside what the command may take; and one more
second for so many bytes that go in."""
OnOutput = Callable[[bytes], None]
"""What gets output and errors as they come."""
PATIENCE_SECONDS = 5.0
"""For a sandbox to end after its last output."""
PRIVATE_UIDS = 61_000, 61_184
"""User ids that Debian and systemd leave to nobody in particular: one is used as root."""
NETWORK = ("resolv.conf", "hosts", "nsswitch.conf", "ssl", "ca-certificates")
"""What of /etc is shown where the network is shared."""
SIDE = 8
"""/tmp and /dev/shm have this part of the size of /task each."""
OWN_PROCESSES = 4
"""Processes of the sandbox itself: bubblewrap, the watch, the packer, and its thread or git."""
OWN_MB = 64
"""Memory of these, in MiB."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of code in the sandbox.

    Raises:
        SettingError: a limit out of range.
    """

    seconds: float = 60.0
    """Wall clock, after which everything is killed."""
    memory_mb: int = 1024
    """Memory of all processes together, in MiB, where this machine has control groups (see
    `cgroups.not_enforced`); elsewhere the address space of each one, of which programs on Node
    reserve 10 GiB and more. Files come on top."""
    processes: int = 256
    """Processes and threads at a time."""
    disk_mb: int = 128
    """Size of all files in `/task` together, in MiB; they are in memory. `/tmp` and `/dev/shm` have
    an eighth of that each."""
    files: int = 100_000
    """Files, folders and links at a time; a few more are made before the sandbox is ended."""
    output_mb: int = 8
    """Size of standard output and error together, in MiB; more ends the run."""

    def __post_init__(self) -> None:
        require("seconds", self.seconds, 0.05, 86_400)
        require("memory_mb", self.memory_mb, 64, 1 << 20)
        require("processes", self.processes, 4, 4096)
        require("disk_mb", self.disk_mb, 1, 1 << 16)
        require("files", self.files, 16, 1 << 24)
        require("output_mb", self.output_mb, 1, 1 << 12)

    def named(self, stopped: str) -> str:
        """Returns a limit with its value, as a plan sets it: `memory (memory_mb=1024)`."""
        if stopped == "seconds":
            return f"seconds ({self.seconds:g})"
        name = {"memory": "memory_mb", "disk": "disk_mb", "output": "output_mb"}.get(
            stopped, stopped
        )
        value = getattr(self, name, None)
        return stopped if value is None else f"{stopped} ({name}={value})"


@dataclass(frozen=True, kw_only=True)
class SandboxInputs:
    """Inputs of a command in a sandbox besides the content of `/task`."""

    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment, besides PATH, HOME and LANG."""
    readable: Sequence[Path] = ()
    """Folders of this machine that can be read inside, at the same place. They have to be readable
    for everybody if this process is root."""
    network: bool = False
    """Whether the machine's network is shared, names and certificates included."""
    shown: Mapping[str, bytes] = field(default_factory=dict)
    """Path inside to files that can only be read."""
    untracked: Mapping[str, bytes] = field(default_factory=dict)
    """Files in the work folder that are not part of the work: they are hidden from git, where the
    commit has none of that name, and never come out."""
    stdin: bytes = b""
    """Standard input of the command."""
    report: bool = False
    """Whether a runner of tests can report, to the descriptor in COUNTERPOINT_REPORT."""


@dataclass(frozen=True)
class SandboxOutput:
    """The output of a sandbox; only how it ended can be trusted."""

    output: bytes
    """Standard output, up to the limit."""
    errors: bytes
    """Standard error, up to the limit."""
    result: bytes
    """The result that the first program packed."""
    seconds: float
    """Wall clock."""
    stopped: str
    """The limit that ended it; "" if it ended by itself."""
    met: str
    """A limit that it reached without being ended: the command may have failed because of it."""


def run_bubblewrap(
    tool: str, limits: Limits, inputs: SandboxInputs, feed: bytes, objects: int,
    on_output: OnOutput | None = None,
) -> SandboxOutput:  # fmt: skip
    """Starts a sandbox, feeds it, and returns all its output; nothing of it runs on afterwards.

    The first program inside gets a deadline on the clock that is the same in all namespaces. It
    also gets the reading end of a pipe that only this process holds open for writing.

    Args:
        tool: path of bubblewrap.
        limits: limits of everything inside.
        inputs: inputs besides the feed.
        feed: standard input of the first program, `/inside.py`.
        objects: bytes of git's objects, which are not charged to the limits.
        on_output: called with output and errors as they come.

    Raises:
        SettingError: as `bubblewrap_arguments`.
        OSError: this machine has no more processes, descriptors or control groups to give.
    """
    program = files("counterpoint.workers.inside").joinpath("inside.py").read_bytes()
    # the group counts everything: processes, files in memory, git's objects, the sandbox itself
    disks_mb = limits.disk_mb + 2 * limits.disk_mb // SIDE
    memory = ((limits.memory_mb + disks_mb + OWN_MB) << 20) + objects
    with ControlGroup(memory, limits.processes + OWN_PROCESSES) as group:
        begun = time.monotonic()
        deadline = begun + limits.seconds + AROUND_SECONDS + len(feed) / AROUND_BYTES
        shown = {"/inside.py": program, **inputs.shown}
        handles = {path: _memory_file(data) for path, data in shown.items()}
        try:
            line = [*group.enter(), *private_user(), tool]
            line += bubblewrap_arguments(limits.disk_mb, objects, inputs, handles)
            process, result, lifeline = _start(line, limits, handles, deadline)
        finally:
            for handle in handles.values():
                os.close(handle)
        stopped = "the sandbox"
        try:
            streams, stopped = _exchange(process, feed, result, limits, deadline, on_output)
        finally:
            os.close(result)
            status = _end(process, lifeline, patience=0.0 if stopped else PATIENCE_SECONDS)
        hit = group.hit()
    stopped = stopped or STOPPED.get(status, "")
    met = "memory" if "memory" in hit else "disk" if status == FULL else ""
    met = met or ("processes" if "processes" in hit else "")
    return SandboxOutput(*streams, time.monotonic() - begun, stopped, met)


def _start(
    before: Sequence[str], limits: Limits, handles: Mapping[str, int], deadline: float
) -> tuple[subprocess.Popen[bytes], int, int]:
    """Returns the process, the descriptor of its result, and the one that keeps it alive."""
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
    """Returns a descriptor from which these bytes can be read."""
    handle = os.memfd_create("given")
    with os.fdopen(os.dup(handle), "wb") as file:
        file.write(data)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _exchange(
    process: subprocess.Popen[bytes], feed: bytes, result: int, limits: Limits, deadline: float,
    on_output: OnOutput | None,
) -> tuple[tuple[bytes, bytes, bytes], str]:  # fmt: skip
    """Feeds the process and reads its streams up to the limits.

    Returns its output, its errors and its packed result, and the name of the limit it reached.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    streams = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray(),
               result: bytearray()}  # fmt: skip
    order = list(streams)
    most, most_back = limits.output_mb << 20, (limits.disk_mb << 20) * 2 + (1 << 20)
    pending, stopped = memoryview(feed), ""
    # one loop for all ends: a sandbox that reads nothing, or fills one pipe, must not stall it
    with selectors.DefaultSelector() as watch:
        for handle in streams:
            os.set_blocking(handle, False)
            watch.register(handle, selectors.EVENT_READ)
        entry = process.stdin.fileno()
        os.set_blocking(entry, False)
        watch.register(entry, selectors.EVENT_WRITE)
        open_ends = set(streams)
        while open_ends and not stopped:
            left = deadline - time.monotonic()
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
                streams[key.fd] += data
                if on_output is not None and data and key.fd != result:
                    on_output(data)
                if not data:
                    watch.unregister(key.fd)
                    open_ends.discard(key.fd)
            if sum(len(streams[handle]) for handle in order[:2]) > most:
                stopped = "output"
            elif len(streams[result]) > most_back:
                stopped = "disk"
    output, errors, packed = (bytes(streams[handle]) for handle in order)
    return (output[:most], errors[:most], packed), stopped


def _write(handle: int, pending: memoryview) -> memoryview:
    try:
        return pending[os.write(handle, pending[:CHUNK]) :]
    except BlockingIOError:
        return pending
    except BrokenPipeError:
        return pending[:0]


def _end(process: subprocess.Popen[bytes], lifeline: int, patience: float) -> int:
    """Kills whatever is left, after some patience; returns the status of the first program.

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
    disk_mb: int, objects: int, inputs: SandboxInputs, handles: Mapping[str, int]
) -> list[str]:
    """Returns the arguments of bubblewrap, up to the command.

    Bubblewrap's own `--die-with-parent` is not among them: it is set too late for a parent that
    is killed while bubblewrap starts, and can leave a half-made sandbox behind. The first program
    inside watches for the death of its parent instead (`inside.py`). It is process 1 there, which
    nothing inside can stop or kill.

    Args:
        disk_mb: size of all that is written, in MiB, of which /tmp and /dev/shm have a part each.
        objects: bytes of git's objects, for which /task has more room.
        inputs: folders that can be read inside, and whether the machine's network is shared.
        handles: path inside to the descriptor of a file that can only be read.

    Raises:
        SettingError: as `require_readable`.
    """
    room = str((disk_mb << 20) + objects)
    side = str(max((disk_mb << 20) // SIDE, 1 << 16))
    line = [
        "--unshare-user", "--unshare-all", "--disable-userns", "--cap-drop", "ALL",
        "--as-pid-1", "--new-session", "--hostname", "sandbox",
        "--ro-bind", "/usr", "/usr", "--proc", "/proc",
        "--dev", "/dev", "--size", side, "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
        "--size", side, "--tmpfs", "/tmp", "--size", room, "--tmpfs", "/task",
        "--size", room, "--tmpfs", "/setup",
    ]  # fmt: skip
    for inside, handle in handles.items():
        line += ["--ro-bind-data", str(handle), inside]
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path("/", name).is_symlink():
            line += ["--symlink", f"usr/{name}", f"/{name}"]
        elif Path("/", name).is_dir():
            line += ["--ro-bind", f"/{name}", f"/{name}"]
    named = ("ld.so.cache", *(NETWORK if inputs.network else ()))
    for path in (Path("/etc", name) for name in named):
        if path.exists():
            line += ["--ro-bind", str(path.resolve()), str(path)]
    line += ["--share-net"] if inputs.network else []
    for folder in inputs.readable:
        line += ["--ro-bind", str(require_readable(folder)), os.path.normpath(folder.absolute())]
    return [*line, "--remount-ro", "/", "--chdir", "/task"]


def private_user() -> list[str]:
    """Returns the command that gives root up, if we are root; each process has its own user."""
    if os.geteuid() != 0:
        return []
    low, high = PRIVATE_UIDS
    uid = str(low + os.getpid() % (high - low))
    return [str(shutil.which("setpriv")), "--reuid", uid, "--regid", uid, "--clear-groups",
            "--no-new-privs"]  # fmt: skip
