"""The page of a population beside one learner: champions by budget, the crossover, and the cost."""

from __future__ import annotations

from counterpoint.report.toolkit.charts import Chart, Line, narrow_chart, style_of, wide_chart
from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page, setting_rows
from counterpoint.report.toolkit.numerals import ABSENT, counted, fixed, interval
from counterpoint.report.toolkit.tables import (
    Cell,
    Column,
    Figure,
    Table,
    TableRow,
    ends_cell,
    text_columns,
)
from counterpoint.results.population import PopulationArm, PopulationResult

SHOWN = 16
"""Members that the table of meetings shows."""


def population_page(population: PopulationResult) -> Page:
    """Returns the page of a population."""
    members = [arm.members for arm in population.arms.values()]
    settings = {**population.settings, "members": members, "repeats": population.repeats}
    return Page(
        template="population.html",
        title=f"{population.world}: a population at a fixed budget",
        kind="Population",
        subject=population.world,
        details=[
            population.source,
            counted(population.budget, "update"),
            counted(population.repeats, "repeat"),
        ],
        verdict=population_verdict(population),
        definitions=DEFINITIONS,
        settings=setting_rows(settings),
        picture="figure",
        contents={
            "figure": _figure(population),
            "arms": arm_table(population),
            "meetings": _meetings(population),
        },
    )


def population_verdict(population: PopulationResult) -> Headline:
    """Returns whether a population beats one learner at this budget, and from which budget on."""
    best = _best(population.arms)
    champion, optimum = population.arms[best].champion, population.optimum
    reference = "" if optimum is None else f"The reference is {optimum:.4g}."
    facts = (
        Fact(f"Champion of {best}", fixed(champion.iqm, 3),
             f"95% interval {interval(champion.low, champion.high, 3)}",
             f"{population.unit[:1].upper()}{population.unit[1:]}. {reference}".strip(" .") + "."
             if population.unit or reference else ""),
        _difference(population, best),
        _crossover(population),
    )  # fmt: skip
    worth = (
        "exact, and not the estimate for which it was chosen."
        if population.exact
        else "measured on other episodes than those for which it was chosen."
    )
    why = (
        f"{counted(population.repeats, 'repeat')} of each arm spend "
        f"{counted(population.budget, 'policy update')} in all: all updates of all members and all "
        f"evaluations are charged. The score of a champion is {worth}"
    )
    return Headline(population_headline(population), why, facts)


def _difference(population: PopulationResult, best: str) -> Fact:
    title, gaps = "Difference to one learner", population.against_single or {}
    shown = best if best in gaps else max(gaps, key=lambda name: gaps[name].value, default="")
    if not shown:
        return Fact(title, ABSENT, "one learner was not among the arms")
    gap = gaps[shown]
    certain = gap.low > 0 or gap.high < 0
    return Fact(f"{shown} minus one learner", fixed(gap.value, 3, signed=True),
                f"95% interval {interval(gap.low, gap.high, 3, signed=True)}",
                f"{'Statistically' if certain else 'Not statistically'} significant.")  # fmt: skip


def _crossover(population: PopulationResult) -> Fact:
    """Returns the budget from which on the best population is ahead by its mean."""
    title, crossing = "Crossover", population.crossover
    if crossing is None:
        return Fact(title, ABSENT, "nothing to cross")
    if crossing.why == "never":
        return Fact(title, "none", f"{crossing.rival} is not ahead of one learner up to here")
    if crossing.why == "always" or crossing.budget is None:
        return Fact(title, "none", f"{crossing.rival} is ahead by its mean at every budget")
    low, high = (f"{end:,.0f}" if end else "?" for end in (crossing.low, crossing.high))
    return Fact(title, f"{crossing.budget:,.0f}", f"updates, 95% interval [{low}, {high}]",
                f"From there on {crossing.rival} is ahead by its mean.")  # fmt: skip


def population_headline(population: PopulationResult) -> str:
    """Returns the verdict in at most 15 words: an arm is named as better only if its difference is
    statistically significant."""
    arms, gaps = population.arms, population.against_single or {}
    best, start = _best(arms), f"At {counted(population.budget, 'update')}"
    several = [name for name, arm in arms.items() if arm.members > 1]
    if not gaps or not several:
        return f"{start} the champion of {best} scores {fixed(arms[best].champion.iqm, 2)}."
    better = [name for name in several if name in gaps and gaps[name].low > 0]
    if better:
        return (
            f"{start} {max(better, key=lambda n: arms[n].champion.iqm)} is better than one learner."
        )
    if all(name in gaps and gaps[name].high < 0 for name in several):
        return f"{start} every population is worse than one learner."
    return f"{start} no population is significantly better than one learner."


def _best(arms: dict[str, PopulationArm]) -> str:
    """Returns the name of the arm with the best champion."""
    return max(arms, key=lambda name: arms[name].champion.iqm)


