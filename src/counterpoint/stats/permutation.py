"""Permutation tests: would the difference be as large if the labels meant nothing?

`permutation_test` for two independent samples, `sign_flip_test` for paired differences. Every
arrangement is tried where there are few, a random sample of them otherwise. Neither assumes a
distribution; both need that nothing but the label differs (exchangeability), or, for signs, that
differences are symmetric around 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from counterpoint.arrays import Floats
from counterpoint.stats.checks import finite, resampling

_VALUES_PER_CHUNK = 4_000_000
"""Rearranged values held at once (32 MB), however many random arrangements are asked for."""


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
    effect, pooled, n = float(left.mean() - right.mean()), np.concatenate([left, right]), len(left)
    # Centered, both halves sum to opposite numbers: one sum orders splits as the difference does.
    values = pooled - pooled.mean()
    border = _border(values[:n], pooled)
    total = math.comb(len(pooled), n)
    if total <= resamples:
        splits = np.array(list(combinations(range(len(pooled)), n)))
        far = _far([values[splits]], border)
        return Permutation(effect, far / total, total, exact=True)
    far = _far(_shuffled(values, n, resamples, rng), border)
    return Permutation(effect, (far + 1) / (resamples + 1), resamples, exact=False)


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
    effect, border, total = float(values.mean()), _border(values, values), 2 ** len(values)
    if total <= resamples:
        bits = np.arange(total)[:, None] >> np.arange(len(values)) & 1
        far = _far([(1 - 2 * bits) * values], border)
        return Permutation(effect, far / total, total, exact=True)
    far = _far(_flipped(values, resamples, rng), border)
    return Permutation(effect, (far + 1) / (resamples + 1), resamples, exact=False)


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


def _border(observed: Floats, given: Floats) -> float:
    """How far from 0 a sum must be to count as far as the observed one, ties included.

    Sums in another order, and values that were rounded when they were stored, differ by a few
    units in the last place of the values as given, offset included. A tie lost to that would make
    p too small.
    """
    return float(abs(observed.sum()) - 16 * np.finfo(np.float64).eps * np.abs(given).sum())


def _far(arranged: Iterable[Floats], border: float) -> int:
    """How many arrangements [., n] have a sum at least `border` from 0."""
    return sum(int(np.sum(np.abs(rows.sum(axis=1)) >= border)) for rows in arranged)
