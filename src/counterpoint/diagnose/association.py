"""Tests whether a feature is associated with the reward, by permutations within strata.

Units (rollouts, or prompts) carry a feature, such as whether an agent acted, and scores, such as
the reward and its square. Under the null the scores of the units of one stratum are exchangeable,
so shuffling them there gives the statistic's distribution, whatever that of the rewards is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.credit.segments import segment_mean, segment_sum
from counterpoint.diagnose.log import Ids

ENOUGH = 25
"""Draws at least as extreme as what was seen after which p is known well enough to stop."""

CHUNK = 2**20
"""Shuffled values that are held at a time."""


@dataclass(frozen=True)
class Association:
    """The result of one test."""

    p: float
    """Add-one permutation p-value; NaN where nothing varies, so that nothing can be tested."""
    effect: float
    """Correlation within strata, of the feature and score where it is strongest."""
    score: int
    """Index of that score."""


def associations(
    features: Sequence[Floats],
    scores: Floats,
    strata: Ids,
    draws: int,
    rng: np.random.Generator,
    studentized: bool = False,
) -> list[Association]:
    """Returns one two-sided test for each of `features`, on the same shuffles.

    The statistic is the largest |sum of feature x score|, in its exact permutation standard
    deviations, over the columns of the feature and of the scores. Where units are averages over
    different numbers of samples, those of few are extreme in feature and score alike, and are not
    exchangeable with the others: `studentized` divides by `sqrt(sum of (feature x score)^2)`
    instead, which holds its level for many units.

    Args:
        features: arrays [U, F], one a test; a test with several columns asks about any of them.
        scores: [U, J].
        strata: [U] units are shuffled within their stratum.
        draws: how many shuffles at most; it stops early where p is clearly large.
        rng: where the shuffles come from.
        studentized: whether the units differ in how many samples they stand for.

    Source: permutation p-values with add-one: Phipson & Smyth 2010; early stopping: Besag &
        Clifford 1991; studentized permutation of a correlation: DiCiccio & Romano 2017.
    """
    positions = _by_size(strata)
    units = np.concatenate([p.ravel() for p in positions]) if positions else np.zeros(0, np.int64)
    if not len(units):
        return [Association(np.nan, 0.0, 0) for _ in features]
    present, inside = np.unique(strata[units], return_inverse=True)
    n = len(present)
    test_of_column = np.repeat(np.arange(len(features)), [f.shape[1] for f in features])
    x, y = (
        columns - np.stack([segment_mean(c, inside, n)[inside] for c in columns.T], axis=1)
        for columns in (np.concatenate(features, axis=1)[units], scores[units])
    )
    scale, correlation = _scales(x, y, inside, n)

    def statistic(y: Floats) -> Floats:
        """Returns |sum x y| [C, columns, J] of y [C, U, J], over its deviation; 0 if none."""
        sums: Floats = abs(np.einsum("cuj,uf->cfj", y, x, optimize=True))
        if not studentized:
            return sums / scale
        under = np.sqrt(np.einsum("cuj,uf->cfj", y**2, x**2, optimize=True))
        return np.where(np.isfinite(scale), sums / np.maximum(under, 1e-9 * scale), 0.0)

    observed = statistic(y[None])
    seen = _largest(observed, test_of_column)[0]
    count, done = np.zeros(len(features)), 0
    testable = seen > 0
    centered = np.zeros(scores.shape)
    centered[units] = y
    for shuffled in _shuffles(positions, centered, draws, rng):
        # A tie that rounding broke still counts as at least as extreme.
        count += (_largest(statistic(shuffled), test_of_column) >= seen * (1 - 1e-9)).sum(axis=0)
        done += len(shuffled)
        if (count[testable] >= ENOUGH).all():
            break
    tested = []
    for test in range(len(features)):
        here = test_of_column == test
        strongest = np.unravel_index(int(observed[0, here].argmax()), observed[0, here].shape)
        p = (1 + count[test]) / (1 + done) if testable[test] else np.nan
        tested.append(Association(float(p), float(correlation[here][strongest]), int(strongest[1])))
    return tested


def _by_size(strata: Ids) -> list[Ints]:
    """Returns positions [strata, n] of the units of the strata of each size n >= 2."""
    # Strata of one size are shuffled together, as rows of one array.
    order = np.argsort(strata, kind="stable")
    _, start, size = np.unique(strata[order], return_index=True, return_counts=True)
    return [
        order[start[size == n][:, None] + np.arange(n)] for n in np.unique(size[size >= 2]).tolist()
    ]


def _scales(x: Floats, y: Floats, ids: Ids, n: int) -> tuple[Floats, Floats]:
    """Returns the permutation deviation of sum x y (inf if nothing varies) and the correlation.

    Both are [columns, J], from x [U, columns] and y [U, J] in the strata `ids` below n. Shuffling
    y in a stratum of m units gives the variance `sum x^2 sum y^2 / (m - 1)`.
    """
    freedom = segment_sum(np.ones(len(ids)), ids, n) - 1
    xx = np.stack([segment_sum(column**2, ids, n) for column in x.T], axis=1)
    yy = np.stack([segment_sum(column**2, ids, n) for column in y.T], axis=1)
    xx[xx <= 1e-20 * max(1.0, float((x**2).sum()))] = 0.0
    variance = (xx / freedom[:, None]).T @ yy
    whole = np.sqrt(xx.sum(axis=0)[:, None] * yy.sum(axis=0))
    correlation = (x.T @ y) / np.where(whole > 0, whole, np.inf)
    return np.sqrt(np.where(variance > 0, variance, np.inf)), correlation


def _largest(values: Floats, test_of_column: Ints) -> Floats:
    """Returns [C, tests] the largest of [C, columns, J] in each test."""
    starts = np.flatnonzero(np.diff(test_of_column, prepend=-1))
    return np.asarray(np.maximum.reduceat(values.max(axis=2), starts, axis=1))


def _shuffles(
    positions: list[Ints], scores: Floats, draws: int, rng: np.random.Generator
) -> Iterator[Floats]:
    """Yields chunks [C, U, J] of scores shuffled within strata, in the order of `positions`."""
    units = sum(p.size for p in positions)
    size = max(1, min(draws, CHUNK // (units * scores.shape[1])))
    for start in range(0, draws, size):
        count = min(size, draws - start)
        index = [
            rng.permuted(np.broadcast_to(p, (count, *p.shape)), axis=2).reshape(count, -1)
            for p in positions
        ]
        yield scores[np.concatenate(index, axis=1)]
