"""The ledger as values: tasks, attempts at them, events, and what a team may spend and has spent.

A number that nobody knows is counted as unknown and is never 0.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields

from counterpoint.errors import SettingError
from counterpoint.records import Json
from counterpoint.workers.plan import LARGEST, TaskPlan


@dataclass(frozen=True)
class TeamTask(TaskPlan):
    """A task of the queue. Adding it again, by its id, changes nothing."""

    size: int = 1
    """Number of ways in which it could be done; 1 is small."""


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
    """`running`, `handed`, `merging`, or one of `ledger.ENDED`."""
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


def attempt_row_of(row: sqlite3.Row) -> AttemptRow:
    """Returns a row of `ATTEMPTS`; what is NULL has the default of its field."""
    values = {f.name: row[f.name] for f in fields(AttemptRow) if row[f.name] is not None}
    files = {name: tuple(json.loads(values.get(name) or "[]")) for name in ("files", "expected")}
    return AttemptRow(**{**values, **files})


@dataclass(frozen=True)
class Spent:
    """The sums over all attempts."""

    tries: int = 0
    """Edits, replies or runs of a command, with what running attempts have reserved."""
    runs: int = 0
    """Attempts that began, except those whose test passed already."""
    tokens: int = 0
    """Tokens read and written in attempts that know it."""
    dollars: float = 0.0
    """Dollars paid in attempts that know it."""
    unknown_tokens: int = 0
    """Number of attempts that are over and do not know their tokens."""
    unknown_dollars: int = 0
    """Number of attempts that are over and do not know their dollars."""


@dataclass(frozen=True)
class RunBudget:
    """Limits of all attempts together, as in the result; None is no limit.

    Raises:
        SettingError: a limit that allows nothing.
    """

    # it is no `TeamBudget`: every turn of a member starts with this module, and without NumPy
    tries: int | None = None
    seconds: float | None = None
    tokens: int | None = None
    runs: int | None = None
    dollars: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is None:
                continue
            if not (value > 0 if name == "dollars" else value >= 1):
                wanted = "more than 0" if name == "dollars" else "at least 1"
                raise SettingError(f"got a budget of {name}={value}; wanted {wanted}")
            if not value < LARGEST:
                shown = f"{value:.6g}" if value < 1e300 else "more than 1e300"  # no float then
                raise SettingError(f"got a budget of {name}={shown}; wanted less than 2**53")

    def used_up(self, spent: Spent, *, reserved: bool = False) -> str:
        """Returns the name of a limit that is reached, or ""; the loop itself counts seconds.

        Args:
            spent: what is spent.
            reserved: whether an attempt asks that has reserved its tries and its run, and may use
                them: only tokens and dollars count then.
        """
        names = ("tokens", "dollars") if reserved else ("tries", "runs", "tokens", "dollars")
        for name in names:
            limit = getattr(self, name)
            if limit is not None and getattr(spent, name) >= limit:
                return name
        return ""


def spent_in(connection: sqlite3.Connection) -> Spent:
    """Returns what is spent, read within a transaction."""
    # an attempt under way counts as what it has reserved, one that is over as what it cost; the
    # conditions are 0 or 1, so their sums are counts, and NULL (unknown) is in no sum
    row = connection.execute(
        "SELECT COALESCE(SUM(MAX(reserved, cost)), 0), COALESCE(SUM(status!='needless'), 0), "
        "COALESCE(SUM(tokens), 0), COALESCE(SUM(dollars), 0.0), "
        "COALESCE(SUM(tokens IS NULL AND ended IS NOT NULL AND status!='needless'), 0), "
        "COALESCE(SUM(dollars IS NULL AND ended IS NOT NULL AND status!='needless'), 0) "
        "FROM attempts"
    ).fetchone()
    earlier = connection.execute("SELECT value FROM facts WHERE key='tokens'").fetchone()
    tokens = int(row[2]) + (int(float(earlier[0])) if earlier else 0)  # of earlier versions
    return Spent(int(row[0]), int(row[1]), tokens, float(row[3]), int(row[4]), int(row[5]))
