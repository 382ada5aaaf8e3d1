"""One total for the memory and the processes of a sandbox: a control group, where there is one.

Groups are made below the group of this process, so that whatever limits this process limits the
sandbox too. Both versions of Linux's control groups are known. Where no group can be made (an
ordinary user without a delegated group, most containers), `not_enforced` says which totals nothing
limits. Source: Linux, Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
Start with `ControlGroup`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

NAME = "counterpoint-sandbox"
TOTALS = ("memory", "processes")
_CONTROLLER = {"memory": "memory", "processes": "pids"}
_COUNT = itertools.count()
_REMOVE_SECONDS = 5.0
_JOIN = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 > "$1" || exit 125; shift; n=$((n - 1)); done'


@dataclass(frozen=True)
class GroupFolder:
    """A control group below which groups can be made."""

    folder: Path
    totals: tuple[str, ...]
    """Those of `TOTALS` that groups here limit."""
    unified: bool
    """Whether this is version 2."""


class ControlGroup:
    """A control group of one sandbox; a context manager, at whose end the group is removed.

    At most `memory` bytes and `processes` processes and threads are in it.

    Raises:
        OSError: a group cannot be made any more where one could be made before.
    """

    def __init__(self, memory: int, processes: int) -> None:
        self._parts: list[tuple[GroupFolder, Path]] = []
        try:
            for place in usable_folders():
                remove_dead_groups(place)
                self._parts.append((place, _make_group(place, memory, processes)))
        except OSError:
            self.__exit__()
            raise

    def enter(self) -> list[str]:
        """Returns the beginning of a command line that joins the group and becomes the command."""
        if not self._parts:
            return []
        files = [str(folder / "cgroup.procs") for _, folder in self._parts]
        return ["/bin/sh", "-c", _JOIN + '; exec "$@"', "sh", str(len(files)), *files]

    def hit(self) -> tuple[str, ...]:
        """Returns which totals were hit: the kernel killed for memory, or refused a process."""
        totals = []
        for place, folder in self._parts:
            for total in place.totals:
                name, key = "pids.events", "max"
                if total == "memory":
                    name = "memory.events" if place.unified else "memory.oom_control"
                    key = "oom_kill"
                with contextlib.suppress(OSError):
                    rows = dict(
                        row.split() for row in (folder / name).read_text("ascii").splitlines()
                    )
                    totals += [total] if int(rows.get(key, 0)) else []
        return tuple(sorted(totals))

    def __enter__(self) -> ControlGroup:
        return self

    def __exit__(self, *_: object) -> None:
        for _place, folder in self._parts:
            _end(folder)


def not_enforced() -> tuple[str, ...]:
    """Returns which of `TOTALS` no control group limits on this machine."""
    enforced = {total for place in usable_folders() for total in place.totals}
    return tuple(total for total in TOTALS if total not in enforced)


@functools.cache
def usable_folders() -> tuple[GroupFolder, ...]:
    """Returns the folders for groups; together they limit as much as can be limited."""
    usable: list[GroupFolder] = []
    try:
        tables = [Path("/proc/self", name).read_text("utf-8") for name in ("cgroup", "mountinfo")]
    except OSError:
        return ()
    for place in group_folders(*tables):
        new = tuple(t for t in place.totals if t not in {u for p in usable for u in p.totals})
        candidate = GroupFolder(place.folder, new, place.unified)
        if new and _works(candidate):
            usable.append(candidate)
    return tuple(usable)


def group_folders(ours: str, mounts: str) -> list[GroupFolder]:
    """Returns our own control group in each hierarchy, and in version 2 the one above it too.

    Both are read from the texts of /proc/self/cgroup and /proc/self/mountinfo.
    """
    rows = [row.split(":", 2) for row in ours.splitlines()]
    own = {name: path for _, names, path in rows for name in names.split(",")}
    folders = []
    for row in mounts.splitlines():
        left, _, right = row.partition(" - ")
        root, point = left.split()[3:5]
        kind, _, options = right.split(maxsplit=2)
        if kind == "cgroup2" and "" in own:
            folder = _below(point, root, own[""])
            # processes may not sit in a group that hands controllers on, so ours is often unfit
            folders += [GroupFolder(each, TOTALS, True) for each in (folder, folder.parent)]
        elif kind == "cgroup":
            folders += [GroupFolder(_below(point, root, own[name]), (total,), False)
                        for total, name in _CONTROLLER.items()
                        if name in options.split(",") and name in own]  # fmt: skip
    return folders


def _below(point: str, root: str, path: str) -> Path:
    """Returns the folder of a control group: its path, as seen from what is mounted."""
    inside = os.path.relpath(path, root)
    return Path(os.path.normpath(os.path.join(point, inside)))


def _works(place: GroupFolder) -> bool:
    """Returns whether a group made here takes limits and a process."""
    try:
        remove_dead_groups(place)
        folder = _make_group(place, 1 << 26, 16)
    except OSError:
        return False
    try:
        line = ["/bin/sh", "-c", _JOIN, "sh", "1", str(folder / "cgroup.procs")]
        return subprocess.run(line, capture_output=True, check=False, env={}).returncode == 0
    finally:
        _end(folder)


def _make_group(place: GroupFolder, memory: int, processes: int) -> Path:
    name = f"{NAME}.{_namespace()}.{os.getpid()}.{_started('self')}.{next(_COUNT)}"
    folder = place.folder / name
    folder.mkdir()
    # memory that is swapped out counts too, where the kernel counts it
    swap = ("memory.swap.max", 0) if place.unified else ("memory.memsw.limit_in_bytes", memory)
    values = {"processes": [("pids.max", processes)],
              "memory": [("memory.max" if place.unified else "memory.limit_in_bytes", memory),
                         *([swap] if (folder / swap[0]).exists() else [])]}  # fmt: skip
    try:
        for file, value in (row for total in place.totals for row in values[total]):
            handle = os.open(folder / file, os.O_WRONLY)  # the kernel has made the file
            try:
                os.write(handle, str(value).encode())
            finally:
                os.close(handle)
    except OSError:
        _end(folder)
        raise
    return folder


def remove_dead_groups(place: GroupFolder) -> None:
    """Removes the empty groups of our processes that were killed."""
    ours = f"{NAME}.{_namespace()}."
    with contextlib.suppress(OSError):
        for name in os.listdir(place.folder):
            pid, started = [*name.removeprefix(ours).split("."), "", ""][:2]
            if name.startswith(ours) and _started(pid) != started:
                with contextlib.suppress(OSError):  # not empty yet: the next run takes it
                    os.rmdir(place.folder / name)


def _end(folder: Path) -> None:
    """Kills what is left in the group, and removes it; a later run removes what stays."""
    until = time.monotonic() + _REMOVE_SECONDS
    while time.monotonic() < until:
        try:
            return os.rmdir(folder)
        except FileNotFoundError:
            return None
        except OSError:
            with contextlib.suppress(OSError):
                for pid in (folder / "cgroup.procs").read_text("ascii").split():
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.002)
    return None


def _namespace() -> int:
    """Returns the namespace of process ids: those of another one mean nothing here."""
    return os.stat("/proc/self/ns/pid").st_ino


def _started(pid: str) -> str:
    """Returns when a process began, in ticks, or ""; with its id this identifies the process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return fields.rpartition(")")[2].split()[19]
