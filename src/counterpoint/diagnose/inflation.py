"""Three numbers from rewards alone: the effect of shared statistics on each agent's advantages.

Write mu, sigma for the mean and deviation of a group of samples that share their statistics, and
mu_k, sigma_k for those of agent k's samples in it. Start at `three_numbers`; `pooled_numbers` gives
them for a log. Each step of a log is a call of its own. If a scheme centers and scales by different
labels, offsets are measured in the groups of the center, and signal shares in those of the scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats, Ints
from counterpoint.credit import Scheme, advantages
from counterpoint.credit.groups import ROUNDING
from counterpoint.credit.rewards import Rewards
from counterpoint.credit.segments import segment_max, segment_mean, segment_min, segment_sum
from counterpoint.diagnose.log import Ids, Log, distinct
from counterpoint.errors import RewardError


@dataclass(frozen=True)
class ThreeNumbers:
    """Each [n_batches, n_agents], averaged over groups by the agent's samples; NaN = undefined.

    In each group `norm_inflation = signal_share * inflation`.
    """

    norm_inflation: Floats
    """`(sigma_k^2 + (mu_k - mu)^2) / sigma^2`: the mean squared advantage. Undefined where
    sigma = 0."""
    inflation: Floats
    """`1 + (mu_k - mu)^2 / sigma_k^2`: what offset noise costs in gradient signal-to-noise.
    Undefined where sigma_k = 0."""
    signal_share: Floats
    """`sigma_k^2 / sigma^2`: how much of the scale is the agent's own. Undefined if sigma = 0."""


@dataclass(frozen=True)
class _Moments:
    """Spread of every group and of every agent in it; a *cell* is one agent in one group."""

    weight: Floats
    """[cells] summed weight of the agent's samples."""
    var: Floats
    """[cells] variance of the whole group, 0 where it is constant."""
    own_var: Floats
    """[cells] variance of the agent's samples, 0 where they are constant."""
    offset: Floats
    """[cells] mean of the agent's samples minus the group's mean."""


