"""Probability of improvement: how often x beats y. No generator: its interval is a formula.

Where x always beats y a bootstrap would say "100% [100%, 100%]" after three runs. The score
intervals used here do not: three wins out of three give [44%, 100%].
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from counterpoint.arrays import Floats
from counterpoint.stats.checks import confidence, same_shape, same_tasks, scores
from counterpoint.stats.estimate import Estimate
from counterpoint.stats.rates import wilson_ends

_HALVINGS = 53
"""Halvings of [0, 1] until the ends of the interval are exact to rounding."""


def probability_of_improvement(
    x: ArrayLike, y: ArrayLike, *, paired: bool, level: float = 0.95
) -> Estimate:
    """P(X > Y) + P(X = Y) / 2, averaged over tasks.

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
    left = scores("x", x)
    right = scores("y", y)
    confidence(level)
    (same_shape if paired else same_tasks)(left, right)
    left, right = left.reshape(len(left), -1), right.reshape(len(right), -1)
    if paired:
        wins = _wins(left - right).mean(axis=0)
        low, high = wilson_ends(wins, len(left), level)
    else:
        wins = _wins(left[:, None] - right).mean(axis=(0, 1))
        low, high = _score_ends(wins, len(left), len(right), level)
    value, tasks = wins.mean(), len(wins)
    return Estimate(
        float(value),
        float(value - np.sqrt(np.sum((wins - low) ** 2)) / tasks),
        float(value + np.sqrt(np.sum((high - wins) ** 2)) / tasks),
        min(len(left), len(right)),
    )


def _wins(difference: Floats) -> Floats:
    """1 for a win, 1/2 for a tie, 0 for a loss."""
    return (1 + np.sign(difference)) / 2


def _score_ends(wins: Floats, m: int, n: int, level: float) -> tuple[Floats, Floats]:
    """The two theta at which |wins - theta| is z standard errors under theta."""
    z = NormalDist().inv_cdf((1 + level) / 2)

    others = (m + n) / 2 - 1

    def inside(theta: Floats) -> NDArray[np.bool_]:
        spread = 1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return np.abs(wins - theta) <= z * np.sqrt(theta * (1 - theta) * spread / (m * n))

    return _border(inside, wins, np.zeros_like(wins)), _border(inside, wins, np.ones_like(wins))


def _border(inside: Callable[[Floats], NDArray[np.bool_]], start: Floats, end: Floats) -> Floats:
    """Where `inside`, true at start, stops being true on the way to end, by halving."""
    for _ in range(_HALVINGS):
        middle = (start + end) / 2
        within = inside(middle)
        start, end = np.where(within, middle, start), np.where(within, end, middle)
    return end
