"""Decisions from tables of outcomes: `compare_outcomes`, and `contribution` of each member.

`read_scores` reads a table, or makes one of the episodes of a log that have a task and a success.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.audits.base import mean_scores, outcome_of, smaller_teams, two_teams, whole_teams
from counterpoint.audits.run import audit
from counterpoint.audits.worth import MembersAlone, best_member, members_alone, priced
from counterpoint.errors import LogError, SettingError
from counterpoint.readers.lines import json_value
from counterpoint.readers.logs import read_logs
from counterpoint.readers.outcomes import read_outcomes
from counterpoint.readers.packed import unpacked
from counterpoint.readers.walk import Note
from counterpoint.records import NOT_COMPUTABLE, Outcome
from counterpoint.results.contribution import (
    ContributionResult,
    Cover,
    Effect,
    MemberContribution,
)
from counterpoint.results.outcomes import Compared, OutcomesResult, Ratio
from counterpoint.stats import bounded_difference, more_tasks, paired_decision

COMPARED = ("worth", "coordination", "agreement")
"""The audits that say something about a table of outcomes."""
ANSWERED = ("team_minus_mean", "team_minus_best", "team_minus_solo")
"""Findings whose question a comparison answers."""
FEWEST = 5
"""With fewer tasks nothing is decided."""
MOST_MEMBERS = 10
"""Shapley values are exact up to so many members: 1,024 subsets."""
MARGIN = 0.05
DRAWS = 4_000
LEAST_SUCCESS = 1e-9
"""Scores whose sum is no more are no success."""
SHOWN = 20
"""Missing subsets that a result names."""

Subset = frozenset[str]


def read_scores(path: Path, note: Note = lambda line: None) -> list[Outcome]:
    """Returns the outcomes of a table, or of the episodes of a log.

    Args:
        path: a table (CSV with a header, or JSON lines with `task` and `score`), or a log or a
            folder of logs whose episodes have a task and a success.
        note: called with a line for each part of a log that is left out.

    Raises:
        LogError: It cannot be read.
        SettingError: No episode of the log has a task and a success.
    """
    if path.is_file() and _is_table(path):
        return read_outcomes(path, note)
    outcomes, episodes = list[Outcome](), 0
    for episode in read_logs(path, note=note):
        episodes += 1
        outcome = outcome_of(episode)
        if outcome is not None:
            outcomes.append(outcome)
    if not outcomes:
        raise SettingError(
            f"got {episodes} episodes in {path}, none with a task and a success from 0 to 1; "
            "wanted them, or a table with the columns task, members, score"
        )
    if len(outcomes) < episodes:
        left_out = episodes - len(outcomes)
        note(f"{path}: {left_out} of {episodes} episodes have no task or no success from 0 to 1, "
             "and were left out")  # fmt: skip
    return outcomes


def _is_table(path: Path) -> bool:
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return True
    try:
        with path.open("rb") as file:
            line = next((line for line in unpacked(file) if line.strip()), b"")
    except LogError:
        return True  # the reader of tables raises the error with its place
    if line.lstrip(b"\xef\xbb\xbf \t")[:1] not in (b"{", b"["):
        return True
    try:
        value = json_value(line, "")
    except ValueError:
        return False
    return isinstance(value, dict) and "task" in value and "score" in value


def compare_outcomes(
    outcomes: Sequence[Outcome], margin: float = MARGIN, source: str = ""
) -> OutcomesResult:
    """Returns whether the team is better than one agent and than its members, task by task.

    Args:
        outcomes: scores of tasks, by the team (setting `team`), by one agent (`solo`), and by its
            members alone (`isolated`).
        margin: the largest loss that does not matter, in the unit of the scores.
        source: the name of the table.

    Raises:
        SettingError: No task has a score of the team and of anybody else, or one has scores of two
            teams.
    """
    whole = whole_teams(outcomes)
    if two := two_teams(whole):
        raise SettingError(
            f"got two teams at one task, {two}; wanted one team: leave out the rows of the other, "
            "or give its tasks other names"
        )
    rng = np.random.default_rng(0)
    team = mean_scores(whole, "team")
    compared = []
    alone = members_alone(whole, team)
    for against, scores in _others(whole, alone):
        tasks = sorted(set(team) & set(scores))
        if not tasks:
            continue
        ours = np.array([team[task] for task in tasks])
        theirs = np.array([scores[task] for task in tasks])
        made = paired_decision(ours - theirs, margin=margin, rng=rng)
        decision, needed, gap = made.decision, made.more, made.difference
        if len(tasks) < FEWEST:
            decision, needed = "cannot tell", max(FEWEST - len(tasks), needed or 0)
        compared.append(
            Compared(against=against, n=len(tasks), team=float(ours.mean()),
                     other=float(theirs.mean()), difference=gap.value, low=gap.low, high=gap.high,
                     p=made.p, decision=decision, tasks_needed=needed)
        )  # fmt: skip
    if not compared:
        settings = ", ".join(sorted({each.setting for each in outcomes})) or "no rows"
        raise SettingError(
            f"got outcomes of {settings}; wanted tasks with a score of the team (setting team) and "
            "of one agent (solo) or of its members alone (isolated)"
        )
    costs, ratio = _costs(whole, rng)
    others = audit([], outcomes, COMPARED).findings
    first = compared[0]
    return OutcomesResult(
        version=__version__,
        source=source,
        config={"source": source, "margin": margin},
        tasks=len({each.task for each in outcomes}),
        margin=margin,
        decision=first.decision,
        tasks_needed=first.tasks_needed,
        compared=compared,
        cost_per_success=costs,
        cost_ratio=ratio,
        findings=[f for f in others if f.verdict != NOT_COMPUTABLE and f.name not in ANSWERED],
        left_out=_left_out(outcomes),
        incomplete=_incomplete(whole, len(outcomes) - len(whole), alone),
    )


def _incomplete(whole: Sequence[Outcome], parts: int, alone: MembersAlone) -> str:
    """Returns what a comparison leaves out of a table or guesses; an empty text if that is nothing.

    Args:
        whole: the rows without those of parts of the team.
        parts: number of rows of parts of the team.
        alone: the scores of members alone.
    """
    sentences = [alone.told.strip(" ()")] if alone.told else []
    if parts:
        sentences.append(
            f"left out: {parts} row{'' if parts == 1 else 's'} of parts of the team, which "
            "`counterpoint contribution` reads"
        )
    if small := smaller_teams(whole):
        sentences.append(small)
    both = len(set(mean_scores(whole, "team")) & set(mean_scores(whole, "solo")))
    known = len(priced(whole)["team"][0])
    if 0 < known < both:
        sentences.append(f"costs are known at {known} of {both} tasks, and are of these alone")
    return "; ".join(sentences)


def _others(outcomes: Sequence[Outcome], alone: MembersAlone) -> list[tuple[str, dict[str, float]]]:
    """Returns the scores of each task by one agent, the best member and the mean member."""
    others = [("one agent", mean_scores(outcomes, "solo"))]
    if len(alone.members) > 1 and alone.tasks:
        own = alone.scores
        if len(own) >= FEWEST:  # it is chosen on other tasks than those of the comparison
            best = map(float, best_member(own))
            others.append(("the best member", dict(zip(alone.tasks, best, strict=True))))
        means = map(float, own.mean(axis=1))
        others.append(("the mean member", dict(zip(alone.tasks, means, strict=True))))
    return others


def _costs(
    outcomes: Sequence[Outcome], rng: np.random.Generator
) -> tuple[dict[str, float | None], Ratio | None]:
    """Returns the cost of a success of the team and of one agent, and the ratio of mean costs."""
    known = priced(outcomes)
    cost, score = ({s: both[i] for s, both in known.items()} for i in (0, 1))
    if not len(cost["team"]):
        return {}, None
    per_success = {
        name: float(cost[s].sum() / score[s].sum()) if score[s].sum() > LEAST_SUCCESS else None
        for name, s in (("team", "team"), ("one agent", "solo"))
    }
    if cost["solo"].sum() <= 0 or len(cost["solo"]) < FEWEST:
        return per_success, None
    count = len(cost["solo"])
    drawn = rng.integers(count, size=(DRAWS, count))
    below = cost["solo"][drawn].sum(axis=1)
    ratios = cost["team"][drawn].sum(axis=1)[below > 0] / below[below > 0]
    low, high = np.quantile(ratios, [0.025, 0.975])
    value = float(cost["team"].sum() / cost["solo"].sum())
    return per_success, Ratio(value=value, low=float(low), high=float(high))


def _left_out(outcomes: Sequence[Outcome]) -> int:
    """Returns how many members have tasks enough with and without them for `contribution`."""
    members = _members(outcomes)
    scores, _ = _by_task(outcomes, members)
    everybody = frozenset(members)
    gaps = (_differences(scores, everybody, everybody - {member}) for member in members)
    return sum(len(each) >= FEWEST for each in gaps)


def contribution(
    outcomes: Sequence[Outcome], margin: float = MARGIN, source: str = ""
) -> ContributionResult:
    """Returns what each member adds to the score of the team, and who covers for whom.

    Args:
        outcomes: scores of tasks by subsets of the team; the members of a row are those who were
            present. A row without members is not used, nor is one agent (setting `solo`) that is
            not a member in any other row.
        margin: the largest effect that does not matter, in the unit of the scores.
        source: the name of the table.

    Raises:
        SettingError: There are fewer than two members, or no two subsets; or a row has a member
            twice.

    Source: Shapley 1953, with a score of 0 for nobody; the interaction of two members is the
    second difference of the score (Grabisch and Roubens 1999) at the whole team.
    """
    for each in outcomes:
        if len(set(each.members)) < len(each.members):
            raise SettingError(
                f"got members {', '.join(each.members)} in a row of task {each.task}; wanted "
                "different names"
            )
    members = _members(outcomes)
    scores, costs = _by_task(outcomes, members)
    if len(members) < 2 or len({subset for task in scores.values() for subset in task}) < 2:
        raise SettingError(
            f"got a table with members {', '.join(members[:SHOWN]) or 'without names'}; wanted "
            "tasks that were done by the whole team and by subsets of it: columns task, members "
            "(names with ; between), score"
        )
    everybody, rng = frozenset(members), np.random.default_rng(0)
    level = 1 - 0.05 / len(members)  # so that the intervals of all members hold together
    exact = _shapley(scores, members)
    contributions: dict[str, MemberContribution] = {}
    for member in members:
        without = everybody - {member}
        gaps = _differences(scores, everybody, without)
        dear = _differences(costs, everybody, without)
        reasons = []
        if len(gaps) < FEWEST:
            reasons.append(
                f"leave-one-out needs {FEWEST} tasks that the whole team did with and without "
                f"{member}; there are {len(gaps)}"
            )
        own = exact.get(member)
        if own is None or len(own) < FEWEST:
            reasons.append(_why_no_shapley(scores, members))
        contributions[member] = MemberContribution(
            leave_one_out=_effect(gaps, margin, level, rng) if len(gaps) >= FEWEST else None,
            shapley=_effect(own, margin, level, rng)
            if own is not None and len(own) >= FEWEST
            else None,
            cost=float(dear.mean()) if len(dear) else None,
            reasons=reasons,
        )
    whole = [task[everybody] for task in scores.values() if everybody in task]
    missing = _missing(scores, members)
    return ContributionResult(
        version=__version__,
        source=source,
        config={"source": source, "margin": margin},
        tasks=len(scores),
        margin=margin,
        team=float(np.mean(whole)) if whole else None,
        members=contributions,
        covers=_covers(scores, members),
        missing=missing[:SHOWN],
        missing_total=len(missing),
    )


Table = dict[str, dict[Subset, float]]


def _members(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Returns the members of the team: all names, or without those of one agent beside a team."""
    names = dict.fromkeys(m for each in outcomes if each.setting != "solo" for m in each.members)
    return tuple(names or dict.fromkeys(m for each in outcomes for m in each.members))


