"""Time to threshold: the number of updates until a learning curve is good enough.

A run that never gets there is censored, not missing: dropping it would make the scheme that fails
most often look fastest. The median counts it as "later than we looked".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from counterpoint.arrays import Floats
from counterpoint.errors import StatisticsError
from counterpoint.stats.checks import confidence, finite_array
from counterpoint.stats.estimate import Estimate


@dataclass(frozen=True)
class TimeToThreshold:
    """When the runs reached a level, those that never did included; `str()` says it in words."""

    median: Estimate
    """First update by which half of the runs are there; `inf` means later than the last update."""
    updates: Floats
    """[S] first update at the level, an index into the curve; `inf` where it was never reached."""
    not_reached: int
    """Number of the S runs that never reached the level."""
    last: int
    """The last update that was looked at."""

    def __str__(self) -> str:
        n = len(self.updates)
        seen = "later than" if math.isinf(self.median.value) else "median"
        update = self.last if math.isinf(self.median.value) else int(self.median.value)
        return f"{seen} update {update}, not reached by {self.not_reached} of {n}"


def time_to_threshold(
    curves: ArrayLike, threshold: float, *, stay: bool = False, level: float = 0.95
) -> TimeToThreshold:
    """Returns the first update at which each curve is at or above the threshold, and their median.

    The median is the smallest update by which at least half of the runs are there (the
    Kaplan-Meier median: all runs are censored at the same last update). Its interval is made of
    order statistics (x_(j), x_(n+1-j)) with the largest j for which P(Binomial(n, 1/2) < j) is at
    most (1 - level) / 2, so it needs no generator and no distribution. Where even j = 1 is too
    many (n < 6 at 95%) it is [0, inf]: so few runs cannot tell.

    Args:
        curves: [S, T] one curve a run, larger is better (negate a loss).
        threshold: in the unit of the curves; being equal counts as reached.
        stay: whether the curve must also stay at or above the threshold until the last update.
        level: share that the interval aims to cover.

    Returns:
        `TimeToThreshold`; updates are counted from 0, the first column.

    Raises:
        StatisticsError: curves or a threshold that are not finite, or a level outside (0, 1).

    Source: the sign test's interval (Thompson 1936; David and Nagaraja, Order statistics, 7.1).
    """
    if not math.isfinite(threshold):
        raise StatisticsError(f"got threshold={threshold}; wanted a finite number")
    tail = (1 - confidence(level)) / 2
    reached = finite_array("curves", curves, "[S, T]") >= threshold
    if stay:
        reached = np.logical_and.accumulate(reached[:, ::-1], axis=1)[:, ::-1]
    updates = np.where(reached.any(axis=1), reached.argmax(axis=1), np.inf)
    ordered, n = np.sort(updates), len(updates)
    j = _depth(n, tail)
    low, high = (ordered[j - 1], ordered[n - j]) if j else (0.0, np.inf)
    median = Estimate(float(ordered[(n - 1) // 2]), float(low), float(high), n)
    return TimeToThreshold(median, updates, int(np.isinf(updates).sum()), reached.shape[1] - 1)


def _depth(n: int, tail: float) -> int:
    """Returns the largest j with P(Binomial(n, 1/2) < j) <= tail; 0 if there is none."""
    below, j = 0, 0
    while (below + math.comb(n, j)) / 2**n <= tail:
        below += math.comb(n, j)
        j += 1
    return j
