"""The queue of a working team: which tasks there are, who takes which, and how attempts end.

A claim is a lease with a token. A worker whose lease has expired cannot change its attempt any
more, so nobody commits work that another worker has taken over. Start with `Queue.claim`.
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
from counterpoint.workers.queue.ledger import ENDED, Ledger, insert_event
from counterpoint.workers.queue.rows import (
    ATTEMPTS,
    AttemptRow,
    RunBudget,
    TeamTask,
    attempt_row_of,
    spent_in,
    task_of,
)

LARGE = 1.5
"""A task looks large if it is this many times as large as the median of the open ones."""
LOST = "the worker died, or its lease expired"
BREAKS = "breaks"
"""How the reason begins if an attempt merged, and tests then failed."""
REPEATED_FAILURES = 3
"""So many failures in a row with one reason end a run."""


@dataclass(frozen=True)
class Claim:
    """A task that a worker holds until its lease ends."""

    attempt: int
    """The number of the attempt."""
    token: str
    """The proof that it is still held."""
    task: TeamTask
    reserved: int
    """Maximum of its cost."""


class Queue(Ledger):
    """The queue in one file; every method is one transaction.

    Raises:
        RunError: the file is none of ours.
        BusyError: in every method with a claim: it is not held any more.
    """

    def add(self, tasks: Iterable[TeamTask], tries: int) -> int:
        """Adds tasks that are not there yet, each for so many tries; returns how many are new."""
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
        """Opens tasks again that are done or given up, and returns how many."""
        with self._change() as connection:
            before = connection.total_changes
            connection.executemany(
                "UPDATE tasks SET status='open', tries_left=? WHERE id=? "
                "AND status IN ('done','given_up')",
                [(tries, one) for one in ids],
            )
            return connection.total_changes - before

    def ready(self) -> int:
        """Returns how many open tasks wait for no other one, up to 64, the largest team."""
        with self._open() as connection:
            return len(list(islice(_ready(connection), 64)))

    def mark_done(self, passed: Iterable[str]) -> None:
        """Marks the tasks as done whose test passes and that have no further check."""
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
        """Takes one open task; returns None if there is none, or the budget is used up.

        Args:
            worker: name of the worker.
            lease_seconds: duration of the lease, unless it is renewed.
            reserve: maximum of the cost of the attempt.
            budget: limits of all attempts together.
            choose: given the open tasks, highest priority first, and all attempts so far, returns
                the index of one, or None to take none; without it the first task is taken. Tasks
                that failed before come last.
        """
        # the budget is read, a task is chosen and its tries are reserved in one transaction, so two
        # workers never take one task, or together more than is left
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
        """Keeps a claim for longer."""
        self._update(claim, "lease=?", time.time() + lease_seconds)

    def note(self, claim: Claim, **columns: Any) -> None:
        """Sets columns of an attempt: `base`, `made`, `files`, `cost`, `waited`, `held`, `note`."""
        values = [json.dumps(v) if isinstance(v, list | tuple) else v for v in columns.values()]
        self._update(claim, ", ".join(f"{name}=?" for name in columns), *values)

    def hand_over(self, claim: Claim, made: str) -> None:
        """Gives a finished commit to the merger."""
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
        claims = [Claim(r["id"], r["token"], tasks[r["task"]], r["reserved"]) for r in rows]
        return list(zip(claims, map(attempt_row_of, rows), strict=True))

    def merging(self, claim: Claim, landed: str, parent: str) -> None:
        """Stores which commit is about to become the head, before it does.

        If the process dies in between, `recover` looks for the commit in the head.
        """
        self._update(claim, "status='merging', landed=?, parent=?", landed, parent)

    def merged(self, claim: Claim) -> None:
        """Ends an attempt whose commit is the head, or was."""
        with self._holding(claim) as connection:
            _finish_merged(connection, claim.attempt, "")

    def end_needless(self, claim: Claim) -> None:
        """Ends an attempt whose task somebody else has done on the way."""
        with self._holding(claim) as connection:
            _finish(connection, claim.attempt, "needless", "its test passes already")
            connection.execute("UPDATE tasks SET status='done' WHERE id=?", (claim.task.id,))

    def failed(self, claim: Claim, status: str, why: str) -> None:
        """Ends an attempt that came to nothing: `failed`, `conflict`, or `lost`.

        The task is open again as long as it has tries left.
        """
        with self._holding(claim) as connection:
            _finish(connection, claim.attempt, status, why)
            _reopen(connection, claim.task.id, counts=status == "failed")

    def last_ended(self, task: str) -> AttemptRow | None:
        """Returns the newest attempt at a task that failed or conflicted, or None."""
        query = "WHERE a.task=? AND a.status IN ('failed','conflict') ORDER BY a.id DESC LIMIT 1"
        return next(map(attempt_row_of, self._rows(ATTEMPTS + query, task)), None)

    def last_reason(self) -> str:
        """Returns who failed last, at what and why; "" if nobody did."""
        rows = self._rows(
            "SELECT worker, task, status, note FROM attempts "
            "WHERE status IN ('failed','conflict','lost') ORDER BY ended DESC, id DESC LIMIT 1"
        )
        return "".join(f"{row['worker']} at {row['task']}: {row['note']}" for row in rows)

    def repeated_failure(self, since: float) -> str:
        """Returns the reason if the newest attempts all failed for the same one, or "".

        Attempts that were merged end a row of failures; conflicts and lost attempts do not count.

        Args:
            since: attempts that began earlier do not count either, in seconds since 1970.
        """
        rows = self._rows(
            "SELECT status, note FROM attempts WHERE started>=? AND "
            "status IN ('failed','merged','needless') ORDER BY ended DESC, id DESC LIMIT ?",
            since, REPEATED_FAILURES,
        )  # fmt: skip
        kinds = {(row["status"], row["note"]) for row in rows}
        if len(rows) < REPEATED_FAILURES or len(kinds) > 1 or rows[0]["status"] != "failed":
            return ""
        return str(rows[0]["note"])

    @contextmanager
    def _holding(self, claim: Claim) -> Iterator[sqlite3.Connection]:
        """Yields a transaction in which the claim is known to be held."""
        with self._change() as connection:
            query = "SELECT token, status FROM attempts WHERE id=?"
            row = connection.execute(query, (claim.attempt,)).fetchone()
            # the token proves who claimed the attempt; the status says whether `recover` has ended
            # it since then, and has given the task to others
            if row is None or row["token"] != claim.token or row["status"] in ENDED:
                raise BusyError(f"attempt {claim.attempt} at {claim.task.id} has lost its lease")
            yield connection

    def _update(self, claim: Claim, assignments: str, *values: object) -> None:
        """Sets columns of the attempt of a claim."""
        with self._holding(claim) as connection:
            query = f"UPDATE attempts SET {assignments} WHERE id=?"
            connection.execute(query, (*values, claim.attempt))

    def lock(self, claim: Claim, paths: Iterable[str]) -> bool:
        """Takes locks on all of the files or on none, and returns whether they are held now.

        All or none in one transaction: two attempts never wait for each other's files.
        """
        with self._holding(claim) as connection:
            for path in paths:
                query = "SELECT attempt FROM locks WHERE path=?"
                row = connection.execute(query, (path,)).fetchone()
                if row is not None and row[0] != claim.attempt:
                    return False
            connection.executemany(
                "INSERT OR IGNORE INTO locks VALUES (?,?,?)",
                [(path, claim.attempt, time.time()) for path in paths],
            )
            return True

    def recover(self, landed: Callable[[str], bool], *, everybody: bool, why: str = LOST) -> int:
        """Ends attempts of workers that died: those whose lease has ended, or all of them.

        An attempt that was about to become the head is merged if its commit is there, and lost if
        it is not. Returns how many attempts were ended.

        Args:
            landed: returns whether a commit is in the head.
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
                    _finish_merged(connection, row["id"], "found in the head")
                    continue
                _finish(connection, row["id"], "lost", why)
                _reopen(connection, row["task"], counts=False)
        return count

    def release(self, worker: str, landed: Callable[[str], bool], why: str = LOST) -> None:
        """Ends the attempt that a worker had when its process ended."""
        self._run(
            "UPDATE attempts SET lease=0 WHERE worker=? AND status IN ('running','merging')", worker
        )
        self.recover(landed, everybody=False, why=why)


