"""The first program in a sandbox: unpack, run the command under its limits, pack what it changed.

Two processes. The watch is process 1, which nothing inside can stop or kill, and with which
everything inside ends. It ends at the deadline, as soon as whoever started the sandbox is dead,
or at too many files. The other unpacks, runs the command and packs. Standard library alone: it
runs where nothing else is installed. The command cannot read it (no core dumps, no tracing), and
all that it started is killed before anything is packed.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from typing import Any

WORK = "/task"
WRITABLE = (WORK, "/tmp", "/dev/shm")
LATE, CROWDED, ALONE, FULL = 81, 82, 83, 84
"""Status of the watch: the deadline is over, too many files, nobody is there to tell; or it ended
by itself, and a disk is full."""
STOPPED = {LATE: "seconds", CROWDED: "files"}
"""What each means for who started the sandbox."""
TICK_SECONDS = 0.1
"""How often files are counted."""


def main() -> None:
    """Begin the watch, and work in a process of its own."""
    result, lifeline, deadline, files = sys.argv[1:5]
    libc = ctypes.CDLL(None)
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: end with bubblewrap
    libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: siblings of this user do not trace it
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    worker = os.fork()
    if worker:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 gets no signal without a handler
        os._exit(watch(worker, int(lifeline), ended, float(deadline), int(files)))
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for handle in (int(lifeline), ended, wake):
        os.close(handle)
    work(int(result))


def watch(worker: int, lifeline: int, ended: int, deadline: float, files: int) -> int:
    """Wait until the sandbox has to end, and return why; nothing inside survives that.

    Args:
        worker: the process that works.
        lifeline: reading end of a pipe that ends when the parent, outside, does.
        ended: reading end of a pipe that holds something when a child has ended.
        deadline: on the monotonic clock, which is the same inside and outside.
        files: most files.
    """
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    poll.register(ended, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return LATE
        ready = [handle for handle, _ in poll.poll(1000 * min(left, TICK_SECONDS))]
        if lifeline in ready:
            return ALONE
        if ended in ready:
            os.read(ended, 4096)
        disks = [os.statvfs(path) for path in WRITABLE]
        if has_ended(worker):
            return FULL if any(d.f_bavail * d.f_bsize < 1 << 16 for d in disks) else 0
        if sum(d.f_files - d.f_ffree for d in disks) > files + len(WRITABLE):
            return CROWDED


def has_ended(worker: int) -> bool:
    """Take leave of all children that have ended; whether this one is among them."""
    with contextlib.suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            if pid == worker:
                return True
    return False


def work(result: int) -> None:
    """Read what to do and an archive from standard input; write the result to the descriptor."""
    told = json.loads(sys.stdin.buffer.readline())
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        tar.extractall(WORK, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(
            WORK
        )
    before = contents()
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **told["env"],
    }
    try:
        child = subprocess.Popen(
            told["command"],
            cwd=WORK,
            env=env,
            stdin=subprocess.DEVNULL,
            close_fds=True,
            preexec_fn=lambda: limit(told),
        )
        status = child.wait()
    except OSError as error:
        sys.stderr.write(f"{told['command'][0]}: {error.strerror}\n")
        status = 127
    sys.stderr.flush()
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # whatever it left behind
    after = contents()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in sorted(after):
            if before.get(name) != after[name]:
                tar.add(os.path.join(WORK, name), name)
    removed = sorted(set(before) - set(after))
    packed = json.dumps({"status": status, "removed": removed}).encode() + b"\n" + buffer.getvalue()
    with os.fdopen(result, "wb") as out:
        out.write(packed)


def limit(told: Mapping[str, Any]) -> None:
    """The limits of the command, set in its process before it begins."""
    memory = told["memory_mb"] << 20
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NPROC, told["processes"] + 2),  # the watch and who works count too
        (resource.RLIMIT_FSIZE, told["disk_mb"] << 20),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, int(told["seconds"]) + 2),
        (resource.RLIMIT_NOFILE, 1024),
    ):
        resource.setrlimit(kind, (most, most))


def contents() -> dict[str, str]:
    """Path to hash of every regular file in the folder; links are none."""
    found: dict[str, str] = {}
    for folder, _, names in os.walk(WORK):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                try:
                    with open(path, "rb") as file:
                        digest = hashlib.sha256(file.read()).hexdigest()
                except OSError:
                    continue
                found[os.path.relpath(path, WORK)] = digest
    return found


if __name__ == "__main__":
    main()
