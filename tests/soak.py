"""Memory and open files of this process at work: their slopes, and 24 hours ahead."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import time

import numpy as np

SECONDS = float(os.environ.get("COUNTERPOINT_SOAK_SECONDS", "1800"))
DAY_SECONDS = 86_400
HAS_PROC = os.path.exists("/proc/self/statm")


class Growth:
    """Samples of a process that counts its own steps."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.rows: list[tuple[float, float, float, int]] = []

    def note(self, step: float) -> None:
        """Sample memory in MB and open files at a step.

        What the program has given back counts as free: glibc keeps pages for each thread, up to a
        bound that a server with a thread a request reaches within an hour.
        """
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        with open("/proc/self/statm", encoding="ascii") as told:
            memory = int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        seconds = time.monotonic() - self.begun
        self.rows.append((step, seconds, memory, len(os.listdir("/proc/self/fd"))))

    def is_over(self) -> bool:
        return time.monotonic() - self.begun > SECONDS

    def ahead(self, steps: float = 0.0) -> tuple[float, float]:
        """Return the growth in MB and in open files in so many steps, or else in 24 hours, by a
        line through all samples but the first fifth: what is kept from the start on is no leak."""
        step, seconds, memory, files = np.array(self.rows[len(self.rows) // 5 :]).T
        along, width = (step, steps) if steps else (seconds, DAY_SECONDS)
        return tuple(float(np.polyfit(along, values, 1)[0]) * width for values in (memory, files))

    def told(self) -> str:
        """Return what was measured in words."""
        memory, files = self.ahead()
        step, seconds = self.rows[-1][:2]
        return (f"{seconds / 60:.0f} minutes, {step:,.0f} steps: {memory:+.1f} MB and "
                f"{files:+.1f} open files in 24 hours")  # fmt: skip
