"""`Cached`: a speaker whose answers are kept in one SQLite file, which `Replies` reads and writes.

Only a repeatable request is kept: one at temperature 0, or one with a seed. Any other request goes
to the speaker each time, so that many samples never collapse to one. Errors are not kept.

The file maps keys to replies, each with a checksum, which tells damage but no forger: a file that
another user can write to is not used. Every method of `Replies` opens the file anew,
so no process holds it. A process that uses the file holds a shared lock on a second file beside it;
a process that makes the file, or sets it aside because it is damaged, holds that lock alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from counterpoint.machine.locks import lock_file
from counterpoint.machine.processes import user_number
from counterpoint.speakers.speaker import Reply, Request, Speaker

VERSION = 1
_FORMAT = "counterpoint.reply/1"
_COUNTING = threading.Lock()
_CREATE = """CREATE TABLE IF NOT EXISTS replies (
  key TEXT PRIMARY KEY, said TEXT NOT NULL, seal TEXT NOT NULL
) WITHOUT ROWID"""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_WAIT_SECONDS = 10.0
SUFFIXES = (".sqlite", ".sqlite3", ".db")
"""Endings of names of databases."""
Result = TypeVar("Result")
Value = TypeVar("Value")


class IdentifiedSpeaker(Speaker, Protocol):
    """A speaker that can be identified."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns the facts on which its answers depend, besides the requests: model and address,
        no secrets."""


class Cached:
    """Answers from the file if it can, asks the speaker for the other answers, and keeps them.

    Several processes and threads may use one file. If the file cannot be used, one warning is given
    and every request goes to the speaker: a cache may never cost an answer.

    Args:
        speaker: produces the answers that are not in the file.
        path: the SQLite file; it is made if it is missing.
        warn: called with one line if a damaged file is set aside, or the file cannot be used.
    """

    def __init__(
        self, speaker: IdentifiedSpeaker, path: Path, *, warn: Callable[[str], object] | None = None
    ) -> None:
        self.speaker = speaker
        self.hits = 0
        """Replies that came from the file or from an equal request of the same batch."""
        self.misses = 0
        """Repeatable requests that were not in the file."""
        self.passed = 0
        """Requests with neither a seed nor temperature 0, which always go to the speaker."""
        self._replies = Replies(path, warn or _warn)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Returns one reply for each request, in their order; equal requests are asked once.

        Raises:
            CounterpointError: the speaker raises it.
        """
        facts = self.speaker.facts
        keys = [request_key(facts, request) if repeats(request) else None for request in requests]
        known = self._replies.read({key for key in keys if key})
        # The first of equal requests is asked; the others of the batch get a copy of its reply.
        first: dict[str, int] = {}
        for place, key in enumerate(keys):
            if key and key not in known:
                first.setdefault(key, place)
        ask = [i for i, key in enumerate(keys) if not key or first.get(key) == i]
        answered = self.speaker.answer([requests[i] for i in ask]) if ask else []
        fresh = dict(zip(ask, answered, strict=True))
        self._replies.write(
            {
                key: StoredReply(fresh[i].text, fresh[i].prompt_tokens, fresh[i].completion_tokens)
                for key, i in first.items()
                if fresh[i].error is None
            }
        )
        replies = []
        for place, key in enumerate(keys):
            if place in fresh:
                replies.append(fresh[place])
            elif key in known:
                replies.append(_remembered(Reply(**asdict(known[key]))))
            else:
                replies.append(_remembered(fresh[first[str(key)]]))
        passed = keys.count(None)
        with _COUNTING:  # threads may share one speaker, and `+=` is no single step
            self.passed += passed
            self.misses += len(ask) - passed
            self.hits += len(keys) - len(ask)
        return replies


def repeats(request: Request) -> bool:
    """Returns whether the same request must get the same text again."""
    return request.seed is not None or request.temperature == 0


def request_key(facts: Mapping[str, str], request: Request) -> str:
    """Returns the SHA-256, in hex, of everything that decides the text, but not the agent's
    name."""
    content = asdict(request) | {"temperature": abs(float(request.temperature))}  # no -0.0
    del content["agent"]
    whole = json.dumps([_FORMAT, dict(facts), content], sort_keys=True, allow_nan=False)
    return hashlib.sha256(whole.encode()).hexdigest()


def _remembered(reply: Reply) -> Reply:
    """Returns the reply for a request that cost nothing. An error stays an error."""
    return replace(reply, cost_dollars=0.0, seconds=0.0, tries=0, cached=reply.error is None)


def _warn(line: str) -> None:
    sys.stderr.write(f"counterpoint: {line}\n")


@dataclass(frozen=True)
class StoredReply:
    """The part of a reply that is kept."""

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None


