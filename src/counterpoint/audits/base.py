"""The parts that all audits share: `Audit` itself, and functions that make findings.

`share`, `mean_share` and `mean_gap` make a `Finding` of numbers of episodes, with an interval.
`unknown` makes a finding that is not computable.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Generic, TypeVar

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.records import CLEAR, FOUND, NOT_COMPUTABLE, Episode, Finding, Outcome, Place
from counterpoint.stats import Estimate, bootstrap_interval, means, wilson_interval

Row = Mapping[str, object]
"""What every row is: numbers of one episode, and lists that hold places of evidence alone. Each
audit types its own rows as a `TypedDict`."""
Kept = TypeVar("Kept", bound=Row)

NOTHING = "there is nothing to count"
FEWEST = 5
"""With fewer episodes the mean of a difference is not computable."""
MANY = 400
DRAWS = 4000
MOST_DRAWN = 10_000
LONGEST_QUOTE = 120
"""The most characters of a quotation."""
PLACES = 2
"""The most places that an audit keeps of one episode: logs may be long."""
MOST_EVIDENCE = 5
"""The most places in a finding."""


@dataclass(frozen=True)
class Audit(Generic[Kept]):
    """One kind of failure that logs can show."""

    name: str
    """The name in `counterpoint audit --only NAME`."""
    summary: str
    """A description of one line."""
    look: Callable[[Episode], Kept | None]
    """Returns what is kept of an episode; None if the episode shows nothing."""
    conclude: Callable[[Sequence[Kept], Sequence[Outcome]], list[Finding]]
    """Returns the findings from all rows, and from a table of outcomes, which may be empty."""


def unknown(audit: str, name: str, why: str, n: int = 0) -> Finding:
    """Returns a finding that is not computable."""
    return Finding(audit, name, None, n, None, None, None, NOT_COMPUTABLE,
                   f"not computable because {why}")  # fmt: skip


def estimated(
    audit: str, name: str, interval: Estimate, null: float | None, is_found: bool, reason: str,
    evidence: Sequence[Place] = (), p: float | None = None,
) -> Finding:  # fmt: skip
    """Returns the finding that an estimate with its interval makes, with the first places."""
    verdict, places = FOUND if is_found else CLEAR, tuple(evidence[:MOST_EVIDENCE])
    return Finding(audit, name, interval.value, interval.n, interval.low, interval.high, null,
                   verdict, reason, places, p)  # fmt: skip


def share(
    audit: str, name: str, hits: int, n: int, tolerated: float, reason: str,
    evidence: Sequence[Place] = (), of: str = "episodes", *, none: str = NOTHING, seen: int = 0,
) -> Finding:  # fmt: skip
    """Returns a share of episodes and its Wilson interval.

    The verdict is `found` if the whole interval is above the tolerated share.

    Args:
        audit, name: the names of the audit and of the finding.
        hits, n: the number of episodes with a hit, and of all that could have one.
        tolerated: the share in a sound team, which is the null; 1 if a share is no fault.
        reason: the meaning of a hit.
        evidence: places of hits.
        of: the noun for what is counted.
        none: the reason why nothing is computable if `n` is 0.
        seen: the number of episodes behind that reason.
    """
    if not n:
        return unknown(audit, name, none, seen)
    interval, null = wilson_interval(hits, n), tolerated if tolerated < 1 else None
    reason = f"{hits} of {n} {of}: {reason}"
    return estimated(audit, name, interval, null, interval.low > tolerated, reason, evidence)


def mean_share(
    audit: str, name: str, shares: Sequence[float], reason: str, tolerated: float | None = None,
    *, none: str = NOTHING, seen: int = 0,
) -> Finding:  # fmt: skip
    """Returns a mean over episodes of shares.

    The verdict is `found` if the whole interval is above the tolerated share.

    Args:
        audit, name: the names of the audit and of the finding.
        shares: the share of each episode.
        reason: the meaning of the number.
        tolerated: the share in a sound team; None if there is no right value.
        none: the reason why nothing is computable if there are no shares.
        seen: the number of episodes behind that reason.
    """
    values = np.asarray(shares, dtype=float)
    if not len(values):
        return unknown(audit, name, none, seen)
    if len(values) == 1:
        return Finding(audit, name, float(values[0]), 1, null=tolerated, reason=reason)
    interval = mean_interval(values)
    is_found = tolerated is not None and interval.low > tolerated
    return estimated(audit, name, interval, tolerated, is_found, reason)


def mean_gap(
    audit: str, name: str, gaps: Sequence[float], least: float, reason: str,
    evidence: Sequence[Place] = (),
) -> Finding:  # fmt: skip
    """Returns a mean over episodes of a difference from its own null, which is 0.

    Args:
        audit, name: the names of the audit and of the finding.
        gaps: the difference of each episode.
        least: the smallest mean that matters; p decides whether chance explains it.
        reason: the meaning of the number.
        evidence: places where it can be seen.
    """
    values = np.asarray(gaps, dtype=float)
    if len(values) < FEWEST:
        why = f"{len(values)} episodes can tell, and {FEWEST} are wanted"
        return unknown(audit, name, why, len(values))
    interval = mean_interval(values)
    is_found = interval.value >= least and interval.low > 0
    return estimated(audit, name, interval, 0.0, is_found, reason, evidence, sign_flip(values))


def sign_flip(values: Floats) -> float:
    """Returns how often the mean is as high if each episode's difference has a random sign.

    With more than `MANY` episodes it uses the normal distribution with the exact variance.
    """
    if len(values) > MANY:
        spread = math.sqrt(float((values**2).sum()))
        return 0.5 * math.erfc(float(values.sum()) / spread / math.sqrt(2)) if spread else 1.0
    rng = np.random.default_rng(0)
    signs = rng.integers(0, 2, (DRAWS, len(values))) * 2 - 1
    means_by_chance = (signs * np.abs(values)).mean(axis=1)
    # one more in both counts: the data themselves are one of the orders, so p is never 0
    return float((1 + (means_by_chance >= values.mean() - 1e-12).sum()) / (DRAWS + 1))


def place_of(episode: Episode, t: int) -> Place:
    """Returns the place of an event, with the start of its text."""
    event = episode.events[t]
    return Place(episode.id, t, event.agent, quote(event.text))


def quote(text: str) -> str:
    """Returns the start of a text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."


def mean_interval(values: Floats, level: float = 0.95) -> Estimate:
    """Returns the mean and its bootstrap interval, the normal one above `MOST_DRAWN` values.

    Args:
        values: two or more numbers.
        level: the share that the interval aims to cover.
    """
    if len(values) > MOST_DRAWN:
        mean, spread = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
        reach = NormalDist().inv_cdf((1 + level) / 2) * spread
        return Estimate(mean, mean - reach, mean + reach, len(values))
    return bootstrap_interval(values, rng=np.random.default_rng(0), statistic=means, level=level)


def mean_scores(outcomes: Sequence[Outcome], setting: str) -> dict[str, float]:
    """Returns the mean score of each task in one setting."""
    scores: dict[str, list[float]] = defaultdict(list)
    for each in outcomes:
        if each.setting == setting:
            scores[each.task].append(each.score)
    return {task: float(np.mean(values)) for task, values in scores.items()}
