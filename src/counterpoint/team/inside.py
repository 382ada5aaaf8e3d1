"""The first program in a sandbox: unpack, run the command under its limits, pack what it changed.

Standard library alone: it runs where nothing else is installed. The command cannot read it
(no core dumps, no tracing), and all that it started is killed before anything is packed.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from typing import Any

WORK = "/task"


def main() -> None:
    """Read what to do and an archive from standard input; write the result to the descriptor."""
    result = int(sys.argv[1])
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: siblings of this user do not trace it
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
        (resource.RLIMIT_NPROC, told["processes"]),
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
