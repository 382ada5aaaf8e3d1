"""Worth: what a team reaches beside its members, from a table of outcomes.

Against the mean member, the best member (chosen on other tasks than it is judged on), the best
answer of each task, and one agent alone.

Source: Pappu et al., arXiv 2602.01011: weak synergy is more than the mean member, strong no less
than the best one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.audits.base import Audit, Row, mean_interval, mean_share, share, unknown
from counterpoint.audits.retention import mean_scores
from counterpoint.records import CLEAR, FOUND, Episode, Finding, Outcome

NAME = "worth"
FEWEST = 5
BEST = "team less its best member, chosen on other tasks"
COVERAGE = "each task's best answer less the best member: what perfect selection would add"
FOLDS = 5
DRAWS = 2000


def look(episode: Episode) -> Row | None:
    """Nothing: worth is read from outcomes."""
    return None


def conclude(rows: Sequence[Row], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Team less mean, best member, oracle, one agent; how much members' errors go together."""
    team = mean_scores(outcomes, "team")
    alone = _members(outcomes)
    names = ("team_minus_mean", "team_minus_best", "team_minus_oracle", "team_minus_solo")
    more = ("coverage_gain", "selection_efficiency", "error_correlation")
    tasks = sorted(set(team) & set(alone))
    found = []
    if len(tasks) < FEWEST:
        why = (
            f"{len(tasks)} tasks have outcomes of the team and of its members in isolation, and "
            f"{FEWEST} are wanted (--outcomes)"
        )
        found += [unknown(NAME, name, why, len(tasks)) for name in names[:3]]
        found += [unknown(NAME, name, why, len(tasks)) for name in more]
    else:
        t = np.array([team[task] for task in tasks])
        members = sorted(set.intersection(*(set(alone[task]) for task in tasks)))
        if len(members) < 2:
            why = "no two members have outcomes in isolation on the same tasks"
            found += [unknown(NAME, name, why) for name in (*names[:3], *more)]
        else:
            each = np.array([[alone[task][m] for m in members] for task in tasks])
            found += [
                _gap(names[0], t - each.mean(axis=1), "team less its mean member"),
                _gap(names[1], t - best_member(each), BEST),
                _gap(names[2], t - each.max(axis=1), "team less each task's best answer", True),
                _gap(more[0], each.max(axis=1) - best_member(each), COVERAGE, True),
                _selection(t, each),
                _correlation(each),
            ]  # fmt: skip
    solo = mean_scores(outcomes, "solo")
    both = sorted(set(team) & set(solo))
    if len(both) < FEWEST:
        why = f"{len(both)} tasks have outcomes of the team and of one agent, {FEWEST} are wanted"
        found.append(unknown(NAME, names[3], why, len(both)))
    else:
        budget = _budgets(outcomes)
        found.append(_gap(names[3], np.array([team[x] - solo[x] for x in both]),
                          f"team less one agent{budget}"))  # fmt: skip
    return [*found, *_ideas(outcomes)]


def _ideas(outcomes: Sequence[Outcome]) -> list[Finding]:
    """How different members' answers are in isolation, and how often the team takes a rare one."""
    names = ("idea_diversity", "idea_adoption")
    alone: dict[str, list[str]] = defaultdict(list)
    together: dict[str, list[str]] = defaultdict(list)
    for each in outcomes:
        if each.answer is not None and each.setting != "solo":
            told = alone if each.setting == "isolated" else together
            told[each.task].append(each.answer)
    many = {task: Counter(answers) for task, answers in alone.items() if len(answers) > 1}
    if not many:
        why = "no answers of members in isolation are known (--outcomes)"
        return [unknown(NAME, name, why) for name in names]
    reason = "effective number of different answers in isolation over the number of members; none "
    reason += "is right"
    found = [mean_share(NAME, names[0], [_effective(each) for each in many.values()], reason)]
    taken = [
        answer in many[task] and many[task][answer] < max(many[task].values())
        for task, answers in together.items()
        if len(many.get(task, {})) > 1
        for answer in answers
    ]
    if not taken:
        why = "members differ on no task that the team answers"
        return [*found, unknown(NAME, names[1], why)]
    reason = "the team answers what fewer members answered alone than its commonest answer"
    return [*found, share(NAME, names[1], sum(taken), len(taken), 1.0, reason, of="answers")]


