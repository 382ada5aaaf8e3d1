"""One process at a time in a run directory: a lock that ends with its process, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

from counterpoint.errors import BusyError, OutputError

_TRIES = 5
_PAUSE_SECONDS = 0.05


class Lock:
    """An exclusive lock on a file, held until `release` or until the process is gone.

    The file says who holds it; it stays when the lock is released, because deleting it would let
    two processes hold locks on two files of one name.

    Raises:
        BusyError: another process holds it: which, where, and since when.
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = False
        try:
            self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OutputError(
                f"could not write {path} ({error.strerror or error}); wanted a folder that can be "
                "written to: choose another one"
            ) from error
        try:
            self._take(self._handle)
        except BaseException:
            self.release()
            raise

    def _take(self, handle: int) -> None:
        for attempt in range(_TRIES):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._held = True
                break
            except BlockingIOError:
                if attempt == _TRIES - 1:
                    raise BusyError(
                        f"{self.path.parent} is in use by {_holder(handle)}; "
                        "wait until it has ended, or stop it"
                    ) from None
                time.sleep(_PAUSE_SECONDS)  # `is_locked` of others holds it for a moment
        facts = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with contextlib.suppress(OSError):  # a full disk: the lock holds, only its story is missing
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(facts).encode() + b"\n", 0)

    def release(self) -> None:
        """Lets others in, and empties the file; a second call does nothing."""
        if self._handle is not None:
            if self._held:  # else its text is that of the holder
                with contextlib.suppress(OSError):
                    os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


def is_locked(path: Path) -> bool:
    """Returns whether a process holds the lock of this file now."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _holder(handle: int) -> str:
    try:
        facts = json.loads(os.pread(handle, 1000, 0))
        return f"process {facts['pid']} on {facts['host']} since {facts['since']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
