"""The queue of a working team: tasks, and who has which until when.

A claim is a lease with a token: what a worker that died, or that was
taken for dead, still wants to say about its attempt is refused. Start with `Queue.claim`.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterpoint.errors import BusyError
from counterpoint.team.ledger import Ledger, say_in, spent_in


@dataclass(frozen=True)
class Task:
    """One thing to do."""

    id: str
    """Unique; adding it again changes nothing."""
    text: str
    """What is to be done, for whoever does it."""
    test: str = ""
    """The test that has to pass."""
    files: tuple[str, ...] = ()
    """Where the work is expected, as far as somebody knows."""
    size: int = 1
    """How large it looks: 1 is small."""
    priority: int = 0
    """The highest goes first."""


@dataclass(frozen=True)
class Claim:
    """A task that somebody has, until the lease ends."""

    attempt: int
    """The number of the attempt."""
    token: str
    """What proves that it is still held."""
    task: Task
    """What is to be done."""
    reserved: int
    """What it may cost."""


class Queue(Ledger):
    """The queue in one file; every method is one transaction.

    Raises:
        RunError: the file is none of ours.
    """

    def add(self, tasks: Iterable[Task], tries: int) -> int:
        """Add tasks that are not there yet, each for so many tries; how many are new."""
        with self._change() as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO tasks VALUES (?,?,?,?,?,?,'open',?,?)",
                [(t.id, t.text, t.test, json.dumps(t.files), t.size, t.priority, tries, time.time())
                 for t in tasks],
            )  # fmt: skip
            return connection.total_changes - before

    def reopen(self, ids: Iterable[str], tries: int) -> int:
        """Open tasks again that were done and are not, or given up; how many."""
        with self._change() as connection:
            before = connection.total_changes
            connection.executemany(
                "UPDATE tasks SET status='open', tries_left=? WHERE id=? "
                "AND status IN ('done','given_up')",
                [(tries, one) for one in ids],
            )
            return connection.total_changes - before

    def claim(
        self,
        worker: str,
        *,
        lease_seconds: float,
        reserve: int,
        budget: int | None = None,
        choose: Callable[[Sequence[Task], Sequence[Mapping[str, Any]]], int | None] | None = None,
    ) -> Claim | None:
        """Take one open task; None where there is none, or the budget is used up.

        Args:
            worker: who takes it.
            lease_seconds: how long it is its own, unless renewed.
            reserve: what the attempt may cost.
            budget: what all attempts together may cost.
            choose: given the open tasks, highest priority first, and all attempts so far, the index
                of one, or None to take none; without it the first. What failed before comes last.
        """
        with self._change() as connection:
            if budget is not None:
                reserve = min(reserve, budget - spent_in(connection))
                if reserve <= 0:
                    return None
            rows = connection.execute(
                "SELECT * FROM tasks WHERE status='open' ORDER BY priority DESC, tries_left DESC, "
                "added, id"
            ).fetchall()
            tasks = [_task(row) for row in rows]
            if not tasks:
                return None
            index: int | None = 0
            if choose is not None:
                told = connection.execute(
                    "SELECT a.*, t.size AS size, t.files AS expected FROM attempts a "
                    "JOIN tasks t ON t.id=a.task"
                ).fetchall()
                index = choose(tasks, [dict(row) for row in told])
            if index is None:
                return None
            task, token, now = tasks[index], secrets.token_hex(8), time.time()
            connection.execute("UPDATE tasks SET status='taken' WHERE id=?", (task.id,))
            cursor = connection.execute(
                "INSERT INTO attempts (task, worker, token, started, lease, status, reserved) "
                "VALUES (?,?,?,?,?,'running',?)",
                (task.id, worker, token, now, now + lease_seconds, reserve),
            )
            say_in(connection, worker, "", "action", f"takes {task.id}", {"task": task.id})
            return Claim(int(cursor.lastrowid or 0), token, task, reserve)

    def renew(self, claim: Claim, lease_seconds: float) -> None:
        """Keep a claim for longer.

        Raises:
            BusyError: it is not held any more.
        """
        with self._change() as connection:
            self._held(connection, claim)
            connection.execute(
                "UPDATE attempts SET lease=? WHERE id=?",
                (time.time() + lease_seconds, claim.attempt),
            )

    def note(self, claim: Claim, **columns: Any) -> None:
        """Write columns of an attempt: `base`, `made`, `files`, `cost`, `waited`, `held`, `note`.

        Raises:
            BusyError: it is not held any more.
        """
        with self._change() as connection:
            self._held(connection, claim)
            names = ", ".join(f"{name}=?" for name in columns)
            values = [json.dumps(v) if isinstance(v, list | tuple) else v for v in columns.values()]
            connection.execute(f"UPDATE attempts SET {names} WHERE id=?", (*values, claim.attempt))

    def hand_over(self, claim: Claim, made: str) -> None:
        """Give a finished commit to whoever merges.

        Raises:
            BusyError: it is not held any more.
        """
        with self._change() as connection:
            self._held(connection, claim)
            connection.execute(
                "UPDATE attempts SET status='handed', made=?, reserved=cost WHERE id=?",
                (made, claim.attempt),
            )
            connection.execute("UPDATE tasks SET status='handed' WHERE id=?", (claim.task.id,))

    def handed(self) -> list[tuple[Claim, dict[str, Any]]]:
        """The attempts that wait to be merged, oldest first."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT a.*, t.text, t.test, t.files AS tfiles, t.size, t.priority FROM attempts a "
                "JOIN tasks t ON t.id=a.task WHERE a.status='handed' ORDER BY a.id"
            ).fetchall()
        found = []
        for row in rows:
            task = Task(row["task"], row["text"], row["test"], tuple(json.loads(row["tfiles"])),
                        row["size"], row["priority"])  # fmt: skip
            found.append((Claim(row["id"], row["token"], task, row["reserved"]), dict(row)))
        return found

    def merging(self, claim: Claim, landed: str, parent: str) -> None:
        """Say which commit is about to become the head, before it does.

        Raises:
            BusyError: it is not held any more.
        """
        with self._change() as connection:
            self._held(connection, claim)
            connection.execute(
                "UPDATE attempts SET status='merging', landed=?, parent=? WHERE id=?",
                (landed, parent, claim.attempt),
            )

    def merged(self, claim: Claim) -> None:
        """Say that it is the head, or was.

        Raises:
            BusyError: it is not held any more.
        """
        with self._change() as connection:
            self._held(connection, claim)
            _finish(connection, claim.attempt, "merged", "")
            connection.execute("UPDATE tasks SET status='done' WHERE id=?", (claim.task.id,))
            worker = connection.execute(
                "SELECT worker FROM attempts WHERE id=?", (claim.attempt,)
            ).fetchone()[0]
            say_in(connection, worker, "", "answer", claim.task.id, {"task": claim.task.id})

    def needless(self, claim: Claim) -> None:
        """End an attempt whose task somebody else has done on the way.

        Raises:
            BusyError: it is not held any more.
        """
        with self._change() as connection:
            self._held(connection, claim)
            _finish(connection, claim.attempt, "needless", "its test passes already")
            connection.execute("UPDATE tasks SET status='done' WHERE id=?", (claim.task.id,))

    def failed(self, claim: Claim, status: str, why: str) -> None:
        """End an attempt that came to nothing: `failed`, or `conflict`. The task is open again as
        long as it has tries left.

        Raises:
            BusyError: it is not held any more.
        """
        with self._change() as connection:
            self._held(connection, claim)
            _finish(connection, claim.attempt, status, why)
            _reopen(connection, claim.task.id, counts=status == "failed")

    def _held(self, connection: sqlite3.Connection, claim: Claim) -> None:
        row = connection.execute(
            "SELECT token, status FROM attempts WHERE id=?", (claim.attempt,)
        ).fetchone()
        if row is None or row["token"] != claim.token or row["status"] in ENDED:
            raise BusyError(f"attempt {claim.attempt} at {claim.task.id} is not held any more")

    def lock(self, claim: Claim, paths: Iterable[str]) -> bool:
        """Take locks on all of the files, or on none of them; whether they are held now.

        Raises:
            BusyError: the claim is not held any more.
        """
        with self._change() as connection:
            self._held(connection, claim)
            for path in paths:
                row = connection.execute(
                    "SELECT attempt FROM locks WHERE path=?", (path,)
                ).fetchone()
                if row is not None and row[0] != claim.attempt:
                    return False
            connection.executemany(
                "INSERT OR IGNORE INTO locks VALUES (?,?,?)",
                [(path, claim.attempt, time.time()) for path in paths],
            )
            return True

    def recover(self, landed: Callable[[str], bool], *, everybody: bool) -> int:
        """Bring back what nobody works on any more: leases that ended, or all of them.

        An attempt that was about to become the head is done if its commit is there, and undone if
        it is not.

        Args:
            landed: whether a commit is in the head.
            everybody: nobody can be at work: the caller holds the run, and its children are dead.
        """
        now, count = time.time(), 0
        with self._change() as connection:
            rows = connection.execute(
                "SELECT * FROM attempts WHERE status IN ('running','merging')"
            ).fetchall()
            for row in rows:
                if not everybody and row["lease"] > now:
                    continue
                count += 1
                if row["status"] == "merging" and landed(row["landed"]):
                    _finish(connection, row["id"], "merged", "found in the head")
                    connection.execute("UPDATE tasks SET status='done' WHERE id=?", (row["task"],))
                    say_in(
                        connection, row["worker"], "", "answer", row["task"], {"task": row["task"]}
                    )
                    continue
                connection.execute("UPDATE attempts SET reserved=cost WHERE id=?", (row["id"],))
                _finish(connection, row["id"], "lost", "nobody works on it any more")
                _reopen(connection, row["task"], counts=False)
        return count

    def release(self, worker: str, landed: Callable[[str], bool]) -> None:
        """Bring back what one worker had when its process ended."""
        with self._change() as connection:
            connection.execute(
                "UPDATE attempts SET lease=0 WHERE worker=? AND status IN ('running','merging')",
                (worker,),
            )
        self.recover(landed, everybody=False)


ENDED = ("merged", "needless", "failed", "conflict", "lost")
"""Statuses of an attempt that is over."""


def _finish(connection: sqlite3.Connection, attempt: int, status: str, why: str) -> None:
    connection.execute(
        "UPDATE attempts SET status=?, ended=?, reserved=cost, "
        "note=CASE WHEN ?='' THEN note ELSE ? END, "
        "held=held+COALESCE((SELECT ? - MIN(since) FROM locks WHERE attempt=?), 0) WHERE id=?",
        (status, time.time(), why, why, time.time(), attempt, attempt),
    )
    connection.execute("DELETE FROM locks WHERE attempt=?", (attempt,))


def _reopen(connection: sqlite3.Connection, task: str, *, counts: bool) -> None:
    connection.execute(
        "UPDATE tasks SET tries_left=tries_left-?, "
        "status=CASE WHEN tries_left-? > 0 THEN 'open' ELSE 'given_up' END WHERE id=?",
        (int(counts), int(counts), task),
    )


def _task(row: sqlite3.Row) -> Task:
    return Task(row["id"], row["text"], row["test"], tuple(json.loads(row["files"])), row["size"],
                row["priority"])  # fmt: skip
