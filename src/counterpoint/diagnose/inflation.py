"""Three numbers from rewards alone: what sharing statistics does to each agent's advantages.

Write mu, sigma for the mean and deviation of a group of samples that share their statistics, and
mu_k, sigma_k for those of agent k's samples in it. Start at `three_numbers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit.groups import ROUNDING
from counterpoint.credit.segments import segment_max, segment_min, segment_sum
from counterpoint.diagnose.log import distinct
from counterpoint.errors import RewardError


@dataclass(frozen=True)
class ThreeNumbers:
    """Each [n_batches, n_agents], averaged over groups by the agent's samples; NaN = undefined.

    In each group `norm_inflation = signal_share * inflation`.
    """

    norm_inflation: NDArray[np.float64]
    """`(sigma_k^2 + (mu_k - mu)^2) / sigma^2`: the mean squared advantage. Undefined where
    sigma = 0."""
    inflation: NDArray[np.float64]
    """`1 + (mu_k - mu)^2 / sigma_k^2`: what offset noise costs in gradient signal-to-noise.
    Undefined where sigma_k = 0."""
    signal_share: NDArray[np.float64]
    """`sigma_k^2 / sigma^2`: how much of the scale is the agent's own. Undefined if sigma = 0."""


@dataclass(frozen=True)
class _Moments:
    """Spread of every group and of every agent in it; a *cell* is one agent in one group."""

    weight: NDArray[np.float64]
    """[cells] summed weight of the agent's samples."""
    var: NDArray[np.float64]
    """[cells] variance of the whole group, 0 where it is constant."""
    own_var: NDArray[np.float64]
    """[cells] variance of the agent's samples, 0 where they are constant."""
    offset: NDArray[np.float64]
    """[cells] mean of the agent's samples minus the group's mean."""


