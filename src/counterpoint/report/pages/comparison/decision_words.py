"""The verdict of a comparison in words: start at `comparison_verdict`.

`comparison_headline` stands at the top of the page, of the terminal and of `--json`, and
`decision_sentences` below it. Both read the one `Decision` of a comparison, so they cannot say
different things. A win is never shown without its reward-weighted return and its control: the
verdict has all three facts, and says so where one was not measured.
"""

from __future__ import annotations

from collections.abc import Iterable

from counterpoint.report.pages.definitions import WORDS
from counterpoint.report.toolkit.frame import Fact, Headline
from counterpoint.report.toolkit.numerals import (
    ABSENT,
    Estimate,
    counted,
    decimals_for,
    estimate_of,
    fixed,
    interval,
    percent,
    significant,
)
from counterpoint.results.comparison import ComparisonResult, Contest, SchemeResult
from counterpoint.stats.decision import ENOUGH, LEVEL, Contrast, Decision, Standing, standing

MOST_SEEDS = 1000
"""A larger estimate of seeds is not printed: the difference is close to 0."""
NOT_THE_SCHEMES = ("DILUTED", "LAZY")
"""Causes that no normalization creates: credit noise, and no exploration."""
WEIGHTED = "Reward-weighted return"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def comparison_verdict(result: ComparisonResult) -> Headline:
    """Returns the scheme to use, its effect and its cost, and the result of the control."""
    saved = result.verdict
    why = saved.why if saved.decision else " ".join(decision_sentences(result))
    facts = (_gain(result), _weighted(result), _control(result))
    return Headline(comparison_headline(result), why, facts)


def _gain(result: ComparisonResult) -> Fact:
    contest, decision = result.contest, result.decision
    if contest is None:
        return Fact("Return", ABSENT, "nothing to compare with")
    p = contest.p_improvement
    tied = reading(contest.returns, decision) == READINGS["same"]  # a tie counts half: 50%
    ahead = "" if p is None or tied else f"Ahead in {percent(p)} of the seeds."
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
        return Fact(title, ABSENT, why_no_control(result))
    largest = {
        "advantages": control.max_advantage_difference,
        "learning curves": control.max_curve_difference,
    }
    known = {name: significant(v, 2) for name, v in largest.items() if v is not None}
    parts = [f"{name} by at most {value}" for name, value in known.items()]
    sentence = (
        f"With {control.setting or 'all agents present'}, per-agent statistics change "
        f"{' and '.join(parts)}."
    )
    if not result.verdict.decoupled and not control.schemes:
        sentence += " No scheme with such statistics was compared: this says nothing of the arms."
    return Fact(title, control.decoupling or ABSENT, sentence if parts else "")


def why_no_control(result: ComparisonResult) -> str:
    """Returns why a comparison has no control."""
    if result.kind == "text" and result.config.get("control"):
        return "not possible: agents do not all speak equally often"
    return "not run for this comparison"


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


def comparison_headline(result: ComparisonResult) -> str:
    """Returns the finding in at most `MOST_WORDS` words."""
    decision, contest = result.decision, result.contest
    if contest is None:
        return "Nothing was compared, so no scheme can be recommended."
    if without_gain(result) and decision.verdict in ("same", "cannot tell"):
        return "No team's return rose in training, so the schemes cannot be compared."
    ours, theirs = contest.ours, contest.theirs
    if decision.verdict == "use":
        return _use(result, ours, theirs)
    if decision.verdict == "keep":
        low, high = levels(result.schemes[theirs], result.schemes[ours])
        return f"{theirs} returns {low}, {ours} {high}: keep {ours}."
    if decision.verdict == "same":
        return f"Every scheme returns the same on every seed; keep {ours}."
    return _cannot_tell(result, decision, contest)


