"""`available_memory`: how much memory this process can still have."""

from __future__ import annotations

from pathlib import Path

GROUPS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Files of a control group that have its limit and its use, in both versions."""


def available_memory(root: Path = Path("/")) -> int | None:
    """Returns the bytes that programs can have now; None if the system does not say.

    Control groups (containers) may leave less than the machine has. Their caches count as used, so
    that the answer is rather too small.

    Args:
        root: folder in which `proc` and `sys` lie.

    Source: Linux, Documentation/filesystems/proc.rst and admin-guide/cgroup-v2.rst.
    """
    try:
        text = (root / "proc/meminfo").read_text(encoding="ascii")
        free = int(text.split("MemAvailable:")[1].split()[0]) * 1024
    except (OSError, ValueError, LookupError):
        return None
    return max(0, min([free, *_group_rooms(root)]))


def _group_rooms(root: Path) -> list[int]:
    """Returns what is left in each of our control groups that has a limit on memory."""
    rooms = []
    try:
        rows = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for row in rows:
        _, names, path = row.split(":", 2)
        if names and "memory" not in names.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if names else "")
        group = top / path.lstrip("/")
        # A limit holds for all groups below; in a container the path may not be there.
        for folder in (top, *(p for p in (group, *group.parents) if top in p.parents)):
            for limit, used in GROUPS:
                try:
                    rooms.append(int(_text(folder / limit)) - int(_text(folder / used)))
                except (OSError, ValueError):  # none, or `max`
                    continue
    return rooms


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii")
