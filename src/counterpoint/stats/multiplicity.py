"""Many tests at once: Benjamini-Hochberg q-values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from counterpoint.errors import StatisticsError
from counterpoint.stats.checks import finite


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """q-values: rejecting all tests with q <= alpha keeps the false discovery rate at alpha.

    With the m p-values in ascending order, q_(i) = min over j >= i of p_(j) m / j: never below p,
    in the same order as p, and equal to p for a single test. Holds for independent or positively
    dependent tests.

    Args:
        p: [m] p-values in any order.

    Returns:
        [m] q-values in the order of p, at most 1.

    Raises:
        StatisticsError: no p-values, NaN, or values outside [0, 1].

    Source: Benjamini and Hochberg 1995, Controlling the false discovery rate.
    """
    values = finite("p-values", p, "[m]")
    if values.min() < 0 or values.max() > 1:
        raise StatisticsError(
            f"got p-values from {values.min()} to {values.max()}; wanted probabilities in [0, 1]"
        )
    m, order = len(values), np.argsort(values)
    scaled = values[order] * (m / np.arange(1, m + 1))
    q = np.empty(m)
    q[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return q
