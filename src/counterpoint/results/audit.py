"""`AuditResult`: the findings of an audit about a team, from its logs."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from counterpoint.records import (
    CANNOT_TELL,
    FOUND,
    NOT_COMPUTABLE,
    NOT_FOUND,
    VERDICTS,
    Cost,
    Finding,
)
from counterpoint.results.judged import JudgeReport
from counterpoint.results.parts import Document, Part, Result, Settings, expect
from counterpoint.results.transcript import EpisodeRow


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


class AgentCost(Part, frozen=True, kw_only=True):
    """What an agent did and cost in all episodes; only what the log tells is added up."""

    agent: str
    episodes: int
    """Number of episodes with an event of it."""
    cost: Cost
    turns: int = 0
    """Number of its events."""
    errors: int = 0
    """Number of its events that ended with an error."""
    is_member: bool = True
    """Whether it is a member of a team, and no tool and no person."""


class Talk(Part, frozen=True, kw_only=True):
    """How often one member turned to another, in all episodes."""

    sender: str = field(name="from")
    receiver: str = field(name="to")
    messages: int = 0
    """Number of messages that name the receiver."""
    handoffs: int = 0
    follows: int = 0
    """Number of times that the receiver has the next turn of a member."""


class NearShape(Part, frozen=True, kw_only=True):
    """A shape of named topologies that graphs of episodes are nearest to."""

    names: list[str]
    """The topologies of `counterpoint topology` that have these edges."""
    episodes: int
    """Number of episodes to which no other shape is nearer; in a tie each of them counts."""
    missing: float
    """Mean number of edges of the shape that those episodes do not have."""
    extra: float
    """Mean number of edges of those episodes that the shape does not have."""


class TalkReading(Part, frozen=True, kw_only=True):
    """Who talks to whom as a topology, under one assumption: means over episodes."""

    assumption: str
    """Whom a message without a receiver is for."""
    episodes: int
    """Number of episodes of two to eight members in which somebody talks to another."""
    density: float
    """Edges as a share of all ordered pairs of members."""
    centralization: float | None
    """Freeman's, of degrees: 1 in a star, 0 if all are alike; None with two members."""
    reach: float
    """Share of ordered pairs in which messages can carry what one knows to the other."""
    hops: float | None
    """Mean number of messages on the way between such a pair; None if there is no such pair."""
    nearest: list[NearShape]
    """The commonest first."""


class TalkShape(Part, frozen=True, kw_only=True):
    """Which topology a log has, measured from messages with a receiver and from handoffs."""

    addressed: int
    """Number of messages and handoffs of members that name a receiver."""
    unaddressed: int
    """Number of messages of members that name none."""
    too_large: int
    """Number of episodes of more than eight members, which are not measured."""
    readings: list[TalkReading]
    """With the named receivers alone, and with all members as readers of other messages."""
    nearest: list[str]
    """The topologies that each reading says; empty if it cannot be told."""
    reason: str
    """Why it cannot be told; empty if it can."""


class EndingCount(Part, frozen=True, kw_only=True):
    """How many episodes ended in one way."""

    ending: str
    """The words of the log, `not known`, or `other`."""
    episodes: int


class Association(Part, frozen=True, kw_only=True):
    """How often a finding has a case in episodes that failed, and in successful ones."""

    audit: str
    name: str
    failed: int
    """Number of episodes that failed."""
    failed_with: int
    """Number of those with a case."""
    successful: int
    successful_with: int
    p: float
    """Fisher's exact test, one-sided, before the correction for the number of tests."""
    verdict: str
    """`found` if failed episodes have more cases, with Holm's correction at 5%."""


class LabelAgreement(Part, frozen=True, kw_only=True):
    """How often the worst case of a finding agrees with what people labelled."""

    label: str
    """`mistake_agent`: the same member. `mistake_step`: at most two events away. Another name: the
    label is true of the episode."""
    audit: str
    name: str
    episodes: int
    """Number of labelled episodes with a case."""
    agree: int
    """Number of those that agree."""
    chance: float
    """Number of those that would agree by chance."""


class ScoreMeans(Part, frozen=True, kw_only=True):
    """The mean of a score over episodes with a case of a finding, and over those without one."""

    score: str
    audit: str
    name: str
    episodes_with: int
    mean_with: float
    episodes_without: int
    mean_without: float


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
    episode_rows: list[EpisodeRow] = field(default_factory=list)
    """A row for each of the first episodes, and for later ones with cases; the worst first."""
    talks: list[Talk] = field(default_factory=list)
    """Who talks to whom, the most frequent first."""
    talk_shape: TalkShape | None = None
    """The topology of that; None if nobody talks to another member, and in earlier results."""
    costs: list[AgentCost] = field(default_factory=list)
    """What agents did and cost, dearest first."""
    endings: list[EndingCount] = field(default_factory=list)
    """How episodes ended, the commonest first."""
    associations: list[Association] = field(default_factory=list)
    """What failed episodes have that successful ones have not."""
    agreements: list[LabelAgreement] = field(default_factory=list)
    """Whether cases agree with people's labels."""
    score_means: list[ScoreMeans] = field(default_factory=list)
    """Whether episodes with cases have other scores."""
    judge: JudgeReport | None = None
    """What a judge says about mistakes, if one was asked."""
    warning: str | None = None
    """Why findings about single members are not reliable."""
    skipped: list[str]
    """What was left out while the log was read, a line each."""

    def __post_init__(self) -> None:
        expect(bool(self.findings), "findings", "at least one finding")
        for i, finding in enumerate(self.findings):
            expect(finding.verdict in VERDICTS, f"findings[{i}].verdict", " or ".join(VERDICTS))
        for i, row in enumerate(self.judge.agreements if self.judge else ()):
            is_verdict = row.verdict in VERDICTS and row.verdict != NOT_COMPUTABLE
            wanted = f"{FOUND}, {CANNOT_TELL} or {NOT_FOUND}"
            expect(is_verdict, f"judge.agreements[{i}].verdict", wanted)


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