def _use(result: ComparisonResult, ours: str, theirs: str) -> str:
    best, reference = result.schemes[ours], result.schemes[theirs]
    before, after = stopped(reference), stopped(best)
    low, high = levels(reference, best)
    if not before or after >= before:
        return f"{ours} returns {high} against {low} for {theirs}: use {ours}."
    total, verb = len(reference.agents), "loses its" if before == 1 else "lose their"
    who = f"{_number(before).capitalize()} of {_number(total)} agents"
    if before == total:
        who = {1: "The only agent", 2: "Both agents"}.get(total, f"All {_number(total)} agents")
    struck = f"{who} {verb} signal under {theirs}"
    if after:
        return f"{struck}, {_number(after)} under {ours}: {low} to {high}."
    return f"{struck}; {ours} restores it: {low} to {high}."


def _cannot_tell(result: ComparisonResult, decision: Decision, contest: Contest) -> str:
    needed = decision.seeds_needed
    if decision.seeds < ENOUGH:
        noun, verb = ("seed", "is") if decision.seeds == 1 else ("seeds", "are")
        count = f"{_number(decision.seeds).capitalize()} {noun}"
        known = needed is not None and needed <= MOST_SEEDS
        enough = f"about {needed} would do" if known else f"take at least {ENOUGH}"
        return f"{count} {verb} too few to choose a scheme; {enough}."
    undecided = abs(decision.contrast.value or 0.0)
    if decision.largest and abs(result.differences[decision.largest].iqm) > undecided:
        large, reference = result.schemes[decision.largest], result.schemes[decision.reference]
        value, other = levels(large, reference)
        return (
            f"{decision.largest} returns {value}, {decision.reference} {other}; "
            f"{decision.seeds:,} seeds cannot rank the others."
        )
    if needed is None or needed > MOST_SEEDS:
        seeds = f"{decision.seeds:,} seeds"
        return f"No scheme differs significantly from {decision.reference} with {seeds}."
    return (
        f"{decision.seeds:,} seeds cannot distinguish {contest.ours} from {contest.theirs}; "
        f"about {needed:,} would do."
    )


def stopped(scheme: SchemeResult) -> int:
    """Returns how many agents have a cause of collapse that a scheme creates."""
    return sum(bool(a.cause) and a.cause not in NOT_THE_SCHEMES for a in scheme.agents.values())


def levels(one: SchemeResult, other: SchemeResult) -> tuple[str, str]:
    """Returns the returns of two schemes, with as many decimals as it takes to distinguish them."""
    a, b = one.returns.iqm, other.returns.iqm
    for places in range(2, 9):
        shown = fixed(a, places), fixed(b, places)
        if shown[0] != shown[1] or a == b:
            return shown
    return significant(a, 12), significant(b, 12)


def decision_sentences(result: ComparisonResult) -> tuple[str, ...]:
    """Returns the rule with its numbers, the other arms, and how many seeds to take."""
    decision, contrast = result.decision, result.decision.contrast
    if decision.arm is None:
        return ("No scheme was compared with another over the same seeds.",)
    evidence = (
        f"{decision.arm} minus {decision.reference} is {numbers(contrast)} in return over "
        f"{counted(decision.seeds, 'seed')}: {reading(contrast, decision)}."
    )
    sentences = (
        _without_gain(result), evidence, _others(decision), rule(decision), _advice(decision),
        _cost(result),
    )  # fmt: skip
    return tuple(filter(None, sentences))


def without_gain(result: ComparisonResult) -> bool:
    """Returns whether no arm's return rose in training by more than chance; false where that is
    unknown, as with one seed."""
    gains = [one.gained for one in result.schemes.values() if one.gained is not None]
    return bool(gains) and all(gain.low is not None and gain.low <= 0 for gain in gains)


def _without_gain(result: ComparisonResult) -> str:
    """Returns that nothing was learned, with the numbers."""
    if not without_gain(result):
        return ""
    gains = [
        f"{name} {estimate.shown(3, signed=True)} {estimate.bounds(3, signed=True)}"
        for name, one in result.schemes.items()
        if one.gained is not None
        for estimate in [estimate_of(one.gained)]
    ]
    return (
        "No arm's return rose in training by more than chance, from the first tenth of the updates "
        f"to the last: {', '.join(gains)}. Train longer, or find out why they do not learn."
    )


