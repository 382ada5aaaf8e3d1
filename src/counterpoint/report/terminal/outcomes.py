"""What a terminal shows of decisions from tables of outcomes."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from counterpoint.report.pages.contribution import (
    contribution_headline,
    cover_table,
    member_table,
    missing_sentence,
)
from counterpoint.report.pages.outcomes import compared_table, others_table, outcomes_headline
from counterpoint.report.terminal.tables import terminal_table
from counterpoint.report.toolkit.numerals import significant
from counterpoint.report.toolkit.safe_text import visible
from counterpoint.results.contribution import ContributionResult
from counterpoint.results.outcomes import OutcomesResult


def outcomes_parts(result: OutcomesResult) -> list[RenderableType]:
    """Returns the answer, a row for each comparison, and what else the table shows."""
    others = others_table(result)
    costs = ", ".join(
        f"{name} {'no success' if cost is None else significant(cost)}"
        for name, cost in result.cost_per_success.items()
    )
    return [
        Text(outcomes_headline(result)),
        terminal_table(compared_table(result)),
        *([Text(visible(result.incomplete))] if result.incomplete else []),
        *([Text(f"cost per success: {costs}")] if costs else []),
        *([terminal_table(others)] if others else []),
    ]


def contribution_parts(result: ContributionResult) -> list[RenderableType]:
    """Returns who helps and who hurts, a row for each member, and who covers for whom."""
    covers, missing = cover_table(result), missing_sentence(result)
    return [
        Text(visible(contribution_headline(result))),
        terminal_table(member_table(result)),
        *([terminal_table(covers)] if covers else []),
        *([Text(visible(missing))] if missing else []),
    ]
