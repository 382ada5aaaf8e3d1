"""The numbers of each agent of a log under a scheme: dead decisions, net mass, spikes and more.

Start at `agent_numbers`. Groups are those of the scheme under judgement, and each step is a call
of its own: statistics are never taken across steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats
from counterpoint.credit import Scheme
from counterpoint.credit.labels import Labels, factorize
from counterpoint.credit.segments import NUMPY, ratio, segment_max, segment_sum
from counterpoint.diagnose.inflation import Sharing, ThreeNumbers, entering, pooled_numbers
from counterpoint.diagnose.log import SAME, Ids, Log, dense, standardized, varies

ERRORS = 1.0
"""Standard errors between a rate and its lower end: one in 6 is below that."""

OUT_OF_PLACE = 3.0
"""An advantage this many times as far out as its reward is in the whole log is out of place."""

FEWEST_SPIKES = 3
"""Fewer spikes of an agent in a whole log are none."""

SPIKE = 8.0
"""A larger advantage is a spike in any group; in a small one, less is: see `spike_limit`."""

LEAST_SPIKE = 5.0
"""No group is so small that a smaller advantage is a spike: of normal rewards, 6 in 10^7 are."""


@dataclass(frozen=True)
class AgentNumbers:
    """Numbers of each agent, [A] if nothing else is given; NaN where undefined."""

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
    """Share of decisions to which no difference of the agent's own rewards arrives: the reward is
    missing, the group is constant or too small, it varies by other agents' rewards alone, or by
    the offsets of prompts alone (see `Units.could`)."""
    stuck_rate: Floats
    """The same among the decisions that could gain: those outside dead groups that already have
    the best reward (`at_best`). A team that has finished learning is dead, not stuck."""
    surely_stuck: Floats
    """The lower end of `stuck_rate`, whose samples are groups of one prompt under every scheme,
    since those are dead as a whole: few of them are so by accident."""
    best_rate: Floats
    """Share of decisions with a reward that have the best one (`at_best`)."""
    net_mass: Floats
    """Mean advantage over the decisions with a reward."""
    resolution: Floats
    """Distinct advantages in a prompt and step, averaged over those where the agent acts."""
    spike_rate: Floats
    """Share of decisions with an advantage that running statistics blow up: beyond `spike_limit`
    and far beyond the reward's place in the whole log. 0 for statistics of the batch, whose
    advantages are bounded by the size of their groups; NaN without a scale."""
    timeline: dict[str, Floats]
    """`inflation`, `signal_share`, `dead_rate`, `stuck_rate`, `net_mass` at each step, [T, A]."""


def agent_numbers(log: Log, scheme: Scheme, values: Floats, lost: Floats) -> AgentNumbers:
    """Returns the numbers of each agent.

    Args:
        log: the log.
        scheme: the scheme under judgement.
        values: [N] its advantages.
        lost: [N] how much of each decision is dead under it, from 0 to 1: `Units.lost`.
    """
    n_agents, n_steps = len(log.agents), len(log.steps)
    missing = np.isnan(log.rewards(scheme))
    moment = log.step * n_agents + log.agent
    overall, over_time, sharing = pooled_numbers(log, scheme)
    rows = np.bincount(log.agent, minlength=n_agents)
    mean, deviation = _moments(log, scheme)

    def average(what: NDArray[Any], ids: Ids, n: int, ok: Floats) -> Floats:
        return ratio(segment_sum(what * ok, ids, n), segment_sum(ok, ids, n))

    given, all_rows = (~missing).astype(np.float64), np.ones(len(missing))
    best = at_best(log, log.rewards(scheme))
    could_gain, stuck_rows = given * (1.0 - lost * best), given * lost * ~best

    def stuck_of(ids: Ids, n: int) -> Floats:
        return ratio(segment_sum(stuck_rows, ids, n), segment_sum(could_gain, ids, n))

    stuck = stuck_of(log.agent, n_agents)
    per_step = {
        "inflation": over_time.inflation,
        "signal_share": over_time.signal_share,
        "dead_rate": average(lost, moment, n_steps * n_agents, all_rows),
        "stuck_rate": stuck_of(moment, n_steps * n_agents),
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
        dead_rate=average(lost, log.agent, n_agents, all_rows),
        stuck_rate=stuck,
        surely_stuck=stuck - ERRORS * np.sqrt(stuck * (1 - stuck) / _groups(log, scheme)),
        best_rate=average(best, log.agent, n_agents, given),
        net_mass=average(values, log.agent, n_agents, given),
        resolution=_resolution(log, values, missing),
        spike_rate=_spikes(log, scheme, values, missing),
        timeline={name: part.reshape(n_steps, n_agents) for name, part in per_step.items()},
    )


def spike_limit(samples: Floats) -> Floats:
    """Returns the largest advantage that is no spike, for groups of that many samples.

    A z-score of n samples cannot exceed sqrt(n - 1), so group statistics cannot spike in groups
    below 26; running statistics can.
    """
    return np.clip(np.sqrt(np.maximum(samples - 1.0, 0.0)), LEAST_SPIKE, SPIKE)


def dead_rows(log: Log, scheme: Scheme, values: Floats, own_terms: bool) -> Bools:
    """Returns [N] whether no difference of the agent's own rewards arrives at a decision.

    An advantage that comes from a partner's reward alone is none of the agent's: where agents have
    rewards of their own, and an agent's do not vary in a group, pooling it with others gives it
    numbers and no signal. (Running statistics compare with other updates: there it may.)
    """
    missing = np.isnan(log.rewards(scheme))
    group = np.asarray(log.labels.groups(scheme.center_by).ids)
    dead = missing | _flat(values, group, 1.0 if scheme.scale != "none" else 0.0)
    if own_terms and not scheme.keeps_state:
        dead |= _own_flat(log, scheme, group)
    return dead


def _own_flat(log: Log, scheme: Scheme, group: Ids) -> Bools:
    """Returns [N] whether the agent's own rewards do not vary in the row's group."""
    n = len(log.agents)
    cell, first = dense(group * n + log.agent, (int(group.max()) + 1) * n)
    flat = np.ones(len(first), dtype=bool)
    for column in entering(log, scheme):
        flat &= ~varies(column, cell, len(first))
    return flat[cell]


def _flat(values: Floats, group: Ids, least: float) -> Bools:
    """Returns [N] whether all advantages of the row's group are 0, up to rounding.

    Scaled advantages are of the order of 1, which is the `least` that rounding is measured by:
    normalized components that cancel leave something of the order of 1e-16.
    """
    size = abs(values)
    largest = segment_max(size, group, int(group.max()) + 1)
    return np.asarray(largest[group] <= SAME * max(least, float(size.max(initial=0.0))))


def _moments(log: Log, scheme: Scheme) -> tuple[Floats, Floats]:
    """Returns [A] the mean and deviation of each agent's reward."""
    rewards, n = (
        log.rewards(replace(scheme, components="sum_first", weigh_by="fixed", agreement=0.0)),
        len(log.agents),
    )
    ok = ~np.isnan(rewards)
    agent, count = log.agent[ok], np.bincount(log.agent[ok], minlength=n).astype(np.float64)
    low = np.where(count > 0, 1.0, np.nan) * (rewards[ok].min() if ok.any() else 0.0)
    mean = ratio(segment_sum(rewards[ok] - low[agent], agent, n), count) + low
    var = ratio(segment_sum((rewards[ok] - mean[agent]) ** 2, agent, n), count)
    return mean, np.sqrt(var)