def three_numbers(
    rewards: NDArray[Any],
    group: Ints,
    agent: Ints,
    n_groups: int,
    n_agents: int,
    batch: Ints | None = None,
    n_batches: int = 1,
    weights: NDArray[Any] | None = None,
) -> ThreeNumbers:
    """Returns norm inflation, inflation and signal share of each agent, in two passes over rewards.

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
    values, (group, agent, batch), weight = _checked(rewards, (group, agent, batch), weights)
    if not len(values):
        nothing = np.full((n_batches, n_agents), np.nan)
        return ThreeNumbers(nothing, nothing, nothing)
    # One number for each batch, group and agent: groups of different batches never meet.
    row = (batch * n_groups + group) * n_agents + agent
    cell, owner = _numbered(row, n_batches * n_groups * n_agents)
    shared, _ = _numbered(owner // n_agents, n_batches * n_groups)
    m = _moments(values, weight, cell, shared, len(owner))
    who = owner // (n_groups * n_agents) * n_agents + owner % n_agents
    n = n_batches * n_agents

    def average(over: Floats, under: Floats) -> Floats:
        counted = np.where(under > 0, m.weight, 0.0)
        total = segment_sum(counted, who, n)
        summed = segment_sum(counted * _divide(over, under), who, n)
        return np.where(total > 0, _divide(summed, total), np.nan).reshape(n_batches, n_agents)

    power = m.own_var + m.offset**2  # the agent's mean square around the group's mean
    return ThreeNumbers(
        norm_inflation=average(power, m.var),
        inflation=average(power, m.own_var),
        signal_share=average(m.own_var, m.var),
    )


@dataclass(frozen=True)
class Sharing:
    """The cost of shared statistics, corrected for chance in small groups; [n_agents] each."""

    inflation: Floats
    """`1 + (mu_k - mu)^2 / sigma_k^2`, as a ratio of averages over groups; NaN = undefined."""
    signal_share: Floats
    """`sigma_k^2 / sigma^2`, averaged over groups; NaN = undefined."""


_Numbers = TypeVar("_Numbers", ThreeNumbers, Sharing)


def sharing(
    rewards: NDArray[Any],
    group: Ints,
    agent: Ints,
    rollout: Ints,
    n_groups: int,
    n_agents: int,
    weights: NDArray[Any] | None = None,
) -> Sharing:
    """Returns inflation and signal share as a population has them, corrected for small groups.

    The mean of n_k rollouts misses that of n such rollouts by `sigma_k^2 (1/n_k - 1/n)` by chance
    alone, which is taken off the squared offset; their variance is too small by (n_k - 1) / n_k,
    which is put back. Groups in which the agent has a single rollout say nothing. So an agent that
    is called once in eight rollouts does not count as an offset or a variance mismatch. The effect
    of louder agents' noise on the shared mean stays in.

    Args: as for `three_numbers`, and
        rollout: [N] id of the row's rollout: rows of one rollout are one sample.

    Raises:
        RewardError: as `three_numbers`.

    Source: ours.
    """
    values, (group, agent, rollout), weight = _checked(rewards, (group, agent, rollout), weights)
    if not len(values):
        return Sharing(np.full(n_agents, np.nan), np.full(n_agents, np.nan))
    cell, owner = _numbered(group * n_agents + agent, n_groups * n_agents)
    shared, _ = _numbered(owner // n_agents, n_groups)
    m = _moments(values, weight, cell, shared, len(owner))
    own_n = _distinct(cell, rollout, len(owner))
    all_n = _distinct(shared[cell], rollout, len(owner))[shared]
    known = (own_n > 1) & (m.var > 0)  # a single rollout has no variance of its own
    weight_of = np.where(known, m.weight, 0.0)
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


def _distinct(ids: Ints, rollout: Ints, n: int) -> Floats:
    """Returns [n] how many rollouts have a row in each segment."""
    rollouts = int(rollout.max(initial=0)) + 1
    pairs = distinct(ids * rollouts + rollout)
    return np.bincount(pairs // rollouts, minlength=n).astype(np.float64)


def _numbered(ids: Ints, span: int) -> tuple[Ints, Ints]:
    """Returns ids [N] out of [0, span) with few gaps, and what each stood for."""
    if span <= 4 * len(ids) + 1024:
        return ids, np.arange(span)
    owner, numbered = np.unique(ids, return_inverse=True)
    return numbered, owner


def _moments(values: Floats, weight: Floats, cells: Ints, shared: Ints, n_cells: int) -> _Moments:
    """Returns the spread of each cell in two passes; `shared` [cells] is the group of each cell.

    Values are shifted by the group's minimum, so that large offsets cost no digits.
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
    rewards: NDArray[Any], ids: tuple[Ints | None, ...], weights: NDArray[Any] | None
) -> tuple[Floats, list[Ints], Floats]:
    """Returns the rows that count, as float rewards, integer columns and weights."""
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


def _divide(over: float | Floats, under: Floats) -> Floats:
    """Returns over / under, and `over` where there is nothing to divide by."""
    return over / np.where(under > 0, under, 1.0)


