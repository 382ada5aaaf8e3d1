"""What is kept of single episodes: a row of each, and a transcript for whoever asks for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from counterpoint.audits.base import cost_of
from counterpoint.audits.idleness import idle
from counterpoint.records import Case, Cost, Episode, Event
from counterpoint.results.transcript import EpisodeRow, Line, Sight, Transcript

MOST_ROWS = 2500
"""The first episodes are listed, and as many later ones that have cases."""
MOST_LINES, MOST_SIGHTS, MOST_TEXT = 300, 60, 4000
"""The most events and cases of a transcript, and characters of an event."""
FIRST_LINES, NEAR = 150, 2
"""The number of first events that are shown, and of events around the end of a case."""
Cases = Mapping[tuple[str, str], Sequence[Case]]
"""The names of an audit and of a finding to the cases in one episode."""


def episode_row(number: int, episode: Episode, cases: Cases, has_page: bool) -> EpisodeRow:
    """Returns the row of an episode in the list of an audit."""
    cost = cost_of(episode.events) or Cost()
    tokens = [n for n in (cost.tokens_in, cost.tokens_out) if n is not None]
    members = set(episode.agents)
    every = [case for some in cases.values() for case in some]
    return EpisodeRow(
        number=number,
        episode=episode.id,
        agents=len(episode.agents),
        turns=sum(event.agent in members for event in episode.events),
        events=len(episode.events),
        tokens=sum(tokens) if tokens else None,
        dollars=cost.dollars,
        seconds=_lasted(episode.events),
        success=episode.success,
        ending=" ".join(episode.ending.split())[:80],
        cases=len(every),
        in_cases=max((_length(case) for case in every), default=0),
        findings=[".".join(name) for name, some in cases.items() if some],
        has_page=has_page,
    )


def transcript(row: EpisodeRow, episode: Episode, cases: Cases, source: str) -> Transcript:
    """Returns the transcript of an episode, with its cases, longest first."""
    seen = [(".".join(name), case) for name, some in cases.items() for case in some]
    seen.sort(key=lambda each: -_length(each[1]))
    seen = seen[:MOST_SIGHTS]
    starts = [event.seconds for event in episode.events if event.seconds is not None]
    members, start = set(episode.agents), min(starts, default=0.0)
    return Transcript(
        row=row,
        task=" ".join(episode.task.split())[:200],
        source=source,
        members=list(episode.agents),
        others=list(episode.tools),
        lines=[
            _line(episode.events[t], members, start)
            for t in _shown([case for _, case in seen], len(episode.events))
        ],
        sights=[
            Sight(finding=name, what=case.what, agent=case.agent, quote=case.quote,
                  event=case.event, first=case.first, cost=case.cost)
            for name, case in seen
        ],
        doubts=list(episode.doubts),
    )  # fmt: skip


def _shown(cases: Sequence[Case], events: int) -> list[int]:
    """Returns the places of the events to show: the first, and those around cases."""
    if events <= MOST_LINES:
        return list(range(events))
    shown = set(range(FIRST_LINES))
    for case in cases:
        for place in (case.first, case.event):
            if place is not None:
                near = set(range(max(0, place - NEAR), min(events, place + NEAR + 1)))
                if len(shown | near) <= MOST_LINES:
                    shown |= near
    return sorted(shown)


def _line(event: Event, members: set[str], start: float) -> Line:
    tokens = [n for n in (event.tokens_in, event.tokens) if n is not None]
    what = "action" if event.kind == "action" else "idle" if idle(event) else "message"
    return Line(
        t=event.t,
        agent=event.agent,
        kind=event.kind,
        what=what if event.agent in members else "other",
        text=event.text[:MOST_TEXT],
        left_out=max(0, len(event.text) - MOST_TEXT),
        to=list(event.to[:20]),
        tool=event.tool,
        error=event.error[:300],
        seconds=None if event.seconds is None else event.seconds - start,
        duration=event.duration,
        tokens=sum(tokens) if tokens else None,
        dollars=event.cost,
    )


def _length(case: Case) -> int:
    """Returns the number of events from the first to the last one of a case."""
    return 1 if case.event is None or case.first is None else case.event - case.first + 1


def _lasted(events: Sequence[Event]) -> float | None:
    """Returns the seconds from the first beginning to the last end; None without two times."""
    times = [(e.seconds, e.duration or 0.0) for e in events if e.seconds is not None]
    if len(times) < 2 and not any(duration for _, duration in times):
        return None
    return max(at + duration for at, duration in times) - min(at for at, _ in times)
