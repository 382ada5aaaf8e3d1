"""The page of contributions: what each member adds to the score of its team."""

from __future__ import annotations

from pathlib import Path

from counterpoint.report.toolkit.charts import Dot, interval_panel
from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page, setting_rows
from counterpoint.report.toolkit.numerals import (
    ABSENT,
    counted,
    fixed,
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
from counterpoint.results.contribution import ContributionResult, Effect, MemberContribution

SHOWN = 3
"""Members that the headline names."""


def contribution_page(result: ContributionResult) -> Page:
    """Returns the page of contributions."""
    known = [e for e in map(shown_effect, result.members.values()) if e is not None]
    dots = [
        Dot(name, e.value, e.low, e.high, "s0", fixed(e.value, 3, signed=True))
        for name, member in result.members.items()
        if (e := shown_effect(member)) is not None
    ]  # fmt: skip
    return Page(
        template="contribution.html",
        title=f"{result.source}: who adds what",
        kind="Contribution",
        subject=result.source,
        file_name=Path(result.source).stem,
        details=[counted(result.tasks, "task"), counted(len(result.members), "member")],
        verdict=Headline(
            contribution_headline(result),
            "A member helps or hurts if the whole interval is on that side of 0 and the test "
            "agrees; the intervals of all members hold together at 95%. No effect means within "
            f"{result.margin:g}. A contribution is to this team and these tasks.",
            (
                Fact("Whole team", fixed(result.team, 3), "mean score"),
                Fact("Members decided", f"{sum(e.decision != 'cannot tell' for e in known)}",
                     f"of {len(result.members)}"),
                Fact("Subsets missing", str(result.missing_total), "of the team"),
            ),
        ),
        definitions=DEFINITIONS,
        settings=setting_rows(result.config),
        picture="panel" if dots else "",
        caption="What each member adds to the score, with its interval.",
        contents={
            "panel": interval_panel("effects", "What each member adds", "score", dots)
            if dots
            else None,
            "members": member_table(result),
            "covers": cover_table(result),
            "missing": missing_sentence(result),
        },
    )  # fmt: skip


def shown_effect(member: MemberContribution) -> Effect | None:
    """Returns the Shapley value of a member, or else its leave-one-out effect."""
    return member.shapley or member.leave_one_out


def contribution_headline(result: ContributionResult) -> str:
    """Returns who helps and who hurts, in one sentence."""
    effects = {name: shown_effect(member) for name, member in result.members.items()}
    parts = []
    for decision, words in (("hurts", "hurt"), ("helps", "help"), ("no effect", "add nothing")):
        names = [n for n, e in effects.items() if e is not None and e.decision == decision]
        if names:
            one = {"hurt": "hurts", "help": "helps", "add nothing": "adds nothing"}[words]
            parts.append(f"{_named(names)} {one if len(names) == 1 else words}")
    if parts:
        return f"{'; '.join(parts)}."
    if all(effect is None for effect in effects.values()):
        return "Cannot tell: the table lacks the subsets that show what a member adds."
    needed = [e.tasks_needed for e in effects.values() if e is not None and e.tasks_needed]
    more = f"; about {min(needed)} more tasks would for one" if needed else ""
    return f"Cannot tell whether any member helps{more}."


def _named(names: list[str]) -> str:
    if len(names) > SHOWN:
        return f"{', '.join(names[:SHOWN])} and {len(names) - SHOWN} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def missing_sentence(result: ContributionResult) -> str:
    """Returns which subsets no task has; empty if all were tried."""
    if not result.missing_total:
        return ""
    more = result.missing_total - len(result.missing)
    rest = f" and {more} more" if more else ""
    return f"No task has these subsets of the team: {', '.join(result.missing)}{rest}."


def member_table(result: ContributionResult) -> Table:
    """Returns a row for each member."""
    ends = ("low", "high")
    columns = (
        *text_columns("Member"),
        Column("Shapley value", ("shapley", *(f"shapley_{e}" for e in ends)),
               missing="too few tasks were done by all subsets"),
        Column("Leave one out", ("leave_one_out", *(f"leave_one_out_{e}" for e in ends)),
               missing="too few tasks were done with and without the member"),
        Column("p"),
        Column("Verdict", ("decision",), numeric=False),
        Column("Tasks"),
        Column("More tasks needed", missing="it is decided, or no number of tasks would decide"),
        Column("Cost", missing="the table has no costs with and without the member"),
    )  # fmt: skip
    rows = []
    for name, member in result.members.items():
        effect = shown_effect(member)
        needed = effect.tasks_needed if effect else None
        rows.append(TableRow((
            Cell(name),
            _effect_cell(member.shapley),
            _effect_cell(member.leave_one_out),
            Cell(probability(effect.p) if effect else ABSENT, (effect.p if effect else None,)),
            Cell(effect.decision if effect else "not computable"),
            Cell(str(effect.n) if effect else "0", (effect.n if effect else 0,)),
            Cell(ABSENT if needed is None else str(needed), (needed,)),
            Cell(significant(member.cost), (member.cost,)),
        )))  # fmt: skip
    caption = "The verdict is that of the Shapley value where there is one, else of leave-one-out."
    return Table("members", caption, columns, rows)


def _effect_cell(effect: Effect | None) -> Cell:
    if effect is None:
        return Cell(ABSENT, (None,) * 3)
    return ends_cell(effect.value, effect.low, effect.high, signed=True)


def cover_table(result: ContributionResult) -> Table | None:
    """Returns a row for each pair of members, or None if none can be computed."""
    if not result.covers:
        return None
    columns = (
        *text_columns("Pair"),
        Column("Interaction", ("interaction", "low", "high")),
        Column("Tasks"),
        *text_columns("Meaning"),
    )
    rows = []
    for cover in result.covers:
        meaning = "cannot tell"
        if cover.high < 0:
            meaning = "each covers for the other"
        elif cover.low > 0:
            meaning = "they need each other"
        rows.append(TableRow((
            Cell(f"{cover.first}, {cover.second}"),
            ends_cell(cover.value, cover.low, cover.high, signed=True),
            Cell(str(cover.n), (cover.n,)),
            Cell(meaning),
        )))  # fmt: skip
    caption = "Score with both, less that without each, plus that without both."
    return Table("covers", caption, columns, rows)


DEFINITIONS = (
    Definition("shapley", "Shapley value",
               "What a member adds to the members before it, averaged over all orders. A team of "
               "nobody scores 0, and the values of all members add up to the score of the team."),
    Definition("leave-one-out", "Leave one out",
               "Score of the whole team less its score without the member, on the same tasks. A "
               "member whom another one can replace adds little here."),
    Definition("interaction", "Interaction",
               "Below 0 two members replace each other; above 0 one is worth more with the other."),
    Definition("cost", "Cost",
               "Mean cost of the whole team less that without the member, in the unit of the "
               "table."),
)  # fmt: skip
