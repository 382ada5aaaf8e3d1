"""The rows of the ledger as values: a task, an attempt at it, an event."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from counterpoint.records import Json
from counterpoint.workers.plan import TaskPlan


@dataclass(frozen=True)
class TeamTask(TaskPlan):
    """One thing to do. Adding it again, by its id, changes nothing."""

    size: int = 1
    """How large it looks: 1 is small."""


@dataclass(frozen=True, kw_only=True)
class TaskRow(TeamTask):
    """A task of the ledger."""

    status: str
    """`open`, `taken`, `handed`, `done` or `given_up`."""


@dataclass(frozen=True)
class AttemptRow:
    """An attempt of the ledger; "" and () stand for what it does not have yet."""

    id: int
    task: str
    """Id of the task."""
    worker: str
    status: str
    """`running`, `handed`, `merging`, or one of `queue.ENDED`."""
    started: float
    """Seconds since 1970, as `ended`."""
    ended: float | None = None
    base: str = ""
    """Commit that the worker began with."""
    made: str = ""
    """Commit with the work alone."""
    parent: str = ""
    """Head that the work was merged into."""
    landed: str = ""
    """Commit that became the head."""
    files: tuple[str, ...] = ()
    """Files that the work changed."""
    cost: int = 0
    """Tries."""
    waited: float = 0.0
    """Seconds until it had its locks."""
    held: float = 0.0
    """Seconds for which it had them."""
    note: str = ""
    """Why it ended as it did."""
    tokens: int | None = None
    dollars: float | None = None
    size: int = 1
    """Size of the task."""
    expected: tuple[str, ...] = ()
    """Files of the task."""


@dataclass(frozen=True)
class EventRow:
    """An event of the ledger."""

    at: float
    """Seconds since 1970."""
    agent: str
    hearer: str
    """"" if nobody in particular."""
    kind: str
    text: str
    meta: Mapping[str, Json]


ATTEMPTS = (
    "SELECT a.*, t.size AS size, t.files AS expected FROM attempts a JOIN tasks t ON t.id=a.task "
)
"""Selects what `attempt_row_of` reads: an attempt, and size and files of its task."""


def task_of(row: sqlite3.Row) -> TeamTask:
    """Returns the task in a row of `tasks`."""
    return TeamTask(row["id"], row["text"], row["test"], tuple(json.loads(row["files"])),
                    row["priority"], row["title"] or row["id"], tuple(json.loads(row["depends"])),
                    row["checked"], row["size"])  # fmt: skip


def task_row_of(row: sqlite3.Row) -> TaskRow:
    """Returns a row of `tasks`."""
    return TaskRow(**vars(task_of(row)), status=row["status"])


def attempt_row_of(row: sqlite3.Row) -> AttemptRow:
    """Returns a row of `ATTEMPTS`."""
    return AttemptRow(
        row["id"], row["task"], row["worker"], row["status"], row["started"], row["ended"],
        row["base"] or "", row["made"] or "", row["parent"] or "", row["landed"] or "",
        tuple(json.loads(row["files"] or "[]")), row["cost"] or 0, row["waited"] or 0.0,
        row["held"] or 0.0, row["note"] or "", row["tokens"], row["dollars"], row["size"],
        tuple(json.loads(row["expected"])),
    )  # fmt: skip


def event_row_of(row: sqlite3.Row) -> EventRow:
    """Returns a row of `events`."""
    return EventRow(row["at"], row["agent"], row["hearer"], row["kind"], row["text"],
                    json.loads(row["meta"]))  # fmt: skip
