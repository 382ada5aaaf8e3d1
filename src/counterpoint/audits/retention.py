"""What a team keeps of what one agent reaches: from outcomes, over tasks, by difficulty and team
size.

Source: retention as CooperBench has it (arXiv 2601.13295): areas under success by difficulty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.audits.base import unknown
from counterpoint.records import CLEAR, FOUND, Finding, Outcome
from counterpoint.stats import wilson_interval

NAME = "coordination"
FEWEST = 10
BINS = 10
DRAWS = 2000


def retention_findings(outcomes: Sequence[Outcome]) -> list[Finding]:
    """Retention by counts and by area, and success by team size."""
    team, solo = mean_scores(outcomes, "team"), mean_scores(outcomes, "solo")
    tasks = sorted(set(team) & set(solo))
    found = []
    if len(tasks) < FEWEST:
        why = f"{len(tasks)} tasks have outcomes of a team and of one agent, {FEWEST} are wanted"
        found += [unknown(NAME, n, why, len(tasks)) for n in ("retention", "retention_auc")]
    else:
        t = np.array([team[task] for task in tasks])
        s = np.array([solo[task] for task in tasks])
        found.append(_ratio("retention", t, s, "team's mean score over one agent's, same tasks"))
        if len(np.unique(s)) < 3:
            why = "difficulty is one agent's failure rate, and it has fewer than three values here"
            found.append(unknown(NAME, "retention_auc", why, len(tasks)))
        else:
            reason = "area under the team's success by difficulty over one agent's"
            found.append(_ratio("retention_auc", t, s, reason, areas=True))
    return [*found, _by_size(outcomes)]


def area(success: Floats, difficulty: Floats) -> float:
    """The area under mean success in bins of difficulty, 0 to 1; empty bins between are bridged."""
    bins = np.minimum((difficulty * BINS).astype(int), BINS - 1)
    seen = np.unique(bins)
    means = np.array([success[bins == b].mean() for b in seen])
    places = (seen + 0.5) / BINS
    if len(seen) == 1:
        return float(means[0])
    return float(((means[1:] + means[:-1]) / 2 * np.diff(places)).sum())


def _ratio(name: str, team: Floats, solo: Floats, reason: str, areas: bool = False) -> Finding:
    """A ratio with a bootstrap interval over tasks; found where all of it is below 1."""

    def of(rows: np.ndarray) -> float:
        if areas:
            below = area(solo[rows], 1 - solo[rows])
            return area(team[rows], 1 - solo[rows]) / below if below > 0 else np.nan
        below = float(solo[rows].sum())
        return float(team[rows].sum()) / below if below > 0 else np.nan

    value = of(np.arange(len(team)))
    if np.isnan(value):
        return unknown(NAME, name, "one agent succeeds at no task", len(team))
    rng = np.random.default_rng(0)
    drawn = np.array([of(rng.integers(len(team), size=len(team))) for _ in range(DRAWS)])
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    verdict = FOUND if high < 1 else CLEAR
    return Finding(NAME, name, value, len(team), float(low), float(high), 1.0, verdict, reason)


def _by_size(outcomes: Sequence[Outcome]) -> Finding:
    """Success of the largest teams less that of the smallest."""
    sizes: dict[int, list[float]] = defaultdict(list)
    for each in outcomes:
        if each.setting == "team" and each.members:
            sizes[len(each.members)].append(each.score)
    many = {size: scores for size, scores in sorted(sizes.items()) if len(scores) >= FEWEST}
    if len(many) < 2:
        why = f"teams of two sizes, {FEWEST} outcomes each, are wanted"
        return unknown(NAME, "team_size", why, sum(map(len, sizes.values())))
    told = {size: wilson_interval(sum(scores), len(scores)) for size, scores in many.items()}
    small, large = told[min(told)], told[max(told)]
    words = ", ".join(f"{n}: {w.value:.2f} [{w.low:.2f}, {w.high:.2f}]" for n, w in told.items())
    gap = large.value - small.value
    return Finding(
        NAME,
        "team_size",
        gap,
        sum(map(len, many.values())),
        large.low - small.high,
        large.high - small.low,
        0.0,
        FOUND if large.high < small.low else CLEAR,
        f"success of the largest teams less that of the smallest; by size {words}",
    )


def mean_scores(outcomes: Sequence[Outcome], setting: str) -> dict[str, float]:
    """The mean score of each task in one setting."""
    told: dict[str, list[float]] = defaultdict(list)
    for each in outcomes:
        if each.setting == setting:
            told[each.task].append(each.score)
    return {task: float(np.mean(scores)) for task, scores in told.items()}