def _figure(population: PopulationResult) -> Figure:
    lines = tuple(
        Line(
            name, [float(point.budget) for point in arm.curve],
            [point.iqm for point in arm.curve], style_of(i),
            [point.low for point in arm.curve], [point.high for point in arm.curve],
        )
        for i, (name, arm) in enumerate(population.arms.items())
    )  # fmt: skip
    optimum = population.optimum
    chart = Chart(
        key="champions",
        title="Champions by budget",
        description=population_headline(population),
        x_title="policy updates in all",
        y_title=population.unit or "worth of the champion",
        lines=lines,
        references=() if optimum is None else (("reference", optimum),),
    )
    return Figure(
        key="champions",
        caption="Interquartile means over repeats with 95% intervals.",
        header=("arm", "budget", "spent", "iqm", "low", "high"),
        rows=[
            (name, point.budget, point.spent, point.iqm, point.low, point.high)
            for name, arm in population.arms.items()
            for point in arm.curve
        ],
        wide=wide_chart(chart),
        narrow=narrow_chart(chart),
        table=budget_table(population),
    )


def budget_table(population: PopulationResult) -> Table:
    """Returns one row for each budget, one column for each arm: the score of the champion."""
    worth = [{point.budget: point.iqm for point in arm.curve} for arm in population.arms.values()]
    columns = (
        Column("Budget"),
        *(Column(n, (n,), missing="the budget is too small") for n in population.arms),
    )
    rows = []
    for budget in sorted({budget for curve in worth for budget in curve}):
        values = (curve.get(budget) for curve in worth)
        cells = (Cell(fixed(value, 3), (value,)) for value in values)
        rows.append(TableRow((Cell(str(budget), (budget,)), *cells)))
    caption = "The score of the champion of each arm, by budget."
    return Table("budgets", caption, columns, rows)


def arm_table(population: PopulationResult) -> Table:
    """Returns one row for each arm: the score of its champion, and the estimate for which it was
    chosen."""
    columns = (
        *text_columns("Arm"),
        Column("Champion", ("iqm", "low", "high")),
        Column("Mean difference to single", ("difference", "low", "high"),
               missing="this is the single learner"),
        Column("Believed"),
        Column("Winner's curse", ("curse", "low", "high")),
        Column("Charged", ("spent",)),
        Column("Different members", ("diversity",), missing="not known for networks"),
    )  # fmt: skip
    rows, missing = [], Cell(ABSENT, (None,) * 3)
    for name, arm in population.arms.items():
        champion, curse = arm.champion, arm.curse
        gap = (population.against_single or {}).get(name)
        cells = (
            Cell(name),
            ends_cell(champion.iqm, champion.low, champion.high),
            ends_cell(gap.value, gap.low, gap.high, signed=True) if gap else missing,
            Cell(fixed(arm.believed.iqm, 3), (arm.believed.iqm,)),
            ends_cell(curse.value, curse.low, curse.high, signed=True),
            Cell(str(arm.spent), (arm.spent,)),
            Cell(fixed(arm.diversity, 2), (arm.diversity,)),
        )
        rows.append(TableRow(cells))
    caption = (
        f"At {population.budget} updates in all; champions are interquartile means. Differences "
        "are means over the same repeats, so they need not equal the differences of the first "
        "column."
    )
    return Table("arms", caption, columns, rows)


def _meetings(population: PopulationResult) -> Table | None:
    """Returns the mean payoffs of pairs of members, in the largest population whose members can
    meet."""
    meetings = {name: arm.against for name, arm in population.arms.items() if arm.against}
    if not meetings:
        return None
    name = max(meetings, key=lambda one: len(meetings[one]))
    met, ratings = meetings[name][:SHOWN], population.arms[name].elo
    columns = (
        *text_columns("Member"),
        *([Column("Elo")] if ratings else []),
        *(Column(str(i + 1), (f"against_{i + 1}",)) for i in range(len(met))),
    )
    rows = [
        TableRow((
            Cell(str(i + 1), (i + 1,)),
            *([Cell(fixed(ratings[i], 0, signed=True), (ratings[i],))] if ratings else []),
            *(Cell(fixed(value, 2), (value,)) for value in line[:SHOWN]),
        ))
        for i, line in enumerate(met)
    ]  # fmt: skip
    pay = "mean payoff of each member (row) against each member (column)"
    return Table("meetings", f"{name}: {pay}, {order_of(name)}.", columns, rows)


def order_of(arm: str) -> str:
    """Returns the order in which the members of an arm are listed."""
    return "the main first" if arm.startswith("league") else "the best of each repeat first"


DEFINITIONS = (
    Definition("champion", "Champion",
        "In the arms average, past "
        "selves and league it is the uniform mixture of the learner's past policies."),
    Definition("held", "What it can be held to",
        "In a duel: the mean, over both seats, of the expected payoff against a best response. "
        "The reference is the payoff of an equilibrium."),
    Definition("elo", "Elo",
        "In a duel: one number for each member, under which expected scores are as observed. It "
        "does not show cycles, whose members all have the same rating."),
    Definition("curse", "Winner's curse",
        ""),
    Definition("believed", "Believed",
        "The estimate for which the champion was chosen."),
    Definition("charged", "Charged",
        "Number of updates that one repeat used, evaluations included."),
    Definition("crossover", "Crossover",
        "It is interpolated between the measured budgets on a logarithmic scale."),
    Definition("diversity", "Different members",
        "Effective number of different teams at the end: the exponential of the entropy of "
        "their likeliest profiles."),
)  # fmt: skip
