"""The numbers of each agent of a log under a scheme: dead decisions, net mass, spikes and more.

Start at `agent_numbers`, and at `choices_of` for what logged actions say: the influence of an
agent's choices, and their entropy. Groups are those of the scheme under judgement, and each step is
a call of its own: statistics are never taken across steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats
from counterpoint.credit import Scheme
from counterpoint.credit.labels import Labels, factorize
from counterpoint.credit.segments import NUMPY, ratio, segment_max, segment_min, segment_sum
from counterpoint.diagnose.causes import SUFFICES
from counterpoint.diagnose.inflation import Sharing, ThreeNumbers, entering, pooled_numbers
from counterpoint.diagnose.log import SAME, Ids, Log, centered, dense, standardized, varies

ERRORS = 1.0
"""Number of standard errors between a rate and its lower end: the true rate is below it in one of 6
cases. An influence counts as small if it is below its threshold by as many standard errors."""

OUT_OF_PLACE = 3.0
"""An advantage is out of place if its deviation is this many times that of its reward in the whole
log."""

FEWEST_SPIKES = 3
"""Least number of spikes of an agent in a log; fewer spikes do not count."""

SPIKE = 8.0
"""A larger advantage is a spike in any group; small groups have a lower limit: see
`spike_limit`."""

LEAST_SPIKE = 5.0
"""A smaller advantage is never a spike; of normal rewards, 6 in 10^7 exceed it."""


MOST_DISTINCT = 0.5
"""Actions that are distinct in more than this share of an agent's decisions are free text."""

FEWEST_CHOICES = 50
"""Least number of decisions of an agent for a statement about its choices."""

DECISIVE = 0.25
"""An agent with this influence decides much of the reward by itself."""


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
    """Returns the numbers of each agent under a scheme with the advantages `values` [N].

    `lost` [N] is how much of each decision is dead under the scheme, from 0 to 1: `Units.lost`.
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
    rollouts = np.bincount(log.agent[log.pairs(log.rollout, log.n_rollouts)[1]], minlength=n_agents)
    prompt_groups = log.labels.groups(tuple(dict.fromkeys((*scheme.center_by, "prompt"))))
    groups = np.bincount(log.agent[log.pairs(*prompt_groups)[1]], minlength=n_agents)
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
        participation=rollouts / log.n_rollouts,
        mean=mean,
        deviation=deviation,
        missing_rate=average(missing, log.agent, n_agents, all_rows),
        dead_rate=average(lost, log.agent, n_agents, all_rows),
        stuck_rate=stuck,
        surely_stuck=stuck - ERRORS * np.sqrt(stuck * (1 - stuck) / np.maximum(groups, 1)),
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
    group, size = np.asarray(log.labels.groups(scheme.center_by).ids), abs(values)
    n = int(group.max()) + 1
    # Rounding is measured by the largest advantage. Scaled ones are of the order of 1, so that
    # normalized components that cancel (to something like 1e-16) count as 0.
    least = 1.0 if scheme.scale != "none" else 0.0
    largest = segment_max(size, group, n)[group]
    dead: Bools = missing | (largest <= SAME * max(least, float(size.max(initial=0.0))))
    if own_terms and not scheme.keeps_state:
        cell, first = log.pairs(group, n)
        flat = np.ones(len(first), dtype=bool)
        for column in entering(log, scheme):
            flat &= ~varies(column, cell, len(first))
        dead |= flat[cell]
    return dead


def _moments(log: Log, scheme: Scheme) -> tuple[Floats, Floats]:
    """Returns [A] the mean and deviation of each agent's reward."""
    n = len(log.agents)
    summed = replace(scheme, components="sum_first", weigh_by="fixed", agreement=0.0)
    rewards = log.rewards(summed)
    ok = ~np.isnan(rewards)
    agent, count = log.agent[ok], np.bincount(log.agent[ok], minlength=n).astype(np.float64)
    # Distances from the agent's least reward keep the digits of large ones.
    low = segment_min(rewards[ok], agent, n)
    mean = ratio(segment_sum(rewards[ok] - low[agent], agent, n), count) + low
    var = ratio(segment_sum(centered(rewards[ok], agent, n) ** 2, agent, n), count)
    return mean, np.sqrt(var)


