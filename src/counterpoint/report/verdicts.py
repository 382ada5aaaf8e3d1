"""The verdict in words: one sentence with the effect and its interval, and what stands beside it.

The page and the terminal say the same sentence. A win is never shown without its
reward-weighted return and its control: `comparison_verdict` returns all three facts, and says so
where one was not measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from counterpoint.report.comparison_result import Comparison, Contest
from counterpoint.report.definitions import CONDITIONS
from counterpoint.report.diagnosis_result import Diagnosis
from counterpoint.report.estimate import Estimate
from counterpoint.report.numerals import ABSENT, decimals_for, percent, significant

WEIGHTED = "Reward-weighted return"

SAME = 1e-9
"""Advantages that differ by less, relative to the largest, differ by rounding."""

_READINGS = {"higher": "Higher", "lower": "Lower", "not separable": "Cannot be told from 0"}


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


def comparison_verdict(result: Comparison) -> Verdict:
    """What to use, by how much, at which cost, and what the control says."""
    advice, effect = _advice(result), _effect(result)
    sentence = f"{advice}: {effect}." if effect else f"{advice}."
    return Verdict(sentence, result.why, (_gain(result), _weighted(result), _control(result)))


def _advice(result: Comparison) -> str:
    use = f"use {result.recommended}" if result.recommended else "no scheme stands out"
    if result.decoupling == "no-op":
        return f"Decoupling by agent changes nothing here; {use}"
    if result.effect == "hurts":
        return f"Decoupling by agent hurts here; {use}"
    if result.effect == "tie" and len(result.seeds) == 1:
        return f"One seed cannot tell whether decoupling by agent helps here; {use}"
    if result.effect == "tie":
        return f"Decoupling by agent makes no difference that these seeds can show; {use}"
    return use[:1].upper() + use[1:]


def _effect(result: Comparison) -> str:
    """`it returns x against y for B, a difference of +d [low, high]; ...`, as far as known."""
    contest, ours = result.contest, result.schemes.get(result.recommended)
    if contest is None:
        known = ours is not None and ours.returns.value is not None
        return f"it returns {ours.returns.shown()}" if ours is not None and known else ""
    levels = (contest.ours.returns, contest.theirs.returns)
    places = decimals_for([level.value for level in levels])
    said = f"it returns {levels[0].shown(places)} against {levels[1].shown(places)} for "
    said += contest.theirs.name
    change = contest.difference.returns
    if change.value is not None:
        bounds = change.bounds(places, signed=True) if change.reading else "(no interval)"
        said += f", a difference of {change.shown(places, signed=True)} {bounds}"
    return said + (_named_causes(contest) if result.sampled else _collapses(contest))


def _named_causes(contest: Contest) -> str:
    """`; causes of collapse are named for 2 of 3 agents under B (DROWNED), for none under A`.

    Only a cause that lasted is worth a headline.
    """
    parts = []
    for scheme in (contest.theirs, contest.ours):
        causes = [a.cause for a in scheme.agents.values() if a.cause]
        named = f" ({', '.join(dict.fromkeys(causes))})" if causes else ""
        count = f"{len(causes)} of {len(scheme.agents)} agents" if causes else "none"
        parts.append(f"for {count} under {scheme.name}{named}")
    if all(part.startswith("for none") for part in parts):
        return ""
    return f"; causes of collapse are named {', '.join(parts)}"


def _collapses(contest: Contest) -> str:
    """`; under B 2 of 4 agents collapse (DROWNED), under A none`, or nothing."""
    parts = []
    for scheme in (contest.theirs, contest.ours):
        causes = [a.cause for a in scheme.agents.values() if a.cause]
        named = ", ".join(dict.fromkeys(causes))
        count = f"{len(causes)} of {len(scheme.agents)}"
        parts.append(f"{count} agents collapse ({named})" if causes else "none")
    if parts == ["none", "none"]:
        return ""
    theirs = parts[0].replace("none", "no agent collapses")
    own = parts[1].replace(" agents collapse", "")
    return f"; under {contest.theirs.name} {theirs}, under {contest.ours.name} {own}"


def _gain(result: Comparison) -> Fact:
    contest = result.contest
    if contest is None:
        return Fact("Return", ABSENT, "nothing to compare with")
    p = contest.difference.p_improvement
    ahead = f"Ahead in {percent(p)} of the seeds." if p is not None else ""
    levels = (contest.ours.returns, contest.theirs.returns)
    unit = f" for {contest.theirs.name}"
    return _change("Return", contest.difference.returns, levels, unit, ahead)


def _weighted(result: Comparison) -> Fact:
    contest = result.contest
    if contest is None:
        return Fact(WEIGHTED, ABSENT, "nothing to compare with")
    if contest.ours.weighted_returns.value is None and result.kind == "text":
        return Fact(WEIGHTED, "none", "the return is the team’s success, whatever agents are paid")
    if contest.ours.weighted_returns.value is None and result.sampled:
        return Fact(WEIGHTED, "none", "the return is the reward actually paid")
    levels = (contest.ours.weighted_returns, contest.theirs.weighted_returns)
    return _change(
        WEIGHTED, contest.difference.weighted_returns, levels, f" for {contest.theirs.name}"
    )


def _control(result: Comparison) -> Fact:
    title, control = "Control", result.control
    if control is None:
        return Fact(title, ABSENT, "not run for this comparison")
    largest = {
        "advantages": control.max_advantage_difference,
        "learning curves": control.max_curve_difference,
    }
    known = {name: significant(v, 2) for name, v in largest.items() if v is not None}
    parts = [f"{name} differ by at most {value}" for name, value in known.items()]
    said = f"With {control.setting or 'everybody present'}, {' and '.join(parts)}."
    return Fact(title, control.decoupling or ABSENT, said if parts else "")


def _change(
    title: str, change: Estimate, levels: tuple[Estimate, Estimate], unit: str, extra: str = ""
) -> Fact:
    """A difference as a fact, with the two levels that it lies between."""
    known = [e for e in levels if e.value is not None]
    places = decimals_for([e.value for e in known] or [change.value])
    against = " against ".join(e.shown(places) for e in known) + unit if len(known) == 2 else ""
    if change.value is None:
        return Fact(title, ABSENT, "not measured", f"{against}." if against else "")
    bounds = change.bounds(places, signed=True)
    below = f"95% interval {bounds}" if change.reading else bounds
    reading = ": ".join(part for part in (_READINGS.get(change.reading, ""), against) if part)
    note = f"{reading}. {extra}" if reading else extra
    return Fact(title, change.shown(places, signed=True), below, note.strip())


def diagnosis_verdict(result: Diagnosis) -> Verdict:
    """Whether decoupling by agent matters for this log, why, and what to use."""
    rate = f" at an error rate of {percent(result.error_rate)}" if result.error_rate else ""
    keep = result.recommended == result.scheme
    use = f"; {'keep' if keep else 'use'} {result.recommended}" if result.recommended else ""
    reasons = [f"{CONDITIONS.get(c, c).lower()} ({c})" for c in result.conditions]
    because = f": {' and '.join(reasons)}" if reasons else ""
    if result.verdict != "no-op":
        verb = "could matter, but no agent loses enough" if keep else "matters for this log"
        sentence = f"Decoupling by agent {verb}{because}{use}."
    elif (result.max_difference or 0.0) <= SAME:
        sentence = f"Decoupling by agent changes nothing for this log: no advantage differs{use}."
    else:
        sentence = f"No condition was found under which decoupling by agent would matter{use}."
    facts = (_conditions_fact(result, rate), _causes_fact(result), _advantage_fact(result))
    return Verdict(sentence, result.why, facts)


def _conditions_fact(result: Diagnosis, rate: str) -> Fact:
    shown = ", ".join(result.conditions) or "none"
    blocked = ", ".join(result.not_readable)
    note = f"{blocked} cannot be read from rewards." if blocked else ""
    return Fact("Conditions detected", shown, f"of C1 to C6{rate}", note)


def _causes_fact(result: Diagnosis) -> Fact:
    sick = [h.cause for h in result.agents.values() if h.cause]
    judged = f"judged under {result.scheme}" if result.scheme else ""
    parts = [*dict.fromkeys(sick), judged]
    shown = f"{len(sick)} of {len(result.agents)}"
    return Fact("Agents with a cause", shown, ", ".join(part for part in parts if part))


def _advantage_fact(result: Diagnosis) -> Fact:
    title = "Largest change of an advantage"
    if result.max_difference is None:
        return Fact(title, ABSENT, "not computed")
    return Fact(title, significant(result.max_difference), "pooled against per agent")
