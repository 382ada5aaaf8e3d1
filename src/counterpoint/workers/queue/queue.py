"""The queue of a working team: which tasks there are, and who takes which.

Start with `Queue.claim`; what can be done with a claim is in attempts.py.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from counterpoint.errors import BusyError
from counterpoint.workers.queue.budget import RunBudget, spent_in
from counterpoint.workers.queue.ledger import Ledger, insert_event
from counterpoint.workers.queue.rows import ATTEMPTS, AttemptRow, TeamTask, attempt_row_of, task_of

LARGE = 1.5
"""A task looks large if it is this many times as large as the median of the open ones."""
LOST = "the worker died, or its lease expired"
BREAKS = "breaks"
"""How the reason begins if an attempt merged, and tests then failed."""
REPEATED_FAILURES = 3
"""So many failures in a row with one reason end a run."""
ENDED = ("merged", "needless", "failed", "conflict", "lost")
"""Statuses of an attempt that is over."""


@dataclass(frozen=True)
class Claim:
    """A task that somebody has, until the lease ends."""

    attempt: int
    """The number of the attempt."""
    token: str
    """What proves that it is still held."""
    task: TeamTask
    """What is to be done."""
    reserved: int
    """What it may cost."""


class Queue(Ledger):
    """The queue in one file; every method is one transaction.

    Raises:
        RunError: the file is none of ours.
    """

    def add(self, tasks: Iterable[TeamTask], tries: int) -> int:
        """Add tasks that are not there yet, each for so many tries; how many are new."""
        with self._change() as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO tasks (id, text, test, files, size, priority, status, "
                "tries_left, added, title, depends, checked) "
                "VALUES (?,?,?,?,?,?,'open',?,?,?,?,?)",
                [(t.id, t.text, t.test, json.dumps(t.files), t.size, t.priority, tries, time.time(),
                  t.title, json.dumps(t.depends_on), t.check) for t in tasks],
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

    def ready(self, most: int = 64) -> int:
        """Returns how many open tasks wait for no other one, up to `most`."""
        with self._open() as connection:
            return len(list(islice(_ready(connection), most)))

    def settle(self, passed: Iterable[str]) -> None:
        """Tasks are done whose test passes and that have no further check."""
        with self._change() as connection:
            connection.executemany(
                "UPDATE tasks SET status='done' WHERE test=? AND checked='' "
                "AND status IN ('open','given_up')",
                [(test,) for test in passed if test],
            )

    def claim(
        self,
        worker: str,
        *,
        lease_seconds: float,
        reserve: int,
        budget: RunBudget | None = None,
        choose: Callable[[Sequence[TeamTask], Sequence[AttemptRow]], int | None] | None = None,
    ) -> Claim | None:
        """Take one open task; None where there is none, or the budget is used up.

        Args:
            worker: who takes it.
            lease_seconds: how long it is its own, unless renewed.
            reserve: what the attempt may cost.
            budget: what all attempts together may spend.
            choose: given the open tasks, highest priority first, and all attempts so far, the index
                of one, or None to take none; without it the first. What failed before comes last.
        """
        with self._change() as connection:
            spent = spent_in(connection)
            if budget is not None and budget.used_up(spent):
                return None
            if budget is not None and budget.tries is not None:
                reserve = min(reserve, budget.tries - spent.tries)
            tasks = list(islice(_ready(connection), 1 if choose is None else None))
            if not tasks:
                return None
            index: int | None = 0
            if choose is not None:
                index = choose(tasks, [attempt_row_of(row) for row in connection.execute(ATTEMPTS)])
            if index is None:
                return None
            task, token, now = tasks[index], secrets.token_hex(8), time.time()
            connection.execute("UPDATE tasks SET status='taken' WHERE id=?", (task.id,))
            cursor = connection.execute(
                "INSERT INTO attempts (task, worker, token, started, lease, status, reserved) "
                "VALUES (?,?,?,?,?,'running',?)",
                (task.id, worker, token, now, now + lease_seconds, reserve),
            )
            insert_event(connection, worker, "", "action", f"takes {task.id}", {"task": task.id})
            return Claim(int(cursor.lastrowid or 0), token, task, reserve)

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
            (
                Claim(row["id"], row["token"], tasks[row["task"]], row["reserved"]),
                attempt_row_of(row),
            )
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
            insert_event(connection, worker, "", "answer", claim.task.id, {"task": claim.task.id})

    def end_needless(self, claim: Claim) -> None:
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
        return None if row is None else attempt_row_of(row)

    def last_reason(self) -> str:
        """Returns who failed last, at what and why; nothing where nobody did."""
        with self._open() as connection:
            row = connection.execute(
                "SELECT worker, task, status, note FROM attempts "
                "WHERE status IN ('failed','conflict','lost') ORDER BY ended DESC, id DESC LIMIT 1"
            ).fetchone()
        return "" if row is None else f"{row['worker']} at {row['task']}: {row['note']}"

    def repeated_failure(self, since: float) -> str:
        """Returns the reason if the newest attempts all failed for the same one.

        Attempts that were merged end a row of failures; conflicts and lost attempts do not count.

        Args:
            since: attempts that began earlier do not count either, in seconds since 1970.
        """
        with self._open() as connection:
            rows = connection.execute(
                "SELECT status, note FROM attempts WHERE started>=? AND "
                "status IN ('failed','merged','needless') ORDER BY ended DESC, id DESC LIMIT ?",
                (since, REPEATED_FAILURES),
            ).fetchall()
        kinds = {(row["status"], row["note"]) for row in rows}
        if len(rows) < REPEATED_FAILURES or len(kinds) > 1 or rows[0]["status"] != "failed":
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
                    insert_event(
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


def _ready(connection: sqlite3.Connection) -> Iterator[TeamTask]:
    """The open tasks that wait for no other one, in the order in which they are taken."""
    left = {row[0] for row in connection.execute("SELECT id FROM tasks WHERE status!='done'")}
    rows = connection.execute(
        "SELECT * FROM tasks WHERE status='open' ORDER BY priority DESC, tries_left DESC, added, id"
    )
    return (task for task in map(task_of, rows) if left.isdisjoint(task.depends_on))


def choose_by_payoff(tasks: Sequence[TeamTask], attempts: Sequence[AttemptRow]) -> int:
    """The first task of the size, small or large, at which most was merged for its cost so far.

    Nobody has to be told to avoid risks: where large tasks meet conflicts they pay less, and are
    left to others.
    """
    sizes = sorted({task.size for task in tasks} | {a.size for a in attempts})
    edge = LARGE * sizes[(len(sizes) - 1) // 2]

    def payoff(large: bool) -> float:
        of = [a for a in attempts if (a.size > edge) == large]
        merged = sum(a.status == "merged" for a in of)
        cost = sum(a.cost for a in of)
        return (merged + 1.0) / (cost + 50.0)

    prefers = payoff(True) > payoff(False)
    return next((i for i, task in enumerate(tasks) if (task.size > edge) == prefers), 0)


def choose_apart(tasks: Sequence[TeamTask], attempts: Sequence[AttemptRow]) -> int:
    """The first task whose files nobody works on now, among those that failed no more often than
    the first of all; else the first of all.
    """
    failures = Counter(a.task for a in attempts if a.status == "failed")
    busy: set[str] = set()
    for attempt in attempts:
        if attempt.status in ("running", "handed", "merging"):
            busy.update(attempt.expected)
    return next(
        (
            i
            for i, task in enumerate(tasks)
            if not busy & set(task.files) and failures[task.id] <= failures[tasks[0].id]
        ),
        0,
    )


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
