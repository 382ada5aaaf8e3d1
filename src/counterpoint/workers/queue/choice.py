"""Which open task a worker takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from counterpoint.workers.queue.rows import AttemptRow, Task

LARGE = 1.5
"""A task looks large if it is this many times as large as the median of the open ones."""


def by_payoff(tasks: Sequence[Task], attempts: Sequence[AttemptRow]) -> int:
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


def apart(tasks: Sequence[Task], attempts: Sequence[AttemptRow]) -> int:
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
