"""What an episode looks like: who spoke, worked or idled, and who spoke to whom."""

from __future__ import annotations

from collections import Counter
from typing import Any

from counterpoint.audits.base import quote
from counterpoint.audits.idleness import idle
from counterpoint.records import Episode

MOST = 200
"""Events of an episode that are drawn."""


def timeline(episode: Episode) -> dict[str, Any]:
    """The first events with what each was, and the messages from whom to whom, ready for JSON."""
    members = set(episode.agents)
    events = []
    for event in episode.events[:MOST]:
        if event.agent not in members:
            what = "other"
        else:
            what = "idle" if idle(event) else "action" if event.kind == "action" else "message"
        events.append({**quote(episode, event.t), "what": what})
    sent: Counter[tuple[str, str]] = Counter()
    for event in episode.events:
        for to in event.to:
            sent[event.agent, to] += 1
    return {
        "episode": episode.id,
        "agents": [*episode.agents, *episode.tools],
        "events": events,
        "left_out": max(0, len(episode.events) - MOST),
        "messages": [{"from": a, "to": b, "count": n} for (a, b), n in sorted(sent.items())],
        "success": episode.success,
    }
