"""What a judge made of groups of runs, for a terminal: start at `ranking_parts`."""

from __future__ import annotations

from rich.console import RenderableType

from counterpoint.report.terminal.tables import text_table
from counterpoint.report.toolkit.safe_text import visible
from counterpoint.results.ranking import RankedGroup, RankingResult

SHOWN = 20
"""Most groups in the table; all are in the JSON and in --out."""


def ranking_parts(ranking: RankingResult) -> list[RenderableType]:
    """Returns the first groups, and what all of them cost."""
    rows = [
        (
            _shortened(group.group, 40),
            _shortened(f"void: {group.void}" if group.void else _order(group), 200),
            "" if group.reliability is None else f"{group.reliability:.2f}",
            str(group.calls),
        )
        for group in ranking.groups[:SHOWN]
    ]
    numeric = ("reliability", "calls")
    table = text_table(("group", "ranking, best first", *numeric), rows, numeric=numeric)
    count = len(ranking.groups)
    more = f" ({count - SHOWN} more are not shown)" if count > SHOWN else ""
    tokens = "tokens not known" if ranking.tokens is None else f"{ranking.tokens} tokens"
    dollars = f"; {ranking.cost_dollars:.4f} dollars" if ranking.cost_dollars else ""
    return [
        table,
        f"{count} groups{more}, {ranking.void} void; {ranking.calls} calls, "
        f"{ranking.asked_now} of them now; {tokens}{dollars}",
    ]


def _order(group: RankedGroup) -> str:
    """Returns the members of a group, best first."""
    return " > ".join(" = ".join(tied) for tied in group.ranking)


def _shortened(text: str, most: int) -> str:
    """Returns the text as it can be shown, cut where it is too long for a table."""
    start = visible(text[: most + 1])
    return start if len(text) <= most else f"{start[: most - 1]}…"
