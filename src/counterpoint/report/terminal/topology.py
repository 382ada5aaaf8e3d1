"""A comparison of topologies and a search, for a terminal: start at `topology_parts`."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from counterpoint.report.pages.topology import (
    AGAINST,
    gap_table,
    headline,
    score_table,
    share_table,
)
from counterpoint.report.terminal.tables import terminal_table, text_table
from counterpoint.results.topology import TopologyResult, TopologySearchResult


def topology_parts(result: TopologyResult) -> list[RenderableType]:
    """Returns the verdict, the shares, the scores and the gaps."""
    best = result.best
    against = ", ".join(
        f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}] {title}"
        for gap, title in ((result.gap[name], title) for name, title in AGAINST.items())
    )
    shares = share_table(result, "")
    return [
        Text(headline(result)),
        *([terminal_table(shares)] if shares else []),
        terminal_table(score_table(result, "")),
        "the team less what it is measured against:",
        terminal_table(gap_table(result, "")),
        Text(
            f"the best, {best.topology} with {best.prompt}, measured on seeds on which it was not "
            f"chosen: {best.value:.3f} [{best.low:.3f}, {best.high:.3f}]; against {against}"
        ),
        Text(f"score: {result.scale}; {result.seeds} seeds of {result.items} items"),
    ]


def search_parts(result: TopologySearchResult) -> list[RenderableType]:
    """Returns the rounds of a search, and the winner with its score on fresh items."""
    titles = ("candidates", "items each", "best score")
    rows = [(str(each.candidates), str(each.items), f"{each.best:.3f}") for each in result.rounds]
    winner, fresh = result.winner, result.fresh
    return [
        text_table(titles, rows, numeric=titles),
        Text(f"the best is {winner.topology} with {winner.prompt}, turns {winner.order}"),
        Text(
            f"{result.searched:.3f} while it was chosen; on fresh items {fresh.value:.3f} "
            f"[{fresh.low:.3f}, {fresh.high:.3f}] ({fresh.n} items)"
        ),
    ]
