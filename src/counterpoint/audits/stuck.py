"""Stuck teams: repeated messages and calls, members that wait for each other, and no end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

from counterpoint.audits.base import PLACES, Audit, place_of, share, unknown
from counterpoint.audits.cues import waits
from counterpoint.records import Episode, Finding, Outcome, Place

NAME = "stuck"
TIMES = 3
"""This many repetitions are a loop."""
SHORTEST = 40
"""The fewest characters of a message that counts: short messages may be repeated."""
TOLERATED = 0.05
"""The share of episodes in which a sound team may be stuck."""


class StuckRow(TypedDict):
    """What is kept of an episode."""

    loops: list[Place]
    calls: list[Place]
    wait: list[Place]
    last: list[Place]
    acts: bool
    ends: bool


def look(episode: Episode) -> StuckRow | None:
    """Returns the places of repetitions and of waiting, and whether the episode ends."""
    if len(episode.events) < TIMES:
        return None
    texts: Counter[tuple[str, str]] = Counter()
    called: Counter[tuple[str, str, str]] = Counter()
    loops, calls = list[Place](), list[Place]()
    standing, wait = 0, list[Place]()
    members = set(episode.agents)
    for event in episode.events:
        if event.agent not in members:
            continue
        text = " ".join(event.text.split())
        if event.kind == "message" and len(text) >= SHORTEST:
            texts[event.agent, text] += 1
            if texts[event.agent, text] == TIMES and len(loops) < PLACES:
                loops.append(replace(place_of(episode, event.t), times=TIMES))
        if event.kind == "action":
            key = (event.agent, event.tool, text)
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


def conclude(rows: Sequence[StuckRow], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns the shares of episodes with loops, repeated calls, waiting and no end."""
    if not rows:
        names = ("message_loop", "repeated_call", "waiting", "missing_end")
        return [unknown(NAME, name, f"no episode has {TIMES} events") for name in names]
    acting = [row for row in rows if row["acts"]]
    ending = rows if any(row["ends"] for row in rows) else []
    shares = (
        ("message_loop", [row["loops"] for row in rows], TOLERATED,
         f"one member said the same {TIMES} times", ""),
        ("repeated_call", [row["calls"] for row in acting], TOLERATED,
         f"one member made the same call {TIMES} times", "the log has no actions"),
        ("waiting", [row["wait"] for row in rows], TOLERATED,
         f"{TIMES} members' turns in a row that wait", ""),
        ("missing_end", [row["last"] for row in ending], 0.5,
         "no answer, end or TERMINATE", "no episode marks its end"),
    )  # fmt: skip
    return [
        share(NAME, name, sum(map(bool, some)), len(some), most, reason,
              [place for places in some for place in places], none=none, seen=len(rows))
        for name, some, most, reason, none in shares
    ]  # fmt: skip


AUDIT = Audit(NAME, "loops, repeated calls, waiting, no end", look, conclude)