def _by_task(outcomes: Sequence[Outcome], members: Sequence[str]) -> tuple[Table, Table]:
    """Returns the mean score and the mean cost of each subset of the members at each task."""
    team = set(members)
    scores: dict[str, dict[Subset, list[float]]] = defaultdict(lambda: defaultdict(list))
    costs: dict[str, dict[Subset, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in outcomes:
        if each.members and team.issuperset(each.members):
            scores[each.task][frozenset(each.members)].append(each.score)
            if each.cost is not None:
                costs[each.task][frozenset(each.members)].append(each.cost)
    scored, spent = (
        {t: {s: float(np.mean(v)) for s, v in of.items()} for t, of in sorted(table.items())}
        for table in (scores, costs)
    )
    return scored, spent


def _differences(table: Table, first: Subset, second: Subset) -> Floats:
    """Returns the differences of two subsets on the tasks that both have done."""
    rows = [of[first] - of[second] for of in table.values() if first in of and second in of]
    return np.array(rows, dtype=float)


def _subsets(members: Sequence[str]) -> list[Subset]:
    """Returns all subsets with somebody in them."""
    sizes = range(1, len(members) + 1)
    return [frozenset(some) for size in sizes for some in combinations(members, size)]


def _shapley(scores: Table, members: Sequence[str]) -> dict[str, Floats]:
    """Returns the Shapley values of each member on the tasks that all subsets have done."""
    if len(members) > MOST_MEMBERS:
        return {}
    subsets = _subsets(members)
    complete = [of for of in scores.values() if all(subset in of for subset in subsets)]
    if not complete:
        return {}
    index = {subset: i for i, subset in enumerate([frozenset[str](), *subsets])}
    values = np.array([[0.0, *(of[subset] for subset in subsets)] for of in complete])
    n, result = len(members), {}
    for member in members:
        own = np.zeros(len(complete))
        for subset, i in index.items():
            if member not in subset:
                weight = 1 / (n * comb(n - 1, len(subset)))
                own += weight * (values[:, index[subset | {member}]] - values[:, i])
        result[member] = own
    return result


def _why_no_shapley(scores: Table, members: Sequence[str]) -> str:
    if len(members) > MOST_MEMBERS:
        return f"Shapley values are computed for up to {MOST_MEMBERS} members"
    return (
        f"a Shapley value needs {FEWEST} tasks that all {2 ** len(members) - 1} subsets of the "
        "team have done"
    )


def _missing(scores: Table, members: Sequence[str]) -> list[str]:
    """Returns the subsets that no task has, of those that are used, the largest first."""
    everybody, done = frozenset(members), {subset for of in scores.values() for subset in of}
    used = [everybody, *(everybody - {member} for member in members)]
    if len(members) <= MOST_MEMBERS:
        used = _subsets(members)[::-1]
    return ["+".join(m for m in members if m in s) for s in used if s not in done]


def _effect(gaps: Floats, margin: float, level: float, rng: np.random.Generator) -> Effect:
    made = paired_decision(gaps, margin=margin, rng=rng, level=level)
    interval = made.difference
    decision = {"better": "helps", "worse": "hurts"}.get(made.decision, "cannot tell")
    if decision == "cannot tell" and -margin < interval.low and interval.high < margin:
        decision = "no effect"
    needed = None
    if decision == "cannot tell":
        needed = more_tasks(
            gaps,
            lambda low, high, tested: (
                (tested and (low > 0 or high < 0)) or (-margin < low and high < margin)
            ),
            level,
        )
    return Effect(value=interval.value, low=interval.low, high=interval.high, n=interval.n,
                  p=made.p, decision=decision, tasks_needed=needed)  # fmt: skip


def _covers(scores: Table, members: Sequence[str]) -> list[Cover]:
    """Returns the interaction of every pair that enough tasks show, substitutes first."""
    everybody, covers = frozenset(members), []
    for first, second in combinations(members, 2):
        parts = (everybody, everybody - {first}, everybody - {second}, everybody - {first, second})
        rows = np.array([
            of[parts[0]] - of[parts[1]] - of[parts[2]] + of.get(parts[3], 0.0)
            for of in scores.values()
            if all(part in of or not part for part in parts)
        ])  # fmt: skip
        if len(rows) >= FEWEST:
            half = bounded_difference(rows / 2)  # the second difference lies in [-2, 2]
            covers.append(Cover(first=first, second=second, value=2 * half.value, low=2 * half.low,
                                high=2 * half.high, n=half.n))  # fmt: skip
    return sorted(covers, key=lambda cover: cover.value)
