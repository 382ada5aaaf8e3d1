"""Advantage estimates along each agent's own decisions, and the scale of the critics.

Start with `rewards_by_decision`, then `generalized_advantages`. Agents that decide only now and
then (turn-based worlds, finished agents) are credited from decision to decision. A reward in
between is added to the decision before, and each of the agent's own decisions is discounted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats

LEAST_VARIANCE = 1e-8
"""Of returns: what varies less is all rounding."""


def rewards_by_decision(
    reward: Floats, active: Bools, terminated: Bools, ended: Bools
) -> tuple[Floats, NDArray[np.int64]]:
    """Returns the reward of each decision until the agent's next one, and where its episode ended.

    What is paid before an agent's first decision of a batch belongs to no decision in it.

    Args:
        reward: [A, T, E, K] what agents were paid at each step.
        active: [A, T+1, E] whether the agent decided.
        terminated: [A, T, E] whether the agent's episode ended for good at this step.
        ended: [T, E] whether the episode ended at this step, for good or not.

    Returns:
        [A, T, E, K] the sum over the steps from a decision to the next one, 0 where there is no
        decision. The second is [A, T+1, E]: at a decision, the step whose view comes after it,
        negative where nothing comes after it: the agent's next decision, T, or -1 - t where the
        episode was left at step t (whether for good, `terminated` tells).
    """
    a, t, e, _ = reward.shape
    if active[:, :t].all():
        next_step = np.broadcast_to(np.arange(1, t + 1)[:, None], (a, t, e))
        return reward, np.where(terminated | ended, -next_step, next_step)
    out, paid = np.zeros(reward.shape), np.zeros(reward[:, 0].shape)
    next_at, after = np.full((a, e), t), np.zeros((a, t, e), dtype=np.int64)
    # Backwards in time: a reward is carried until the decision before it takes it.
    for i in range(t - 1, -1, -1):
        left = terminated[:, i] | ended[i]
        paid = np.where(left[..., None], 0.0, paid) + reward[:, i]
        next_at = np.where(left, -1 - i, next_at)
        acts = active[:, i]
        out[:, i], after[:, i] = np.where(acts[..., None], paid, 0.0), next_at
        paid, next_at = np.where(acts[..., None], 0.0, paid), np.where(acts, i, next_at)
    return out, after


def generalized_advantages(
    paid: Floats,
    value: Floats,
    left_value: Floats,
    after: NDArray[np.int64],
    active: Bools,
    gamma: float,
    gae: float,
) -> Floats:
    """Returns GAE of every decision: sum_i (gamma lambda)^i delta_{t+i} over the agent's own
    decisions.

    With delta = (what it was paid) + gamma V(what comes after it) - V(what it saw). With every
    agent active at every step it is the usual estimate.

    Args:
        paid: [A, T, E, K] and `after` [A, T, E] from `rewards_by_decision`.
        value: [A, T+1, E, K] what agents could expect before each step.
        left_value: [A, T, E, K] what an agent could still expect where its episode was left at
            that step: 0 if for good; read only there.
        after: see `paid`.
        active: [A, T+1, E] whether the agent decided.
        gamma: discount, taken for each of the agent's own decisions.
        gae: lambda.

    Returns:
        [A, T, E, K] advantages; 0 where the agent did not decide.

    Source: Schulman et al. 2016, High-dimensional continuous control using generalized advantage
        estimation, equation 16.
    """
    a, t, e, k = paid.shape
    left = after < 0
    at = np.where(left, -1 - after, after)
    agent, copy = np.arange(a)[:, None, None], np.arange(e)
    expected = np.where(
        left[..., None], left_value[agent, np.minimum(at, t - 1), copy], value[agent, at, copy]
    )
    delta = paid + gamma * expected - value[:, :t]
    goes_on = np.where(left, 0.0, gamma * gae)[..., None]
    out, carried = np.zeros((a, t, e, k)), np.zeros((a, e, k))
    always = bool(active[:, :t].all())
    # A step without a decision keeps what is carried for the agent's decision before it.
    for i in range(t - 1, -1, -1):
        advantage = delta[:, i] + goes_on[:, i] * carried
        acts = active[:, i, :, None]
        carried = advantage if always else np.where(acts, advantage, carried)
        out[:, i] = advantage if always else np.where(acts, advantage, 0.0)
    return out


class ValueScale:
    """Running mean and deviation of the returns that critics predict, debiased.

    Critics predict (return - mean) / deviation, for each agent and reward component; what they say
    is turned back with the same numbers. Each agent has a scale of its own, even where a network is
    shared: an agent whose rewards are large would leave the others' values no digits, and what a
    credit scheme does could not be told from that.

    Source: van Hasselt et al. 2016, Pop-Art, without the correction of the last layer, as in Yu et
        al. 2022, MAPPO (one scale for each policy there).
    """

    DECAY = 0.99

    def __init__(self, agents: int, components: int, on: bool) -> None:
        self.on = on
        self.mean, self.square, self.weight = np.zeros((3, agents, components))

    def update(self, target: Floats, decided: Bools) -> None:
        """Takes in returns [A, T, E, K] of the decisions `decided` [A, T, E]."""
        count = decided.sum(axis=(1, 2))[:, None]
        seen, keep, counted = count > 0, self.DECAY, np.maximum(count, 1)
        where = decided[..., None]
        first = (target * where).sum(axis=(1, 2)) / counted
        second = (target**2 * where).sum(axis=(1, 2)) / counted
        self.mean = np.where(seen, keep * self.mean + (1 - keep) * first, self.mean)
        self.square = np.where(seen, keep * self.square + (1 - keep) * second, self.square)
        self.weight = np.where(seen, keep * self.weight + (1 - keep), self.weight)

    def numbers(self) -> tuple[Floats, Floats]:
        """Returns mean and deviation [A, 1, 1, K] of the returns; 0 and 1 before the first."""
        known = self.on & (self.weight > 0)
        weight = np.where(known, self.weight, 1.0)
        mean = np.where(known, self.mean / weight, 0.0)
        var = np.where(known, np.maximum(self.square / weight - mean**2, LEAST_VARIANCE), 1.0)
        return mean[:, None, None], np.sqrt(var)[:, None, None]

    def capture(self) -> dict[str, NDArray[Any]]:
        """Returns the numbers of the scale, by name."""
        return {name: getattr(self, name).copy() for name in ("mean", "square", "weight")}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Resumes where `capture` was called."""
        for name in ("mean", "square", "weight"):
            setattr(self, name, np.array(arrays[name]))
