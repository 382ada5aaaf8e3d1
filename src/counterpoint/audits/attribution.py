"""Where a failed run may have gone wrong first: candidates with a calibrated probability.

`candidates` ranks the steps of a failed episode without a model. It is a softmax over the steps of
members, with five features and fixed weights, fitted to people's labels of 92 failed runs of the
Who&When set (Zhang et al., arXiv 2505.00212). `bench/attribution.py` fits the weights, and measures
them on runs that they were not fitted to, beside always naming the first, the last or the busiest
member. It is only a little better than those, so that it abstains below `SURE`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.audits.base import Audit, Look, quote_of, unknown
from counterpoint.records import CANNOT_TELL, Case, Episode, Event, Finding, Outcome

NAME, FINDING = "attribution", "first_mistake"
SURE = 0.7
"""A member is named only if it has at least this probability."""
SUCCEEDS = 0.5
"""An episode with at least this success has not failed."""
LONGEST_READ = 2_000
"""The characters of a message in which words are looked for."""
CUES = ("error", "exception", "traceback", "failed", "not found", "unable", "cannot", "incorrect",
        "wrong")  # fmt: skip
FEATURES = ("length", "acts", "addresses others", "speaks last", "names an error")
WEIGHTS = (0.335, 0.618, -4.077, 0.402, 0.642)
"""Weight of each feature in its own unit."""


@dataclass(frozen=True)
class Candidate:
    """A step that may hold the first mistake."""

    event: int
    """Its place in the episode."""
    agent: str
    probability: float
    """That this step holds the first mistake."""
    agent_probability: float
    """That a step of this member does."""


class AttributionRow(TypedDict):
    """What is kept of a failed episode."""

    named: bool


def features(episode: Episode) -> tuple[list[Event], Floats]:
    """Returns the steps of the members, and [steps, features] their features.

    The features are the logarithm of the length, whether the step is an action or holds code, the
    share of the member's steps that are addressed to somebody, whether the member has the last
    word, and whether the text names an error.
    """
    members = set(episode.agents)
    steps = [event for event in episode.events if event.agent in members]
    counts = Counter(event.agent for event in steps)
    addressed = Counter(event.agent for event in steps if event.to)
    rows = []
    for event in steps:
        text = event.text[:LONGEST_READ].lower()
        rows.append((
            np.log1p(len(event.text)),
            event.kind == "action" or "```" in text,
            addressed[event.agent] / counts[event.agent],
            event.agent == steps[-1].agent,
            any(cue in text for cue in CUES),
        ))  # fmt: skip
    return steps, np.array(rows, dtype=float).reshape(len(rows), len(FEATURES))


def candidates(episode: Episode, weights: Sequence[float] = WEIGHTS) -> list[Candidate]:
    """Returns the steps of the members, the likeliest first mistake first.

    Args:
        episode: a failed episode.
        weights: the weight of each of `FEATURES`.
    """
    steps, values = features(episode)
    if not steps:
        return []
    score = values @ np.asarray(weights)
    p = np.exp(score - score.max())
    p /= p.sum()
    of_agent: dict[str, float] = defaultdict(float)
    for event, each in zip(steps, p, strict=True):
        of_agent[event.agent] += float(each)
    ranked = sorted(zip(steps, p, strict=True), key=lambda pair: -pair[1])
    return [Candidate(e.t, e.agent, float(each), of_agent[e.agent]) for e, each in ranked]


def look(episode: Episode) -> Look[AttributionRow] | None:
    """Returns the likeliest step of the likeliest member of a failed team, if it is likely."""
    failed = episode.success is not None and episode.success < SUCCEEDS
    if not failed or len({e.agent for e in episode.events if e.agent in episode.agents}) < 2:
        return None
    ranked = candidates(episode)
    first = max(ranked, key=lambda one: (one.agent_probability, one.probability))
    if first.agent_probability < SURE:
        return Look({"named": False})
    event = episode.events[first.event]
    case = Case(episode.id, first.event, first.agent, quote_of(event), first.agent_probability,
                f"likely first mistake (probability {first.agent_probability:.2f})")  # fmt: skip
    return Look({"named": True}, {FINDING: [case]})


def conclude(rows: Sequence[AttributionRow], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns in how many failed episodes one member is likely to have made the first mistake."""
    if not rows:
        return [unknown(NAME, FINDING, "no episode of two members is known to have failed")]
    named = sum(row["named"] for row in rows)
    reason = (
        f"one member is likely (at least {SURE}) to have made the first mistake in {named} of "
        f"{len(rows)} failed episodes; in the others nobody can be named"
    )
    return [Finding(NAME, FINDING, named / len(rows), len(rows), verdict=CANNOT_TELL,
                    reason=reason)]  # fmt: skip


AUDIT = Audit(NAME, "the likely first mistake of failed episodes", look, conclude)
