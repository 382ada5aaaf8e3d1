"""How good a judge is, for a terminal: start at `judge_check_parts`."""

from __future__ import annotations

from rich.console import RenderableType

from counterpoint.report.terminal.tables import text_table
from counterpoint.results.judge_check import JudgeCheckResult, Measure


def judge_check_parts(check: JudgeCheckResult) -> list[RenderableType]:
    """Returns the measures, how many orders it takes, and what the check has cost."""
    rows = [
        (
            measure.name.replace("_", " "),
            "" if measure.value is None else f"{measure.value:.3f}",
            _interval(measure),
            "" if measure.null is None else f"{measure.null:g}",
            measure.meaning,
        )
        for measure in check.measures
    ]
    titles = ("measure", "value", "95% interval", "without it", "meaning")
    reached = (
        f"a reliability of {check.wanted:g} takes {check.orders} orders of each group"
        if check.orders
        else f"no number of orders reaches a reliability of {check.wanted:g}"
    )
    tokens = "tokens not known" if check.tokens is None else f"{check.tokens} tokens"
    return [
        text_table(titles, rows),
        reached,
        f"{check.groups} groups, {check.calls} calls, {tokens}; {check.unreadable} replies could "
        "not be read",
    ]


def _interval(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return ""
    return f"{measure.low:.3f} to {measure.high:.3f}"