def rule(decision: Decision) -> str:
    """Returns the rule, with this comparison's numbers."""
    arms = counted(decision.compared, "arm")
    verb = "was" if decision.compared == 1 else "were"
    return (
        f"The rule: an arm is better or worse than {decision.reference} only with at least "
        f"{ENOUGH} seeds, a 95% interval of the paired difference that excludes 0, and a paired "
        f"t-test with p below {LEVEL:g} / {decision.compared} = {decision.level:.2g}, since {arms} "
        f"{verb} compared with it."
    )


def numbers(contrast: Contrast) -> str:
    """Returns `+0.166 [+0.123, +0.205] (p = 0.0012)`."""
    places = decimals_for([contrast.value, contrast.low, contrast.high])
    ends = interval(contrast.low, contrast.high, places, signed=True)
    tested = "" if contrast.p is None else f" (p {p_value(contrast.p)})"
    return f"{fixed(contrast.value, places, signed=True)} {ends or '(no interval)'}{tested}"


def p_value(p: float) -> str:
    """Returns `= 0.012`, or `< 0.0001`."""
    return "< 0.0001" if p < 1e-4 else f"= {p:.2g}"


READINGS = {"better": "significantly higher", "worse": "significantly lower", "same": "identical"}


def reading(contrast: Contrast, decision: Decision) -> str:
    """Returns the rule's result for a difference of returns or of reward-weighted returns."""
    known = standing(contrast, decision.level, decision.seeds)
    if known != "unclear":
        return READINGS[known]
    if decision.seeds < ENOUGH:
        return "too few seeds to tell"
    if contrast.low is None or contrast.high is None or contrast.low <= 0 <= contrast.high:
        return "indistinguishable from 0"
    return f"not significant, since p is not below {decision.level:.2g}"


def _others(decision: Decision) -> str:
    """Returns the results of the arms that the evidence does not name."""
    if decision.seeds < ENOUGH and set(decision.standings.values()) == {"unclear"}:
        return ""
    words: dict[Standing, str] = {
        "better": "significantly better than",
        "worse": "significantly worse than",
        "unclear": "not significantly different from",
        "same": "identical to",
    }
    parts = []
    for known, meaning in words.items():
        names = [n for n, s in decision.standings.items() if s == known and n != decision.arm]
        if names:
            verb = "is" if len(names) == 1 else "are"
            parts.append(f"{listed(names)} {verb} {meaning} {decision.reference}")
    return f"{'; '.join(parts)}." if parts else ""


def _advice(decision: Decision) -> str:
    """Returns what to do: which arm to use, or how many seeds to take."""
    if decision.verdict == "use":
        return f"Use {decision.recommended}."
    if decision.verdict in ("keep", "same"):
        return f"Keep {decision.recommended}."
    needed, arm = decision.seeds_needed, decision.arm
    if needed is None:
        few = decision.seeds < ENOUGH
        return f"Take at least {ENOUGH} seeds." if few else "No number of seeds can be estimated."
    if needed > MOST_SEEDS:
        return (
            f"More than {MOST_SEEDS:,} seeds would be needed to distinguish {arm} from "
            f"{decision.reference}: the difference, if there is one, is likely inside the interval."
        )
    return (
        f"About {needed:,} seeds would distinguish {arm} from {decision.reference}. This is an "
        f"estimate from the paired differences over {counted(decision.seeds, 'seed')}."
    )


def _cost(result: ComparisonResult) -> str:
    """Returns what the recommended scheme loses of the reward-weighted return, above 0."""
    decision = result.decision
    change = result.differences.get(decision.recommended or "")
    if change is None or decision.verdict != "use":
        return ""
    weighted = change.weighted_contrast
    cost = weighted.reversed
    if cost.value is None or cost.value <= 0:
        return ""
    places = decimals_for([cost.value, cost.low, cost.high])
    ends = interval(cost.low, cost.high, places)
    return (
        f"The cost: its reward-weighted return is lower by {fixed(cost.value, places)} "
        f"{ends or '(no interval)'}, {reading(weighted, decision)}."
    )


def _number(count: int) -> str:
    return NUMBERS[count] if 0 <= count < len(NUMBERS) else f"{count:,}"


def listed(names: Iterable[str]) -> str:
    """Returns `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