def _rollouts(log: Log) -> Floats:
    """Returns [A] rollouts in which each agent acts."""
    n = len(log.agents)
    _, first = dense(log.rollout * n + log.agent, log.n_rollouts * n)
    return np.bincount(log.agent[first], minlength=n).astype(np.float64)


def _groups(log: Log, scheme: Scheme) -> Floats:
    """Returns [A] groups of one prompt in which each agent acts; at least 1."""
    n = len(log.agents)
    group = np.asarray(log.labels.groups(tuple(dict.fromkeys((*scheme.center_by, "prompt")))).ids)
    _, first = dense(group * n + log.agent, (int(group.max()) + 1) * n)
    return np.maximum(np.bincount(log.agent[first], minlength=n), 1).astype(np.float64)


def _resolution(log: Log, values: Floats, missing: Floats) -> Floats:
    """Returns [A] the mean number of distinct advantages in a prompt and step."""
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
    return ratio(segment_sum(distinct, owner, n), segment_sum(new_cell, owner, n))


def _spikes(log: Log, scheme: Scheme, values: Floats, missing: Floats) -> Floats:
    """Returns [A] the share of decisions with an advantage that running statistics blow up.

    A rare success stands far out in the whole log too, and gets its due; an advantage that is
    `OUT_OF_PLACE` times as far out as that is a spike.
    """
    n, ok = len(log.agents), missing == 0
    if scheme.scale == "none":
        return np.full(n, np.nan)
    count = np.bincount(log.agent[ok], minlength=n).astype(np.float64)
    if scheme.scale != "running_std":
        return ratio(np.zeros(n), count)
    labels = Labels(dict(log.decisions.labels), len(values), NUMPY)
    group = factorize(np.asarray(labels.groups(scheme.scale_by or ()).ids))[0]
    place = abs(standardized(log.rewards(scheme), group, int(group.max()) + 1))
    limit = np.maximum(SPIKE, OUT_OF_PLACE * np.where(ok, place, 0.0))
    spikes = segment_sum((abs(values) > limit)[ok], log.agent[ok], n)
    return ratio(np.where(spikes >= FEWEST_SPIKES, spikes, 0.0), count)


