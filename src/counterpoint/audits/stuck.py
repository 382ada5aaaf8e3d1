"""Stuck: the same again and again, waiting for each other, no end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from counterpoint.audits.base import PLACES, Audit, Row, place_of, share, unknown
from counterpoint.audits.cues import waits
from counterpoint.records import Episode, Finding, Outcome, Place

NAME = "stuck"
TIMES = 3
"""So often the same is a loop."""
SHORTEST = 40
"""Characters: shorter messages may well come again."""
TOLERATED = 0.05
"""Share of episodes in which a sound team may have it."""


def look(episode: Episode) -> Row | None:
    """Whether something came again, and where."""
    if len(episode.events) < TIMES:
        return None
    said: Counter[tuple[str, str]] = Counter()
    called: Counter[tuple[str, str, str]] = Counter()
    loops, calls = list[Place](), list[Place]()
    standing, wait = 0, list[Place]()
    members = set(episode.agents)
    for event in episode.events:
        if event.agent not in members:
            continue
        text = " ".join(event.text.split())
        if event.kind == "message" and len(text) >= SHORTEST:
            said[event.agent, text] += 1
            if said[event.agent, text] == TIMES and len(loops) < PLACES:
                loops.append(replace(place_of(episode, event.t), times=TIMES))
        if event.kind == "action":
            key = (event.agent, str(event.meta.get("name", "")), text)
            called[key] += 1
            if called[key] == TIMES and len(calls) < PLACES:
                calls.append(replace(place_of(episode, event.t), times=TIMES))
        standing = standing + 1 if event.kind == "message" and waits(event.text) else 0
        if standing == TIMES and not wait:
            wait.append(place_of(episode, event.t))
    marks = any(e.kind in ("end", "answer") or "TERMINATE" in e.text for e in episode.events)
    return {
        "loops": loops,
        "calls": calls,
        "wait": wait,
        "acts": bool(called),
        "ends": marks,
        "last": [] if marks else [place_of(episode, episode.events[-1].t)],
    }


def conclude(rows: Sequence[Row], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Four findings."""
    names = ("message_loop", "repeated_call", "waiting", "missing_end")
    if not rows:
        return [unknown(NAME, name, f"no episode has {TIMES} events") for name in names]
    acting = [row for row in rows if row["acts"]]

    def of(name: str, key: str, some: Sequence[Row], reason: str) -> Finding:
        places = [place for row in some for place in row[key]]
        hits = sum(bool(row[key]) for row in some)
        return share(NAME, name, hits, len(some), TOLERATED, reason, places)

    found = [of("message_loop", "loops", rows, f"one member said the same {TIMES} times")]
    if acting:
        reason = f"one member made the same call {TIMES} times"
        found.append(of("repeated_call", "calls", acting, reason))
    else:
        found.append(unknown(NAME, "repeated_call", "the log has no actions", len(rows)))
    found.append(of("waiting", "wait", rows, f"{TIMES} members' turns in a row that wait"))
    if any(row["ends"] for row in rows):
        lost = [row for row in rows if not row["ends"]]
        places = [place for row in lost for place in row["last"]]
        reason = "no answer, end or TERMINATE"
        found.append(share(NAME, "missing_end", len(lost), len(rows), 0.5, reason, places))
    else:
        found.append(unknown(NAME, "missing_end", "no episode marks its end", len(rows)))
    return found


AUDIT = Audit(NAME, "loops, repeated calls, waiting, no end", look, conclude)
