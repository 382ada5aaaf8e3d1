"""Which processes are alive, told by a marker in what belongs to them."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path


def alive(marker: Path) -> list[int]:
    """Processes that have the marker in their command line, environment or mounts."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            for name in ("cmdline", "environ", "mountinfo"):
                with contextlib.suppress(OSError):
                    if marker.name.encode() in (entry / name).read_bytes():
                        found.append(int(entry.name))
                        break
    return found


def until(true, seconds: float) -> bool:
    """Whether something is true before so many seconds are over."""
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.05)
    return bool(found)


def zombies(pids: set[int]) -> set[int]:
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            found |= {pid} if state == "Z" else set()
    return found