def _ready(connection: sqlite3.Connection) -> Iterator[TeamTask]:
    """Returns the open tasks that wait for no other one, in the order in which they are taken."""
    left = {row[0] for row in connection.execute("SELECT id FROM tasks WHERE status!='done'")}
    # a task that failed before has fewer tries left, and comes after its equals
    rows = connection.execute(
        "SELECT * FROM tasks WHERE status='open' ORDER BY priority DESC, tries_left DESC, added, id"
    )
    return (task for task in map(task_of, rows) if left.isdisjoint(task.depends_on))


def _finish(connection: sqlite3.Connection, attempt: int, status: str, why: str) -> None:
    """Ends an attempt and gives its locks back."""
    now = time.time()
    # what was reserved beyond the cost is free again; an empty reason keeps the note of the worker;
    # the locks were all taken at one time, so the oldest says for how long they were held
    connection.execute(
        "UPDATE attempts SET status=?, ended=?, reserved=cost, "
        "note=CASE WHEN ?='' THEN note ELSE ? END, "
        "held=held+COALESCE((SELECT ? - MIN(since) FROM locks WHERE attempt=?), 0) WHERE id=?",
        (status, now, why, why, now, attempt, attempt),
    )
    connection.execute("DELETE FROM locks WHERE attempt=?", (attempt,))