def _resolution(log: Log, values: Floats, missing: Floats) -> Floats:
    """Returns [A] the mean number of distinct advantages in a prompt and step."""
    ok, n = missing == 0, len(log.agents)
    if not ok.any():
        return np.full(n, np.nan)
    cell = (log.block * n + log.agent)[ok]
    order = np.lexsort((values[ok], cell))
    ids, ordered = cell[order], values[ok][order]
    gap = SAME * max(float(abs(ordered).max()), 1e-300)  # sorted neighbours this near are one value
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
    labels = Labels(log.decisions.labels, len(values), NUMPY)  # all steps together
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
    prompts nobody can know.) An agent with one reward everywhere has no best. `rewards` [N] are NaN
    where missing.
    """
    n, best = len(log.agents), np.zeros(len(rewards), dtype=bool)
    ok = ~np.isnan(rewards)
    task = np.zeros(log.n_blocks, dtype=np.int64)  # the prompt of each block, at any step
    if "prompt" in log.decisions.labels:
        first = dense(log.block, log.n_blocks)[1]
        task = factorize(np.asarray(log.decisions.labels["prompt"])[first])[0]
    prompt, first = log.pairs(task[log.block], int(task.max()) + 1)
    cells = len(first)
    alone = np.bincount(prompt[log.pairs(log.rollout, log.n_rollouts)[1]], minlength=cells) < 2
    value, agent, cell = rewards[ok], log.agent[ok], prompt[ok]
    varying = varies(value, cell, cells)[cell]
    top, highest = _highest(value, cell, cells), _highest(value, agent, n)
    pays_differently = np.zeros(n, dtype=bool)
    pays_differently[agent[varying & top & ~highest]] = True
    order = np.argsort(value)
    same = np.empty(len(value), dtype=np.int64)  # the same id for values equal up to rounding
    steps = np.diff(value[order], prepend=value[order][:1]) > SAME * abs(value[order])
    same[order] = np.cumsum(steps)
    alike, known = _mostly(same * n + agent, varying, top)
    overall = _mostly(agent, varying, top)[0] & pays_differently[agent]
    likely = np.where(known, alike, overall) & ~alone[cell]
    best[ok] = np.where(varying, top, highest | likely) & varies(value, agent, n)[agent]
    return best


def _mostly(ids: Ids, varying: Bools, top: Bools) -> tuple[Bools, Bools]:
    """Returns [N] whether most decisions of a segment in varying prompts are at the top, and
    whether the segment has such decisions."""
    size = int(ids.max(initial=-1)) + 1
    tops, known = (np.bincount(ids[w], minlength=size)[ids] for w in (varying & top, varying))
    return 2 * tops > known, known > 0


def _highest(value: Floats, ids: Ids, n: int) -> Bools:
    """Returns [N] whether a value is the highest of its segment, up to rounding."""
    high, size = segment_max(value, ids, n)[ids], segment_max(abs(value), ids, n)[ids]
    return np.asarray(value >= high - SAME * size)


@dataclass(frozen=True)
class Choices:
    """[A] each; NaN where the log has no actions, or nothing but free text."""

    influence: Floats
    """`Var(E[R | action]) / Var(R)` within prompt and step, corrected for chance, at least 0."""
    entropy: Floats
    """Entropy of the agent's actions within prompt and step, in nats, averaged over the decisions
    that can be compared with another one there."""
    small_influence: Floats
    """The influence where it is small by more than its error; else NaN."""


def choices_of(log: Log, scheme: Scheme) -> Choices:
    """Returns the influence and entropy of each agent's actions.

    Source: the correction for chance is epsilon squared (Kelley 1935).
    """
    n_agents = len(log.agents)
    unknown = np.full(n_agents, np.nan)
    if log.decisions.action is None:
        return Choices(unknown, unknown, unknown)
    rewards = log.rewards(scheme)
    given = log.decisions.action
    if given.dtype.kind == "O":  # a missing action is an action like others
        given = np.empty(len(given), dtype=object)
        given[:] = ["" if value is None else value for value in log.decisions.action.tolist()]
    action = factorize(given)[0]
    ok = ~np.isnan(rewards)
    agent, action, reward = log.agent[ok], action[ok], rewards[ok]
    size = int(action.max(initial=0)) + 1
    cell, _ = dense(log.block[ok] * n_agents + agent, log.n_blocks * n_agents)
    option, _ = dense(*factorize(cell * size + action))
    distinct = np.bincount(np.unique(agent * size + action) // size, minlength=n_agents)
    count = np.bincount(agent, minlength=n_agents)
    countable = distinct <= MOST_DISTINCT * count
    countable &= np.bincount(log.agent[given != ""], minlength=n_agents) > 0  # logged at all
    entropy = _entropy(agent, cell, option, n_agents)
    influence = _influence(agent, cell, option, reward, n_agents)
    influence = np.where(countable, influence, np.nan)
    return Choices(influence, np.where(countable, entropy, np.nan), _surely_small(influence, count))


def _surely_small(influence: Floats, count: Ids) -> Floats:
    """Returns [A] influences that are small by more than their error; NaN for all others.

    If an agent's choice decides the reward, no agent beside it is DILUTED: the choices of a speaker
    act through those of its listener, and their marginal influences do not show that.
    """
    n = np.maximum(count, 1)
    error = ERRORS * 2 * np.sqrt(np.maximum(influence, 1 / n) / n)
    known = influence[np.isfinite(influence)]
    if (
        known.size and np.median(known) <= SUFFICES.influence / 2
    ):  # many hands: the others speak for it
        error = 0.0 * error
    small = (influence + error < SUFFICES.influence) & (count >= FEWEST_CHOICES)
    decisive = np.nan_to_num(influence).max(initial=0.0) >= DECISIVE
    return np.where(small & ~decisive, influence, np.nan)


def _influence(agent: Ids, cell: Ids, option: Ids, reward: Floats, n_agents: int) -> Floats:
    """Returns [A] the share of the reward's variance within cells that the option explains.

    It is NaN where the reward does not vary in any cell.
    """
    total, n_total = _spread(reward, cell)
    within, n_within = _spread(reward, option)
    all_squares = segment_sum(total**2, agent, n_agents)
    left = segment_sum(within**2, agent, n_agents)
    free = np.bincount(agent, minlength=n_agents).astype(np.float64)
    cells = np.bincount(agent[n_total], minlength=n_agents)
    options = np.bincount(agent[n_within], minlength=n_agents)
    # Options explain something by chance alone: as much as so many degrees of freedom would.
    error = left / np.where(free > options, free - options, np.nan)
    explained = all_squares - left - (options - cells) * error
    share = explained / np.where(all_squares > 0, all_squares, np.nan)
    return np.clip(share, 0.0, 1.0)


def _spread(reward: Floats, ids: Ids) -> tuple[Floats, Ids]:
    """Returns the deviation of each row from its segment's mean, and each segment's first row."""
    _, first = np.unique(ids, return_index=True)
    return centered(reward, ids, int(ids.max(initial=-1)) + 1), first


def _entropy(agent: Ids, cell: Ids, option: Ids, n_agents: int) -> Floats:
    """Returns [A] the mean of -log p(option) over decisions, with options counted in their cell.

    A cell with one decision has one option for certain, and says nothing.
    """
    size = np.bincount(cell)[cell]
    comparable = size > 1
    surprise = -np.log(np.bincount(option)[option] / size)
    count = np.bincount(agent[comparable], minlength=n_agents)
    total = segment_sum(surprise[comparable], agent[comparable], n_agents)
    return np.where(count >= FEWEST_CHOICES, total / np.where(count > 0, count, np.nan), np.nan)
