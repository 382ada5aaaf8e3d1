"""Does the credit that a scheme gives go with what an agent itself did to the reward?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import StatisticsError


def credit_correlations(
    credit: Floats, own: Floats, agent: NDArray[Any], turn: NDArray[Any], agents: int
) -> Floats:
    """Pearson correlation, for each agent, of its credit with its own outcome.

    Both are centered within decisions of one agent at one step of the episode, so that nothing is
    found for late steps having less to come than early ones. 0 is what credit has that knows
    nothing of the agent's own outcome; under a common reward, 1 would be credit as if each agent
    had been paid for itself.

    Args:
        credit: [N] advantage of each decision.
        own: [N] what came of it for the agent itself: its own discounted return-to-go.
        agent: [N] index of the agent, below `agents`.
        turn: [N] step of the episode.
        agents: A.

    Returns:
        [A]; NaN where credit or outcome do not vary, or where an agent has fewer than 3 decisions.

    Raises:
        StatisticsError: columns of different lengths.

    Source:
        ours.
    """
    shapes = {np.shape(column) for column in (credit, own, agent, turn)}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise StatisticsError(f"got columns of shapes {sorted(shapes)}; wanted four of one [N]")
    out = np.full(agents, np.nan)
    _, turns = np.unique(turn, return_inverse=True)
    cell = np.asarray(agent) * (int(turns.max(initial=0)) + 1) + turns
    x, y = _centered(np.asarray(credit, float), cell), _centered(np.asarray(own, float), cell)
    for k in range(agents):
        a, b = x[agent == k], y[agent == k]
        size = float(np.sqrt((a**2).sum() * (b**2).sum()))
        if len(a) >= 3 and size > 0:
            out[k] = float((a * b).sum()) / size
    return out


def _centered(values: Floats, cell: NDArray[Any]) -> Floats:
    """Minus the mean of each cell; what is left by rounding alone is 0."""
    count = np.maximum(np.bincount(cell), 1)
    mean = np.bincount(cell, weights=values) / count
    left: Floats = values - mean[cell]
    largest = float(abs(values).max(initial=0.0))
    return np.where(abs(left) <= 1e-12 * largest, 0.0, left)
