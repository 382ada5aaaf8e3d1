"""Relative ranks suffice as rewards, even from weak judges."""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.claims.bandit import Opinions, learn, ranked, scored
from counterpoint.claims.base import (
    Claim,
    ClaimPlan,
    Evidence,
    Progress,
    bisected,
    measured,
    outcome,
)
from counterpoint.judge.check import measure_judge
from counterpoint.judge.present import Candidate, Group
from counterpoint.judge.programmatic import Programmatic, ProgrammaticSettings, noise_for
from counterpoint.judge.verdict import RankSettings
from counterpoint.records import Episode, Event
from counterpoint.results.claims import Detection

WEAK = 0.7
"""The share of pairs that a weak judge orders right."""
LEAST = 0.5
"""What suffices: half of what a perfect judge teaches."""
CHECKED = 32
"""Groups of eight runs on which a judge is checked."""
VALUES = tuple((i + 0.5) / 8 for i in range(8))
"""Values of arms as they are drawn on the average."""


def _ranks(accuracy: float) -> Opinions:
    return ranked(noise_for(VALUES, accuracy))


def _run(number: int, value: float) -> Candidate:
    """Returns a run of one message with this worth."""
    says = (Event(0, "agent", "message", f"answer {number}"),)
    return Candidate(str(number), Episode(str(number), says, ("agent",)), value)


def _unfit(plan: ClaimPlan, accuracy: float) -> int:
    """Returns in how many seeds a check of a judge does not see that it beats a coin."""
    count = 0
    for seed in plan.seeds:
        values = np.random.default_rng([seed, 2]).random((CHECKED, 8))
        groups = [
            Group(str(g), "a task", tuple(_run(i, value) for i, value in enumerate(row)))
            for g, row in enumerate(values.tolist())
        ]
        judge = Programmatic(ProgrammaticSettings(accuracy=accuracy))
        check = measure_judge(groups, judge, settings=RankSettings(seed=seed))
        right = next(one for one in check.measures if one.name == "accuracy")
        count += not (right.found and (right.value or 0) > 0.5)
    return count


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    untaught = np.stack([np.random.default_rng([s, 1]).random(8) for s in plan.seeds])
    start = untaught.mean(axis=1) / untaught.max(axis=1)

    def learned(opinions: Opinions) -> Floats:
        return learn(opinions, plan.seeds).value

    perfect = learned(_ranks(1.0))

    def taught(accuracy: float) -> Floats:
        """Returns [S] the share of what a perfect judge teaches."""
        gained: Floats = (learned(_ranks(accuracy)) - start) / (perfect - start)
        return gained

    effect, coin = taught(WEAK), taught(0.5)
    progress(0.3)
    border = bisected(
        "a share of pairs that the judge orders right", taught, 0.5, 1.0, border=LEAST
    )
    progress(0.9)
    noise = noise_for(VALUES, WEAK)
    apart = learned(scored(noise, 0.5))
    together = learned(ranked(noise))
    return Evidence(
        effect=measured("share of what a perfect judge teaches, by ranks of a judge with 70% of "
                        "pairs right", effect),
        control=measured("the same with a judge that tosses a coin", coin),
        remedy=measured("value reached, ranks of one call minus scores of separate calls",
                        together - apart),
        remedy_is="Ask for one ranking of the whole group, in several orders.",
        price=measured("value lost beside true rewards", learned(scored(0.0)) - together),
        boundary=border,
        detection=Detection(audit="counterpoint judge check", found=_unfit(plan, 0.5),
                            failed=plan.count, blamed=_unfit(plan, WEAK), healthy=plan.count),
        outcome_is="value reached; 1 is the best arm",
        outcomes=(outcome("true rewards", learned(scored(0.0))),
                  outcome("ranks, perfect judge", perfect),
                  outcome("ranks, 70% of pairs right", together),
                  outcome("scores of separate calls, same noise", apart),
                  outcome("ranks, a coin", learned(_ranks(0.5)))),
        holds_when="the judge orders clearly more pairs right than by chance.",
        fails_when="it orders fewer right, or reads the group in an order that says something.",
        least=LEAST,
    )  # fmt: skip


JUDGING = Claim(
    "judging",
    "Relative ranks are enough of a reward, even if they come from a weak judge.",
    "RULER of OpenPipe's ART (2025); LLM judges as rewards",
    "Judges prefer positions, lengths and their own texts (Zheng et al. 2023, arXiv 2306.05685), "
    "and a learner finds what they prefer.",
    "A policy draws eight of eight arms; a judge ranks the group, and ranks are the rewards.",
    _measure,
)
