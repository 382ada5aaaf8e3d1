"""Locks on files, which end with the process that holds them, however it ends.

Start at `FileLock`. Where the system has `flock`, it locks the file itself. Elsewhere SQLite locks
a database beside it, `NAME.db`: its locks work on every system, and end with the process too.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Protocol

from counterpoint.machine.modules import module_or_none

fcntl = module_or_none("fcntl")
FOREVER_SECONDS = 1e6
"""How long a lock is waited for where the system has no `flock`."""


class FileLock(Protocol):
    """A lock on a file; it is held until `release`, or until the process is gone."""

    def release(self, *, empty: bool = False) -> None:
        """Lets others in; a second call does nothing.

        Args:
            empty: whether the file is emptied first, wherever it is now.
        """


def lock_file(path: Path, *, shared: bool = False, wait: bool = False) -> FileLock:
    """Returns a lock on a file, which is made if it is missing and is not written to.

    Args:
        path: the file.
        shared: let others hold a shared lock at the same time.
        wait: wait until the lock is free.

    Raises:
        BlockingIOError: another process, or another lock of this one, holds it.
        OSError: the file cannot be made.
    """
    if fcntl is None:
        path.touch()
        return _Database(path, shared=shared, wait=wait)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        lock = _Flock(handle, shared=shared, wait=wait)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return lock
        lock.release()  # its holder has removed the file, and a lock on that keeps nobody out


def is_locked(path: Path) -> bool:
    """Returns whether a process holds an exclusive lock on this file now."""
    try:
        if fcntl is not None:
            _Flock(os.open(path, os.O_RDONLY), shared=True, wait=False).release()
        elif _database_of(path).exists():
            _Database(path, shared=True, wait=False).release()
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def hold(handle: int) -> None:
    """Locks an open file until it is closed, so that `is_locked` of others is true.

    Nothing happens where the system has no `flock`: Windows deletes no file that is open.
    """
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX)


def files_of(path: Path) -> tuple[Path, ...]:
    """Returns the files that a lock on this one may leave, whatever the system."""
    database = _database_of(path)
    return path, database, database.with_name(f"{database.name}-journal")


class _Flock:
    """A lock by `flock`, which belongs to the open file and not to the process."""

    def __init__(self, handle: int, *, shared: bool, wait: bool) -> None:
        self._handle: int | None = handle
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
        except BaseException:
            self.release()
            raise

    def release(self, *, empty: bool = False) -> None:
        """Lets others in; a second call does nothing."""
        if self._handle is not None:
            if empty:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


class _Database:
    """A lock by SQLite: an open transaction on an empty database beside the file."""

    def __init__(self, path: Path, *, shared: bool, wait: bool) -> None:
        self._path = path
        try:
            self._database = sqlite3.connect(
                _database_of(path),
                timeout=FOREVER_SECONDS if wait else 0,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from error
        try:
            if shared:
                self._database.execute("BEGIN")
                self._database.execute("SELECT 1 FROM sqlite_master").fetchall()
            else:
                self._database.execute("BEGIN EXCLUSIVE")
        except BaseException as error:
            self.release()
            if not isinstance(error, sqlite3.Error):
                raise
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise BlockingIOError(f"{path} is locked") from None
            raise OSError(f"{path}: {error}") from error

    def release(self, *, empty: bool = False) -> None:
        """Lets others in; a second call does nothing."""
        if empty:
            with contextlib.suppress(OSError, sqlite3.Error):
                self._database.execute("SELECT 1")  # an error if it was released
                os.truncate(self._path, 0)
        self._database.close()


def _database_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.db")
