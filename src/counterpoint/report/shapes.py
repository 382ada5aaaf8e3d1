"""The parts of saved audits, with their types."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


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