def at_best(log: Log, rewards: Floats) -> Bools:
    """Returns [N] whether a row has the best reward that its agent is known to get in its prompt.

    Prompts may pay differently, so a prompt in which the agent's rewards vary, anywhere in the log,
    is measured by its own best. One in which they never do is solved or hopeless, and does not say
    which. It is solved if it pays the agent's best reward in the log, or if prompts that vary say
    so: most of their decisions with the same reward have the best of their prompt, or, where none
    has that reward and prompts do pay differently (the best of one is not the best of the log),
    most of all their decisions. (In groups of two that is never most of them, and without repeated
    prompts nobody can know.) An agent with one reward everywhere has no best.

    Args:
        log: the log.
        rewards: [N], NaN where missing.
    """
    n, best = len(log.agents), np.zeros(len(rewards), dtype=bool)
    ok = ~np.isnan(rewards)
    prompt, cells = _prompts(log)
    value, agent, cell = rewards[ok], log.agent[ok], prompt[ok]
    varying = varies(value, cell, cells)[cell]
    top, highest = _highest(value, cell, cells), _highest(value, agent, n)
    pays_differently = np.zeros(n, dtype=bool)
    pays_differently[agent[varying & top & ~highest]] = True
    alike, known = _mostly(_equal(value) * n + agent, varying, top)
    overall = _mostly(agent, varying, top)[0] & pays_differently[agent]
    likely = np.where(known, alike, overall) & _comparable(log, prompt, cells)[cell]
    best[ok] = np.where(varying, top, highest | likely) & varies(value, agent, n)[agent]
    return best


def _mostly(ids: Ids, varying: Bools, top: Bools) -> tuple[Bools, Bools]:
    """Returns [N] whether most decisions of a segment in prompts that vary are at the top of
    theirs, and whether it has any there."""
    size = int(ids.max(initial=-1)) + 1
    tops, known = (np.bincount(ids[w], minlength=size)[ids] for w in (varying & top, varying))
    return 2 * tops > known, known > 0


def _highest(value: Floats, ids: Ids, n: int) -> Bools:
    """Returns [N] whether a value is the highest of its segment, up to rounding."""
    high, size = segment_max(value, ids, n)[ids], segment_max(abs(value), ids, n)[ids]
    return np.asarray(value >= high - SAME * size)


def _equal(value: Floats) -> Ids:
    """Returns [N] the same id for values that are equal up to rounding."""
    order = np.argsort(value)
    ordered = value[order]
    ids = np.empty(len(value), dtype=np.int64)
    ids[order] = np.cumsum(np.diff(ordered, prepend=ordered[:1]) > SAME * abs(ordered))
    return ids


def _prompts(log: Log) -> tuple[Ids, int]:
    """Returns [N] prompt and agent of each row, the same at every step, and how many there are."""
    n = len(log.agents)
    prompt = np.zeros(log.n_blocks, dtype=np.int64)
    if "prompt" in log.decisions.labels:
        first = dense(log.block, log.n_blocks)[1]
        prompt = factorize(np.asarray(log.decisions.labels["prompt"])[first])[0]
    ids, first = dense(prompt[log.block] * n + log.agent, (int(prompt.max()) + 1) * n)
    return ids, len(first)


def _comparable(log: Log, cell: Ids, cells: int) -> Bools:
    """Returns [cells] whether an agent has more than one rollout in a prompt."""
    n = len(log.agents)
    first = dense(log.rollout * n + log.agent, log.n_rollouts * n)[1]
    return np.asarray(np.bincount(cell[first], minlength=cells) > 1)
