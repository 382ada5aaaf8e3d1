"""The page of a population beside one learner: champions by budget, crossover, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.report.pages.definitions import Definition
from counterpoint.report.pages.verdicts import Fact, Verdict
from counterpoint.report.toolkit.charts import Chart, Line, narrow_chart, style_of, wide_chart
from counterpoint.report.toolkit.document import Document
from counterpoint.report.toolkit.settings import flatten, short_first
from counterpoint.report.toolkit.tables import Cell, Column, Figure, Row, Table


def population_page(document: Document, prefix: str) -> dict[str, Any]:
    """What the template `population.html` is filled with."""
    return {
        "title": f"{document['world']}: a population at a fixed budget",
        "kind": "Population",
        "subject": str(document["world"]),
        "details": [str(document["source"])],
        "version": str(document.get("version", "")),
        "verdict": Verdict(
            headline(document),
            "Everything is charged: updates of all members, and their evaluations. What a champion "
            + ("is worth is exact, and not the estimate for which it was chosen."
               if document.get("exact", True)
               else "is worth is measured on other episodes than those for which it was chosen."),
            (Fact("Budget", str(document["budget"]), "policy updates, all members together"),
             Fact("Reference", _value(document["optimum"]), str(document.get("unit", ""))),
             Fact("Repeats", str(document["repeats"]), "populations of each arm")),
        ),
        "figure": _figure(document, prefix),
        "arms": _arms(document, prefix),
        "meetings": _meetings(document, prefix),
        "definitions": DEFINITIONS,
        "settings": short_first(list(flatten(
            {**document["settings"], "members": [a["members"] for a in document["arms"].values()],
             "repeats": document["repeats"]}).items())),
    }  # fmt: skip


def headline(document: Mapping[str, Any]) -> str:
    """The verdict in a sentence."""
    arms = document["arms"]
    best = max(arms, key=lambda name: arms[name]["champion"]["iqm"])
    told = f"At {document['budget']} updates {best} is best: {_interval(arms[best])}"
    crossing, several = document["crossover"], [n for n in arms if arms[n]["members"] > 1]
    if several and best not in several and best != "single":
        first = max(several, key=lambda name: arms[name]["champion"]["iqm"])
        return (
            f"At {document['budget']} updates no population is better than what one learner has "
            f"for nothing, {best.replace('_', ' ')} of its selves: {_interval(arms[best])}; the "
            f"best population is {first}: {_interval(arms[first])}."
        )
    if crossing is None:
        return f"{told}."
    rival = crossing["rival"]
    if crossing["why"] == "never":
        return f"{told}; {rival} does not overtake the single learner up to there."
    if crossing["why"] == "always":
        return f"{told}; {rival} is ahead of the single learner at every budget that was measured."
    ends = [f"{crossing[key]:.0f}" if crossing[key] else "?" for key in ("low", "high")]
    return (
        f"{told}; by its mean {rival} overtakes the single learner at {crossing['budget']:.0f} "
        f"updates [{ends[0]}, {ends[1]}]."
    )


def _interval(arm: Mapping[str, Any]) -> str:
    champion = arm["champion"]
    return f"{champion['iqm']:.3f} [{champion['low']:.3f}, {champion['high']:.3f}]"


def _value(value: Any) -> str:
    return "not known" if value is None else f"{value:.4g}"


def _figure(document: Document, prefix: str) -> Figure:
    lines = tuple(
        Line(
            str(name),
            [float(point["budget"]) for point in arm["curve"]],
            [point["iqm"] for point in arm["curve"]],
            style_of(i),
            [point["low"] for point in arm["curve"]],
            [point["high"] for point in arm["curve"]],
        )
        for i, (name, arm) in enumerate(document["arms"].items())
    )
    known = document["optimum"]
    references = () if known is None else (("reference", float(known)),)
    chart = Chart(
        "champions", "Champions by budget", headline(document), "policy updates in all",
        str(document.get("unit", "worth of the champion")), lines, references,
    )  # fmt: skip
    rows = [
        (str(name), point["budget"], point["spent"], point["iqm"], point["low"], point["high"])
        for name, arm in document["arms"].items()
        for point in arm["curve"]
    ]
    caption = "Interquartile means over repeats with 95% intervals."
    header = ("arm", "budget", "spent", "iqm", "low", "high")
    return Figure("champions", caption, f"{prefix}-champions.csv", header, rows,
                  wide_chart(chart), narrow_chart(chart))  # fmt: skip


def _arms(document: Document, prefix: str) -> Table:
    columns = (
        Column("Arm", ("arm",), numeric=False),
        Column("Champion", ("iqm", "low", "high")),
        Column(
            "Mean difference to single",
            ("difference", "low", "high"),
            missing="this is the single learner",
        ),
        Column("Believed", ("believed",)),
        Column("Winner's curse", ("curse", "low", "high")),
        Column("Charged", ("spent",)),
        Column("Different members", ("diversity",), missing="not known of networks"),
    )
    rows = []
    for name, arm in document["arms"].items():
        champion, curse = arm["champion"], arm["curse"]
        gap = document.get("against_single", {}).get(name)
        rows.append(
            Row((
                Cell(str(name), (str(name),)),
                Cell(f"{champion['iqm']:.3f}", (champion["iqm"], champion["low"], champion["high"]),
                     below=f"{champion['low']:.3f} to {champion['high']:.3f}"),
                Cell("–" if gap is None else f"{gap['value']:+.3f}",
                     (None,) * 3 if gap is None else (gap["value"], gap["low"], gap["high"]),
                     below="" if gap is None else f"{gap['low']:+.3f} to {gap['high']:+.3f}"),
                Cell(f"{arm['believed']['iqm']:.3f}", (arm["believed"]["iqm"],)),
                Cell(f"{curse['value']:+.3f}", (curse["value"], curse["low"], curse["high"]),
                     below=f"{curse['low']:+.3f} to {curse['high']:+.3f}"),
                Cell(str(arm["spent"]), (arm["spent"],)),
                Cell("–" if arm["diversity"] is None else f"{arm['diversity']:.2f}",
                     (arm["diversity"],)),
            ))
        )  # fmt: skip
    caption = (
        f"At {document['budget']} updates in all; champions are interquartile means, differences "
        "are means over the same repeats, so that they are not those of the first column."
    )
    return Table("arms", caption, columns, tuple(rows), f"{prefix}-arms.csv")


SHOWN = 16
"""Members that the table of meetings shows."""


def _meetings(document: Document, prefix: str) -> Table | None:
    """Who meets whom, in the largest population in which members can."""
    found = {name: arm for name, arm in document["arms"].items() if arm.get("against")}
    if not found:
        return None
    name = max(found, key=lambda one: len(found[one]["against"]))
    arm = found[name]
    met, ratings = arm["against"][:SHOWN], arm["elo"]
    columns = (
        Column("Member", ("member",), numeric=False),
        *([Column("Elo", ("elo",))] if ratings else []),
        *(Column(str(i + 1), (f"against_{i + 1}",)) for i in range(len(met))),
    )
    rows = tuple(
        Row((
            Cell(str(i + 1), (i + 1,)),
            *([Cell(f"{ratings[i]:+.0f}", (ratings[i],))] if ratings else []),
            *(Cell(f"{value:.2f}", (value,)) for value in line[:SHOWN]),
        ))
        for i, line in enumerate(met)
    )  # fmt: skip
    order = "the main first" if name.startswith("league") else "the best of each repeat first"
    caption = f"{name}: mean pay of each member (row) where it meets each (column), {order}."
    return Table("meetings", caption, columns, rows, f"{prefix}-meetings.csv")


DEFINITIONS = (
    Definition("champion", "Champion", "The member that did best in the last evaluation; of "
               "average, past selves and league the even mixture of the learner's selves."),
    Definition("held", "What it can be held to", "Of a duel: the mean, over seats, of the expected "
               "payoff against whoever answers best. The reference is what an equilibrium gets."),
    Definition("elo", "Elo", "One number a member, of a duel, under which expected scores are as "
               "observed; it cannot tell of cycles, in which all rate alike."),
    Definition("curse", "Winner's curse", "The estimate for which the champion was chosen, less "
               "what it is worth."),
    Definition("believed", "Believed", "The estimate for which the champion was chosen."),
    Definition("charged", "Charged", "Updates that one repeat cost, evaluations included."),
    Definition("crossover", "Crossover", "The budget from which on the best population stays ahead "
               "of the single learner, between those measured, on a logarithmic scale."),
    Definition("diversity", "Different members", "Effective number of different teams in the end: "
               "the exponential of the entropy of their likeliest profiles."),
)  # fmt: skip
