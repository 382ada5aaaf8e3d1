"""Files: what follows the umask, and what needs a flag or a step of its own on some systems."""

from __future__ import annotations

import os
from pathlib import Path

BINARY: int = getattr(os, "O_BINARY", 0)
"""Flag of `os.open` without which Windows writes two bytes for each line end."""


def open_to_write(path: Path, flags: int = os.O_CREAT | os.O_EXCL) -> int:
    """Returns the descriptor of a file to write bytes to; its mode follows the umask.

    Args:
        path: the file.
        flags: of `os.open`, besides those for writing bytes; by default the file must be new.

    Raises:
        OSError: it cannot be made or opened.
    """
    return os.open(path, os.O_WRONLY | BINARY | flags, 0o666)


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
