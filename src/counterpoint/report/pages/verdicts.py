"""The verdict in words: one sentence with the effect and its interval, and what stands beside it.

The page and the terminal say the same sentence. A win is never shown without its
reward-weighted return and its control: `comparison_verdict` returns all three facts, and says so
where one was not measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from counterpoint.report.pages.comparison.decision_words import (
    comparison_headline,
    decision_sentences,
    p_value,
    reading,
)
from counterpoint.report.pages.comparison.kinds import WORDS
from counterpoint.report.toolkit.numerals import (
    ABSENT,
    Estimate,
    counted,
    decimals_for,
    estimate_of,
    percent,
    significant,
)
from counterpoint.results.comparison import ComparisonResult
from counterpoint.stats.decision import Contrast, Decision

WEIGHTED = "Reward-weighted return"


@dataclass(frozen=True)
class Fact:
    """One of the numbers that stand beside the verdict."""

    title: str
    value: str
    below: str
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """What to conclude."""

    sentence: str
    why: str
    facts: tuple[Fact, ...]


def comparison_verdict(result: ComparisonResult) -> Verdict:
    """Returns the scheme to use, its effect and its cost, and the result of the control."""
    saved = result.verdict
    why = saved.why if saved.decision else " ".join(decision_sentences(result))
    return Verdict(
        comparison_headline(result), why, (_gain(result), _weighted(result), _control(result))
    )


def _gain(result: ComparisonResult) -> Fact:
    contest, decision = result.contest, result.decision
    if contest is None:
        return Fact("Return", ABSENT, "nothing to compare with")
    p = contest.p_improvement
    ahead = f"Ahead in {percent(p)} of the seeds." if p is not None else ""
    ours, theirs = (estimate_of(result.schemes[n].returns) for n in (contest.ours, contest.theirs))
    return _change("Return", contest.returns, (ours, theirs), contest.theirs, decision, ahead)


def _weighted(result: ComparisonResult) -> Fact:
    contest = result.contest
    if contest is None:
        return Fact(WEIGHTED, ABSENT, "nothing to compare with")
    ours, theirs = (
        estimate_of(result.schemes[name].weighted_return) for name in (contest.ours, contest.theirs)
    )
    unweighted = WORDS[result.kind].unweighted
    if ours.value is None and unweighted:
        return Fact(WEIGHTED, "none", unweighted)
    change = contest.weighted_returns
    return _change(WEIGHTED, change, (ours, theirs), contest.theirs, result.decision)


def _control(result: ComparisonResult) -> Fact:
    title, control = "Control", result.control
    if control is None:
        return Fact(title, ABSENT, "not run for this comparison")
    largest = {
        "advantages": control.max_advantage_difference,
        "learning curves": control.max_curve_difference,
    }
    known = {name: significant(v, 2) for name, v in largest.items() if v is not None}
    parts = [f"{name} differ by at most {value}" for name, value in known.items()]
    sentence = f"With {control.setting or 'all agents present'}, {' and '.join(parts)}."
    return Fact(title, control.decoupling or ABSENT, sentence if parts else "")


def _change(
    title: str,
    change: Contrast,
    levels: tuple[Estimate, Estimate],
    other: str,
    decision: Decision,
    extra: str = "",
) -> Fact:
    """Returns a difference as a fact, with the numbers of the rule and the two levels around it."""
    known = [e for e in levels if e.value is not None]
    places = decimals_for([e.value for e in known] or [change.value])
    against = f"{' against '.join(e.shown(places) for e in known)} for {other}"
    if change.value is None:
        return Fact(title, ABSENT, "not measured", f"{against}." if len(known) == 2 else "")
    difference = Estimate(change.value, change.low, change.high, decision.seeds)
    below = difference.bounds(places, signed=True)
    if change.low is not None:
        below = f"95% interval {below}"
    if change.p is not None:
        arms = counted(decision.compared, "arm")
        below += f", p {p_value(change.p)} (to be below {decision.level:.2g}: {arms} compared)"
    meaning = reading(change, decision)
    meaning = f"{meaning[:1].upper()}{meaning[1:]}"
    note = f"{meaning}: {against}." if len(known) == 2 else f"{meaning}."
    return Fact(title, difference.shown(places, signed=True), below, f"{note} {extra}".strip())
