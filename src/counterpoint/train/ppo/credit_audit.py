"""Under a common reward: does an agent's credit go with what its own reward was?"""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.diagnose import credit_correlations
from counterpoint.train.ppo.estimates import generalized_advantages, paid_by_decision
from counterpoint.train.ppo.rollout import Batch


def credit_audit(batch: Batch, advantage: Floats, gamma: float) -> list[float | None]:
    """For each agent, how far its advantages go with its own rewards: see `credit_correlations`.

    Own rewards are those that the world has for each agent, whatever it was paid. Where a batch
    cuts an episode, what came later is not counted, which makes the correlation smaller.

    Args:
        batch: what was played.
        advantage: [A, T, E] what the policy gradient is weighted by.
        gamma: discount.

    Returns:
        [A]; None where the own rewards of all agents are the same, or where it is undefined.
    """
    a, t, _ = advantage.shape
    if np.ptp(batch.own, axis=0).max(initial=0.0) == 0:
        return [None] * a
    own, acts = own_returns(batch, gamma), batch.active[:, :t]
    agent = np.broadcast_to(np.arange(a)[:, None, None], acts.shape)
    turn = np.broadcast_to(batch.clock, acts.shape)
    found = credit_correlations(advantage[acts], own[acts], agent[acts], turn[acts], a)
    return [float(value) if np.isfinite(value) else None for value in found]


def own_returns(batch: Batch, gamma: float) -> Floats:
    """[A, T, E] discounted sum of the agent's own rewards from each decision on."""
    own, after = paid_by_decision(batch.own[..., None], batch.active, batch.terminated, batch.ended)
    nothing = np.zeros((*batch.active.shape, 1))
    found = generalized_advantages(own, nothing, nothing[:, 1:], after, batch.active, gamma, 1.0)
    return found[..., 0]
