"""Permutation tests: would the difference be as large if the labels meant nothing?

`permutation_test` for two independent samples, `sign_flip_test` for paired differences. Every
arrangement is tried where there are few, a random sample of them otherwise. Neither assumes a
distribution; both need that nothing but the label differs (exchangeability), or, for signs, that
differences are symmetric around 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from counterpoint.stats.checks import finite, resampling

Floats = NDArray[np.float64]

_VALUES_PER_CHUNK = 4_000_000
"""Rearranged values held at once (32 MB), however many arrangements are asked for."""


@dataclass(frozen=True)
class Permutation:
    """What a permutation test found."""

    effect: float
    """The observed difference of means, or mean difference, in the unit of the values."""
    p: float
    """Two-sided p-value; never 0."""
    arrangements: int
    """How many arrangements it was compared with."""
    exact: bool
    """Whether these were all there are."""


def permutation_test(
    x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator, resamples: int = 9_999
) -> Permutation:
    """Two-sided test of mean(x) - mean(y) for independent samples.

    Exact, where the C(n + m, n) ways to split the values are at most `resamples`: p is the share
    of splits whose difference is at least as far from 0. Otherwise `resamples` random splits, of
    which b are as far: p = (b + 1) / (resamples + 1), since the observed split is one of them.

    Args:
        x: [n] values.
        y: [m] values.
        rng: advanced only where the test is not exact.
        resamples: how many arrangements may be tried; time and p-value resolution follow it.

    Returns:
        `Permutation`; p is 1 where all values are equal.

    Raises:
        StatisticsError: empty, not finite, not [n] and [m], or something that is no generator.

    Source: Fisher 1935; Phipson and Smyth 2010, Permutation p-values should never be zero.
    """
    left, right = finite("x", x, "[n]"), finite("y", y, "[m]")
    resampling(rng, resamples)
    n, m = len(left), len(right)
    pooled = np.concatenate([left, right])
    values = pooled - pooled.mean()  # a common offset would cost digits in every sum
    scale = 1 / n + 1 / m

    def statistic(first: Floats) -> Floats:
        return np.asarray(first.sum(axis=-1) * scale)  # the sums of both halves add up to 0

    total = math.comb(n + m, n)
    if total <= resamples:
        chosen = np.array(list(combinations(range(n + m), n)))
        arranged: Iterator[Floats] = iter([values[chosen]])
    else:
        arranged = _shuffled(values, n, resamples, rng)
    observed = float(statistic(values[:n]))
    far = _count(arranged, statistic, observed, float(scale * np.abs(pooled).sum()))
    return _conclude(float(left.mean() - right.mean()), far, total, resamples)


def sign_flip_test(
    differences: ArrayLike, *, rng: np.random.Generator, resamples: int = 9_999
) -> Permutation:
    """Two-sided test that paired differences are symmetric around 0.

    Each difference could as well have had the other sign. Exact, where the 2^n patterns of signs
    are at most `resamples` (n <= 13 as it stands); otherwise random signs, counted as in
    `permutation_test`.

    Args:
        differences: [n] x - y, one a pair (a seed).
        rng: advanced only where the test is not exact.
        resamples: how many patterns may be tried.

    Returns:
        `Permutation` with the mean difference; p is 1 where all differences are 0. With n pairs p
        cannot be below 2 / 2^n: 5 seeds cannot reach .05.

    Raises:
        StatisticsError: empty, not finite, not [n], or something that is no generator.

    Source: Fisher 1935; Phipson and Smyth 2010.
    """
    values = finite("differences", differences, "[n]")
    resampling(rng, resamples)
    n = len(values)
    total = 2**n
    if total <= resamples:
        bits = np.arange(total)[:, None] >> np.arange(n) & 1
        arranged: Iterator[Floats] = iter([(1 - 2 * bits) * values])
    else:
        arranged = _flipped(values, resamples, rng)

    def statistic(signed: Floats) -> Floats:
        return np.asarray(signed.mean(axis=-1))

    far = _count(arranged, statistic, float(values.mean()), float(np.abs(values).mean()))
    return _conclude(float(values.mean()), far, total, resamples)


def _shuffled(values: Floats, n: int, count: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Chunks [., n] of random halves, `count` rows in all."""
    for rows in _chunks(count, len(values)):
        yield rng.permuted(np.tile(values, (rows, 1)), axis=1)[:, :n]


def _flipped(values: Floats, count: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Chunks [., n] of the values under random signs, `count` rows in all."""
    for rows in _chunks(count, len(values)):
        yield values * rng.choice([-1.0, 1.0], size=(rows, len(values)))


def _chunks(count: int, width: int) -> Iterator[int]:
    """Row counts that add up to `count`, each small enough to hold `width` values a row."""
    step = max(1, _VALUES_PER_CHUNK // width)
    for start in range(0, count, step):
        yield min(step, count - start)


def _count(
    arranged: Iterator[Floats],
    statistic: Callable[[Floats], Floats],
    observed: float,
    size: float,
) -> int:
    """How many arrangements are as far from 0 as the observed one, ties up to rounding included.

    `size` is the statistic of the absolute values as they were given, offset included. Sums in
    another order, and values that were rounded when they were stored, differ by a few units in
    its last place; a tie lost to that would make p too small.
    """
    border = abs(observed) - 16 * np.finfo(np.float64).eps * size
    return sum(int(np.sum(np.abs(statistic(rows)) >= border)) for rows in arranged)


def _conclude(effect: float, far: int, total: int, resamples: int) -> Permutation:
    if total <= resamples:
        return Permutation(effect, far / total, total, exact=True)
    return Permutation(effect, (far + 1) / (resamples + 1), resamples, exact=False)
