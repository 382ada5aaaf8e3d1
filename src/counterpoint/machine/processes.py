"""Processes: how many can work, how one begins, and how much memory it has had."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

from counterpoint.machine.modules import module_or_none
from counterpoint.machine.terminal import guard_streams

resource = module_or_none("resource")
MOST_WORKERS = 30 if sys.platform == "win32" else 10_000
"""Processes that one process can wait for: Windows waits for at most 63 things, two for each."""


def available_workers() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def user_number() -> int | None:
    """Returns the number of the user whose rights this process has; None where users have none."""
    return os.geteuid() if hasattr(os, "geteuid") else None


def begin_child() -> None:
    """Prepares a process that works for another one: call it first.

    The main process gets an interrupt of the keyboard, or the end of the terminal, and ends the
    others, so that both are ignored here. What is printed passes the same filter as in the main
    process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    guard_streams()


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kills a process that began a session of its own, and those that it has started.

    Where there are no groups of processes, it alone is killed.
    """
    with contextlib.suppress(OSError):  # all have ended
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def peak_memory() -> int | None:
    """Returns the most bytes that this process has had so far; None if the system does not say.

    Source: POSIX getrusage; its unit is a kilobyte on Linux and a byte on macOS.
    """
    if resource is None:
        return None
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
