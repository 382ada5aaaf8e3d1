"""What a team may spend, and what it has spent: tries, runs, tokens, dollars; and seconds.

A number that nobody knows is counted as unknown and is never 0. Start with `RunBudget`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields

from counterpoint.errors import SettingError
from counterpoint.workers.plan import LARGEST


@dataclass(frozen=True)
class Spent:
    """What all attempts have spent together."""

    tries: int = 0
    """Edits, replies or runs of a command, with what running attempts have reserved."""
    runs: int = 0
    """Attempts that began, except those whose test passed already."""
    tokens: int = 0
    """Tokens read and written, of attempts that know it."""
    dollars: float = 0.0
    """Dollars paid, of attempts that know it."""
    unknown_tokens: int = 0
    """Attempts that are over and do not know their tokens."""
    unknown_dollars: int = 0
    """Attempts that are over and do not know their dollars."""


@dataclass(frozen=True)
class RunBudget:
    """What all attempts may spend together; None is no limit.

    Raises:
        SettingError: a limit that allows nothing.
    """

    tries: int | None = None
    """Edits that are tried, replies of a model, or runs of a command."""
    seconds: float | None = None
    """Wall clock, over all sessions."""
    tokens: int | None = None
    """Read and written by models."""
    runs: int | None = None
    """Attempts."""
    dollars: float | None = None
    """Paid for models."""

    def __post_init__(self) -> None:
        for spec in fields(self):
            value, name = getattr(self, spec.name), spec.name
            if value is None:
                continue
            if name == "dollars" and not value > 0:
                raise SettingError(f"got a budget of dollars={value}; wanted more than 0")
            if name != "dollars" and not value >= 1:
                raise SettingError(f"got a budget of {name}={value}; wanted at least 1")
            if not value < LARGEST:
                raise SettingError(f"got a budget of {name}={value:.6g}; wanted less than 2**53")

    def used_up(self, spent: Spent, *, at_once: bool = False) -> str:
        """Returns the name of a limit that is reached, or nothing; seconds are the loop's.

        Args:
            spent: what is spent.
            at_once: only limits that end attempts under way too. Tries and runs are reserved before
                an attempt begins, so it may use them.
        """
        names = ("tokens", "dollars") if at_once else ("tries", "runs", "tokens", "dollars")
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
