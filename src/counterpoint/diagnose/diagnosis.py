"""`diagnose`: from somebody else's rewards to the agents whose learning signal is lost, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.credit import Scheme, plain_scheme_named, scheme_name
from counterpoint.diagnose.agents import AgentNumbers, agent_numbers, dead_rows
from counterpoint.diagnose.bound import Units
from counterpoint.diagnose.causes import CAUSES, REMEDIES
from counterpoint.diagnose.choices import Choices, choices_of
from counterpoint.diagnose.conditions import (
    ERROR_RATE,
    NOT_READABLE,
    ConditionTest,
    bears_on,
    find_conditions,
    find_own_terms,
)
from counterpoint.diagnose.faults import log_faults
from counterpoint.diagnose.judge import NEAR, Judge, Judged, better, sick_agents
from counterpoint.diagnose.keys import apart
from counterpoint.diagnose.log import Log, LogFault
from counterpoint.diagnose.naming import causes_of, evidence_of
from counterpoint.diagnose.recommend import Findings, changed, reasons
from counterpoint.diagnose.twins import ROUNDING, largest_difference, logged_advantages
from counterpoint.records import Decisions

SCHEMA = "counterpoint.diagnosis/1"
"""Name and version of the document that `Diagnosis.to_json` writes."""

BOUND = (
    "signal_kept is an upper bound from rewards alone: how well the agent's advantages carry the "
    "differences of its own reward, divided by the same number under the best of four groupings "
    "(pooled, by agent, by prompt, by prompt and agent). Gradients may show less."
)
"""What `signal_kept` is, for the document."""

FEWEST_SAMPLES = 12
"""Rollouts with a reward below which an agent gets no cause."""


@dataclass(frozen=True)
class Diagnosis:
    """What a log of rewards says about a team under one scheme."""

    scheme: str
    """Name of the scheme under judgement."""
    rows: int
    """Decisions in the log."""
    steps: NDArray[np.int64]
    """[T] the training updates."""
    agents: tuple[str, ...]
    """[A] names."""
    verdict: str
    """`matters`, `no-op` or `cannot tell`: whether decoupling by agent can change what this scheme
    learns."""
    conditions: tuple[str, ...]
    """Which of C1, C2, C3, C5, C6 hold in the log."""
    tests: tuple[ConditionTest, ...]
    """The evidence for the conditions."""
    max_difference: float
    """Largest difference of the advantages with and without own statistics, relative to them."""
    numbers: AgentNumbers
    """What the log says of each agent."""
    choices: Choices
    """What its actions say, where the log has them."""
    causes: NDArray[np.int8]
    """[A] index into `CAUSES`."""
    timeline_causes: NDArray[np.int8]
    """[T, A] the same at each step."""
    faults: tuple[LogFault, ...]
    """What is wrong with the log, or changes how it is read; the worst first."""
    now: Judged | None
    """What the scheme keeps of each agent's signal; None where the log is at fault."""
    groupings: Mapping[str, Judged]
    """The same of the four groupings; empty where the log is at fault."""
    advice: Judged | None
    """The scheme to use instead, with its numbers on this log; None where none is better."""
    why: str
    """Why, in words."""

    @property
    def recommended(self) -> str | None:
        """Name of the scheme to use instead; None where none is better, or the log cannot tell."""
        return None if self.advice is None else self.advice.name

    def to_json(self) -> dict[str, Any]:
        """The document: plain values, with None for whatever is undefined."""
        timeline: dict[str, NDArray[Any]] = {
            **self.numbers.timeline,
            "cause": self.timeline_causes,
        }
        return {
            "schema": SCHEMA,
            "scheme": self.scheme,
            "log_faults": [asdict(fault) for fault in self.faults],
            "rows": self.rows,
            "updates": len(self.steps),
            "decoupling": {
                "verdict": self.verdict,
                "conditions": list(self.conditions),
                "tests": [_plain(asdict(test)) for test in self.tests],
                "error_rate": ERROR_RATE,
                "not_readable": dict(NOT_READABLE),
                "max_difference": self.max_difference,
            },
            "agents": {name: self._agent(k) for k, name in enumerate(self.agents)},
            "timeline": {
                "step": self.steps.tolist(),
                "agents": {
                    name: {key: _series(column[:, k]) for key, column in timeline.items()}
                    for k, name in enumerate(self.agents)
                },
            },
            "groupings": {name: self._judged(judged) for name, judged in self.groupings.items()},
            "best_grouping": self.best_grouping,
            "signal_kept": BOUND,
            "recommended": self.recommended,
            "recommendation": self._recommendation(),
            "why": self.why,
        }

    @property
    def best_grouping(self) -> str | None:
        """The grouping that keeps most of the agents' signal, the coarsest of equal ones."""
        if not self.groupings:
            return None
        top = max(judged.score for judged in self.groupings.values())
        return next(n for n, judged in self.groupings.items() if judged.score >= top - NEAR)

    def _kept(self) -> Floats:
        """[A] share of the signal that the scheme keeps; NaN where it is unknown."""
        return np.full(len(self.agents), np.nan) if self.now is None else self.now.kept

    def _recommendation(self) -> dict[str, Any] | None:
        """The advice with its numbers, and what it does differently in words."""
        if self.advice is None or self.now is None:
            return None
        change = changed(self.now.scheme, self.advice.scheme)
        return {**self._judged(self.advice), "change": change}

    def _judged(self, judged: Judged) -> dict[str, Any]:
        """A scheme's numbers by agent."""
        columns = {"signal_kept": judged.kept, "dead_rate": judged.dead}
        return {
            "scheme": judged.name,
            **{key: dict(zip(self.agents, _series(c), strict=True)) for key, c in columns.items()},
        }

    def _agent(self, k: int) -> dict[str, Any]:
        n, cause = self.numbers, CAUSES[self.causes[k]]
        columns = {
            "norm_inflation": n.numbers.norm_inflation[0],
            "inflation": n.numbers.inflation[0],
            "signal_share": n.numbers.signal_share[0],
            "missing_rate": n.missing_rate,
            "signal_kept": self._kept(),
            "dead_rate": n.dead_rate,
            "stuck_rate": n.stuck_rate,
            "net_mass": n.net_mass,
            "participation": n.participation,
            "resolution": n.resolution,
            "decisions": n.decisions,
            "mean": n.mean,
            "deviation": n.deviation,
            "scale_ratio": n.deviation / np.nanmax(n.deviation, initial=np.finfo(float).tiny),
            "spike_rate": n.spike_rate,
            "influence": self.choices.influence,
            "entropy": self.choices.entropy,
        }
        found = _plain({key: float(column[k]) for key, column in columns.items()})
        evidence = evidence_of(cause, n, self.choices, k)
        return {
            **found,
            "cause": cause or None,
            "remedy": REMEDIES.get(cause),
            "evidence": evidence,
        }


