"""Worth: the success of a team against its members, from a table of outcomes.

The team is compared with its mean member, its best member (chosen on other tasks than those of the
comparison), the best answer of each task, and one agent alone.

Source: Pappu et al., arXiv 2602.01011: weak synergy is more than the mean member, strong no less
than the best one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.audits.base import (
    Audit,
    Row,
    estimated,
    mean_scores,
    mean_share,
    share,
    smaller_teams,
    two_teams,
    unknown,
    whole_teams,
)
from counterpoint.records import Finding, Outcome
from counterpoint.stats import Estimate, paired_decision

NAME = "worth"
FEWEST = 5
FOLDS = 5
ROUNDING = 1e-12
"""Differences that are smaller, beside the largest score, are those of means that round."""
NAMES = ("team_minus_mean", "team_minus_best", "team_minus_oracle", "coverage_gain",
         "selection_efficiency", "error_correlation")  # fmt: skip
DRAWS = 2000
SHOWN = 5
"""Members that are named of those who were left out."""


def conclude(rows: Sequence[Row], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns the team less its members and one agent, and the correlation of members' errors."""
    outcomes = whole_teams(outcomes)
    team = mean_scores(outcomes, "team")
    alone = members_alone(outcomes, team)
    tasks, own = alone.tasks, alone.scores
    if two := two_teams(outcomes):
        why = f"one task has scores of two teams, {two}"
        return [unknown(NAME, name, why) for name in (*NAMES, "team_minus_solo")] + _ideas(outcomes)
    if len(tasks) < FEWEST or len(alone.members) < 2:
        why, n = f"no two members have outcomes in isolation on the same tasks{alone.told}", 0
        if len(tasks) < FEWEST:
            n = len(tasks)
            why = (
                f"{n} tasks have outcomes of the team and of its members in isolation, and "
                f"{FEWEST} are wanted (--outcomes){alone.told}"
            )
        findings = [unknown(NAME, name, why, n) for name in NAMES]
    else:
        t = np.array([team[task] for task in tasks])
        best, highest = best_member(own), own.max(axis=1)
        findings = [
            _gap(NAMES[0], t - own.mean(axis=1), f"team less its mean member{alone.told}"),
            _gap(NAMES[1], t - best,
                 f"team less its best member, chosen on other tasks{alone.told}"),
            _gap(NAMES[2], t - highest, f"team less each task's best answer{alone.told}", True),
            _gap(NAMES[3], highest - best, "each task's best answer less the best member: what "
                 f"perfect selection would add{alone.told}", True),
            _selection(t, best, highest),
            _correlation(own),
        ]  # fmt: skip
    solo = mean_scores(outcomes, "solo")
    both = sorted(set(team) & set(solo))
    if len(both) < FEWEST:
        why = f"{len(both)} tasks have outcomes of the team and of one agent, {FEWEST} are wanted"
        findings.append(unknown(NAME, "team_minus_solo", why, len(both)))
    else:
        gaps = np.array([team[task] - solo[task] for task in both])
        small = smaller_teams(outcomes)
        reason = f"team less one agent{_cost_ratio(outcomes, len(both))}"
        reason += f"; {small}" if small else ""
        findings.append(_gap("team_minus_solo", gaps, reason))
    return [*findings, *_ideas(outcomes)]


@dataclass(frozen=True)
class MembersAlone:
    """The scores of members alone, at the tasks that all of them and the team have done."""

    tasks: tuple[str, ...]
    members: tuple[str, ...]
    scores: Floats
    """[tasks, members]"""
    told: str
    """What was left out, in brackets behind a space; empty if nothing was."""


def members_alone(outcomes: Sequence[Outcome], team: Mapping[str, float]) -> MembersAlone:
    """Returns the scores of members alone.

    Somebody who is in no team is left out, if teams have names; then a member with a score at less
    than half of the tasks; then a task at which one of the others has none.

    Args:
        outcomes: those of single members in isolation count.
        team: task to the score of the team.
    """
    given: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    together = {member for o in outcomes if o.setting == "team" for member in o.members}
    strangers = set[str]()
    for each in outcomes:
        if each.setting == "isolated" and len(each.members) == 1 and each.task in team:
            if together and each.members[0] not in together:
                strangers.add(each.members[0])
            else:
                given[each.task][each.members[0]].append(each.score)
    counts = Counter(member for of_task in given.values() for member in of_task)
    members = tuple(sorted(m for m, count in counts.items() if 2 * count >= len(given)))
    tasks = tuple(sorted(task for task, of in given.items() if of.keys() >= set(members)))
    odd = sum(each.setting == "isolated" and len(each.members) != 1 for each in outcomes)
    rare, short = sorted(counts.keys() - set(members)), len(given) - len(tasks)
    left = (
        [f"{short} of {len(given)} tasks where a member has no score of its own"] if short else []
    )
    if rare:
        left.append(f"members with a score at less than half of the tasks: {_named(rare)}")
    if strangers:
        left.append(f"isolated rows of who is in no team: {_named(sorted(strangers))}")
    if odd:
        left.append(f"{odd} isolated rows without one member")
    return MembersAlone(
        tasks,
        members,
        np.array([[float(np.mean(given[t][m])) for m in members] for t in tasks]),
        f" (left out: {'; '.join(left)})" if left else "",
    )


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" and others" if len(names) > SHOWN else "")


