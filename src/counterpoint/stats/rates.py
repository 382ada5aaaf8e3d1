"""Rates and the shares that are made of them: Wilson intervals and performance profiles."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from counterpoint.arrays import Floats
from counterpoint.errors import StatisticsError
from counterpoint.stats.checks import confidence, finite, scores
from counterpoint.stats.estimate import Band, Estimate


def wilson_interval(successes: float, n: int, *, level: float = 0.95) -> Estimate:
    """A rate with the Wilson score interval: inside [0, 1], and never of width 0.

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
    """Both ends of the Wilson interval of each rate, all of n trials."""
    z = NormalDist().inv_cdf((1 + confidence(level)) / 2)
    middle = rate + z * z / (2 * n)
    half = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    # Exact at the ends, where the two terms cancel only up to rounding.
    return np.where(rate == 0, 0.0, low), np.where(rate == 1, 1.0, high)


def performance_profile(samples: ArrayLike, taus: ArrayLike, *, level: float = 0.95) -> Band:
    """The share of runs that score above each tau: the whole distribution, not one number.

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
    runs = scores("samples", samples)
    levels = finite("taus", taus, "[T]")
    not_above = np.searchsorted(np.sort(runs.ravel()), levels, side="right")
    share = (runs.size - not_above) / runs.size
    low, high = wilson_ends(share, runs.size, level)
    return Band(share, low, high, len(runs))
