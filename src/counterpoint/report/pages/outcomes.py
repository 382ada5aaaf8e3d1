"""The page of a table of outcomes: whether the team is worth having, and at what cost."""

from __future__ import annotations

from pathlib import Path

from counterpoint.report.toolkit.charts import Dot, interval_panel
from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page, setting_rows
from counterpoint.report.toolkit.numerals import (
    counted,
    fixed,
    interval,
    probability,
    significant,
)
from counterpoint.report.toolkit.tables import (
    Cell,
    Column,
    Table,
    TableRow,
    ends_cell,
    text_columns,
)
from counterpoint.results.outcomes import Compared, OutcomesResult

SAME_COST = 0.05
"""Costs within this share of each other are called the same."""


def outcomes_page(result: OutcomesResult) -> Page:
    """Returns the page of a comparison of outcomes."""
    first = result.compared[0]
    costs = result.cost_per_success
    cost = "not known"
    if costs:
        shown = (significant(costs[name]) if costs[name] is not None else "no success"
                 for name in ("team", "one agent"))  # fmt: skip
        cost = " against ".join(shown)
    dots = [
        Dot(f"minus {one.against}", one.difference, one.low, one.high, f"s{i}",
            fixed(one.difference, 3, signed=True))
        for i, one in enumerate(result.compared)
    ]  # fmt: skip
    return Page(
        template="outcomes.html",
        title=f"{result.source}: is the team worth it?",
        kind="Outcomes",
        subject=result.source,
        file_name=Path(result.source).stem,
        details=[counted(result.tasks, "task")],
        verdict=Headline(
            outcomes_headline(result),
            f"{_decided(first, result.margin)} Better and worse are statistically significant on "
            f"the same tasks; not worse excludes a loss of {result.margin:g}.",
            (
                Fact(f"Team minus {first.against}", fixed(first.difference, 3, signed=True),
                     f"{interval(first.low, first.high, 3, signed=True)}, "
                     f"{counted(first.n, 'task')}"),
                Fact("Cost per success", cost, "team against one agent"),
                Fact("More tasks needed", *_needed(first)),
            ),
        ),
        definitions=DEFINITIONS,
        settings=setting_rows(result.config),
        picture="panel",
        caption="Mean difference of the scores with its 95% interval.",
        contents={
            "panel": interval_panel("differences", "The team beside the others",
                                    "difference of scores", dots),
            "compared": compared_table(result),
            "others": others_table(result),
        },
    )  # fmt: skip


def outcomes_headline(result: OutcomesResult) -> str:
    """Returns the answer in one sentence."""
    first = result.compared[0]
    price = _price(result) if first.against == "one agent" else ""
    if first.decision == "cannot tell":
        more = f"; about {first.tasks_needed} more tasks would" if first.tasks_needed else ""
        scores = f"{fixed(first.team, 2)} against {fixed(first.other, 2)}"
        return f"Cannot tell: {scores}{price}{more}."
    return f"The team is {first.decision} than {first.against}{price}."


def _price(result: OutcomesResult) -> str:
    ratio = result.cost_ratio
    if ratio is None:
        return ""
    if abs(ratio.value - 1) <= SAME_COST:
        return ", at the same cost"
    return f", at {fixed(ratio.value, 2)} times the cost"


def _decided(one: Compared, margin: float) -> str:
    words = {
        "better": f"The whole interval is above 0 (p {probability(one.p)}).",
        "worse": f"The whole interval is below 0 (p {probability(one.p)}).",
        "not worse": f"The whole interval is above \N{MINUS SIGN}{margin:g}.",
        "cannot tell": "The interval allows a gain and a loss that matters.",
    }
    return words[one.decision]


def _needed(one: Compared) -> tuple[str, str]:
    if one.decision != "cannot tell":
        return "none", "it is decided"
    if one.tasks_needed is None:
        return "not known", "no number of tasks that is a plan would decide"
    return f"about {one.tasks_needed}", "if mean and variance stay as they are"


def compared_table(result: OutcomesResult) -> Table:
    """Returns a row for each way of work that the team is compared with."""
    columns = (
        *text_columns("Team against"),
        Column("Tasks"),
        Column("Team"),
        Column("Other"),
        Column("Difference", ("difference", "low", "high")),
        Column("p"),
        Column("Team is", ("decision",), numeric=False),
        Column("More tasks needed", missing="it is decided, or no number of tasks would decide"),
    )
    rows = [
        TableRow((
            Cell(one.against),
            Cell(str(one.n), (one.n,)),
            Cell(fixed(one.team, 3), (one.team,)),
            Cell(fixed(one.other, 3), (one.other,)),
            ends_cell(one.difference, one.low, one.high, signed=True),
            Cell(probability(one.p), (one.p,)),
            Cell(one.decision),
            Cell("–" if one.tasks_needed is None else str(one.tasks_needed), (one.tasks_needed,)),
        ))
        for one in result.compared
    ]  # fmt: skip
    caption = f"The same tasks on both sides; a loss below {result.margin:g} does not matter."
    if result.incomplete:
        caption += f" {result.incomplete[0].upper()}{result.incomplete[1:]}."
    return Table("compared", caption, columns, rows)


def others_table(result: OutcomesResult) -> Table | None:
    """Returns a row for each other finding, or None if there is none."""
    if not result.findings:
        return None
    columns = (
        *text_columns("Finding"),
        Column("Value", ("value", "low", "high")),
        Column("n"),
        Column("Meaning", ("reason",), numeric=False),
    )
    rows = [
        TableRow((
            Cell(f.name.replace("_", " "), (f.name,)),
            Cell(significant(f.value), (f.value, f.low, f.high),
                 below="" if f.low is None else interval(f.low, f.high, 3)),
            Cell(str(f.n), (f.n,)),
            Cell(f.reason),
        ))
        for f in result.findings
    ]  # fmt: skip
    return Table("others", "What else the table shows.", columns, rows)


DEFINITIONS = (
    Definition("interval", "Interval",
               "95%, for paired scores from 0 to 1 (Agresti and Min 2005): ties alone do not make "
               "it narrow."),
    Definition("best-member", "The best member",
               "Chosen on other tasks than those of the comparison, so that luck is no merit."),
    Definition("cost-per-success", "Cost per success",
               "The cost of all tasks over the sum of their scores, in the unit of the table."),
    Definition("needed", "More tasks needed",
               "So many decide with probability 0.8, if the mean and the variance stay as they "
               "are."),
)  # fmt: skip
