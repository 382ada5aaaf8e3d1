"""What a log says of each agent under a scheme: the three numbers, dead decisions, net mass, more.

Start at `agent_numbers`. Groups are those of the scheme under judgement, and each step is a call
of its own: statistics are never taken across steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import Scheme
from counterpoint.credit.labels import factorize
from counterpoint.credit.segments import segment_max, segment_min, segment_sum
from counterpoint.diagnose.inflation import Sharing, ThreeNumbers
from counterpoint.diagnose.log import Floats, Ids, Log, dense
from counterpoint.diagnose.pooling import pooled_numbers

SPIKE = 8.0
"""A larger advantage is a spike in any group; in a small one, less is: see `spike_limit`."""

LEAST_SPIKE = 5.0
"""No group is so small that a smaller advantage is a spike: of normal rewards, 6 in 10^7 are."""

SAME = 1e-9
"""Advantages that differ by less than this, relative to the largest, are the same one."""


@dataclass(frozen=True)
class AgentNumbers:
    """Numbers of each agent, [A] unless said otherwise; NaN where undefined."""

    numbers: ThreeNumbers
    """[1, A] each, averaged over groups by the agent's samples."""
    sharing: Sharing
    """Inflation and signal share without what small groups show by chance: they decide causes."""
    decisions: Floats
    """Decisions with or without a reward."""
    participation: Floats
    """Share of the rollouts in which the agent acts."""
    mean: Floats
    """Mean reward."""
    deviation: Floats
    """Population standard deviation of the reward."""
    missing_rate: Floats
    """Share of decisions whose reward is missing."""
    dead_rate: Floats
    """Share of decisions that have no advantage: reward missing, group constant or too small."""
    stuck_rate: Floats
    """The same among the decisions that could gain: those outside dead groups that already have
    the agent's best reward in the log. A team that has finished learning is dead, not stuck."""
    net_mass: Floats
    """Mean advantage over the decisions with a reward."""
    resolution: Floats
    """Distinct advantages in a prompt and step, averaged over those where the agent acts."""
    spike_rate: Floats
    """Share of decisions with an advantage beyond `spike_limit`; NaN without a scale."""
    timeline: dict[str, Floats]
    """`inflation`, `signal_share`, `dead_rate`, `stuck_rate`, `net_mass` at each step, [T, A]."""


def agent_numbers(log: Log, scheme: Scheme, values: Floats) -> AgentNumbers:
    """The numbers of each agent.

    Args:
        log: the log.
        scheme: the scheme under judgement.
        values: [N] its advantages.
    """
    n_agents, n_steps = len(log.agents), len(log.steps)
    missing = np.isnan(log.rewards(scheme))
    group = np.asarray(log.labels.groups(scheme.center_by).ids)
    moment = log.step * n_agents + log.agent
    dead = missing | _flat(values, group)
    overall, over_time, sharing = pooled_numbers(log, scheme)
    rows = np.bincount(log.agent, minlength=n_agents)
    mean, deviation = _moments(log, scheme)

    def average(what: NDArray[Any], ids: Ids, n: int, ok: Floats) -> Floats:
        return _ratio(segment_sum(what * ok, ids, n), segment_sum(ok, ids, n))

    given, all_rows = (~missing).astype(np.float64), np.ones(len(missing))
    open_rows = (~missing & ~(dead & _best(log, scheme))).astype(np.float64)
    per_step = {
        "inflation": over_time.inflation,
        "signal_share": over_time.signal_share,
        "dead_rate": average(dead, moment, n_steps * n_agents, all_rows),
        "stuck_rate": average(dead, moment, n_steps * n_agents, open_rows),
        "net_mass": average(values, moment, n_steps * n_agents, given),
    }
    return AgentNumbers(
        numbers=overall,
        sharing=sharing,
        decisions=rows.astype(np.float64),
        participation=_rollouts(log) / log.n_rollouts,
        mean=mean,
        deviation=deviation,
        missing_rate=average(missing, log.agent, n_agents, all_rows),
        dead_rate=average(dead, log.agent, n_agents, all_rows),
        stuck_rate=average(dead, log.agent, n_agents, open_rows),
        net_mass=average(values, log.agent, n_agents, given),
        resolution=_resolution(log, values, missing),
        spike_rate=_spikes(log, scheme, values, missing),
        timeline={name: found.reshape(n_steps, n_agents) for name, found in per_step.items()},
    )