def _ideas(outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns the diversity of isolated answers, and how often the team takes a rare answer."""
    names = ("idea_diversity", "idea_adoption")
    alone: dict[str, list[str]] = defaultdict(list)
    together: dict[str, list[str]] = defaultdict(list)
    for each in outcomes:
        if each.answer is not None and each.setting != "solo":
            answers = alone if each.setting == "isolated" else together
            answers[each.task].append(each.answer)
    many = {task: Counter(answers) for task, answers in alone.items() if len(answers) > 1}
    if not many:
        why = "no answers of members in isolation are known (--outcomes)"
        return [unknown(NAME, name, why) for name in names]
    effective = []
    for counts in many.values():
        p = np.array(list(counts.values())) / counts.total()
        effective.append(float(np.exp(-(p * np.log(p)).sum()) / counts.total()))
    diversity = mean_share(NAME, names[0], effective, "effective number of different answers in "
                           "isolation over the number of members; none is right")  # fmt: skip
    taken = [
        answer in many[task] and many[task][answer] < max(many[task].values())
        for task, answers in together.items()
        if len(many.get(task, {})) > 1
        for answer in answers
    ]
    reason = "the team answers what fewer members answered alone than its commonest answer"
    none = "members differ on no task that the team answers"
    adoption = share(NAME, names[1], sum(taken), len(taken), 1.0, reason, of="answers", none=none)
    return [diversity, adoption]


def best_member(scores: Floats) -> Floats:
    """Returns [tasks] the score of the member that is best on the other tasks.

    Args:
        scores: [tasks, members] the score of each member at each task.
    """
    folds = np.arange(len(scores)) % min(FOLDS, len(scores))
    best = np.zeros(len(scores))
    for fold in np.unique(folds):
        here = folds == fold  # chosen and compared on the same tasks, luck would count as merit
        best[here] = scores[here, int(np.argmax(scores[~here].mean(axis=0)))]
    return best


def priced(outcomes: Sequence[Outcome]) -> dict[str, tuple[Floats, Floats]]:
    """Returns [tasks] the mean cost and the mean score of the team and of one agent (settings
    `team` and `solo`), at the tasks at which the costs of both are known."""
    rows = {setting: defaultdict[str, list[Outcome]](list) for setting in ("team", "solo")}
    for each in outcomes:
        if each.setting in rows and each.cost is not None:
            rows[each.setting][each.task].append(each)
    tasks = sorted(set(rows["team"]) & set(rows["solo"]))
    return {
        setting: (
            np.array([np.mean([each.cost for each in of_task[task]]) for task in tasks]),
            np.array([np.mean([each.score for each in of_task[task]]) for task in tasks]),
        )
        for setting, of_task in rows.items()
    }  # fmt: skip


def _cost_ratio(outcomes: Sequence[Outcome], tasks: int) -> str:
    (team, _), (solo, _) = priced(outcomes).values()
    if len(team) < FEWEST:
        known = f"known at {len(team)} of {tasks} tasks" if len(team) else "not known"
        return f"; costs are {known}, so they may differ"
    where = "" if len(team) == tasks else f" (costs of {len(team)} of {tasks} tasks)"
    if solo.sum() <= 0:
        return f"; one agent costs nothing{where}"
    return f", at {team.sum() / solo.sum():.2f} times its cost{where}"


def _gap(name: str, gaps: Floats, reason: str, at_most: bool = False) -> Finding:
    """Returns a paired difference over tasks; found if `stats.paired_decision` says worse.

    A difference that cannot be above 0, or below it, is a measurement.
    """
    made = paired_decision(gaps, margin=0.0, rng=np.random.default_rng(0))
    is_found = made.decision == "worse" and not at_most
    null = None if at_most else 0.0
    return estimated(NAME, name, made.difference, null, is_found, reason, below=True)


def _selection(team: Floats, best: Floats, highest: Floats) -> Finding:
    """Returns (team - best) / (oracle - best): the team's part of a perfect selection's gain."""
    name, above, room = "selection_efficiency", team - best, highest - best
    if room.mean() <= 0:
        return unknown(NAME, name, "the best member is right wherever anybody is", len(team))
    drawn = np.random.default_rng(0).integers(len(team), size=(DRAWS, len(team)))
    rooms = room[drawn].mean(axis=1)
    ratios = above[drawn].mean(axis=1)[rooms > 0] / rooms[rooms > 0]
    low, high = np.quantile(ratios, [0.025, 0.975])
    interval = Estimate(float(above.mean() / room.mean()), float(low), float(high), len(team))
    reason = "(team - best member) / (each task's best answer - best member); below 0 it loses"
    return estimated(NAME, name, interval, 0.0, bool(high < 0), reason, below=True)


def _correlation(scores: Floats) -> Finding:
    """Returns the mean correlation r of members' errors; N / (1 + (N-1) r) is the effective N."""
    varying = scores[:, np.ptp(scores, axis=0) > ROUNDING * np.abs(scores).max()]
    if varying.shape[1] < 2:
        why = "the scores of fewer than two members differ between tasks"
        return unknown(NAME, "error_correlation", why)
    n = scores.shape[1]
    pairs = np.triu_indices(varying.shape[1], 1)
    r = float(np.atleast_2d(np.corrcoef(varying.T))[pairs].mean())
    size = n / (1 + (n - 1) * max(r, 0.0))
    reason = f"of members' errors; {n} members are worth {size:.1f} independent ones"
    return Finding(NAME, "error_correlation", r, len(scores),
                   reason=f"{reason} (a measurement: no value is right)")  # fmt: skip


AUDIT = Audit(NAME, "the team beside its members, one agent and the best answers",
              lambda episode: None, conclude)  # fmt: skip
