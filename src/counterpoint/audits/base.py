"""What audits share: the seam, intervals and tests over episodes, evidence, and "cannot know"."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.records import CLEAR, FOUND, NOT_COMPUTABLE, Episode, Finding, Outcome, Place
from counterpoint.stats import Estimate, bootstrap_interval, means, wilson_interval

Row = Mapping[str, Any]
"""What an audit keeps of one episode: numbers, and a few places as evidence."""

MANY = 400
MOST_DRAWN = 10_000
LONGEST_QUOTE = 120
"""Characters of a quotation."""
PLACES = 2
"""Places that an audit keeps of one episode: logs may be long."""
MOST_EVIDENCE = 5
"""Places that a finding shows."""


@dataclass(frozen=True)
class Audit:
    """One thing to look for."""

    name: str
    """As in `counterpoint audit --only NAME`."""
    summary: str
    """One line."""
    look: Callable[[Episode], Row | None]
    """What is kept of an episode; None where it says nothing."""
    conclude: Callable[[Sequence[Row], Sequence[Outcome]], list[Finding]]
    """Findings of all that was kept, and of a table of outcomes where one was given."""


def unknown(audit: str, name: str, why: str, n: int = 0) -> Finding:
    """A finding that cannot be made."""
    reason = f"not computable because {why}"
    return Finding(audit, name, None, n, verdict=NOT_COMPUTABLE, reason=reason)


def share(
    audit: str, name: str, hits: int, n: int, tolerated: float, reason: str,
    evidence: Sequence[Place] = (), of: str = "episodes",
) -> Finding:  # fmt: skip
    """A share of episodes, and its Wilson interval; found where it is all above the tolerated.

    Args:
        audit, name: of the finding.
        hits, n: episodes with it, and all.
        tolerated: share that a sound team has as well: the null; 1 where a share is no fault.
        reason: what a hit is.
        evidence: where it can be seen.
        of: what is counted.
    """
    interval = wilson_interval(hits, n)
    verdict = FOUND if interval.low > tolerated else CLEAR
    sentence = f"{hits} of {n} {of}: {reason}"
    places = tuple(evidence[:MOST_EVIDENCE])
    null = tolerated if tolerated < 1 else None
    return Finding(
        audit, name, hits / n, n, interval.low, interval.high, null, verdict, sentence, places
    )


def mean_share(
    audit: str, name: str, shares: Sequence[float], reason: str, tolerated: float | None = None,
    evidence: Sequence[Place] = (),
) -> Finding:  # fmt: skip
    """A mean over episodes of shares; found where its interval is all above the tolerated.

    Args:
        audit, name: of the finding.
        shares: of each episode, one or more.
        reason: what the number is.
        tolerated: what a sound team has as well; None where there is no right value.
        evidence: where it can be seen.
    """
    values = np.asarray(shares, dtype=float)
    if len(values) < 2:
        return Finding(audit, name, float(values.mean()), len(values), null=tolerated,
                       reason=reason, evidence=tuple(evidence[:MOST_EVIDENCE]))  # fmt: skip
    interval = mean_interval(values)
    verdict = FOUND if tolerated is not None and interval.low > tolerated else CLEAR
    return Finding(audit, name, interval.value, len(values), interval.low, interval.high,
                   tolerated, verdict, reason, tuple(evidence[:MOST_EVIDENCE]))  # fmt: skip


def mean_gap(
    audit: str, name: str, gaps: Sequence[float], least: float, reason: str,
    evidence: Sequence[Place] = (), fewest: int = 5,
) -> Finding:  # fmt: skip
    """A mean over episodes of a difference from its own null, which is 0.

    Args:
        audit, name: of the finding.
        gaps: of each episode.
        least: a mean that is worth telling; p says whether it can be chance.
        reason: what the number is.
        evidence: where it can be seen.
        fewest: episodes below which nothing is said.
    """
    values = np.asarray(gaps, dtype=float)
    if len(values) < fewest:
        return unknown(audit, name, f"{len(values)} episodes can tell, and {fewest} are wanted",
                       len(values))  # fmt: skip
    interval = mean_interval(values)
    p = sign_flip(values)
    verdict = FOUND if interval.value >= least and interval.low > 0 else CLEAR
    return Finding(audit, name, interval.value, len(values), interval.low, interval.high, 0.0,
                   verdict, reason, tuple(evidence[:MOST_EVIDENCE]), p)  # fmt: skip


def sign_flip(values: Floats, draws: int = 4000) -> float:
    """How often the mean is as high when each episode's difference has a sign by chance.

    With more than `MANY` episodes by the normal distribution, whose variance is the exact one.
    """
    if len(values) > MANY:
        spread = math.sqrt(float((values**2).sum()))
        return 0.5 * math.erfc(float(values.sum()) / spread / math.sqrt(2)) if spread else 1.0
    rng = np.random.default_rng(0)
    signs = rng.integers(0, 2, (draws, len(values))) * 2 - 1
    seen = (signs * np.abs(values)).mean(axis=1)
    return float((1 + (seen >= values.mean() - 1e-12).sum()) / (draws + 1))


def place_of(episode: Episode, t: int) -> Place:
    """Returns the place of an event, with the start of its text."""
    event = episode.events[t]
    return Place(episode.id, t, event.agent, quote(event.text))


def quote(text: str) -> str:
    """Returns the start of a text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."


def places_of(row: Row) -> list[str]:
    """Names of the places that an audit kept of an episode: lists are nothing else."""
    return [key for key, value in row.items() if isinstance(value, list) and value]


def mean_interval(values: Floats, level: float = 0.95) -> Estimate:
    """The mean and its bootstrap interval; with more than `MOST_DRAWN` values the normal one.

    Args:
        values: two or more.
        level: share that the interval aims to cover.
    """
    if len(values) > MOST_DRAWN:
        mean, spread = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
        reach = NormalDist().inv_cdf((1 + level) / 2) * spread
        return Estimate(mean, mean - reach, mean + reach, len(values))
    return bootstrap_interval(values, rng=np.random.default_rng(0), statistic=means, level=level)
