"""Idleness: who stops working, for how long, and whether a partner stops after them.

A member's turn is idle where the log says that its work is 0; else where it is a message of
courtesies, of waiting or of rest. Actions and answers are work. Episodes with fewer than `FEWEST`
turns of a member say nothing of that member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.audits.base import PLACES, Audit, Row, mean_gap, place_of, share, unknown
from counterpoint.audits.cues import proposes_rest, says_nothing
from counterpoint.audits.effort import (
    concentration,
    effort_findings,
    necessity,
    partner_tables,
)  # fmt: skip
from counterpoint.records import Episode, Event, Finding, Outcome, Place

NAME = "idleness"
FEWEST = 4
SOON = 2
"""Turns of the partner in which a contagion would show."""
SHIFTS = 50
TOLERATED = 0.05
"""Share of episodes in which a sound team may mostly idle."""
NAMES = (
    "idle_team", "idle_run", "idle_member", "contagion", "concentration", "partner_hazard",
)  # fmt: skip


def idle(event: Event) -> bool:
    """Whether a turn of a member is idle."""
    if event.work is not None:
        return event.work == 0
    return event.kind == "message" and says_nothing(event.text)


def look(episode: Episode) -> Row | None:
    """Longest idle run and idle share of the idlest member against chance; contagion."""
    members = set(episode.agents)
    turns = [e for e in episode.events if e.agent in members and e.kind not in ("reward", "end")]
    series = {a: [(e.t, idle(e)) for e in turns if e.agent == a] for a in episode.agents}
    long = {a: each for a, each in series.items() if len(each) >= FEWEST}
    if len(long) < 1:
        return None
    every = [flag for each in long.values() for _, flag in each]
    shared = {
        "concentration": concentration([len(e) - sum(f for _, f in e) for e in long.values()]),
        "tables": partner_tables([(e.agent, idle(e)) for e in turns]) if any(every) else None,
    }
    mostly = sum(every) > len(every) / 2
    if not any(every):
        gap = 0.0 if len(long) > 1 else None
        return {"run": 0.0, "gap": gap, "contagion": None, "mostly": False,
                "evidence": (), **shared}  # fmt: skip
    rng = np.random.default_rng(len(turns))
    runs, places = [], list[Place]()
    for each in long.values():
        flags = np.array([flag for _, flag in each], dtype=bool)
        length, end = _longest(flags)
        null = np.mean([_longest(rng.permutation(flags))[0] for _ in range(SHIFTS)])
        runs.append((length - null) / len(flags))
        if length >= 3 and len(places) < PLACES:
            places.append(replace(place_of(episode, each[end][0]), idle_run=length))
    shares = {a: float(np.mean([flag for _, flag in each])) for a, each in long.items()}
    gap = None
    if len(shares) > 1:
        idlest = max(shares, key=lambda a: shares[a])
        rest = [share for agent, share in shares.items() if agent != idlest]
        gap = shares[idlest] - float(np.mean(rest)) - _gap_by_chance(long, rng)
    return {
        "run": max(runs),
        "gap": gap,
        "contagion": _contagion(episode, series, rng),
        "mostly": mostly,
        "evidence": places,
        **shared,
    }


def conclude(rows: Sequence[Row], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Idle teams and members, contagion, and what `effort.py` adds."""
    if not rows:
        why = f"no member has {FEWEST} turns in any episode"
        return [*(unknown(NAME, name, why) for name in NAMES), necessity(outcomes)]
    places = [place for row in rows for place in row["evidence"]]
    of_run = (
        "longest idle run of the idlest member, as a share of its turns, above the same turns in "
        "an order by chance"
    )
    of_member = "idle share of the idlest member above the others', above what chance gives"
    of_rest = (
        f"how much likelier a partner is idle in its next {SOON} turns after a proposal to rest "
        "than after the same proposals at other times"
    )
    gaps = [row["gap"] for row in rows if row["gap"] is not None]
    rests = [row["contagion"] for row in rows if row["contagion"] is not None]
    hits = sum(row["mostly"] for row in rows)
    reason = "more than half of the members' turns are idle"
    return [
        share(NAME, "idle_team", hits, len(rows), TOLERATED, reason, places),
        mean_gap(NAME, "idle_run", [row["run"] for row in rows], 0.1, of_run, places),
        mean_gap(NAME, "idle_member", gaps, 0.1, of_member, places),
        mean_gap(NAME, "contagion", rests, 0.1, of_rest, places),
        *effort_findings(rows, outcomes),
    ]


def _longest(flags: Floats | np.ndarray) -> tuple[int, int]:
    """Length and end of the longest run of True."""
    best = end = now = 0
    for i, flag in enumerate(flags):
        now = now + 1 if flag else 0
        if now > best:
            best, end = now, i
    return best, end


def _gap_by_chance(long: dict[str, list[tuple[int, bool]]], rng: np.random.Generator) -> float:
    """The same gap where idle turns are dealt out among all turns by chance."""
    flags = np.array([flag for each in long.values() for _, flag in each], dtype=float)
    ends = np.cumsum([len(each) for each in long.values()])[:-1]
    found = []
    for _ in range(SHIFTS):
        shares = [part.mean() for part in np.split(rng.permutation(flags), ends)]
        top = int(np.argmax(shares))
        found.append(shares[top] - np.mean(shares[:top] + shares[top + 1 :]))
    return float(np.mean(found))


def _contagion(
    episode: Episode, series: dict[str, list[tuple[int, bool]]], rng: np.random.Generator
) -> float | None:
    """P(partner idle soon | proposal) less the same with proposals shifted in time; None
    without."""
    length = len(episode.events)
    found = []
    for agent in episode.agents:
        said = [e.t for e in episode.events if e.agent == agent and proposes_rest(e.text)]
        for other, turns in series.items():
            if other == agent or len(turns) < FEWEST or not said:
                continue
            times = np.array([t for t, _ in turns])
            flags = np.array([flag for _, flag in turns], dtype=float)
            seen = _soon(np.array(said), times, flags)
            shifted = [
                _soon((np.array(said) + rng.integers(1, max(length, 2))) % length, times, flags)
                for _ in range(SHIFTS)
            ]
            known = [x for x in shifted if x is not None]
            if seen is not None and known:
                found.append(seen - float(np.mean(known)))
    return float(np.mean(found)) if found else None


def _soon(said: np.ndarray, times: np.ndarray, flags: Floats) -> float | None:
    """Mean idleness in the next turns after each proposal."""
    found = []
    for t in said:
        after = flags[times > t][:SOON]
        if len(after):
            found.append(after.mean())
    return float(np.mean(found)) if found else None


AUDIT = Audit(NAME, "who stops working, and whether a partner stops after them", look, conclude)
