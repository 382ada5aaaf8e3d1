"""`Transcript`: one episode of a log as its page shows it, in bounded size."""

from __future__ import annotations

from counterpoint.records import Cost
from counterpoint.results.parts import Part


class EpisodeRow(Part, frozen=True, kw_only=True):
    """One episode in the list of an audit; what the log does not say is None."""

    number: int
    """Its place in the log, from 1; the name of the file of its page."""
    episode: str
    agents: int
    """Number of members."""
    turns: int
    """Number of events of members."""
    events: int
    """Number of all events."""
    tokens: int | None = None
    """Number of tokens that models read and wrote."""
    dollars: float | None = None
    seconds: float | None = None
    """Time from the beginning of its first event to the end of its last one."""
    success: float | None = None
    """How well it went, from 0 to 1."""
    ending: str = ""
    """How it ended, in the words of the log."""
    cases: int = 0
    """Number of cases of all findings."""
    in_cases: int = 0
    """Number of events from the first to the last one of its longest case."""
    findings: list[str]
    """The findings that have a case in it, such as `stuck.loop`."""
    has_page: bool = False
    """Whether a page with its transcript lies beside the page of the audit."""


class Line(Part, frozen=True, kw_only=True):
    """One event of a transcript."""

    t: int
    """Its place in the episode, from 0."""
    agent: str
    kind: str
    """One of the kinds of `counterpoint.records.Event`."""
    what: str
    """`message`, `action`, `idle`, or `other` if its agent does not count as a team member."""
    text: str
    """The start of its text."""
    left_out: int = 0
    """Number of later characters."""
    to: list[str]
    tool: str = ""
    error: str = ""
    seconds: float | None = None
    """Time since the first event that has one."""
    duration: float | None = None
    """Number of seconds that it took."""
    tokens: int | None = None
    """Number of tokens that the model read and wrote for it."""
    dollars: float | None = None


class Sight(Part, frozen=True, kw_only=True):
    """One case in a transcript."""

    finding: str
    """The name of its finding, such as `stuck.loop`."""
    what: str
    """What is seen, in a few words."""
    agent: str | None
    quote: str | None
    event: int | None
    """The event that shows it; None where the whole episode is meant."""
    first: int | None
    """The event with which it begins, if that is another one."""
    cost: Cost | None


class Transcript(Part, frozen=True, kw_only=True):
    """One episode: its cases and its events, as many as a page can show."""

    row: EpisodeRow
    task: str
    source: str
    """Name of the log."""
    members: list[str]
    others: list[str]
    """Tools and people."""
    lines: list[Line]
    """The first events, and those around the cases."""
    sights: list[Sight]
    """The first cases; `row.cases` is the number of all."""
    doubts: list[str]
    """What is uncertain about who is a member."""