def spike_limit(samples: Floats) -> Floats:
    """The largest advantage that is no spike, for groups of that many samples.

    A z-score of n samples cannot exceed sqrt(n - 1), so group statistics cannot spike in groups
    below 26; running statistics can.
    """
    return np.clip(np.sqrt(np.maximum(samples - 1.0, 0.0)), LEAST_SPIKE, SPIKE)


def _flat(values: Floats, group: Ids) -> NDArray[np.bool_]:
    """[N] whether nobody in the row's group has an advantage."""
    size = abs(values)
    largest = segment_max(size, group, int(group.max()) + 1)
    flat: NDArray[np.bool_] = largest[group] <= SAME * size.max(initial=0.0)
    return flat


def _best(log: Log, scheme: Scheme) -> NDArray[np.bool_]:
    """[N] whether a row has its agent's best reward in the log, and that is not the only one."""
    rewards, n = log.rewards(scheme), len(log.agents)
    agent, best, ok = log.agent, np.zeros(len(log.agent), dtype=bool), ~np.isnan(rewards)
    high = segment_max(rewards[ok], agent[ok], n)[agent[ok]]
    low = segment_min(rewards[ok], agent[ok], n)[agent[ok]]
    near = SAME * np.maximum(abs(high), abs(low))
    best[ok] = (high - rewards[ok] <= near) & (high - low > near)
    return best


def _moments(log: Log, scheme: Scheme) -> tuple[Floats, Floats]:
    """[A] mean and deviation of each agent's reward."""
    rewards, n = log.rewards(replace(scheme, components="sum_first")), len(log.agents)
    ok = ~np.isnan(rewards)
    agent, count = log.agent[ok], np.bincount(log.agent[ok], minlength=n).astype(np.float64)
    low = np.where(count > 0, 1.0, np.nan) * (rewards[ok].min() if ok.any() else 0.0)
    mean = _ratio(segment_sum(rewards[ok] - low[agent], agent, n), count) + low
    var = _ratio(segment_sum((rewards[ok] - mean[agent]) ** 2, agent, n), count)
    return mean, np.sqrt(var)


def _rollouts(log: Log) -> Floats:
    """[A] rollouts in which each agent acts."""
    n = len(log.agents)
    _, first = dense(log.rollout * n + log.agent, log.n_rollouts * n)
    return np.bincount(log.agent[first], minlength=n).astype(np.float64)


def _resolution(log: Log, values: Floats, missing: Floats) -> Floats:
    """[A] distinct advantages in a prompt and step, averaged over those where the agent acts."""
    ok, n = missing == 0, len(log.agents)
    if not ok.any():
        return np.full(n, np.nan)
    cell = (log.block * n + log.agent)[ok]
    order = np.lexsort((values[ok], cell))
    ids, ordered = cell[order], values[ok][order]
    gap = SAME * max(float(abs(ordered).max()), 1e-300)
    new_cell = np.diff(ids, prepend=-1) != 0
    distinct = new_cell | (np.diff(ordered, prepend=0.0) > gap)
    owner = ids % n
    return _ratio(segment_sum(distinct, owner, n), segment_sum(new_cell, owner, n))


def _spikes(log: Log, scheme: Scheme, values: Floats, missing: Floats) -> Floats:
    n = len(log.agents)
    if scheme.scale == "none":
        return np.full(n, np.nan)
    group = factorize(np.asarray(log.labels.groups(scheme.scale_by or ()).ids))[0]
    limit = spike_limit(np.bincount(group).astype(np.float64))[group]
    ok = missing == 0
    spikes = segment_sum((abs(values) > limit)[ok], log.agent[ok], n)
    return _ratio(spikes, np.bincount(log.agent[ok], minlength=n).astype(np.float64))


def _ratio(over: Floats, under: Floats) -> Floats:
    """over / under, NaN where there is nothing to divide by."""
    out = np.full(np.shape(over), np.nan)
    np.divide(over, under, out=out, where=np.asarray(under) > 0)
    return out
