"""A folder that a process works in, followed when somebody moves it.

Where the system has descriptors of folders and says their names (Linux, macOS), the folder is held
by its descriptor. Elsewhere it is known by its path alone: a moved folder counts as deleted.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from counterpoint.machine.modules import module_or_none


class HeldFolder:
    """A folder that may be moved or deleted meanwhile.

    Args:
        path: where it is now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None
        with contextlib.suppress(OSError, AttributeError):  # Windows opens no folder
            self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    @property
    def path(self) -> Path:
        """Where the folder is now, or where it was last if it is gone."""
        self.is_there()
        return self._path

    def is_there(self) -> bool:
        """Returns whether the folder still has a path, after looking for where it was moved."""
        if self._handle is None:
            return self._path.is_dir()
        held = os.fstat(self._handle)
        if _is(self._path, held):
            return True
        named = _name_of(self._handle)
        if named is None or not _is(named, held):
            return False
        self._path = named
        return True

    def close(self) -> None:
        """Lets the folder go; it is known by its path from now on."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _is(path: Path, held: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), held)
    except OSError:
        return False


def _name_of(handle: int) -> Path | None:
    """Returns the path that the system knows for an open folder; None if it does not say."""
    with contextlib.suppress(OSError):
        return Path(os.readlink(f"/proc/self/fd/{handle}"))
    with contextlib.suppress(OSError, AttributeError):
        fcntl = module_or_none("fcntl")
        name: bytes = fcntl.fcntl(handle, fcntl.F_GETPATH, bytes(1024))
        return Path(os.fsdecode(name.rstrip(b"\0")))
    return None
