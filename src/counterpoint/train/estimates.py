"""Advantage estimates along each agent's own decisions, and the scale of what critics predict.

Start with `generalized_advantages`. Agents that decide only now and then (turn-based worlds, agents
that are finished) are credited from decision to decision: what is paid in between is added to the
decision before, and a discount is taken for each of the agent's own decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.worlds.base import Bools, Floats


def generalized_advantages(
    reward: Floats,
    value: Floats,
    cut_value: Floats,
    active: Bools,
    terminated: Bools,
    ended: Bools,
    gamma: float,
    gae: float,
) -> Floats:
    """GAE of every decision: sum_i (gamma lambda)^i delta_{t+i} over the agent's own decisions.

    With delta = (what is paid until the next decision) + gamma V(next decision) - V(this one). An
    episode that was cut off goes on with `cut_value`; one that terminated with 0. With every agent
    active at every step it is the usual estimate.

    Args:
        reward: [A, T, E, K] what agents were paid at each step.
        value: [A, T+1, E, K] what they could expect before it.
        cut_value: [A, T, E, K] value of the view in which an episode was cut off; read only there.
        active: [A, T+1, E] whether the agent decided. After the last step it tells nothing: what
            an agent that does not decide there can expect stands in for its next decision.
        terminated: [A, T, E] whether the agent's episode ended for good at this step.
        ended: [T, E] whether the episode ended at this step, for good or not.
        gamma: discount.
        gae: lambda.

    Returns:
        [A, T, E, K] advantages; 0 where the agent did not decide.

    Source: Schulman et al. 2016, High-dimensional continuous control using generalized advantage
        estimation, equation 16.
    """
    a, t, e, k = reward.shape
    out = np.zeros((a, t, e, k))
    paid, carried = np.zeros((2, a, e, k))
    after = value[:, t].astype(np.float64)
    always = bool(active[:, :t].all())
    for i in range(t - 1, -1, -1):
        done, cut = terminated[:, i, :, None], (ended[i] & ~terminated[:, i])[..., None]
        if done.any() or cut.any():
            over = done | cut
            after = np.where(cut, cut_value[:, i], np.where(done, 0.0, after))
            carried, paid = np.where(over, 0.0, carried), np.where(over, 0.0, paid)
        paid = paid + reward[:, i]
        found = paid + gamma * after - value[:, i] + gamma * gae * carried
        if always:
            out[:, i] = carried = found
            after, paid = value[:, i].astype(np.float64), np.zeros((a, e, k))
            continue
        acts = active[:, i, :, None]
        out[:, i] = np.where(acts, found, 0.0)
        carried = np.where(acts, found, carried)
        after = np.where(acts, value[:, i], after)
        paid = np.where(acts, 0.0, paid)
    return out


class ValueScale:
    """Running mean and deviation of the returns that a critic predicts, debiased.

    Critics predict (return - mean) / deviation, for each parameter set and reward component; what
    they say is turned back with the same numbers.

    Source: van Hasselt et al. 2016, Pop-Art, without the correction of the last layer, as in Yu et
        al. 2022, MAPPO.
    """

    DECAY = 0.99

    def __init__(self, sets: int, components: int, on: bool) -> None:
        self.on = on
        self.mean, self.square = np.zeros((2, sets, components))
        self.weight = np.zeros(())

    def update(self, returns: Floats, which: int) -> None:
        """Take in returns [N, K] of one set."""
        keep = self.DECAY
        self.mean[which] = keep * self.mean[which] + (1 - keep) * returns.mean(axis=0)
        self.square[which] = keep * self.square[which] + (1 - keep) * (returns**2).mean(axis=0)

    def advance(self) -> None:
        """Count one update: call it once the sets of an update were taken in."""
        self.weight = self.DECAY * self.weight + (1 - self.DECAY)

    def numbers(self, which: int) -> tuple[Floats, Floats]:
        """Mean [K] and deviation [K] of one set's returns; 0 and 1 before any were seen."""
        if not self.on or self.weight == 0:
            return np.zeros(self.mean.shape[1]), np.ones(self.mean.shape[1])
        mean = self.mean[which] / self.weight
        var = np.maximum(self.square[which] / self.weight - mean**2, 1e-6)
        return mean, np.sqrt(var)

    def capture(self) -> dict[str, NDArray[Any]]:
        """Its numbers by name."""
        return {"mean": self.mean.copy(), "square": self.square.copy(), "weight": self.weight}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on where `capture` was called."""
        self.mean, self.square = arrays["mean"].copy(), arrays["square"].copy()
        self.weight = arrays["weight"].copy()
