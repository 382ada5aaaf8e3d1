"""The parts of saved populations and audits, with their types.

Only what the pages read is listed here; other parts are let through. `shape_checks.require_shape`
holds a document against them.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Valued(Struct):
    """An estimate with its interval."""

    value: float
    low: float
    high: float


class Believed(Struct):
    """An interquartile mean without an interval."""

    iqm: float


class Middle(Believed):
    """An interquartile mean with its interval."""

    low: float
    high: float


class Spent(Middle):
    """One point of an arm's curve."""

    budget: float
    spent: float


class PopulationArm(Struct):
    """A population, or one learner."""

    members: int
    champion: Middle
    believed: Believed
    curse: Valued
    spent: float
    curve: list[Spent]
    diversity: float | None = None
    against: list[list[float]] | None = None
    elo: list[float] | None = None


class Crossover(Struct):
    """From which budget on a population is better."""

    rival: str
    why: str
    budget: float | None = None
    low: float | None = None
    high: float | None = None


class PopulationShape(Struct):
    """`counterpoint.population/1`."""

    world: str
    source: str
    budget: float
    repeats: int
    settings: dict[str, Any]
    arms: dict[str, PopulationArm]
    optimum: float | None = None
    crossover: Crossover | None = None
    against_single: dict[str, Valued] = field(default_factory=dict)


class FindingShape(Struct):
    """One finding of an audit."""

    audit: str
    name: str
    verdict: str
    reason: str
    n: int | None
    evidence: list[dict[str, Any]]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    null: float | None = None


class Mark(Struct):
    """One event of a timeline."""

    t: int
    agent: str
    what: str
    quote: str


class Count(Struct):
    """How many messages went from one to another."""

    sender: str = field(name="from")
    receiver: str = field(name="to")
    count: int


class TimelineShape(Struct):
    """One episode."""

    episode: str
    agents: list[str]
    events: list[Mark]
    messages: list[Count]


class AuditShape(Struct):
    """`counterpoint.audit/1`."""

    findings: list[FindingShape]
    warning: str | None = None
    timelines: list[TimelineShape] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
