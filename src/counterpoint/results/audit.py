"""`AuditResult`: the findings of an audit about a team, from its logs."""

from __future__ import annotations

from msgspec import field

from counterpoint.records import CLEAR, FOUND, NOT_COMPUTABLE, Finding
from counterpoint.results.parts import Part, Result, Settings, expect


class Mark(Part, frozen=True, kw_only=True):
    """One event of a timeline."""

    episode: str = ""
    t: int
    """Its place in the episode, from 0."""
    agent: str
    quote: str
    """The start of its text."""
    what: str
    """`message`, `action`, `idle`, or `other` if its agent does not count as a team member."""


class MessageCount(Part, frozen=True, kw_only=True):
    """How many messages one speaker addressed to another."""

    sender: str = field(name="from")
    receiver: str = field(name="to")
    count: int


class Timeline(Part, frozen=True, kw_only=True):
    """One episode: who spoke, worked or idled, and who spoke to whom."""

    episode: str
    agents: list[str]
    """The members of the team, then tools and people."""
    events: list[Mark]
    """The first events of the episode."""
    left_out: int = 0
    """Number of later events."""
    messages: list[MessageCount]
    success: float | None = None
    """How well the episode went, from 0 to 1."""


class AuditResult(Result, frozen=True, kw_only=True, tag="counterpoint.audit/1"):
    """What an audit of logs, or of a table of outcomes, has found."""

    source: str
    """Name of the log or table."""
    config: Settings = field(default_factory=dict)
    format: str
    """Formats of the log, separated by commas."""
    formats: dict[str, int]
    """Format to its number of episodes."""
    episodes: int
    agents: int
    """Number of different members of teams."""
    events: int
    findings: list[Finding]
    timelines: list[Timeline]
    """The first episodes, and the first episodes with evidence of a finding."""
    warning: str | None = None
    """Why findings about single members are not reliable."""
    skipped: list[str]
    """What was left out while the log was read, a line each."""

    def __post_init__(self) -> None:
        expect(bool(self.findings), "findings", "at least one finding")
        known = (FOUND, CLEAR, NOT_COMPUTABLE)
        for i, finding in enumerate(self.findings):
            expect(finding.verdict in known, f"findings[{i}].verdict", " or ".join(known))
