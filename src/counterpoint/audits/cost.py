"""Cost: tokens, dollars, seconds and calls of an episode, and prompts that grow out of hand.

A prompt that holds the history grows by one turn at a time, so it is at most proportional to the
number of turns. A prompt that grows faster is copied into itself, or never shortened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from counterpoint.audits.base import (
    Audit,
    Look,
    case_of,
    cost_of,
    estimated,
    mean_interval,
    share,
    unknown,
)
from counterpoint.records import Case, Episode, Event, Finding, Outcome
from counterpoint.stats import Estimate

NAME = "cost"
FEWEST = 8
"""The fewest turns of a member with a measurable growth."""
STEEPEST = 1.5
"""Prompts that grow with this power of the number of turns, or a higher one, run away."""
LEAST_GROWTH = 8.0
"""A prompt that has grown by less than this factor has not run away."""
TOLERATED = 0.05
MEASURES = (
    ("tokens_in", "tokens that models read in an episode"),
    ("tokens_out", "tokens that members produced in an episode"),
    ("dollars", "US dollars of an episode"),
    ("seconds", "sum of the seconds that events took in an episode"),
    ("calls", "calls of members in an episode"),
)


class CostRow(TypedDict):
    """What is kept of an episode; None where the log does not say."""

    tokens_in: float | None
    tokens_out: float | None
    dollars: float | None
    seconds: float | None
    calls: float | None
    runaway: bool | None


def look(episode: Episode) -> Look[CostRow] | None:
    """Returns what an episode costs, and the members whose prompts run away."""
    if not episode.events:
        return None
    cost = cost_of(episode.events)
    series: dict[str, list[Event]] = {}
    for event in episode.events:
        if event.tokens_in and event.agent in episode.agents:
            series.setdefault(event.agent, []).append(event)
    long = [each for each in series.values() if len(each) >= FEWEST]
    cases = [case for each in long for case in runaway(episode, each)]
    row: CostRow = {
        "tokens_in": None if cost is None else cost.tokens_in,
        "tokens_out": None if cost is None else cost.tokens_out,
        "dollars": None if cost is None else cost.dollars,
        "seconds": None if cost is None else cost.seconds,
        "calls": sum(event.kind == "action" for event in episode.events),
        "runaway": bool(cases) if long else None,
    }
    return Look(row, {"runaway_prompt": cases})


def growth(tokens: Sequence[int]) -> float:
    """Returns the power of the number of turns with which a prompt grows, by least squares."""
    x = np.log(np.arange(1, len(tokens) + 1))
    y = np.log(np.asarray(tokens, dtype=float))
    x = x - x.mean()
    return float((x * (y - y.mean())).sum() / (x * x).sum())


def runaway(episode: Episode, turns: Sequence[Event]) -> list[Case]:
    """Returns the case that the turns of a member make, if its prompts run away."""
    tokens = [event.tokens_in or 1 for event in turns]
    power = growth(tokens)
    if power < STEEPEST or tokens[-1] < LEAST_GROWTH * tokens[0]:
        return []
    what = (
        f"prompts of {turns[0].agent} grow from {tokens[0]} to {tokens[-1]} tokens, with power "
        f"{power:.1f} of the turn"
    )
    return [case_of(episode, [e.t for e in turns], float(sum(tokens)), what, times=len(turns))]


def conclude(rows: Sequence[CostRow], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns the mean cost of an episode, and the share of episodes with runaway prompts."""
    if not rows:
        names = (*(name for name, _ in MEASURES), "runaway_prompt")
        return [unknown(NAME, name, "no episode has an event") for name in names]
    acts = any(row["calls"] for row in rows)
    columns = {
        "tokens_in": [row["tokens_in"] for row in rows],
        "tokens_out": [row["tokens_out"] for row in rows],
        "dollars": [row["dollars"] for row in rows],
        "seconds": [row["seconds"] for row in rows],
        "calls": [row["calls"] if acts else None for row in rows],
    }
    findings = [
        _measured(name, [x for x in columns[name] if x is not None], reason, len(rows))
        for name, reason in MEASURES
    ]
    long = [row["runaway"] for row in rows if row["runaway"] is not None]
    none = f"no member has {FEWEST} turns with a number of prompt tokens"
    reason = f"a member's prompts grow with a power of {STEEPEST} or more of its turns"
    return [*findings, share(NAME, "runaway_prompt", sum(long), len(long), TOLERATED, reason,
                             none=none, seen=len(rows))]  # fmt: skip


def _measured(name: str, values: Sequence[float], reason: str, seen: int) -> Finding:
    """Returns a mean over the episodes of which the log tells it, as a measurement."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return unknown(NAME, name, f"the log does not have the {reason}", seen)
    reason = f"mean {reason}, of {len(finite)} of {seen} episodes"
    if len(finite) == 1:
        only = Estimate(float(finite[0]), float(finite[0]), float(finite[0]), 1)
        return estimated(NAME, name, only, None, False, reason)
    return estimated(NAME, name, mean_interval(np.array(finite, dtype=float)), None, False, reason)


AUDIT = Audit(NAME, "tokens, dollars, seconds and calls, and prompts that run away", look, conclude)