def _effective(answers: Counter[str]) -> float:
    p = np.array(list(answers.values())) / answers.total()
    return float(np.exp(-(p * np.log(p)).sum()) / answers.total())


def best_member(scores: Floats) -> Floats:
    """[tasks] of the member that is best on other tasks than each: scores are [tasks, members]."""
    folds = np.arange(len(scores)) % min(FOLDS, len(scores))
    found = np.zeros(len(scores))
    for fold in np.unique(folds):
        here = folds == fold
        found[here] = scores[here, int(np.argmax(scores[~here].mean(axis=0)))]
    return found


def _members(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    told: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in outcomes:
        if each.setting == "isolated" and len(each.members) == 1:
            told[each.task][each.members[0]].append(each.score)
    return {t: {m: float(np.mean(s)) for m, s in who.items()} for t, who in told.items()}


def _budgets(outcomes: Sequence[Outcome]) -> str:
    told: Mapping[str, list[float]] = {
        s: [o.budget for o in outcomes if o.setting == s and o.budget is not None]
        for s in ("team", "solo")
    }
    if not all(told.values()):
        return "; budgets are not known, so they may differ"
    ratio = float(np.mean(told["team"]) / max(float(np.mean(told["solo"])), 1e-12))
    return f", at {ratio:.2f} times its budget"


def _gap(name: str, gaps: Floats, reason: str, at_most: bool = False) -> Finding:
    """A paired difference over tasks; found where all of the interval is below 0."""
    told = mean_interval(gaps)
    lost = told.high < 0 and not at_most
    return Finding(NAME, name, told.value, len(gaps), told.low, told.high, 0.0,
                   FOUND if lost else CLEAR, reason)  # fmt: skip


def _selection(team: Floats, scores: Floats) -> Finding:
    """(team - best) / (oracle - best): how much of what selection could add the team gets."""
    name, best = "selection_efficiency", best_member(scores)
    above, room = team - best, scores.max(axis=1) - best
    if room.mean() <= 0:
        return unknown(NAME, name, "the best member is right wherever anybody is", len(team))
    drawn = np.random.default_rng(0).integers(len(team), size=(DRAWS, len(team)))
    rooms = room[drawn].mean(axis=1)
    ratios = above[drawn].mean(axis=1)[rooms > 0] / rooms[rooms > 0]
    low, high = np.quantile(ratios, [0.025, 0.975])
    reason = "(team - best member) / (each task's best answer - best member); below 0 it loses"
    return Finding(NAME, name, float(above.mean() / room.mean()), len(team), float(low),
                   float(high), 0.0, FOUND if high < 0 else CLEAR, reason)  # fmt: skip


def _correlation(scores: Floats) -> Finding:
    """Mean correlation of members' errors, and the size of a team of independent ones:
    N/(1+(N-1)r)."""
    varying = scores[:, scores.std(axis=0) > 0]
    if varying.shape[1] < 2:
        return unknown(NAME, "error_correlation", "members are right on all tasks or on none")
    n = scores.shape[1]
    pairs = np.triu_indices(varying.shape[1], 1)
    r = float(np.atleast_2d(np.corrcoef(varying.T))[pairs].mean())
    size = n / (1 + (n - 1) * max(r, 0.0))
    reason = f"of members' errors; {n} members are worth {size:.1f} independent ones"
    return Finding(NAME, "error_correlation", r, len(scores), null=0.0, reason=reason)


AUDIT = Audit(NAME, "the team beside its members, one agent and the best answers", look, conclude)
