"""What a terminal shows of a search over settings."""

from __future__ import annotations

from dataclasses import replace

from rich.console import RenderableType

from counterpoint.report.pages.sweep import arm_table, sweep_verdict, trial_table
from counterpoint.report.terminal.parts import verdict_parts
from counterpoint.report.terminal.tables import terminal_table
from counterpoint.results.sweep import SweepResult

BEST = 5
"""Trials of each arm that are listed; the page has all."""


def sweep_parts(sweep: SweepResult) -> list[RenderableType]:
    """Returns the verdict, the arms on fresh seeds, and the best trials of each arm."""
    table = trial_table(sweep)
    counts = dict.fromkeys(sweep.arms, 0)
    rows = []
    for row in table.rows:
        counts[row.cells[0].shown] += 1
        if counts[row.cells[0].shown] <= BEST:
            rows.append(row)
    shown = table if len(rows) == len(table.rows) else replace(
        table, rows=rows, caption=f"{table.caption} The best {BEST} of each arm."
    )  # fmt: skip
    return [
        *verdict_parts(sweep_verdict(sweep)),
        terminal_table(arm_table(sweep)),
        terminal_table(shown),
    ]
