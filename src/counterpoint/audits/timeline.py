"""What an episode looks like: who spoke, worked or idled, and who spoke to whom."""

from __future__ import annotations

from collections import Counter

from counterpoint.audits.base import quote
from counterpoint.audits.idleness import idle
from counterpoint.records import Episode, Event
from counterpoint.results.audit import Mark, MessageCount, Timeline

MOST = 200
"""Events of an episode that are drawn."""


def timeline(episode: Episode) -> Timeline:
    """Returns the first events with what each was, and the messages from whom to whom."""
    members = set(episode.agents)
    sent: Counter[tuple[str, str]] = Counter()
    for event in episode.events:
        for to in event.to:
            sent[event.agent, to] += 1
    return Timeline(
        episode=episode.id,
        agents=[*episode.agents, *episode.tools],
        events=[
            Mark(
                episode=episode.id,
                t=event.t,
                agent=event.agent,
                quote=quote(event.text),
                what=_kind_of(event) if event.agent in members else "other",
            )
            for event in episode.events[:MOST]
        ],
        left_out=max(0, len(episode.events) - MOST),
        messages=[
            MessageCount(sender=sender, receiver=receiver, count=count)
            for (sender, receiver), count in sorted(sent.items())
        ],
        success=episode.success,
    )


def _kind_of(event: Event) -> str:
    if idle(event):
        return "idle"
    return "action" if event.kind == "action" else "message"
