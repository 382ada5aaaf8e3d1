"""The ledger of a working team: one SQLite file with tasks, attempts, locks, events and facts.

`Queue` builds on it. The file is in WAL mode, so that readers never wait for a writer. Every method
is one transaction, and no process keeps the file open.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from counterpoint.errors import OutputError, RunError
from counterpoint.workers.queue.rows import (
    ATTEMPTS,
    AttemptRow,
    EventRow,
    Spent,
    TaskRow,
    attempt_row_of,
    spent_in,
    task_of,
)

WAIT_SECONDS = 30.0
ENDED = ("merged", "needless", "failed", "conflict", "lost")
"""Statuses of an attempt that is over."""
STATUSES = {
    "tasks": ("open", "taken", "handed", "done", "given_up"),
    "attempts": ("running", "handed", "merging", *ENDED),
}
"""Table to the statuses of its rows. A task is open -> taken -> (handed ->) done, or open again, or
given_up. An attempt is running -> (handed ->) merging -> merged, or another of the ended ones."""
# WITHOUT ROWID keeps small tables that are looked up by a text in one tree, with no second index.
_TABLES = """
CREATE TABLE IF NOT EXISTS tasks (
  id TEXT PRIMARY KEY, text TEXT NOT NULL, test TEXT NOT NULL, files TEXT NOT NULL,
  size INTEGER NOT NULL, priority INTEGER NOT NULL, status TEXT NOT NULL,
  tries_left INTEGER NOT NULL, added REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (
  id INTEGER PRIMARY KEY, task TEXT NOT NULL REFERENCES tasks(id), worker TEXT NOT NULL,
  token TEXT NOT NULL, started REAL NOT NULL, lease REAL NOT NULL, status TEXT NOT NULL,
  ended REAL, base TEXT, made TEXT, parent TEXT, landed TEXT, files TEXT, cost INTEGER DEFAULT 0,
  reserved INTEGER DEFAULT 0, waited REAL DEFAULT 0, held REAL DEFAULT 0, note TEXT DEFAULT ''
);
CREATE TABLE IF NOT EXISTS locks (
  path TEXT PRIMARY KEY, attempt INTEGER NOT NULL, since REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, agent TEXT NOT NULL, hearer TEXT NOT NULL,
  kind TEXT NOT NULL, text TEXT NOT NULL, meta TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS passing (head TEXT PRIMARY KEY, tests TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_ADDED = {
    "attempts": {"tokens": "INTEGER", "dollars": "REAL"},
    "tasks": {
        "title": "TEXT DEFAULT ''",
        "depends": "TEXT DEFAULT '[]'",
        "checked": "TEXT DEFAULT ''",
    },
}
"""Columns that later versions added; an unknown number of tokens or dollars is NULL."""


class _Connection(sqlite3.Connection):
    """Stores a surrogate, which is no text, as its escape: `caf\\udce9`."""

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
        return super().execute(sql, tuple(map(_written, values)))

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        return super().executemany(sql, [tuple(map(_written, row)) for row in rows])


def _written(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value


class Ledger:
    """The ledger in one file.

    Raises:
        RunError: the file is none of ours.
        OutputError: here, or in any method: the file cannot be used, for its disk is full, say.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.touch()
            with self._open() as connection:
                connection.executescript("PRAGMA journal_mode=WAL;" + _TABLES)
                _add_columns(connection)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"could not write {path} ({error.strerror})") from error
        except sqlite3.DatabaseError as error:
            raise RunError(f"{path} is no queue of a team ({error})") from error

    @staticmethod
    def schema() -> dict[str, list[Any]]:
        """Returns the tables of a new file: name to SQLite's description of each column."""
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.row_factory = sqlite3.Row
            connection.executescript(_TABLES)
            _add_columns(connection)
            names = [row["name"] for row in connection.execute(
                "SELECT name FROM sqlite_master WHERE type='table'")]  # fmt: skip
            return {name: [tuple(row)[1:] for row in connection.execute(
                f"PRAGMA table_xinfo({name})")] for name in names}  # fmt: skip

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Yields a connection to the file, which is not made anew if somebody has removed it."""
        where = f"{self.path.absolute().as_uri()}?mode=rw"
        try:
            with closing(
                sqlite3.connect(
                    where, uri=True, timeout=WAIT_SECONDS, isolation_level=None,
                    factory=_Connection,
                )
            ) as connection:  # fmt: skip
                # a run can come from somebody else: its schema calls no function with side effects
                connection.execute("PRAGMA trusted_schema=OFF")
                # with WAL a crash of the machine can lose the last commits, and damages nothing
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
                connection.row_factory = sqlite3.Row
                yield connection
        except sqlite3.OperationalError as error:
            raise OutputError(
                f"could not use {self.path} ({error}); wanted a folder of the run that stays where "
                "it is, with room on its disk: counterpoint resume goes on with one that has begun"
            ) from error

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Yields a connection in a transaction that is taken back if the body fails."""
        with self._open() as connection:
            # IMMEDIATE takes the write lock before the first read: two members that read the same
            # row and then both write would otherwise fail in the middle of their transactions
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.OperationalError):  # a full disk has done it already
                    connection.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Returns all rows of a query."""
        with self._open() as connection:
            return connection.execute(query, values).fetchall()

    def _run(self, statement: str, *values: object) -> None:
        """Runs one statement that changes the file."""
        with self._change() as connection:
            connection.execute(statement, values)

    def fact(self, key: str, default: Any = None) -> Any:
        """Returns the value that is stored under a key."""
        rows = self._rows("SELECT value FROM facts WHERE key=?", key)
        return json.loads(rows[0][0]) if rows else default

    def put(self, key: str, value: Any) -> None:
        """Stores a value, which can be written as JSON, under a key."""
        self._run("REPLACE INTO facts VALUES (?,?)", key, json.dumps(value))

    def passing(self, commit: str) -> frozenset[str] | None:
        """Returns the tests that pass at a commit, or None if nobody has run them there.

        The tests of an old head are forgotten.
        """
        rows = self._rows("SELECT tests FROM passing WHERE head=?", commit)
        return frozenset(json.loads(rows[0][0])) if rows else None

    def record_passing(self, commit: str, tests: Iterable[str]) -> None:
        """Stores which tests pass at a commit."""
        self._run("REPLACE INTO passing VALUES (?,?)", commit, json.dumps(sorted(tests)))

    def forget_passing(self, commit: str) -> None:
        """Removes what passes at a commit that is not the head."""
        self._run("DELETE FROM passing WHERE head=?", commit)

    def count(self, key: str, amount: float) -> None:
        """Adds to a number that is stored under a key."""
        # read and write in one transaction, so that no other member's amount is lost in between
        with self._change() as connection:
            row = connection.execute("SELECT value FROM facts WHERE key=?", (key,)).fetchone()
            value = amount + (json.loads(row[0]) if row else 0)
            connection.execute("REPLACE INTO facts VALUES (?,?)", (key, json.dumps(value)))

    def spent(self) -> Spent:
        """Returns what all attempts have spent."""
        with self._open() as connection:
            return spent_in(connection)

    def outcomes(self) -> dict[str, int]:
        """Returns how many attempts have each status."""
        return dict(map(tuple, self._rows("SELECT status, COUNT(*) FROM attempts GROUP BY status")))

    def counts(self) -> dict[str, int]:
        """Returns how many tasks have each status."""
        return dict(map(tuple, self._rows("SELECT status, COUNT(*) FROM tasks GROUP BY status")))

    def seconds(self) -> float:
        """Returns the wall clock of all sessions; of one under way up to its last `tick`."""
        begun, seen = self.fact("session", (0.0, 0.0))
        return float(self.fact("seconds", 0.0)) + max(float(seen) - float(begun), 0.0)

    def tick(self, begun: float, seconds: float) -> None:
        """Notes that the session which began at a time (since 1970) has lasted so many seconds.

        A session can be killed at any time: its last note counts then.
        """
        self.put("session", (begun, begun + seconds))

    def close_session(self) -> None:
        """Adds the time of the last session to the seconds, however it ended."""
        # the session goes in the same transaction: whoever calls this again adds nothing
        with self._change() as connection:
            row = connection.execute("SELECT value FROM facts WHERE key='session'").fetchone()
            if row is None:
                return
            begun, seen = json.loads(row[0])
            row = connection.execute("SELECT value FROM facts WHERE key='seconds'").fetchone()
            total = max(seen - begun, 0.0) + (json.loads(row[0]) if row else 0.0)
            connection.execute("REPLACE INTO facts VALUES ('seconds',?)", (json.dumps(total),))
            connection.execute("DELETE FROM facts WHERE key='session'")

    def log(self, agent: str, kind: str, text: str, hearer: str = "", **meta: Any) -> None:
        """Stores an event."""
        with self._change() as connection:
            insert_event(connection, agent, hearer, kind, text, meta)

    def events(self) -> list[EventRow]:
        """Returns all events, in order."""
        return [EventRow(row["at"], row["agent"], row["hearer"], row["kind"], row["text"],
                         json.loads(row["meta"]))
                for row in self._rows("SELECT * FROM events ORDER BY id")]  # fmt: skip

    def attempts(self) -> list[AttemptRow]:
        """Returns all attempts, in order."""
        return list(map(attempt_row_of, self._rows(ATTEMPTS + "ORDER BY a.id")))

    def tasks(self) -> list[TaskRow]:
        """Returns all tasks, in order of their ids."""
        return [TaskRow(**vars(task_of(row)), status=row["status"])
                for row in self._rows("SELECT * FROM tasks ORDER BY id")]  # fmt: skip


def _add_columns(connection: sqlite3.Connection) -> None:
    """Adds the columns that a file of an earlier version does not have."""

    def missing() -> list[str]:
        lines = []
        for table, columns in _ADDED.items():
            known = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
            lines += [f"ALTER TABLE {table} ADD COLUMN {name} {kind}"
                      for name, kind in columns.items() if name not in known]  # fmt: skip
        return lines

    if not missing():
        return
    # two members may open an old file at the same time: the second looks again, under the lock
    connection.execute("BEGIN IMMEDIATE")
    for line in missing():
        connection.execute(line)
    connection.execute("COMMIT")


def insert_event(
    connection: sqlite3.Connection, agent: str, hearer: str, kind: str, text: str,
    meta: Mapping[str, object],
) -> None:  # fmt: skip
    """Stores an event, within a transaction."""
    connection.execute(
        "INSERT INTO events (at, agent, hearer, kind, text, meta) VALUES (?,?,?,?,?,?)",
        (time.time(), agent, hearer, kind, text, json.dumps(meta)),
    )
