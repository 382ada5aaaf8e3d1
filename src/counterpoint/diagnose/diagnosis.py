"""`diagnose` finds the agents of a log that lose their learning signal, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.credit import Scheme, as_plain_scheme, plain_scheme_named, scheme_name
from counterpoint.diagnose.agents import AgentNumbers, Choices, agent_numbers, choices_of, dead_rows
from counterpoint.diagnose.bound import Units
from counterpoint.diagnose.candidates import NEAR, Evaluator, SchemeScore, better, sick_agents
from counterpoint.diagnose.causes import CAUSES, REMEDIES
from counterpoint.diagnose.conditions import (
    ERROR_RATE,
    NOT_READABLE,
    bears_on,
    find_conditions,
    find_own_terms,
)
from counterpoint.diagnose.faults import log_faults, split_repeated_keys
from counterpoint.diagnose.log import (
    SAME,
    Log,
    decoupling_difference,
    finite_or_none,
    logged_advantages,
)
from counterpoint.diagnose.recommend import (
    Findings,
    cause_evidence,
    causes_of,
    changed,
    reason_sentences,
)
from counterpoint.errors import LabelError
from counterpoint.records import Decisions
from counterpoint.results.diagnosis import (
    AgentDiagnosis,
    AgentTimeline,
    Decoupling,
    DiagnosisResult,
    Kept,
    Recommendation,
    Timeline,
)

BOUND = (
    "signal_kept is an upper bound from rewards alone: how well the agent's advantages carry the "
    "differences of its own reward, divided by the same number under the best of four groupings "
    "(pooled, by agent, by prompt, by prompt and agent). Gradients may show less."
)
"""What `signal_kept` is, for the document."""

MOST_AGENTS = 10_000
"""More are a column that says something else, such as the row: each agent takes milliseconds."""

FEWEST_SAMPLES = 12
"""Rollouts with a reward below which an agent gets no cause."""


def diagnose(
    decisions: Decisions, scheme: str | Scheme = "mappo_pooled", *, rng: np.random.Generator
) -> DiagnosisResult:
    """Returns whether decoupling matters in a log, which agents lose their signal, and why.

    The log itself comes first: its faults are listed, and if they make numbers meaningless the
    verdict is `cannot tell`. Decoupling is a no-op where the advantages with and
    without per-agent statistics agree to rounding, and where no condition under which they may
    matter is detected. DEAD and SPIKY are named from the advantages; OFFSET and DROWNED where
    sharing statistics matters; DILUTED and LAZY from logged actions. A scheme is recommended only
    where the same log, resolved under it, keeps more of the signal of an agent that needs it and
    takes it from no other agent.

    Args:
        decisions: the log, e.g. from `counterpoint.readers.read_decisions`; the labels `agent`
            and `rollout` are needed, each `step` is one call of the scheme.
        scheme: the scheme that the log was trained with, or its name in the catalogue.
        rng: chance for the permutation tests; the same generator gives the same diagnosis.

    Raises:
        RewardError: there is no row, or a reward is infinite.
        LabelError: a label that the scheme or the diagnosis needs is absent, or there are more
            than `MOST_AGENTS` agents.
        UnknownNameError: no scheme of that name.
        SchemeError: `scheme` is none, or made of several; or its weights are not as many as the
            components.

    Source:
        faults: `counterpoint.diagnose.faults`; conditions: `.conditions`; numbers: `.agents`;
        causes: `.causes`; signal kept: `.bound`; advice: `.candidates`.
    """
    resolved = plain_scheme_named(scheme) if isinstance(scheme, str) else as_plain_scheme(scheme)
    name = scheme if isinstance(scheme, str) else scheme_name(resolved)
    log = Log.of(decisions)
    if len(log.agents) > MOST_AGENTS:
        raise LabelError(
            f"got {len(log.agents):,} agents in {len(decisions):,} rows; wanted at most "
            f"{MOST_AGENTS:,}: is the agent in another column?"
        )
    faults = log_faults(log, resolved)
    split = split_repeated_keys(log, faults)
    log = log if split is log.decisions else Log.of(split)
    fatal = any(fault.fatal for fault in faults)
    values = logged_advantages(log, resolved)
    difference = decoupling_difference(log, resolved)
    mixed = any(fault.code in ("two_runs", "repeated_keys") for fault in faults)
    tests = [] if mixed else find_conditions(log, resolved, rng)  # several runs are no sample
    conditions = list(dict.fromkeys(test.condition for test in tests if test.detected))
    bears = (c for c in conditions if bears_on(resolved, c, tests))
    bearing = () if difference <= SAME else tuple(bears)
    plain = Scheme(weights=resolved.weights)
    own_terms = find_own_terms(log, plain, log.rewards(plain)).detected
    units = Units.of(log, resolved.weights, own_terms)
    lost = units.lost(dead_rows(log, resolved, values, own_terms))
    numbers = agent_numbers(log, resolved, values, lost)
    choices = choices_of(log, resolved)
    evaluator = None if fatal else Evaluator(log, units, resolved.weights, own_terms)
    now = None if evaluator is None else evaluator.evaluate(name, resolved, values)
    causes, over_time = causes_of(numbers, resolved, bool(bearing), own_terms, choices, now)
    if evaluator is None:  # of a faulty log, nothing is known but that its reward is constant
        if not any(fault.code == "constant" for fault in faults):
            causes = np.zeros_like(causes)
    else:
        samples = np.bincount(units.agent, minlength=len(causes))
        causes = np.where(samples < FEWEST_SAMPLES, np.int8(0), causes)
    advice = None
    if evaluator is not None and now is not None:
        fixable = np.isin(causes, [CAUSES.index(c) for c in FIXABLE])
        sick = sick_agents(evaluator, now, fixable)
        advice = better(evaluator, now, sick, causes == CAUSES.index("DEAD"), bool(bearing))
    named = {a: cause for a, cause in zip(log.agents, _named(causes), strict=True) if cause}
    grouped = {} if evaluator is None else evaluator.grouped()
    top = max((score.score for score in grouped.values()), default=0.0)
    best_grouping = next((g for g, s in grouped.items() if s.score >= top - NEAR), None)
    recommendation = None
    if advice is not None and now is not None:
        kept, change = _kept(log.agents, advice), changed(now.scheme, advice.scheme)
        recommendation = Recommendation(**structs.asdict(kept), change=change)
    findings = Findings(
        log, faults, numbers, resolved, bearing, difference, named, now, advice, own_terms,
        tuple(grouped.values()),
    )  # fmt: skip
    return DiagnosisResult(
        version=__version__,
        scheme=name,
        log_faults=list(faults),
        rows=len(decisions),
        updates=len(log.steps),
        decoupling=Decoupling(
            verdict="cannot tell" if fatal else "matters" if bearing else "no-op",
            conditions=conditions,
            tests=tests,
            error_rate=ERROR_RATE,
            not_readable=dict(NOT_READABLE),
            max_difference=difference,
        ),
        agents=_agents(log.agents, numbers, choices, causes, now),
        timeline=_timeline(log, numbers, over_time),
        groupings={grouping: _kept(log.agents, g) for grouping, g in grouped.items()},
        best_grouping=best_grouping,
        signal_kept=BOUND,
        recommended=None if advice is None else advice.name,
        recommendation=recommendation,
        why=reason_sentences(findings),
    )


FIXABLE = ("DEAD", "DROWNED", "OFFSET", "SPIKY")
"""Causes that another scheme may take away."""


def _agents(
    names: Sequence[str],
    n: AgentNumbers,
    choices: Choices,
    causes: NDArray[np.int8],
    now: SchemeScore | None,
) -> dict[str, AgentDiagnosis]:
    """Returns each agent's numbers, its cause, and what to do about it."""
    kept = np.full(len(names), np.nan) if now is None else now.kept
    widest = np.nanmax(n.deviation, initial=np.finfo(float).tiny)
    return {
        name: AgentDiagnosis(
            norm_inflation=_at(n.numbers.norm_inflation[0], k),
            inflation=_at(n.numbers.inflation[0], k),
            signal_share=_at(n.numbers.signal_share[0], k),
            missing_rate=_at(n.missing_rate, k),
            signal_kept=_at(kept, k),
            dead_rate=_at(n.dead_rate, k),
            stuck_rate=_at(n.stuck_rate, k),
            net_mass=_at(n.net_mass, k),
            participation=_at(n.participation, k),
            resolution=_at(n.resolution, k),
            decisions=float(n.decisions[k]),
            mean=_at(n.mean, k),
            deviation=_at(n.deviation, k),
            scale_ratio=_at(n.deviation / widest, k),
            spike_rate=_at(n.spike_rate, k),
            influence=_at(choices.influence, k),
            entropy=_at(choices.entropy, k),
            cause=cause or None,
            remedy=REMEDIES.get(cause),
            evidence=cause_evidence(cause, n, choices, k),
        )
        for k, (name, cause) in enumerate(zip(names, _named(causes), strict=True))
    }


