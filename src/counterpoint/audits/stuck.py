"""Stuck teams: repeated messages and calls, members that wait for each other, and no end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from counterpoint.audits.base import Audit, Look, case_of, share, unknown
from counterpoint.audits.cues import waits
from counterpoint.records import Case, Episode, Finding, Outcome

NAME = "stuck"
TIMES = 3
"""This many repetitions are a loop."""
SHORTEST = 40
"""The fewest characters of a message that counts: short messages may be repeated."""
TOLERATED = 0.05
"""The share of episodes in which a sound team may be stuck."""


class StuckRow(TypedDict):
    """What is kept of an episode."""

    loops: bool
    calls: bool
    wait: bool
    acts: bool
    ends: bool


def look(episode: Episode) -> Look[StuckRow] | None:
    """Returns the places of repetitions and of waiting, and whether the episode ends."""
    if len(episode.events) < TIMES:
        return None
    texts: dict[tuple[str, str], list[int]] = {}
    called: dict[tuple[str, str, str], list[int]] = {}
    standing, wait = list[int](), list[Case]()
    members = set(episode.agents)
    for event in episode.events:
        if event.agent not in members:
            continue
        text = " ".join(event.text.split())
        if event.kind == "message" and len(text) >= SHORTEST:
            texts.setdefault((event.agent, text), []).append(event.t)
        if event.kind == "action":
            called.setdefault((event.agent, event.tool, text), []).append(event.t)
        if event.kind == "message" and waits(event.text):
            standing.append(event.t)
        else:
            wait += _waiting(episode, standing)
            standing = []
    wait += _waiting(episode, standing)
    marks = any(e.kind in ("end", "answer") or "TERMINATE" in e.text for e in episode.events)
    loops = [
        case_of(episode, at, len(at), f"says the same {len(at)} times", times=len(at))
        for at in texts.values()
        if len(at) >= TIMES
    ]
    calls = [
        case_of(episode, at, len(at), f"makes the same call {len(at)} times", times=len(at))
        for at in called.values()
        if len(at) >= TIMES
    ]
    last = [] if marks else [case_of(episode, [episode.events[-1].t], 1.0, "no end is marked")]
    row: StuckRow = {
        "loops": bool(loops),
        "calls": bool(calls),
        "wait": bool(wait),
        "acts": bool(called),
        "ends": marks,
    }
    return Look(row, {"loop": loops, "repeated_call": calls, "waiting": wait, "missing_end": last})


def _waiting(episode: Episode, at: Sequence[int]) -> list[Case]:
    """Returns the case that waiting turns in a row make, if there are enough."""
    what = f"{len(at)} turns in a row that wait"
    return [case_of(episode, at, len(at), what, times=len(at))] if len(at) >= TIMES else []


def conclude(rows: Sequence[StuckRow], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns the shares of episodes with loops, repeated calls, waiting and no end."""
    if not rows:
        names = ("loop", "repeated_call", "waiting", "missing_end")
        return [unknown(NAME, name, f"no episode has {TIMES} events") for name in names]
    acting = [row for row in rows if row["acts"]]
    ending = rows if any(row["ends"] for row in rows) else []
    shares = (
        ("loop", [row["loops"] for row in rows], TOLERATED,
         f"one member said the same {TIMES} times", ""),
        ("repeated_call", [row["calls"] for row in acting], TOLERATED,
         f"one member made the same call {TIMES} times", "the log has no actions"),
        ("waiting", [row["wait"] for row in rows], TOLERATED,
         f"{TIMES} members' turns in a row that wait", ""),
        ("missing_end", [not row["ends"] for row in ending], 0.5,
         "no answer, end or TERMINATE", "no episode marks its end"),
    )  # fmt: skip
    return [
        share(NAME, name, sum(some), len(some), most, reason, none=none, seen=len(rows))
        for name, some, most, reason, none in shares
    ]


AUDIT = Audit(NAME, "loops, repeated calls, waiting, no end", look, conclude)
