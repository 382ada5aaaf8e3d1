"""Rates with intervals: Wilson intervals, profiles, probability of improvement, time to threshold.

The intervals are formulas, not resamples. If x always beats y, a bootstrap would give
"100% [100%, 100%]" after three runs; the score interval of three wins out of three is [44%, 100%].

A run that never gets to a threshold is censored, not missing: dropping it would make the scheme
that fails most often look fastest. The median counts it as "later than we looked".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from counterpoint.arrays import Bools, Floats
from counterpoint.errors import StatisticsError
from counterpoint.stats.checks import confidence, finite_array, same_shape, same_tasks, score_array
from counterpoint.stats.estimate import Band, Estimate


def wilson_interval(successes: float, n: int, *, level: float = 0.95) -> Estimate:
    """Returns a rate with the Wilson score interval: inside [0, 1], and never of width 0.

    With p = successes / n and z the normal quantile of the level, the ends are
    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). No success in n trials gives
    [0, z^2/(n + z^2)], not [0, 0].

    Args:
        successes: between 0 and n; half a success (a tie) is allowed.
        n: independent trials.
        level: share that the interval aims to cover.

    Returns:
        The rate, its interval, and n.

    Raises:
        StatisticsError: no trials, successes outside [0, n], or a level outside (0, 1).

    Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    if n < 1:
        raise StatisticsError(f"got n={n} trials; wanted at least 1: a rate of nothing is unknown")
    if not 0 <= successes <= n:
        raise StatisticsError(f"got {successes} successes in {n} trials; wanted 0 to {n}")
    low, high = wilson_ends(np.asarray(successes / n), n, level)
    return Estimate(float(successes / n), float(low), float(high), n)


def wilson_ends(rate: Floats, n: int, level: float) -> tuple[Floats, Floats]:
    """Returns both ends of the Wilson interval of each rate, all of n trials."""
    z = NormalDist().inv_cdf((1 + confidence(level)) / 2)
    middle = rate + z * z / (2 * n)
    half = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    # Exact at the ends, where the two terms cancel only up to rounding.
    return np.where(rate == 0, 0.0, low), np.where(rate == 1, 1.0, high)


def performance_profile(samples: ArrayLike, taus: ArrayLike, *, level: float = 0.95) -> Band:
    """Returns the share of runs that score above each tau: the whole distribution, not one number.

    Args:
        samples: [S] or [S, tasks] scores. With tasks the share is over all runs of all tasks.
        taus: [T] levels, in the unit of the scores, in any order.
        level: share that the band aims to cover at each tau.

    Returns:
        `Band` over taus with pointwise Wilson intervals of S x tasks trials; n = S. Where tasks
        differ in difficulty the band is too wide rather than too narrow, since strata of unequal
        rates vary less than one pooled rate.

    Raises:
        StatisticsError: empty, not finite, of another shape, or a level outside (0, 1).

    Source: Agarwal et al. 2021, section 4.2 (run-score distributions); the Wilson band is ours:
    a bootstrap band has width 0 where all or no runs are above tau.
    """
    runs = score_array("samples", samples)
    levels = finite_array("taus", taus, "[T]")
    not_above = np.searchsorted(np.sort(runs.ravel()), levels, side="right")
    share = (runs.size - not_above) / runs.size
    low, high = wilson_ends(share, runs.size, level)
    return Band(share, low, high, len(runs))


_HALVINGS = 53
"""Halvings of [0, 1] until the ends of the interval are exact to rounding."""


def probability_of_improvement(
    x: ArrayLike, y: ArrayLike, *, paired: bool, level: float = 0.95
) -> Estimate:
    """Returns P(X > Y) + P(X = Y) / 2, averaged over tasks.

    Paired: the share of seeds on which x beats y, with a Wilson interval. Unpaired: the share of
    all (run of x, run of y), with a score interval for the Mann-Whitney measure. The intervals of
    the tasks combine by sqrt of the sum of squared distances, tasks being independent.

    Args:
        x: [S] or [S, tasks] scores.
        y: [S] or [S, tasks] scores; where unpaired, S may differ from that of x.
        paired: whether row s of both comes from the same seed.
        level: share that the interval aims to cover.

    Returns:
        The probability, its interval, and n = the number of pairs, or of the smaller sample.
        It is 1/2 where x and y are equal.

    Raises:
        StatisticsError: empty, not finite, or shapes that do not belong together.

    Source: Agarwal et al. 2021, section 4.3; Wilson 1927; Newcombe 2006, Confidence intervals for
    an effect size measure based on the Mann-Whitney statistic, part 2, method 5; Zou and Donner
    2008 (combining). With ties the intervals are too wide rather than too narrow.
    """
    left, right = score_array("x", x), score_array("y", y)
    confidence(level)
    (same_shape if paired else same_tasks)(left, right)
    left, right = left.reshape(len(left), -1), right.reshape(len(right), -1)
    if paired:  # 1 for a win, 1/2 for a tie, 0 for a loss
        wins = ((1 + np.sign(left - right)) / 2).mean(axis=0)
        low, high = wilson_ends(wins, len(left), level)
    else:
        wins = ((1 + np.sign(left[:, None] - right)) / 2).mean(axis=(0, 1))
        low, high = _score_ends(wins, len(left), len(right), level)
    value, tasks = wins.mean(), len(wins)
    return Estimate(
        float(value),
        float(value - np.sqrt(np.sum((wins - low) ** 2)) / tasks),
        float(value + np.sqrt(np.sum((high - wins) ** 2)) / tasks),
        min(len(left), len(right)),
    )


def _score_ends(wins: Floats, m: int, n: int, level: float) -> tuple[Floats, Floats]:
    """Returns the two theta at which |wins - theta| is z standard errors under theta."""
    z, others = NormalDist().inv_cdf((1 + level) / 2), (m + n) / 2 - 1

    def inside(theta: Floats) -> Bools:
        spread = 1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return np.abs(wins - theta) <= z * np.sqrt(theta * (1 - theta) * spread / (m * n))

    def border(end: Floats) -> Floats:
        # `inside` is true at the observed share and stops being true on the way to the end.
        start = wins
        for _ in range(_HALVINGS):
            middle = (start + end) / 2
            within = inside(middle)
            start, end = np.where(within, middle, start), np.where(within, end, middle)
        return end

    return border(np.zeros_like(wins)), border(np.ones_like(wins))


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
    j = below = 0  # the largest j with P(Binomial(n, 1/2) < j) <= tail; `below` counts patterns
    while (below + math.comb(n, j)) / 2**n <= tail:
        below += math.comb(n, j)
        j += 1
    low, high = (ordered[j - 1], ordered[n - j]) if j else (0.0, np.inf)
    median = Estimate(float(ordered[(n - 1) // 2]), float(low), float(high), n)
    return TimeToThreshold(median, updates, int(np.isinf(updates).sum()), reached.shape[1] - 1)