def _timeline(log: Log, numbers: AgentNumbers, causes: NDArray[np.int8]) -> Timeline:
    """Returns the numbers and causes [T, A] at each step, by agent."""
    agents = {
        name: AgentTimeline(
            **{key: _series(table[:, k]) for key, table in numbers.timeline.items()},
            cause=[cause or None for cause in _named(causes[:, k])],
        )
        for k, name in enumerate(log.agents)
    }
    return Timeline(step=log.steps.tolist(), agents=agents)


def _kept(names: Sequence[str], score: SchemeScore) -> Kept:
    """Returns a scheme's numbers by agent."""
    return Kept(
        scheme=score.name,
        signal_kept=dict(zip(names, _series(score.kept), strict=True)),
        dead_rate=dict(zip(names, _series(score.dead), strict=True)),
    )


def _named(causes: NDArray[np.int8]) -> list[str]:
    """Returns the names of causes; an empty one for none."""
    return [CAUSES[index] for index in causes.tolist()]


def _at(column: Floats, k: int) -> float | None:
    """Returns one value of a column as a plain number; None where it is undefined."""
    return finite_or_none(float(column[k]))


def _series(column: Floats) -> list[float | None]:
    """Returns a column as plain numbers; None where it is undefined."""
    return [finite_or_none(value) for value in column.tolist()]
