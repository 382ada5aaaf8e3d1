"""Rankings of a judge, and checks of a judge, for a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from counterpoint.report.pages.judge_check import judge_check_headline
from counterpoint.report.pages.ranking import ranking_headline
from counterpoint.report.pages.unseen import unseen_lines
from counterpoint.report.terminal.tables import text_table
from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.toolkit.safe_text import cut, visible
from counterpoint.results.judge_check import JudgeCheckResult
from counterpoint.results.ranking import RankingResult

GROUPS_SHOWN = 20
"""Maximum number of groups in the table; all are in the JSON and in --out."""


def ranking_parts(ranking: RankingResult) -> list[RenderableType]:
    """Returns the first groups, and the cost of all of them."""
    rows = []
    for group in ranking.groups[:GROUPS_SHOWN]:
        order = " > ".join(" = ".join(tied) for tied in group.ranking)
        text = visible(cut(f"void: {group.void}" if group.void else order, 200))
        reliability = "" if group.reliability is None else f"{group.reliability:.2f}"
        rows.append((visible(cut(group.group, 40)), text, reliability, str(group.calls)))
    numeric = ("reliability", "calls")
    table = text_table(("group", "ranking, best first", *numeric), rows, numeric=numeric)
    count = len(ranking.groups)
    more = f" ({count - GROUPS_SHOWN} more are not shown)" if count > GROUPS_SHOWN else ""
    tokens = "tokens not known" if ranking.tokens is None else f"{ranking.tokens} tokens"
    dollars = f"; {ranking.cost_dollars:.4f} dollars" if ranking.cost_dollars else ""
    return [
        Text(ranking_headline(ranking), style="bold"),
        table,
        f"{count} groups{more}, {ranking.void} void; {ranking.calls} calls, "
        f"{ranking.asked_now} of them now; {tokens}{dollars}",
        *unseen_lines(ranking.unseen, ranking.settings),
    ]


def judge_check_parts(check: JudgeCheckResult) -> list[RenderableType]:
    """Returns the measures, the number of orders that a reliability needs, and the cost of the
    check."""
    rows = []
    for one in check.measures:
        value = "" if one.value is None else f"{one.value:.3f}"
        null = "" if one.null is None else f"{one.null:g}"
        bounded = one.low is not None and one.high is not None
        ends = f"{one.low:.3f} to {one.high:.3f}" if bounded else ""
        rows.append((one.name.replace("_", " "), value, ends, null, one.meaning))
    titles = ("measure", "value", "95% interval", "without it", "meaning")
    reached = (
        f"a reliability of {check.wanted:g} takes {check.orders} orders of each group"
        if check.orders
        else f"no number of orders reaches a reliability of {check.wanted:g}"
    )
    tokens = "tokens not known" if check.tokens is None else f"{check.tokens} tokens"
    return [
        Text(judge_check_headline(check), style="bold"),
        text_table(titles, rows),
        reached,
        f"{check.groups} groups, {check.calls} calls, {tokens}; {check.unreadable} replies could "
        "not be read",
        *_skipped(check),
        *unseen_lines(check.unseen, check.settings),
    ]


def _skipped(check: JudgeCheckResult) -> list[str]:
    """Returns how many groups say nothing about the judge."""
    if not check.void:
        return []
    groups = counted(check.void, "group")
    return [f"{groups} left out: the runs have no text, or differ only in what is not shown"]
