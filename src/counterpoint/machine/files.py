"""Files: what follows the umask, and what needs a flag or a step of its own on some systems."""

from __future__ import annotations

import os
from errno import EINVAL
from pathlib import Path
from stat import S_ISBLK, S_ISCHR, S_ISFIFO, S_ISSOCK

BINARY: int = getattr(os, "O_BINARY", 0)
"""Flag of `os.open` without which Windows writes two bytes for each line end."""


def open_to_write(path: Path, flags: int = os.O_CREAT | os.O_EXCL, *, read: bool = False) -> int:
    """Returns the descriptor of a file to write bytes to; its mode follows the umask.

    Args:
        path: the file.
        flags: of `os.open`, besides those for writing bytes; by default the file must be new.
        read: whether it is read, too.

    Raises:
        OSError: it cannot be made or opened.
    """
    return os.open(path, (os.O_RDWR if read else os.O_WRONLY) | BINARY | flags, 0o666)


_GIVEN = ("/dev/fd/", "/dev/std", "/proc/self/fd/")
"""Where a shell shows what it connects to a command: `<(zcat log.gz)`, and the standard streams."""


def special_file(path: str | os.PathLike[str]) -> str:
    """Returns what a path is, if it is neither a file nor a folder: `a pipe`, `a device`; or "".

    Reading one might never end. What a shell has connected is not named, nor what is not there.
    """
    if os.fspath(path).startswith(_GIVEN):
        return ""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return ""
    kinds = {"a pipe": S_ISFIFO, "a device": S_ISCHR, "a socket": S_ISSOCK}
    kind = next((kind for kind, is_kind in kinds.items() if is_kind(mode)), "")
    return "a device" if S_ISBLK(mode) else kind


def read_ordinary(path: Path) -> bytes:
    """Returns the bytes of a file; a pipe or a device is never waited for.

    Raises:
        OSError: it cannot be read, or is none; see `special_file`.
    """
    if kind := special_file(path):
        raise OSError(EINVAL, f"is {kind}", str(path))
    return path.read_bytes()


def sync_folder(folder: Path) -> None:
    """Returns when the names in a folder are on the disk.

    Windows opens no folder as a file, and writes names without being asked.

    Raises:
        OSError: they cannot be written.
    """
    if os.name != "nt":
        sync_file(folder)


def sync_file(path: Path) -> None:
    """Returns when the content of a file that somebody else wrote is on the disk.

    Raises:
        OSError: it cannot be written.
    """
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
