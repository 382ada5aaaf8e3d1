"""One sandbox as a process: begin it, feed it, read what it says up to its limits, end it.

Start with `converse`.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from counterpoint.workers.inside.inside import FULL, STOPPED
from counterpoint.workers.sandbox.cgroups import Group
from counterpoint.workers.sandbox.limits import Limits
from counterpoint.workers.sandbox.walls import private_user, walls

PYTHON = "/usr/bin/python3"
"""What runs inside; it has to be in /usr."""
CHUNK = 1 << 16
AROUND_SECONDS, AROUND_BYTES = 4.0, 1e7
"""For laying out files and packing them, beside what the command may take; and one more second
for so many bytes that go in."""
Hear = Callable[[bytes], None]
PATIENCE_SECONDS = 5.0
"""For a sandbox to end that has said all it had to say."""


@dataclass(frozen=True)
class Said:
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


def converse(
    tool: str, limits: Limits, readable: Sequence[Path], network: bool, feed: bytes,
    shown: Mapping[str, bytes], objects: int, hear: Hear | None = None,
) -> Said:  # fmt: skip
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
    with Group(limits.total_memory + objects, limits.total_processes) as group:
        begun = time.monotonic()
        line = [*group.enter(), *private_user(), tool]
        room = (limits.disk_mb << 20) + objects
        handles = {path: _in_memory(data) for path, data in shown.items()}
        try:
            line += walls(limits.disk_mb, room, readable, network, handles)
            process, result, lifeline = _begun(
                line, limits, handles, begun + _most_seconds(limits, feed)
            )
        finally:
            for handle in handles.values():
                os.close(handle)
        stopped = "the sandbox"
        try:
            (output, errors, packed), stopped = _heard(process, feed, result, limits, begun, hear)
        finally:
            os.close(result)
            status = _end(process, lifeline, patience=0.0 if stopped else PATIENCE_SECONDS)
        hit = group.hit()
    stopped = stopped or STOPPED.get(status, "")
    met = "memory" if "memory" in hit else "disk" if status == FULL else ""
    met = met or ("processes" if "processes" in hit else "")
    return Said(output, errors, packed, time.monotonic() - begun, stopped, met)


def _most_seconds(limits: Limits, feed: bytes) -> float:
    """Seconds from its start after which a sandbox is over, whatever goes on inside."""
    return limits.seconds + AROUND_SECONDS + len(feed) / AROUND_BYTES


def _begun(
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


def _in_memory(data: bytes) -> int:
    """A descriptor from which these bytes can be read."""
    handle = os.memfd_create("given")
    with os.fdopen(os.dup(handle), "wb") as file:
        file.write(data)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _heard(
    process: subprocess.Popen[bytes],
    feed: bytes,
    result: int,
    limits: Limits,
    begun: float,
    hear: Hear | None,
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
