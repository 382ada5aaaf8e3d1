"""`AuditResult`: the findings of an audit about a team, from its logs."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from counterpoint.records import CANNOT_TELL, NOT_FOUND, VERDICTS, Finding
from counterpoint.results.parts import Document, Part, Result, Settings, expect


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
    """The first episodes, and the the episodes of the worst cases of each finding."""
    warning: str | None = None
    """Why findings about single members are not reliable."""
    skipped: list[str]
    """What was left out while the log was read, a line each."""

    def __post_init__(self) -> None:
        expect(bool(self.findings), "findings", "at least one finding")
        for i, finding in enumerate(self.findings):
            expect(finding.verdict in VERDICTS, f"findings[{i}].verdict", " or ".join(VERDICTS))


def earlier_audit(document: Document) -> Document:
    """Returns a document of an earlier version with the names that its parts have today.

    A finding had `evidence`, places without a weight. Its verdict `clear` meant both what the
    numbers exclude and what they cannot tell.
    """
    findings = document.get("findings")
    if not isinstance(findings, list):
        return document
    return {**document, "findings": [_earlier_finding(finding) for finding in findings]}


def _earlier_finding(finding: object) -> object:
    if not isinstance(finding, Mapping):
        return finding
    changed = dict(finding)
    if changed.get("verdict") == "clear":
        ends = [changed.get(name) for name in ("null", "low", "high")]
        numbers = [end for end in ends if isinstance(end, int | float)]
        is_open = len(numbers) < len(ends) or numbers[1] <= numbers[0] < numbers[2]
        changed["verdict"] = CANNOT_TELL if is_open else NOT_FOUND
    places = changed.get("evidence")
    if isinstance(places, list) and "cases" not in changed:
        del changed["evidence"]
        changed["cases"] = [_earlier_case(place) for place in places]
        changed["cases_total"] = len(places)
    return changed


def _earlier_case(place: object) -> object:
    if not isinstance(place, Mapping):
        return place
    known = {name: place.get(name) for name in ("agent", "quote", "before", "now")}
    times = place.get("times", place.get("idle_run"))
    weight = next((w for w in (times, place.get("echoed")) if w is not None), 1.0)
    return {**place, **known, "event": place.get("t"), "times": times, "weight": weight}
