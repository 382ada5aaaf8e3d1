"""A diagnosis document as values with names: what every table and picture of it reads.

`read_diagnosis` is the one place that knows the document's keys. Absent parts become None or
empty, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from counterpoint.report.toolkit.document import Document, items, mapping, number, series, text
from counterpoint.report.toolkit.estimate import Values, padded

MEASURES = (
    "signal_kept", "inflation", "signal_share", "dead_rate", "net_mass", "norm_inflation",
    "participation", "resolution", "mean", "deviation",
)  # fmt: skip
TIMELINE = ("inflation", "signal_share", "dead_rate", "net_mass")


@dataclass(frozen=True)
class ConditionTest:
    """One test of one condition, for one agent or for all of them."""

    condition: str
    agent: str
    p: float | None
    q: float | None
    effect: float | None
    detected: bool
    level: str = ""
    """What was shuffled: rollouts, prompts or steps."""
    about: str = ""
    """What of the reward showed it: its mean or its spread."""
    label: str = ""
    """The label that was tested, for C5."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the log itself."""

    code: str
    count: int
    sentence: str
    agent: str = ""
    """The agent that it is about; empty where it is about the whole log."""


@dataclass(frozen=True)
class Grouping:
    """What one grouping of the statistics keeps of each agent's signal."""

    scheme: str
    kept: dict[str, float | None]
    dead: dict[str, float | None]


@dataclass(frozen=True)
class AgentHealth:
    """What the log says of one agent."""

    measures: dict[str, float | None]
    """The names of `MEASURES` to their values."""
    cause: str | None
    remedy: str
    evidence: str
    timeline: dict[str, Values]
    """The names of `TIMELINE` to [T] values."""
    causes: list[str | None]
    """[T] the cause at each step."""


@dataclass(frozen=True)
class Diagnosis:
    """A whole diagnosis."""

    source: str
    scheme: str
    version: str
    rows: int | None
    updates: int | None
    verdict: str
    conditions: list[str]
    tests: list[ConditionTest]
    error_rate: float | None
    not_readable: dict[str, str]
    max_difference: float | None
    steps: Values
    agents: dict[str, AgentHealth]
    recommended: str
    """Empty where no scheme is better, or the log cannot tell."""
    why: str
    faults: list[Fault]
    groupings: dict[str, Grouping]
    best_grouping: str
    advised: dict[str, float]
    """What the recommended scheme keeps of each agent's signal."""
    change: str = ""
    """What it does differently, as the subject of a sentence; empty where nothing is said."""


def read_diagnosis(document: Document) -> Diagnosis:
    """The diagnosis in a document that `open_document` has let in."""
    decoupling, agents = mapping(document, "decoupling"), mapping(document, "agents")
    steps = series(document, "timeline", "step")
    timelines = mapping(document, "timeline", "agents")
    blocked = mapping(decoupling, "not_readable")
    groupings, advice = mapping(document, "groupings"), mapping(document, "recommendation")
    advised = _grouping(advice)
    return Diagnosis(
        source=text(document.get("source")),
        scheme=text(document.get("scheme")),
        version=text(document.get("version")),
        rows=_whole(document.get("rows")),
        updates=_whole(document.get("updates")),
        verdict=text(decoupling.get("verdict")),
        conditions=[text(c) for c in items(decoupling, "conditions")],
        tests=[_test(t) for t in items(decoupling, "tests") if isinstance(t, dict)],
        error_rate=number(decoupling.get("error_rate")),
        not_readable={name: text(blocked[name]) for name in blocked},
        max_difference=number(decoupling.get("max_difference")),
        steps=steps,
        agents={a: _agent(mapping(agents, a), mapping(timelines, a), len(steps)) for a in agents},
        recommended=text(document.get("recommended")),
        why=text(document.get("why")),
        faults=[_fault(f) for f in items(document, "log_faults") if isinstance(f, dict)],
        groupings={g: _grouping(mapping(groupings, g)) for g in groupings},
        best_grouping=text(document.get("best_grouping")),
        advised={a: v for a, v in advised.kept.items() if v is not None},
        change=text(advice.get("change")),
    )


def _fault(entry: Document) -> Fault:
    code, sentence, agent = (text(entry.get(k)) for k in ("code", "sentence", "agent"))
    return Fault(code, _whole(entry.get("count")) or 0, sentence, agent)


def _grouping(entry: Document) -> Grouping:
    kept, dead = mapping(entry, "signal_kept"), mapping(entry, "dead_rate")
    return Grouping(
        text(entry.get("scheme")),
        {a: number(kept[a]) for a in kept},
        {a: number(dead[a]) for a in dead},
    )


def _agent(entry: Document, timeline: Document, count: int) -> AgentHealth:
    causes = [text(c) or None for c in items(timeline, "cause")]
    return AgentHealth(
        measures={k: number(entry.get(k)) for k in MEASURES},
        cause=text(entry.get("cause")) or None,
        remedy=text(entry.get("remedy")),
        evidence=text(entry.get("evidence")),
        timeline={k: padded(series(timeline, k), count) for k in TIMELINE},
        causes=(causes + [None] * count)[:count],
    )


def _test(entry: Document) -> ConditionTest:
    p, q, effect = (number(entry.get(k)) for k in ("p", "q", "effect"))
    agent, condition = text(entry.get("agent")), text(entry.get("condition"))
    how = [text(entry.get(k)) for k in ("level", "about", "label")]
    return ConditionTest(condition, agent, p, q, effect, entry.get("detected") is True, *how)


def _whole(value: object) -> int | None:
    found = number(value)
    return None if found is None else int(found)
