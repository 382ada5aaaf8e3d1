"""The interquartile mean: the mean of the middle half, robust to a few broken seeds.

Half of the runs may be anything and it still moves little; unlike the median it uses the whole
middle half, so it needs fewer runs for the same precision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from counterpoint.stats.checks import scores


def interquartile_mean(samples: ArrayLike) -> float:
    """The mean of the middle 50% of all values, with exact fractional trimming.

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
    return float(interquartile_means(scores("samples", samples).ravel()))


def interquartile_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[...] the interquartile mean along the last axis of `values` [..., m], unchecked."""
    m = values.shape[-1]
    cut = m // 4
    weights = np.ones(m - 2 * cut)
    if len(weights) > 1:
        weights[0] = weights[-1] = 1 - (m / 4 - cut)
    middle = np.sort(values, axis=-1)[..., cut : m - cut]
    return np.asarray(np.sum(middle * weights, axis=-1) / weights.sum())


def means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[...] the plain mean along the last axis of `values` [..., m], unchecked."""
    return np.asarray(values.mean(axis=-1))