def diagnose(
    decisions: Decisions, scheme: str | Scheme = "mappo_pooled", *, rng: np.random.Generator
) -> Diagnosis:
    """Judge a log under a scheme: does decoupling matter, which agents lose their signal, and why.

    The log itself comes first: what is wrong with it is listed, and where that makes numbers
    meaningless the verdict is `cannot tell`. Decoupling is a no-op where the advantages with and
    without per-agent statistics agree to rounding, and where no condition under which they may
    matter is detected. DEAD and SPIKY are named from the advantages; OFFSET and DROWNED where
    sharing statistics matters; DILUTED and LAZY from logged actions. A scheme is recommended only
    where the same log, judged under it, keeps more of the signal of an agent that needs it and
    takes it from no other agent.

    Args:
        decisions: the log, e.g. from `counterpoint.readers.read_decisions`; the labels `agent`
            and `rollout` are needed, each `step` is one call of the scheme.
        scheme: the scheme that the log was trained with, or its name in the catalogue.
        rng: chance for the permutation tests; the same generator gives the same diagnosis.

    Raises:
        RewardError: there is no row, or a reward is infinite.
        LabelError: a label that the scheme or the diagnosis needs is absent.
        UnknownNameError: no scheme of that name.
        SchemeError: the scheme's weights are not as many as the components.

    Source:
        faults: `counterpoint.diagnose.faults`; conditions: `.conditions`; numbers: `.agents`;
        causes: `.causes`; signal kept: `.bound`; advice: `.judge`.
    """
    judged = plain_scheme_named(scheme) if isinstance(scheme, str) else scheme
    name = scheme if isinstance(scheme, str) else scheme_name(judged)
    log = Log.of(decisions)
    faults = log_faults(log, judged)
    split = apart(log, faults)
    log = log if split is log.decisions else Log.of(split)
    fatal = any(fault.fatal for fault in faults)
    values = logged_advantages(log, judged)
    difference = largest_difference(log, judged)
    tests = [] if _is_mixture(faults) else find_conditions(log, judged, rng)
    conditions = tuple(dict.fromkeys(test.condition for test in tests if test.detected))
    same = difference <= ROUNDING
    bearing = () if same else tuple(c for c in conditions if bears_on(judged, c, tests))
    plain = Scheme(weights=judged.weights)
    own_terms = find_own_terms(log, plain, log.rewards(plain)).detected
    units = Units.of(log, judged.weights, own_terms)
    lost = units.lost(dead_rows(log, judged, values, own_terms))
    numbers = agent_numbers(log, judged, values, lost)
    choices = choices_of(log, judged)
    judge = None if fatal else Judge(log, units, judged.weights, own_terms)
    now = None if judge is None else judge.judged(name, judged, values)
    causes, over_time = causes_of(numbers, judged, bool(bearing), own_terms, choices, now)
    causes = _known(causes, judge, faults)
    advice = None
    if judge is not None and now is not None:
        fixable = np.isin(causes, [CAUSES.index(c) for c in FIXABLE])
        sick = sick_agents(judge, now, fixable)
        advice = better(judge, now, sick, causes == CAUSES.index("DEAD"), bool(bearing))
    named = {a: CAUSES[c] for a, c in zip(log.agents, causes, strict=True) if c}
    grouped = {} if judge is None else judge.grouped()
    return Diagnosis(
        scheme=name,
        rows=len(decisions),
        steps=log.steps,
        agents=log.agents,
        verdict="cannot tell" if fatal else "matters" if bearing else "no-op",
        conditions=conditions,
        tests=tuple(tests),
        max_difference=difference,
        numbers=numbers,
        choices=choices,
        causes=causes,
        timeline_causes=over_time,
        faults=faults,
        now=now,
        groupings=grouped,
        advice=advice,
        why=reasons(
            Findings(
                faults, log.agents, judged, bearing, difference, same, named, now, grouped, advice,
                numbers.deviation, own_terms, log.n_blocks,
            )
        ),
    )  # fmt: skip


FIXABLE = ("DEAD", "DROWNED", "OFFSET", "SPIKY")
"""Causes that another scheme may take away."""


def _is_mixture(faults: tuple[LogFault, ...]) -> bool:
    """Whether the rows of several runs or rollouts would be tested as one."""
    return any(fault.code in ("two_runs", "repeated_keys") for fault in faults)


def _known(
    causes: NDArray[np.int8], judge: Judge | None, faults: tuple[LogFault, ...]
) -> NDArray[np.int8]:
    """The causes [A] that the log can tell: with a fatal fault none but a constant reward's."""
    if judge is None:
        constant = any(fault.code == "constant" for fault in faults)
        return causes if constant else np.zeros_like(causes)
    samples = np.bincount(judge.units.agent, minlength=len(causes))
    return np.where(samples < FEWEST_SAMPLES, np.int8(0), causes)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for JSON: None instead of what is not finite."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def _series(column: Floats | NDArray[np.int8]) -> list[Any]:
    """A column for JSON; causes by name."""
    if column.dtype == np.int8:
        return [CAUSES[i] or None for i in column.tolist()]
    return [value if math.isfinite(value) else None for value in column.tolist()]
