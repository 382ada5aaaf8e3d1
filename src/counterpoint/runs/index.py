"""The index: one SQLite file that knows every run of this machine, for `counterpoint runs`.

It is a copy of what the run directories say, made to be thrown away: `rebuild` makes it again. So
nothing that goes wrong here stops a training run: one warning is printed, and the run goes on.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from counterpoint.errors import OutputError, RunError
from counterpoint.runs.status import RunFacts, holds_other, newest_first, read_all, read_facts

VERSION = 1
COLUMNS = tuple(name for name in RunFacts.__struct_fields__ if name != "axis")
"""What is kept; what a run's steps count is read from its folder."""

_CREATE = """CREATE TABLE IF NOT EXISTS runs (
  path TEXT PRIMARY KEY, world TEXT, scheme TEXT, seed INTEGER, status TEXT NOT NULL,
  step INTEGER, budget INTEGER, returned REAL, normalized REAL, created TEXT, updated TEXT
) WITHOUT ROWID"""
_PUT = f"REPLACE INTO runs ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_WAIT_SECONDS = 2.0


def default_index() -> Path:
    """Returns `$COUNTERPOINT_HOME/index.sqlite`, else in the user's folder for data (XDG)."""
    home = os.environ.get("COUNTERPOINT_HOME")
    if home:
        return Path(home) / "index.sqlite"
    data = os.environ.get("XDG_DATA_HOME") or ""
    base = Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share"
    return base / "counterpoint" / "index.sqlite"


class Index:
    """Keeps the rows; every method opens the file anew, so that no process holds it.

    Args:
        path: the SQLite file; None takes `default_index()`.
        warn: called once, with one line, when a run cannot be written down.
    """

    def __init__(
        self, path: Path | None = None, *, warn: Callable[[str], object] | None = None
    ) -> None:
        self.path = default_index() if path is None else path
        self._warn = warn or (lambda line: sys.stderr.write(f"counterpoint: {line}\n"))
        self._broken = False

    def record(self, run: Path, *, acknowledged: bool = False) -> None:
        """Writes down what a run directory says now; a failure becomes one warning.

        Args:
            run: a run directory.
            acknowledged: it has just saved a checkpoint, so the row is to survive a power loss.
        """
        if self._broken:
            return
        try:
            self._put([read_facts(run)], "FULL" if acknowledged else "NORMAL")
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
            self._broken = True  # and is not tried again: each try may wait for a lock
            self._warn(
                f"the index of runs {self.path} could not be written ({error}); the run goes on "
                "without it: `counterpoint runs --here FOLDER` makes it again"
            )

    def rows(self) -> list[RunFacts]:
        """Returns every run, the newest first, each with the status that its directory has now.

        A run whose directory is gone, or holds a result now, is `missing`; one whose run.json
        cannot be read is as it was when it was written down.

        Raises:
            OutputError: the index is damaged or cannot be read.
        """
        if not self.path.exists():
            return []
        try:
            with self._readable() as database:
                rows = database.execute(f"SELECT {', '.join(COLUMNS)} FROM runs").fetchall()
            known_runs = [_checked([_restored(value) for value in row]) for row in rows]
        except (sqlite3.Error, msgspec.ValidationError, OSError) as error:
            raise self._failed("read", error) from error
        runs = []
        for known in known_runs:
            # The directory is asked again: a killed run could not write its last status here.
            try:
                runs.append(read_facts(Path(known.path)))
            except (RunError, ValueError):  # the second for a path that no system has
                is_there = os.path.isdir(known.path) and not holds_other(Path(known.path))
                status = _last_status(known) if is_there else "missing"
                runs.append(replace(known, status=status))
        return newest_first(runs)

    def knows(self, run: Path) -> bool:
        """Returns whether a run directory is written down here; false if it cannot be read."""
        if not self.path.exists():
            return False
        query = "SELECT 1 FROM runs WHERE path = ?"
        try:
            with self._readable() as database:
                return (
                    database.execute(query, (_storable(str(run.resolve())),)).fetchone() is not None
                )
        except (sqlite3.Error, OSError):
            return False

    def prune(self) -> int:
        """Forgets the runs whose directory is gone, and returns how many.

        Raises:
            OutputError: the index is damaged or cannot be written.
        """
        gone = [(_storable(run.path),) for run in self.rows() if run.status == "missing"]
        try:
            if gone:
                with closing(_opened(self.path)) as database, database:
                    database.executemany("DELETE FROM runs WHERE path = ?", gone)
        except sqlite3.Error as error:
            raise self._failed("written", error) from error
        return len(gone)

    def rebuild(self, runs: Iterable[Path]) -> int:
        """Writes down these run directories, making a damaged index anew; returns their number.

        What is no run is passed over; rows of other runs stay where the index is whole.

        Raises:
            OutputError: it cannot be written.
        """
        rows = read_all(runs)
        try:
            try:
                self._put(rows, "NORMAL")
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                for suffix in ("", "-wal", "-shm"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
                self._put(rows, "NORMAL")
        except (sqlite3.Error, OSError) as error:
            raise self._failed("written", error) from error
        return len(rows)

    def _put(self, rows: list[RunFacts], synchronous: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(_opened(self.path)) as database:
            database.execute(f"PRAGMA synchronous={synchronous}")
            kept = [[_storable(getattr(row, name)) for name in COLUMNS] for row in rows]
            with database:
                database.executemany(_PUT, kept)

    @contextmanager
    def _readable(self) -> Iterator[sqlite3.Connection]:
        """Opens the file, or a copy where this user may not write: SQLite writes beside it."""
        effective = os.access in os.supports_effective_ids
        places = (self.path, self.path.parent)
        if all(os.access(path, os.W_OK, effective_ids=effective) for path in places):
            with closing(_opened(self.path)) as database:
                yield database
            return
        with tempfile.TemporaryDirectory(prefix="counterpoint-") as folder:
            for path in (self.path, self.path.with_name(self.path.name + "-wal")):
                if path.exists():
                    shutil.copyfile(path, Path(folder) / path.name)
            with closing(_opened(Path(folder) / self.path.name)) as database:
                yield database

    def _failed(self, done: str, error: Exception) -> OutputError:
        return OutputError(
            f"the index of runs {self.path} could not be {done} ({error}); it is only a copy: "
            "delete it, then `counterpoint runs --here FOLDER` makes it again"
        )


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_WAIT_SECONDS)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise sqlite3.OperationalError(f"a later Counterpoint wrote it (format {version})")
        if version < VERSION:
            database.execute("PRAGMA journal_mode=WAL")
            with database:
                database.execute(_CREATE)
                database.execute(f"PRAGMA user_version={VERSION}")
    except BaseException:
        database.close()
        raise
    return database


def _checked(row: Sequence[object]) -> RunFacts:
    """Returns a row as facts. SQLite keeps any type in any column, and so does a damaged file."""
    return msgspec.convert(msgspec.to_builtins(RunFacts(*row)), RunFacts)  # type: ignore[arg-type]


def _last_status(known: RunFacts) -> str:
    """Returns the status of a run that nobody can ask; it does not run, as far as is known."""
    return "stopped" if known.status == "running" else known.status


def _storable(value: object) -> object:
    """Returns the value as a column can hold it.

    A path that is no UTF-8 becomes its bytes, and a whole number of more than 64 bits None.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return os.fsencode(value)
    return None if isinstance(value, int) and not -(2**63) <= value < 2**63 else value


def _restored(value: Any) -> Any:
    """Returns the value that was made storable."""
    return os.fsdecode(value) if isinstance(value, bytes) else value
