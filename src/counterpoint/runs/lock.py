"""One process at a time in a run directory: a lock that ends with its process, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

from counterpoint.errors import BusyError, OutputError
from counterpoint.machine.files import read_ordinary
from counterpoint.machine.locks import FileLock, lock_file
from counterpoint.machine.locks import is_locked as is_locked

_TRIES = 5
_PAUSE_SECONDS = 0.05
_BEGIN = b'{"pid":'
"""How the content of a lock that is held begins."""


class Lock:
    """An exclusive lock on a file, held until `release` or until the process is gone.

    The file says who holds it; it stays when the lock is released, because deleting it would let
    two processes hold locks on two files of one name.

    Raises:
        BusyError: another process holds it: which, where, and since when.
        OutputError: the file cannot be written, or is somebody's own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._lock = self._take()
        except OSError as error:
            raise OutputError(
                f"could not write {path} ({error.strerror or error}); wanted a folder that can be "
                "written to: choose another one"
            ) from error
        if not _is_ours(path):
            self._lock.release()
            raise OutputError(
                f"{path} is there, and no command of counterpoint wrote it; choose another folder"
            )
        facts = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        # if the disk is full, the lock holds, and only its story is missing
        with contextlib.suppress(OSError), path.open("r+b") as file:
            file.write(json.dumps(facts).encode() + b"\n")
            file.truncate()

    def _take(self) -> FileLock:
        for attempt in range(_TRIES):
            try:
                return lock_file(self.path)
            except BlockingIOError:
                if attempt == _TRIES - 1:
                    raise BusyError(
                        f"{self.path.parent} is in use by {_holder(self.path)}; "
                        "wait until it has ended, or stop it"
                    ) from None
                time.sleep(_PAUSE_SECONDS)  # `is_locked` of others holds it for a moment
        raise AssertionError("the last try returns or raises")

    def release(self) -> None:
        """Lets others in, and empties the file; a second call does nothing."""
        self._lock.release(empty=True)


def _is_ours(path: Path) -> bool:
    """Returns whether a file is as a lock leaves it: empty, or with facts about a process, of which
    a power loss may have kept a part."""
    try:
        data = read_ordinary(path).strip(b"\0 \n")
    except OSError:
        return False
    return data.startswith(_BEGIN) or _BEGIN.startswith(data)


def _holder(path: Path) -> str:
    try:
        facts = json.loads(read_ordinary(path))
        return f"process {facts['pid']} on {facts['host']} since {facts['since']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
