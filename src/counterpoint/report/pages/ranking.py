"""The page of a ranking by a judge: which groups have rewards, and how far orders agree."""

from __future__ import annotations

from collections import Counter

from counterpoint.report.pages.unseen import unseen_facts
from counterpoint.report.toolkit.charts import Bar, Dot, count_panel, interval_panel
from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page, setting_rows
from counterpoint.report.toolkit.numerals import ABSENT, counted, fixed, significant
from counterpoint.report.toolkit.tables import Cell, Column, Figure, Table, TableRow, text_columns
from counterpoint.results.ranking import RankedGroup, RankingResult

BINS = (0.8, 0.6, 0.4, 0.2, 0.0)
"""The lower ends of the bars of reliability, from the highest."""
DRAWN = 6
"""Number of groups whose runs are drawn."""
LISTED = 500
"""Maximum number of groups in the table."""


def ranking_page(ranking: RankingResult) -> Page:
    """Returns the page of a ranking."""
    judge = ranking.judge.get("judge", "a judge")
    source = str(ranking.config.get("file") or "") or judge
    more = len(ranking.groups) - LISTED
    return Page(
        template="ranking.html",
        title=f"{source}: rewards from a judge",
        kind="Ranking",
        subject=source,
        file_name=source.rpartition("/")[2].partition(".")[0],
        details=[f"judge {judge}"] if source != judge else [],
        verdict=ranking_verdict(ranking),
        definitions=DEFINITIONS,
        settings=setting_rows({**ranking.judge, **ranking.settings}),
        picture="reliabilities",
        contents={
            "reliabilities": _figure(ranking),
            "strengths": _strengths(ranking),
            "groups": group_table(ranking),
            "more": f"{more:,}" if more > 0 else "",
        },
    )


def ranking_verdict(ranking: RankingResult) -> Headline:
    """Returns how many groups have rewards, how far orders agree, and the cost."""
    total, reasons = len(ranking.groups), Counter(g.void for g in ranking.groups if g.void)
    first = reasons.most_common(1)
    void = f"{ranking.void} void" if ranking.void else "none is void"
    known = _reliabilities(ranking)
    reliability = Fact("Reliability", ABSENT, "nothing was ranked twice")
    if known:
        ends = f"{fixed(min(known), 2)} to {fixed(max(known), 2)} over groups"
        reliability = Fact("Reliability", fixed(sum(known) / len(known), 2), ends,
                           "1: all orders of a group give one ranking.")  # fmt: skip
    tokens = "tokens not counted" if ranking.tokens is None else f"{ranking.tokens:,} tokens"
    dollars = ranking.cost_dollars
    paid = f"{tokens}, ${significant(dollars)}" if dollars else tokens
    facts = (
        Fact("Groups with rewards", f"{total - ranking.void:,} of {total:,}", void,
             f"Most often: {first[0][0]}." if first else ""),
        reliability,
        *unseen_facts(ranking.unseen, ranking.settings),
        Fact("Questions", f"{ranking.calls:,}", f"{ranking.asked_now:,} of them now", paid),
    )  # fmt: skip
    why = (
        "A group is void if its ranking cannot be trusted: its runs have no reward, and a trainer "
        "must leave them out."
    )
    return Headline(ranking_headline(ranking), why, facts)


def ranking_headline(ranking: RankingResult) -> str:
    """Returns one sentence of at most 15 words."""
    total, known = len(ranking.groups), _reliabilities(ranking)
    if not total:
        return "There was no group to rank."
    if ranking.void >= total:
        return f"No group has rewards: all {total:,} are void." if total > 1 else (
            "The only group is void: it has no rewards.")  # fmt: skip
    have = f"{total - ranking.void:,} of {counted(total, 'group')} "
    have += "has rewards" if total == 1 else "have rewards"
    if not known:
        return f"{have}; nothing was ranked twice."
    return f"{have}; their mean reliability is {fixed(sum(known) / len(known), 2)}."


