"""All groups of a file, ranked: `rank_all` returns the verdicts and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict

from counterpoint import __version__
from counterpoint.judge.asked import total
from counterpoint.judge.group import Group
from counterpoint.judge.judges import Judge, Opinion
from counterpoint.judge.present import Sheet
from counterpoint.judge.rank import rank_groups
from counterpoint.judge.settings import RankSettings
from counterpoint.judge.verdict import Verdict
from counterpoint.results.ranking import RankedGroup, RankingResult, Strength
from counterpoint.speakers.replies import Replies


def rank_all(
    groups: Iterable[Group],
    judge: Judge,
    settings: RankSettings,
    *,
    store: Replies | None = None,
    on_group: Callable[[int], object] = lambda count: None,
) -> RankingResult:
    """Returns what a judge makes of all groups, in their order, and what that cost.

    Args:
        groups, judge, settings, store: as `rank_groups` takes them.
        on_group: called with the number of groups that have a verdict.

    Raises:
        CounterpointError: the judge cannot be used, or cannot judge such runs.
    """
    counted = _CountedJudge(judge)
    ranked: list[RankedGroup] = []
    for verdict in rank_groups(groups, counted, settings, store=store):
        ranked.append(ranked_group(verdict))
        on_group(len(ranked))
    tokens: int | None = 0
    dollars: float | None = 0.0
    for group in ranked:
        tokens, dollars = total(tokens, group.tokens), total(dollars, group.cost_dollars)
    return RankingResult(
        version=__version__,
        judge=dict(judge.facts),
        settings=asdict(settings),
        groups=ranked,
        void=sum(bool(group.void) for group in ranked),
        calls=sum(group.calls for group in ranked),
        asked_now=counted.calls,
        tokens=tokens,
        cost_dollars=dollars,
    )


def ranked_group(verdict: Verdict) -> RankedGroup:
    """Returns a verdict as a part of a result, in which every number is finite or None."""
    return RankedGroup(
        group=verdict.group,
        void=verdict.void,
        ranking=[] if verdict.void else [list(tied) for tied in verdict.ranking],
        reliability=verdict.reliability,
        rewards=dict(verdict.rewards),
        strengths={run: _strength(*each) for run, each in verdict.strengths.items()},
        agents={run: dict(rewards) for run, rewards in verdict.agents.items()},
        calls=verdict.calls,
        repaired=verdict.repaired,
        lost=verdict.lost,
        tokens=verdict.tokens,
        cost_dollars=verdict.cost_dollars,
    )


def _strength(*ends: float) -> Strength:
    value, low, high = (end if math.isfinite(end) else None for end in ends)
    return Strength(value=value, low=low, high=high)


class _CountedJudge:
    """A judge that counts how often it is asked in this process."""

    def __init__(self, judge: Judge) -> None:
        self.inner, self.calls, self.at_once = judge, 0, judge.at_once

    @property
    def facts(self) -> Mapping[str, str]:
        return self.inner.facts

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        self.calls += len(sheets)
        return self.inner.judge(sheets)
