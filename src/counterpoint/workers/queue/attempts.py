"""Attempts at tasks: who holds one, how it ends, and what is left when somebody dies.

A claim is a lease with a token: what a worker whose lease has expired still wants to say about its
attempt is refused. `Queue.claim` makes claims; here is all that can be done with one.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from counterpoint.errors import BusyError
from counterpoint.workers.queue.ledger import Ledger, say_in
from counterpoint.workers.queue.rows import ATTEMPTS, AttemptRow, Task, attempt_of, task_of


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


LOST = "the worker died, or its lease expired"
BREAKS = "breaks"
"""How the reason begins if an attempt merged, and tests then failed."""
ALIKE = 3
"""So many failures in a row with one reason end a run."""


class Attempts(Ledger):
    """The attempts in the book; every method is one transaction."""

    def renew(self, claim: Claim, lease_seconds: float) -> None:
        """Keep a claim for longer.

        Raises:
            BusyError: it is not held any more.
        """
        with self._holding(claim) as connection:
            connection.execute(
                "UPDATE attempts SET lease=? WHERE id=?",
                (time.time() + lease_seconds, claim.attempt),
            )

    def note(self, claim: Claim, **columns: Any) -> None:
        """Write columns of an attempt: `base`, `made`, `files`, `cost`, `waited`, `held`, `note`.

        Raises:
            BusyError: it is not held any more.
        """
        with self._holding(claim) as connection:
            names = ", ".join(f"{name}=?" for name in columns)
            values = [json.dumps(v) if isinstance(v, list | tuple) else v for v in columns.values()]
            connection.execute(f"UPDATE attempts SET {names} WHERE id=?", (*values, claim.attempt))

    def hand_over(self, claim: Claim, made: str) -> None:
        """Give a finished commit to whoever merges.

        Raises:
            BusyError: it is not held any more.
        """
        with self._holding(claim) as connection:
            connection.execute(
                "UPDATE attempts SET status='handed', made=?, reserved=cost WHERE id=?",
                (made, claim.attempt),
            )
            connection.execute("UPDATE tasks SET status='handed' WHERE id=?", (claim.task.id,))

    def handed(self) -> list[tuple[Claim, AttemptRow]]:
        """Returns the attempts that wait to be merged, oldest first."""
        with self._open() as connection:
            rows = connection.execute(ATTEMPTS + "WHERE a.status='handed' ORDER BY a.id").fetchall()
            tasks = {row["id"]: task_of(row) for row in connection.execute("SELECT * FROM tasks")}
        return [
            (Claim(row["id"], row["token"], tasks[row["task"]], row["reserved"]), attempt_of(row))
            for row in rows
        ]

    def merging(self, claim: Claim, landed: str, parent: str) -> None:
        """Say which commit is about to become the head, before it does.

        Raises:
            BusyError: it is not held any more.
        """
        with self._holding(claim) as connection:
            connection.execute(
                "UPDATE attempts SET status='merging', landed=?, parent=? WHERE id=?",
                (landed, parent, claim.attempt),
            )

    def merged(self, claim: Claim) -> None:
        """Say that it is the head, or was.

        Raises:
            BusyError: it is not held any more.
        """
        with self._holding(claim) as connection:
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
        with self._holding(claim) as connection:
            _finish(connection, claim.attempt, "needless", "its test passes already")
            connection.execute("UPDATE tasks SET status='done' WHERE id=?", (claim.task.id,))

    def failed(self, claim: Claim, status: str, why: str) -> None:
        """End an attempt that came to nothing: `failed`, or `conflict`. The task is open again as
        long as it has tries left.

        Raises:
            BusyError: it is not held any more.
        """
        with self._holding(claim) as connection:
            _finish(connection, claim.attempt, status, why)
            _reopen(connection, claim.task.id, counts=status == "failed")

    def last_ended(self, task: str) -> AttemptRow | None:
        """Returns the newest attempt at a task that failed or conflicted, or None."""
        with self._open() as connection:
            row = connection.execute(
                ATTEMPTS + "WHERE a.task=? AND a.status IN ('failed','conflict') "
                "ORDER BY a.id DESC LIMIT 1",
                (task,),
            ).fetchone()
        return None if row is None else attempt_of(row)

    def last_reason(self) -> str:
        """Returns who failed last, at what and why; nothing where nobody did."""
        with self._open() as connection:
            row = connection.execute(
                "SELECT worker, task, status, note FROM attempts "
                "WHERE status IN ('failed','conflict','lost') ORDER BY ended DESC, id DESC LIMIT 1"
            ).fetchone()
        return "" if row is None else f"{row['worker']} at {row['task']}: {row['note']}"

    def alike(self, since: float) -> str:
        """Returns the reason if the newest attempts all failed for the same one.

        Attempts that were merged end a row of failures; conflicts and lost attempts do not count.

        Args:
            since: attempts that began earlier do not count either, in seconds since 1970.
        """
        with self._open() as connection:
            rows = connection.execute(
                "SELECT status, note FROM attempts WHERE started>=? AND "
                "status IN ('failed','merged','needless') ORDER BY ended DESC, id DESC LIMIT ?",
                (since, ALIKE),
            ).fetchall()
        kinds = {(row["status"], row["note"]) for row in rows}
        if len(rows) < ALIKE or len(kinds) > 1 or rows[0]["status"] != "failed":
            return ""
        return str(rows[0]["note"])

    @contextmanager
    def _holding(self, claim: Claim) -> Iterator[sqlite3.Connection]:
        """A transaction in which the claim is known to be held.

        Raises:
            BusyError: it is not held any more.
        """
        with self._change() as connection:
            row = connection.execute(
                "SELECT token, status FROM attempts WHERE id=?", (claim.attempt,)
            ).fetchone()
            if row is None or row["token"] != claim.token or row["status"] in ENDED:
                raise BusyError(f"attempt {claim.attempt} at {claim.task.id} has lost its lease")
            yield connection

    def lock(self, claim: Claim, paths: Iterable[str]) -> bool:
        """Take locks on all of the files, or on none of them; whether they are held now.

        Raises:
            BusyError: the claim is not held any more.
        """
        with self._holding(claim) as connection:
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

    def recover(self, landed: Callable[[str], bool], *, everybody: bool, why: str = LOST) -> int:
        """Bring back what nobody works on any more: leases that ended, or all of them.

        An attempt that was about to become the head is done if its commit is there, and undone if
        it is not.

        Args:
            landed: whether a commit is in the head.
            everybody: nobody can be at work: the caller holds the run, and its children are dead.
            why: the reason that is noted.
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
                _finish(connection, row["id"], "lost", why)
                _reopen(connection, row["task"], counts=False)
        return count

    def release(self, worker: str, landed: Callable[[str], bool], why: str = LOST) -> None:
        """Bring back what one worker had when its process ended."""
        with self._change() as connection:
            connection.execute(
                "UPDATE attempts SET lease=0 WHERE worker=? AND status IN ('running','merging')",
                (worker,),
            )
        self.recover(landed, everybody=False, why=why)


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
