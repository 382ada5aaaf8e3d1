"""When an agent has collapsed: its gradient cannot be told from zero, update after update."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import StatisticsError
from counterpoint.stats.student import student_t_tails

LEVEL = 0.05
"""Of Student's test in `flat_together`."""


def collapsed(
    cosine_low: NDArray[Any], improvable: NDArray[np.bool_], window: int
) -> NDArray[np.bool_]:
    """The updates that belong to a run of `window` or more flat ones of an improvable agent.

    Agent k is flat at an update if the 95% interval of its half-batch cosine includes 0
    (`cosine_low <= 0`). A run of `window` flat updates in a row, at each of which the agent could
    still improve, is a collapse, and all its updates count, the first ones too. An update at which
    nothing was measured (NaN) breaks the run: a detector abstains rather than guesses.

    Args:
        cosine_low: [..., T, A] lower end of the interval, from `gradient_statistics`.
        improvable: [..., T, A] whether the agent could still do better than it does.
        window: how many updates in a row make a collapse; at least 1.

    Returns:
        [..., T, A] whether the agent is collapsed at that update.

    Raises:
        StatisticsError: the shapes differ, there is no time axis, or the window is below 1.

    Source:
        ours.
    """
    flat = np.asarray(cosine_low) <= 0
    if flat.shape != np.shape(improvable) or flat.ndim < 2:
        raise StatisticsError(
            f"got cosine_low of shape {flat.shape} and improvable of shape "
            f"{np.shape(improvable)}; wanted both [..., T, A]"
        )
    if window < 1:
        raise StatisticsError(f"got a window of {window} updates; wanted at least 1")
    flat = np.moveaxis(flat & np.asarray(improvable, dtype=bool), -2, -1)  # [..., A, T]
    if window > flat.shape[-1]:
        return np.zeros(np.shape(improvable), dtype=bool)
    full = _windowed_sum(flat, window) == window  # [..., A, T - W + 1], by first update
    ends = np.zeros((*flat.shape[:-1], window - 1), dtype=bool)
    covered = _windowed_sum(np.concatenate([ends, full, ends], axis=-1), window) > 0
    return np.moveaxis(covered, -1, -2)


def flat_together(cosine: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether several updates together cannot tell an agent's gradient from zero.

    The mean of the half-batch cosines of W updates with Student's 95% interval: flat where that
    includes 0. It is what `collapsed` asks, with the evidence of the updates added up instead of
    asked W times: a network that learns from hundreds of small steps may have no single update
    whose gradient is told from 0.

    Args:
        cosine: [..., W, A] half-batch cosines, from `gradient_statistics`; W >= 2. NaN where
            nothing was measured.

    Returns:
        [..., A]; false where an update was not measured: a detector abstains.

    Raises:
        StatisticsError: fewer than 2 updates.

    Source:
        ours.
    """
    values = np.asarray(cosine, dtype=np.float64)
    count = values.shape[-2] if values.ndim >= 2 else 0
    if count < 2:
        raise StatisticsError(f"got cosines of shape {values.shape}; wanted [..., W >= 2, A]")
    mean, spread = values.mean(axis=-2), values.std(axis=-2, ddof=1)
    told = mean > 0
    for place in np.argwhere(told & (spread > 0)):
        t = mean[tuple(place)] / spread[tuple(place)] * np.sqrt(count)
        told[tuple(place)] = student_t_tails(float(t), count - 1) < LEVEL
    flat: NDArray[np.bool_] = np.isfinite(mean) & ~told
    return flat


def _windowed_sum(values: NDArray[np.bool_], window: int) -> NDArray[np.int64]:
    """[..., T - W + 1] how many of each `window` values in a row are true."""
    total = np.concatenate(
        [np.zeros((*values.shape[:-1], 1), dtype=np.int64), np.cumsum(values, axis=-1)], axis=-1
    )
    inside: NDArray[np.int64] = total[..., window:] - total[..., :-window]
    return inside
