"""How good a judge is, for a terminal: start at `judge_check_parts`."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from counterpoint.results.judge_check import JudgeCheckResult


def judge_check_parts(check: JudgeCheckResult) -> list[RenderableType]:
    """Returns the measures, how many orders it takes, and what the check has cost."""
    table = Table("measure", "value", "95% interval", "without it", "meaning", box=SIMPLE_HEAD)
    for measure in check.measures:
        known = measure.low is not None and measure.high is not None
        table.add_row(
            Text(measure.name.replace("_", " ")),
            "" if measure.value is None else f"{measure.value:.3f}",
            f"{measure.low:.3f} to {measure.high:.3f}" if known else "",
            "" if measure.null is None else f"{measure.null:g}",
            Text(measure.meaning),
        )
    reached = (
        f"a reliability of {check.wanted:g} takes {check.orders} orders of each group"
        if check.orders
        else f"no number of orders reaches a reliability of {check.wanted:g}"
    )
    tokens = "tokens not known" if check.tokens is None else f"{check.tokens} tokens"
    return [
        table,
        reached,
        f"{check.groups} groups, {check.calls} calls, {tokens}; {check.unreadable} replies could "
        "not be read",
    ]