def _finish_merged(connection: sqlite3.Connection, attempt: int, why: str) -> None:
    """Ends a merged attempt and its task, and logs the answer."""
    _finish(connection, attempt, "merged", why)
    row = connection.execute("SELECT worker, task FROM attempts WHERE id=?", (attempt,)).fetchone()
    connection.execute("UPDATE tasks SET status='done' WHERE id=?", (row["task"],))
    insert_event(connection, row["worker"], "", "answer", row["task"], {"task": row["task"]})


def _reopen(connection: sqlite3.Connection, task: str, *, counts: bool) -> None:
    """Opens a task again, with one try less if the attempt counts, or gives it up without tries."""
    # SQLite computes both columns from the old row, so the try is taken off twice
    connection.execute(
        "UPDATE tasks SET tries_left=tries_left-?, "
        "status=CASE WHEN tries_left-? > 0 THEN 'open' ELSE 'given_up' END WHERE id=?",
        (int(counts), int(counts), task),
    )


def choose_by_payoff(tasks: Sequence[TeamTask], attempts: Sequence[AttemptRow]) -> int:
    """Returns the first task of the size, small or large, that had the most merges for its cost.

    Large tasks that often conflict pay less, so that workers leave them without any rule on risks.
    """
    sizes = sorted({task.size for task in tasks} | {a.size for a in attempts})
    edge = LARGE * sizes[(len(sizes) - 1) // 2]

    def payoff(large: bool) -> float:
        of_size = [a for a in attempts if (a.size > edge) == large]
        merged = sum(a.status == "merged" for a in of_size)
        # one merge for 50 tries is assumed before anything is known
        return (merged + 1.0) / (sum(a.cost for a in of_size) + 50.0)

    prefers = payoff(True) > payoff(False)
    return next((i for i, task in enumerate(tasks) if (task.size > edge) == prefers), 0)


def choose_apart(tasks: Sequence[TeamTask], attempts: Sequence[AttemptRow]) -> int:
    """Returns the first task whose files nobody works on now, or 0 if there is none.

    The task must not have failed more often than the first one.
    """
    failures = Counter(a.task for a in attempts if a.status == "failed")
    busy = {path for a in attempts if a.status in ("running", "handed", "merging")
            for path in a.expected}  # fmt: skip
    for i, task in enumerate(tasks):
        if busy.isdisjoint(task.files) and failures[task.id] <= failures[tasks[0].id]:
            return i
    return 0