class Replies:
    """Reads and writes stored replies; a problem goes to `warn` and never costs an answer."""

    def __init__(self, path: Path, warn: Callable[[str], object]) -> None:
        self.path = path
        self._warn = warn
        self._broken = False

    def read(self, keys: Collection[str]) -> dict[str, StoredReply]:
        """Returns the stored replies of these keys; one that is damaged is deleted."""
        return self._read(keys, lambda reply: reply)

    def read_values(self, keys: Collection[str], kind: type[Value]) -> dict[str, Value]:
        """Returns what the texts of these keys hold as JSON of a kind, as `read` does."""
        return self._read(keys, lambda reply: _parsed(reply.text, kind))

    def _read(
        self, keys: Collection[str], convert: Callable[[StoredReply], Value]
    ) -> dict[str, Value]:
        def work(database: sqlite3.Connection) -> dict[str, Value]:
            stored, spoiled = {}, []
            for key in keys:
                row = database.execute(
                    "SELECT said, seal FROM replies WHERE key = ?", (key,)
                ).fetchone()
                if row is None:
                    continue
                try:
                    if row[1] != _seal(key, row[0]):
                        raise ValueError
                    stored[key] = convert(_parsed(row[0], StoredReply))
                except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
                    spoiled.append((key,))
            if spoiled:
                with database:
                    database.executemany("DELETE FROM replies WHERE key = ?", spoiled)
                self._warn(f"{len(spoiled)} damaged answers in {self.path} are asked for again")
            return stored

        return self._with(work, {}) if keys else {}

    def write(self, replies: Mapping[str, StoredReply]) -> None:
        """Stores the replies; the first reply that is stored for a key stays."""
        rows = [(key, json.dumps(asdict(reply))) for key, reply in replies.items()]

        def work(database: sqlite3.Connection) -> None:
            with database:
                # two processes may have asked the same: from now on both must repeat one text
                database.executemany(
                    "INSERT OR IGNORE INTO replies VALUES (?, ?, ?)",
                    [(key, text, _seal(key, text)) for key, text in rows],
                )

        if rows:
            self._with(work, None)

    def _with(self, work: Callable[[sqlite3.Connection], Result], without: Result) -> Result:
        """Returns the result of `work` on the database, or `without` if the file cannot be used."""
        if self._broken:
            return without
        try:
            if why := _others_may_write(self.path):
                raise OSError(why)
            for _ in range(3):
                try:
                    # Readers and writers share the lock; only who makes the file holds it alone.
                    with self._locked(shared=True), closing(self._open()) as database:
                        if _version(database) == VERSION:
                            return work(database)
                except sqlite3.DatabaseError as error:
                    if not _is_damage(error):
                        raise
                self._make()
            raise sqlite3.DatabaseError("it is damaged again and again")
        except (sqlite3.Error, OSError) as error:
            self._broken = True  # and is not tried again: each try may wait for a lock
            self._warn(f"answers are not remembered: {self.path} cannot be used ({error})")
            return without

    def _make(self) -> None:
        """Sets a damaged file aside, and makes a new file if there is none."""
        with self._locked(shared=False):
            if self.path.exists() and not _may_be_database(self.path):
                raise sqlite3.OperationalError("it is no cache of answers; wanted another name")
            if self.path.exists() and self._is_damaged():
                aside = self._set_aside()
                self._warn(f"{self.path} was damaged; it is {aside.name} now, and begun anew")
            with closing(self._open()) as database:
                version = _version(database)
                if version > VERSION:
                    raise sqlite3.OperationalError(
                        f"a later Counterpoint wrote it (format {version})"
                    )
                if tables := _tables(database) - {"replies"}:
                    raise sqlite3.OperationalError(
                        f"it is a database of something else, with {min(tables)}; wanted another "
                        "name"
                    )
                database.execute("PRAGMA journal_mode=WAL")
                with database:
                    database.execute(_CREATE)
                    database.execute(f"PRAGMA user_version={VERSION}")

    def _is_damaged(self) -> bool:
        try:
            with closing(self._open()) as database:
                (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
                return bool(verdict != "ok")
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            return True

    def _set_aside(self) -> Path:
        names = (self.path.with_name(f"{self.path.name}.damaged-{i}") for i in itertools.count(1))
        aside = next(name for name in names if not name.exists())
        self.path.rename(aside)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        return aside

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=_WAIT_SECONDS)
        try:
            database.text_factory = lambda data: data.decode(errors="replace")
            database.execute("PRAGMA synchronous=NORMAL")
        except UnicodeDecodeError as error:  # of SQLite's message, which quotes what is damaged
            database.close()
            damage = sqlite3.DatabaseError("malformed database schema")
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage from error
        except BaseException:
            database.close()
            raise
        return database

    @contextlib.contextmanager
    def _locked(self, *, shared: bool) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f"{self.path.name}.lock")
        held = lock_file(lock, shared=shared, wait=True)
        try:
            yield
        finally:
            held.release()


def _may_be_database(path: Path) -> bool:
    """Returns whether a file is a database or has the name of one, which may be damaged."""
    with path.open("rb") as file:
        return file.read(16) in (b"", b"SQLite format 3\0") or path.suffix.lower() in SUFFIXES


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _tables(database: sqlite3.Connection) -> set[str]:
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {str(name) for (name,) in rows}


def _parsed(text: Any, kind: type[Value]) -> Value:
    """Returns JSON as a value of a kind; raises the errors that `_read` counts as damage."""
    return msgspec.convert(json.loads(text), kind)


def _others_may_write(path: Path) -> str:
    """Returns how another user could have put answers into a file, or "" if none could.

    Root may, and so may a group: whoever shares a file with it wants that. A folder that is open to
    all is safe where it is sticky, as /tmp is, because nobody can replace the file of another user.
    """
    if (user := user_number()) is None:
        return ""  # Windows has other rights, which these bits do not show
    for place in (path, path.parent):
        try:
            facts = place.stat()
        except OSError:
            continue  # what is not there is made by us, and what cannot be read fails on its own
        is_open = bool(facts.st_mode & stat.S_IWOTH)
        if is_open and not (place is not path and facts.st_mode & stat.S_ISVTX):
            return f"every user may write to {place}; run: chmod o-w {place}"
        if place is path and facts.st_uid not in (user, 0):
            return f"it belongs to user {facts.st_uid}, who may have written any answer into it"
    return ""


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _seal(key: str, text: str) -> str:
    return hashlib.sha256(f"{key} {text}".encode()).hexdigest()