def _reliabilities(ranking: RankingResult) -> list[float]:
    """Returns the reliabilities of the groups that have rewards."""
    return [g.reliability for g in ranking.groups if not g.void and g.reliability is not None]


def _figure(ranking: RankingResult) -> Figure:
    """Returns the number of groups by reliability, and of void groups."""
    known = _reliabilities(ranking)
    bars = []
    for i, low in enumerate(BINS):
        high = BINS[i - 1] if i else None
        inside = sum(low <= max(0.0, r) and (high is None or r < high) for r in known)
        bars.append(Bar(f"reliability {low:g} to {high or 1:g}", inside, "s2"))
    unknown = len(ranking.groups) - ranking.void - len(known)
    if unknown:
        bars.append(Bar("reliability not known", unknown, "s6"))
    bars.append(Bar("void: no rewards", ranking.void, "s0"))
    return Figure(
        key="reliabilities",
        caption="Groups by reliability: how far the judge gives the same ranking if it reads the "
        "runs in another order.",
        header=("group", "reliability", "void"),
        rows=[(g.group, g.reliability, g.void) for g in ranking.groups],
        panels=(count_panel("reliability-panel", "Can the rankings be trusted?", "groups", bars),),
    )


def _strengths(ranking: RankingResult) -> Figure | None:
    """Returns the strengths of the runs of the first groups; None if no group has any."""
    groups = [g for g in ranking.groups if g.strengths][:DRAWN]
    if not groups:
        return None
    panels = []
    for i, group in enumerate(groups):
        order = [run for tied in group.ranking for run in tied]
        runs = sorted(group.strengths, key=lambda run: order.index(run) if run in order else -1)
        dots = [
            Dot(run, s.value, s.low, s.high, "s1", fixed(s.value, 2))
            for run, s in ((run, group.strengths[run]) for run in runs)
        ]
        panels.append(interval_panel(f"strength-{i}", group.group, "log-strength", dots))
    return Figure(
        key="strengths",
        caption="Strength of each run with its 95% interval, best first. Intervals that overlap "
        "much mean that the order of these runs is not certain.",
        header=("group", "run", "strength", "low", "high", "reward"),
        rows=[
            (g.group, run, s.value, s.low, s.high, g.rewards.get(run))
            for g in ranking.groups
            for run, s in g.strengths.items()
        ],
        panels=panels,
    )


def group_table(ranking: RankingResult, most: int = LISTED) -> Table:
    """Returns a row for each of the first groups: its ranking, or why it is void."""
    columns = (
        *text_columns("Group"),
        Column("Ranking, best first", ("ranking",), numeric=False),
        Column("Reliability", define="reliability", missing="nothing was ranked twice"),
        Column("Calls"),
        Column("Lost"),
    )
    rows = [_row(group) for group in ranking.groups[:most]]
    caption = "Runs that the judge ties are joined by =. Lost questions are asked again later."
    return Table("groups", caption, columns, rows)


def _row(group: RankedGroup) -> TableRow:
    order = " > ".join(" = ".join(tied) for tied in group.ranking)
    reliability = group.reliability
    cells = (
        Cell(group.group),
        Cell(f"void: {group.void}" if group.void else order or "only members were ranked"),
        Cell(fixed(reliability, 2), (reliability,)),
        Cell(str(group.calls), (group.calls,)),
        Cell(str(group.lost), (group.lost,)),
    )
    return TableRow(cells, "quiet" if group.void else "")


DEFINITIONS = (
    Definition("reward", "Reward",
        "From 1 (the best run of the group) to −1 by rank, with mean 0; tied runs share theirs. "
        "With the setting rewards=scores it is the strength on that scale."),
    Definition("reliability", "Reliability",
        "It is Kendall’s tau-b, corrected for the number of orders (Spearman–Brown)."),
    Definition("strength", "Strength",
        "Bradley–Terry log-strength: a run is put above another one with odds of e to the "
        "difference."),
    Definition("void", "Void group",
        "A reply was unreadable, a canary was ranked high, the orders disagree, or the runs differ "
        "only in what the judge does not read."),
)  # fmt: skip
