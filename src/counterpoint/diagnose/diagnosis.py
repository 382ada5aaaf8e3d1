"""`diagnose`: from somebody else's rewards to the agents whose learning signal is lost, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import Scheme, scheme_named
from counterpoint.diagnose.agents import AgentNumbers, agent_numbers
from counterpoint.diagnose.causes import CAUSES, REMEDIES, drowning, name_causes
from counterpoint.diagnose.choices import Choices, choices_of
from counterpoint.diagnose.conditions import (
    ERROR_RATE,
    NOT_READABLE,
    ConditionTest,
    find_conditions,
)
from counterpoint.diagnose.log import Floats, Log
from counterpoint.diagnose.recommend import Findings, recommend, scheme_name
from counterpoint.diagnose.twins import ROUNDING, largest_difference, logged_advantages
from counterpoint.records import Decisions

SCHEMA = "counterpoint.diagnosis/1"
"""Name and version of the document that `Diagnosis.to_json` writes."""


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
    """`matters` or `no-op`: whether decoupling by agent can change what this scheme learns."""
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
    recommended: str
    """Name of the scheme to use."""
    why: str
    """Why, in words."""

    def to_json(self) -> dict[str, Any]:
        """The document: plain values, with None for whatever is undefined."""
        timeline: dict[str, NDArray[Any]] = {
            **self.numbers.timeline,
            "cause": self.timeline_causes,
        }
        return {
            "schema": SCHEMA,
            "scheme": self.scheme,
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
            "recommended": self.recommended,
            "why": self.why,
        }

    def _agent(self, k: int) -> dict[str, Any]:
        n, cause = self.numbers, CAUSES[self.causes[k]]
        columns = {
            "norm_inflation": n.numbers.norm_inflation[0],
            "inflation": n.numbers.inflation[0],
            "signal_share": n.numbers.signal_share[0],
            "missing_rate": n.missing_rate,
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
        evidence = _evidence(cause, n, k)
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

    Decoupling is a no-op where the advantages with and without statistics of each agent's own
    agree to rounding, and where no condition under which they may matter is detected. DEAD and
    SPIKY are named from the advantages; OFFSET and DROWNED where sharing statistics matters;
    DILUTED and LAZY need gradients, which a log of rewards does not have.

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
        conditions: `counterpoint.diagnose.conditions`; numbers: `.agents`; causes: `.causes`.
    """
    judged = scheme_named(scheme) if isinstance(scheme, str) else scheme
    log = Log.of(decisions)
    values = logged_advantages(log, judged)
    difference = largest_difference(log, judged)
    tests = find_conditions(log, judged, rng)
    conditions = tuple(dict.fromkeys(test.condition for test in tests if test.detected))
    same = difference <= ROUNDING
    bearing = () if same else tuple(c for c in conditions if _bears_on(judged, c, tests))
    numbers = agent_numbers(log, judged, values)
    causes, over_time = _causes(numbers, bool(bearing))
    named = {a: CAUSES[c] for a, c in zip(log.agents, causes, strict=True) if c}
    recommended, why = recommend(
        Findings(
            judged, bearing, difference, same, named,
            float(np.nanmax(numbers.sharing.inflation, initial=1.0)), numbers.deviation,
            len(decisions.components), log.n_blocks,
        )
    )  # fmt: skip
    return Diagnosis(
        scheme=scheme if isinstance(scheme, str) else scheme_name(judged),
        rows=len(decisions),
        steps=log.steps,
        agents=log.agents,
        verdict="matters" if bearing else "no-op",
        conditions=conditions,
        tests=tuple(tests),
        max_difference=difference,
        numbers=numbers,
        choices=choices_of(log, judged),
        causes=causes,
        timeline_causes=over_time,
        recommended=recommended,
        why=why,
    )


def _bears_on(scheme: Scheme, condition: str, tests: list[ConditionTest]) -> bool:
    """Whether a condition that holds can change this scheme's advantages by decoupling."""
    if condition == "C6":
        return scheme.keeps_state
    if condition == "C5":
        by = {*scheme.center_by, *(scheme.scale_by or ())}
        return any(t.condition == "C5" and t.detected and t.label in by for t in tests)
    return True


def _causes(n: AgentNumbers, shared_matters: bool) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Causes of each agent [A], and at each step [T, A]."""
    overall = {"dead_rate": n.stuck_rate, "spike_rate": n.spike_rate}
    over_time = {"dead_rate": n.timeline["stuck_rate"]}
    if shared_matters:
        overall |= {"inflation": n.sharing.inflation, "signal_share": n.sharing.signal_share}
        overall |= {"participation": n.decisions}
        over_time |= {key: n.timeline[key] for key in ("inflation", "signal_share")}
        over_time |= {"participation": n.decisions}
    return name_causes(overall), name_causes(over_time)


def _evidence(cause: str, n: AgentNumbers, k: int) -> str:
    """The numbers behind a cause, as a sentence; the healthy ones where there is no cause."""
    inflation, dead = n.sharing.inflation[k], n.stuck_rate[k]
    quiet = drowning(n.sharing.signal_share, n.decisions)[k]
    spikes = n.spike_rate[k]
    return {
        "DEAD": f"{dead:.0%} of the decisions that could still gain have no advantage at all",
        "OFFSET": f"offsets between agents cost a factor {inflation:.3g} of signal-to-noise; "
        f"its mean advantage is {n.net_mass[k]:+.2f}",
        "DROWNED": f"the agents' rewards vary {quiet:.3g} times as much as its own (variance), and "
        "share its scale",
        "SPIKY": f"{spikes:.2%} of its advantages are beyond what a group of samples can give",
    }.get(
        cause,
        f"inflation {_short(inflation)}, dead decisions {_short(n.dead_rate[k])}: nothing lost",
    )


def _short(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3g}"


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
