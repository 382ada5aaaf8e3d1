"""The queue of a working team: which tasks there are, and who takes which.

Start with `Queue.claim`; what can be done with a claim is in attempts.py.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from counterpoint.workers.queue.attempts import Attempts, Claim
from counterpoint.workers.queue.budget import Budget, spent_in
from counterpoint.workers.queue.ledger import say_in
from counterpoint.workers.queue.rows import ATTEMPTS, AttemptRow, Task, attempt_of, task_of

__all__ = ["Claim", "Queue", "Task"]


class Queue(Attempts):
    """The queue in one file; every method is one transaction.

    Raises:
        RunError: the file is none of ours.
    """

    def add(self, tasks: Iterable[Task], tries: int) -> int:
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
        budget: Budget | None = None,
        choose: Callable[[Sequence[Task], Sequence[AttemptRow]], int | None] | None = None,
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
                index = choose(tasks, [attempt_of(row) for row in connection.execute(ATTEMPTS)])
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


def _ready(connection: sqlite3.Connection) -> Iterator[Task]:
    """The open tasks that wait for no other one, in the order in which they are taken."""
    left = {row[0] for row in connection.execute("SELECT id FROM tasks WHERE status!='done'")}
    rows = connection.execute(
        "SELECT * FROM tasks WHERE status='open' ORDER BY priority DESC, tries_left DESC, added, id"
    )
    return (task for task in map(task_of, rows) if left.isdisjoint(task.depends_on))
