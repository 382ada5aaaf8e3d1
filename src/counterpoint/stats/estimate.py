"""Estimates with intervals, and the interquartile mean, the usual estimate of a score.

An `Estimate` always has its interval and its number of runs. The interquartile mean is the mean of
the middle half: a few broken seeds move it little, and it needs fewer runs than the median for the
same precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from counterpoint.arrays import Floats
from counterpoint.stats.checks import score_array


@dataclass(frozen=True)
class Estimate:
    """One number with the interval that belongs to it."""

    value: float
    """The estimate, in the unit of the samples."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    n: int
    """Number of independent runs (or trials, for a rate)."""


@dataclass(frozen=True)
class Band:
    """An estimate at each of T points; the intervals are pointwise, not simultaneous."""

    value: Floats
    """[T] the estimates."""
    low: Floats
    """[T] lower ends."""
    high: Floats
    """[T] upper ends."""
    n: int
    """Number of independent runs of every point."""


def interquartile_mean(samples: ArrayLike) -> float:
    """Returns the mean of the middle 50% of all values, with exact fractional trimming.

    With m sorted values, m/4 of them are cut off at each end. Where m is not a multiple of 4, the
    value at each border counts for the fraction of it that lies inside: of 5 values the weights
    are 0, .75, 1, .75, 0. (Trimming by whole values, as scipy's `trim_mean` does, keeps more than
    half.) With one or two values it is the mean.

    Args:
        samples: [S] or [S, tasks] scores, in any unit; runs and tasks are pooled.

    Returns:
        The interquartile mean, in the unit of the scores.

    Raises:
        StatisticsError: empty, not finite, or of another shape.

    Source: Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical
    precipice, section 4.3; the fractional weights are the definition's own limit.
    """
    return float(interquartile_means(score_array("samples", samples).ravel()))


def interquartile_means(values: Floats) -> Floats:
    """Returns [...] the interquartile mean along the last axis of `values` [..., m], unchecked."""
    m = values.shape[-1]
    cut = m // 4
    weights = np.ones(m - 2 * cut)
    if len(weights) > 1:
        weights[0] = weights[-1] = 1 - (m / 4 - cut)
    middle = np.sort(values, axis=-1)[..., cut : m - cut]
    return np.asarray(np.sum(middle * weights, axis=-1) / weights.sum())


def means(values: Floats) -> Floats:
    """Returns [...] the plain mean along the last axis of `values` [..., m], unchecked."""
    return np.asarray(values.mean(axis=-1))