def pooled_numbers(log: Log, scheme: Scheme) -> tuple[ThreeNumbers, ThreeNumbers, Sharing]:
    """Returns the three numbers of the log [1, A] and of each step [T, A], and sharing [A]."""
    columns, agents = entering(log, scheme), len(log.agents)
    k, weights = len(columns), np.tile(_weights(log, scheme), len(columns))
    agent, step, rollout = (np.tile(ids, k) for ids in (log.agent, log.step, log.rollout))

    def measured(
        columns: list[Floats], ids: Ids, n: int
    ) -> tuple[ThreeNumbers, ThreeNumbers, Sharing]:
        # Columns stand below each other, each with groups of its own.
        values, n_groups = np.concatenate(columns), n * k
        group = np.concatenate([ids + n * column for column in range(k)])
        return (
            three_numbers(values, group, agent, n_groups, agents, weights=weights),
            three_numbers(values, group, agent, n_groups, agents, step, len(log.steps), weights),
            sharing(values, group, agent, rollout, n_groups, agents, weights),
        )

    center, n = log.labels.groups(scheme.center_by)
    offsets = measured(columns, center, n)
    scale_by = scale_groups(scheme)
    if scheme.center_by == scale_by:
        return offsets
    if scheme.scale_of == "centered":
        given = [~np.isnan(values) for values in columns]
        means = [segment_mean(x[ok], center[ok], n) for x, ok in zip(columns, given, strict=True)]
        columns = [x - mean[center] for x, mean in zip(columns, means, strict=True)]
    whole, steps, shared = measured(columns, *log.labels.groups(scale_by))
    return (
        replace(divided(whole, scheme), inflation=offsets[0].inflation),
        replace(divided(steps, scheme), inflation=offsets[1].inflation),
        replace(divided(shared, scheme), inflation=offsets[2].inflation),
    )


def scale_groups(scheme: Scheme) -> tuple[str, ...]:
    """Returns the labels of the groups that share a scale; what is shrunk begins at the batch's."""
    return () if scheme.scale == "shrunk" else scheme.scale_by or ()


def divided(numbers: _Numbers, scheme: Scheme) -> _Numbers:
    """Returns numbers from the groups of `scale_groups` as the scheme's divisor makes them.

    A scale that is shrunk goes the share `own_scale` of the way to what per-agent deviations give:
    a signal share s becomes `s ** (1 - own_scale)`. That takes the deviations for known.
    """
    if scheme.scale != "shrunk":
        return numbers
    share = numbers.signal_share
    own = share ** (1.0 - scheme.own_scale)
    if isinstance(numbers, Sharing):
        return replace(numbers, signal_share=own)
    raised = np.where(share > 0, _divide(own, share), 1.0)
    return replace(numbers, signal_share=own, norm_inflation=numbers.norm_inflation * raised)


def entering(log: Log, scheme: Scheme) -> list[Floats]:
    """Returns the columns [N] that the scheme normalizes: the values of rows in their groups.

    A value is ranked, or the rollout's, as the scheme has it. Under trajectory weighting it is the
    mean of the agent's own rows of the rollout: the mean of all of them would make every agent
    look like the team, however loud another one is in it. NaN is a row that is left out.
    """
    read = Rewards.read(log.components(scheme), scheme)
    given = [c.values if c.ok is None else np.where(c.ok, c.values, np.nan) for c in read.columns()]
    if (scheme.transform, scheme.weighting, scheme.rollout_reward) == ("identity", "step", "mean"):
        return given
    parts = np.split(read.values, read.n_columns, axis=1)  # all that are summed, or one by one
    own = ("agent",) if scheme.transform == "identity" else ()
    plain = Scheme(
        center_by=(*scheme.center_by, *own),
        weights=read.weights if scheme.components == "sum_first" else None,
        missing=scheme.missing,
        transform=scheme.transform,
        weighting=scheme.weighting,
        rollout_reward=scheme.rollout_reward,
        gamma=scheme.gamma,
        center="none",
        scale="none",
    )
    values = [np.asarray(advantages(part, log.columns, plain).values) for part in parts]
    return [np.where(np.isnan(g), np.nan, v) for g, v in zip(given, values, strict=True)]


def _weights(log: Log, scheme: Scheme) -> Floats:
    """Returns [N] how much a row counts: 1, or 1 / the rows of its rollout in its group."""
    if scheme.weighting == "step":
        return np.ones(len(log.agent))
    others = (name for name in scheme.center_by if name != "prompt")
    group: Ids = np.asarray(log.labels.groups((*others, "prompt", "rollout")).ids)
    given = ~np.isnan(log.rewards(scheme))
    weight: Floats = 1.0 / np.maximum(np.bincount(group, weights=given), 1.0)
    return weight[group]
