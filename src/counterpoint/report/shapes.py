"""The parts of saved topologies and audits, with their types.

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


class Drawn(Struct):
    """A topology."""

    name: str
    members: int
    edges: list[tuple[int, int]]
    order: list[list[int]]
    rounds: int
    decides: str
    decider: int | None = None


class Layout(Struct):
    """A topology with what is known of its shape."""

    topology: Drawn
    depth: int
    path: float | None = None


class Gaps(Struct):
    """A team less what it is measured against."""

    mean: Valued
    best_member: Valued
    oracle: Valued
    single_agent: Valued


class Score(Middle):
    """How good a topology is."""

    by_prompt: dict[str, Believed]
    orders: int
    order_scores: list[float]
    calls: float
    shape: Layout
    gap: Gaps


class Share(Valued):
    """A share of the variance, and that by chance."""

    chance: float


class Best(Valued):
    """The best topology and prompt."""

    topology: str
    prompt: str


class TopologyShape(Struct):
    """`counterpoint.topology/1`."""

    world: str
    summary: str
    scale: str
    seeds: int
    settings: dict[str, Any]
    guards: dict[str, Any]
    prompts: dict[str, Any]
    ways: dict[str, Any]
    scores: dict[str, Score]
    best: Best
    gap: Gaps
    shares: dict[str, Share] | None = None
    why_no_shares: str | None = None


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