def three_numbers(
    rewards: NDArray[Any],
    group: NDArray[np.integer[Any]],
    agent: NDArray[np.integer[Any]],
    n_groups: int,
    n_agents: int,
    batch: NDArray[np.integer[Any]] | None = None,
    n_batches: int = 1,
    weights: NDArray[Any] | None = None,
) -> ThreeNumbers:
    """Norm inflation, inflation and signal share of each agent, in two passes over the rewards.

    Args:
        rewards: [N] scalar reward of each decision; NaN is missing and counts nowhere.
        group: [N] id in [0, n_groups) of the group whose statistics the decision uses.
        agent: [N] id in [0, n_agents).
        n_groups: number of group ids.
        n_agents: number of agents.
        batch: [N] id in [0, n_batches) of independent calls side by side (seeds, updates).
        n_batches: number of batches.
        weights: [N] weight of each decision, such as 1 / its rollout's decisions under trajectory
            weighting; None weighs each by 1.

    Returns:
        The three numbers of each agent in each batch, NaN where no group defines them.

    Raises:
        RewardError: a reward is infinite, or the columns differ in length.

    Source:
        Dr. MAS (arXiv 2602.08847), Lemma 4.2, for the first; the other two are ours.
    """
    values, columns, weight = _checked(rewards, (group, agent, batch), weights)
    if not len(values):
        nothing = np.full((n_batches, n_agents), np.nan)
        return ThreeNumbers(nothing, nothing, nothing)
    group_ids, agent_ids, batch_ids = columns
    row = (batch_ids * n_groups + group_ids) * n_agents + agent_ids
    cell, owner = _numbered(row, n_batches * n_groups * n_agents)
    shared, _ = _numbered(owner // n_agents, n_batches * n_groups)
    m = _moments(values, weight, cell, shared, len(owner))
    who = owner // (n_groups * n_agents) * n_agents + owner % n_agents
    n = n_batches * n_agents

    def average(over: NDArray[np.float64], under: NDArray[np.float64]) -> NDArray[np.float64]:
        counted = np.where(under > 0, m.weight, 0.0)
        total = segment_sum(counted, who, n)
        summed = segment_sum(counted * _divide(over, under), who, n)
        return np.where(total > 0, _divide(summed, total), np.nan).reshape(n_batches, n_agents)

    power = m.own_var + m.offset**2
    return ThreeNumbers(
        norm_inflation=average(power, m.var),
        inflation=average(power, m.own_var),
        signal_share=average(m.own_var, m.var),
    )


@dataclass(frozen=True)
class Sharing:
    """What sharing statistics costs, without what small groups show by chance; [n_agents] each."""

    inflation: NDArray[np.float64]
    """`1 + (mu_k - mu)^2 / sigma_k^2`, as a ratio of averages over groups; NaN = undefined."""
    signal_share: NDArray[np.float64]
    """`sigma_k^2 / sigma^2`, averaged over groups; NaN = undefined."""


def sharing(
    rewards: NDArray[Any],
    group: NDArray[np.integer[Any]],
    agent: NDArray[np.integer[Any]],
    rollout: NDArray[np.integer[Any]],
    n_groups: int,
    n_agents: int,
    weights: NDArray[Any] | None = None,
) -> Sharing:
    """Inflation and signal share as a population has them, corrected for groups of few rollouts.

    The mean of n_k rollouts misses that of n such rollouts by `sigma_k^2 (1/n_k - 1/n)` by chance
    alone, which is taken off the squared offset; their variance is too small by (n_k - 1) / n_k,
    which is put back. Groups in which the agent has a single rollout say nothing. So an agent that
    is called once in eight rollouts is not taken for an offset or a drowned one; what the noise of
    louder agents does to the shared mean stays in.

    Args: as for `three_numbers`, and
        rollout: [N] id of the row's rollout: rows of one rollout are one sample.

    Raises:
        RewardError: as `three_numbers`.

    Source: ours.
    """
    values, columns, weight = _checked(rewards, (group, agent, rollout), weights)
    if not len(values):
        return Sharing(np.full(n_agents, np.nan), np.full(n_agents, np.nan))
    group_ids, agent_ids, rollout_ids = columns
    cell, owner = _numbered(group_ids * n_agents + agent_ids, n_groups * n_agents)
    shared, _ = _numbered(owner // n_agents, n_groups)
    m = _moments(values, weight, cell, shared, len(owner))
    own_n = _distinct(cell, rollout_ids, len(owner))
    all_n = _distinct(shared[cell], rollout_ids, len(owner))[shared]
    told = (own_n > 1) & (m.var > 0)
    weight_of = np.where(told, m.weight, 0.0)
    var = m.var * _divide(all_n, all_n - 1)
    own = _divide(m.own_var * _divide(own_n, own_n - 1), var)
    offset = _divide(m.offset**2, var) - own * (_divide(1.0, own_n) - _divide(1.0, all_n))
    total, who = segment_sum(weight_of, owner % n_agents, n_agents), owner % n_agents
    share = segment_sum(weight_of * own, who, n_agents)
    excess = np.maximum(segment_sum(weight_of * offset, who, n_agents), 0.0)
    return Sharing(
        inflation=np.where(share > 0, 1.0 + _divide(excess, share), np.nan),
        signal_share=np.where(total > 0, _divide(share, total), np.nan),
    )


def _distinct(ids: NDArray[np.int64], rollout: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """[n] how many rollouts have a row in each segment."""
    pairs = distinct(ids * (int(rollout.max(initial=0)) + 1) + rollout)
    found = np.bincount(pairs // (int(rollout.max(initial=0)) + 1), minlength=n)
    return found.astype(np.float64)


def _numbered(ids: NDArray[np.int64], span: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids [N] out of [0, span) with few gaps, and what each stood for."""
    if span <= 4 * len(ids) + 1024:
        return ids, np.arange(span)
    owner, numbered = np.unique(ids, return_inverse=True)
    return numbered, owner


def _moments(
    values: NDArray[np.float64],
    weight: NDArray[np.float64],
    cells: NDArray[np.int64],
    shared: NDArray[np.int64],
    n_cells: int,
) -> _Moments:
    """Two passes; values are shifted by the group's minimum, so that large offsets cost no digits.

    `shared` [cells] is the group of each cell.
    """
    groups, n_groups = shared[cells], int(shared.max()) + 1
    low = segment_min(values, groups, n_groups)
    top = segment_max(values, groups, n_groups)
    tolerance = ROUNDING * np.finfo(np.float64).eps * np.maximum(abs(low), abs(top))
    above = values - low[groups]
    total = segment_sum(weight, groups, n_groups)
    mean = _divide(segment_sum(weight * above, groups, n_groups), total)
    deviation = above - mean[groups]
    var = _divide(segment_sum(weight * deviation**2, groups, n_groups), total)
    own = segment_sum(weight, cells, n_cells)
    offset = _divide(segment_sum(weight * deviation, cells, n_cells), own)
    own_var = _divide(segment_sum(weight * (deviation - offset[cells]) ** 2, cells, n_cells), own)
    width = segment_max(above, cells, n_cells) - segment_min(above, cells, n_cells)
    return _Moments(
        weight=own,
        var=np.where(top - low <= tolerance, 0.0, var)[shared],
        own_var=np.where(width <= tolerance[shared], 0.0, own_var),
        offset=np.where(top - low <= tolerance, 0.0, 1.0)[shared] * offset,
    )


def _checked(
    rewards: NDArray[Any],
    ids: tuple[NDArray[np.integer[Any]] | None, ...],
    weights: NDArray[Any] | None,
) -> tuple[NDArray[np.float64], list[NDArray[np.int64]], NDArray[np.float64]]:
    """The rows that count, as float rewards, integer columns and weights."""
    values = np.asarray(rewards, dtype=np.float64)
    lengths = [len(values), *(len(c) for c in (*ids, weights) if c is not None)]
    if len(set(lengths)) > 1 or values.ndim != 1:
        raise RewardError(
            f"got rewards of shape {values.shape} and columns of lengths {lengths[1:]}; wanted "
            "[N] each"
        )
    if np.isinf(values).any():
        raise RewardError("got an infinite reward; wanted finite ones, or NaN where it is missing")
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    ok = ~np.isnan(values) & (weight > 0)
    columns = [
        np.zeros(int(ok.sum()), dtype=np.int64) if column is None
        else np.asarray(column)[ok].astype(np.int64)
        for column in ids
    ]  # fmt: skip
    return values[ok], columns, weight[ok]


def _divide(over: float | NDArray[np.float64], under: NDArray[np.float64]) -> NDArray[np.float64]:
    """over / under, and `over` where there is nothing to divide by."""
    return over / np.where(under > 0, under, 1.0)
