"""An upper bound, from rewards alone, of the learning signal that a scheme keeps of each agent.

An agent's gradient is the sum of its advantages times the score of its actions. The correlation of
the score with the reward is not in a log. But a log shows whether the differences of the agent's
own rewards arrive in its advantages, and how much else does. The bound is a product of one factor
for each loss:

| factor | the loss |
|---|---|
| alive | decisions without an advantage, where the agent's own reward does vary |
| fidelity | squared correlation of its advantages with its own rewards, within a prompt |
| 1 / inflation | the mean of its advantages in a prompt, which is noise to it (OFFSET) |
| loudness | variance of its advantages over that of all agents: noise in shared parameters |
| evenness | the same for its quiet prompts beside its loud ones |

The product is taken relative to the best of four groupings (pooled, by agent, by prompt, by prompt
and agent), so that a signal that no statistics could keep does not count as a loss. Start at
`Units.of`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.credit import Scheme
from counterpoint.credit.segments import ratio, segment_mean, segment_sum
from counterpoint.diagnose.evenness import evenness
from counterpoint.diagnose.log import Ids, Log, centered, dense, varies

SAME_PROMPTS = 0.1
"""Share of an agent's reward variance that lies between prompts from which on its dead prompts
are taken for hopeless ones, and no longer for unlucky draws of one task."""


@dataclass(frozen=True)
class Units:
    """The samples of a log: the reward of each rollout for each agent in it."""

    row: Ids
    """[N'] rows with a reward."""
    of_row: Ids
    """[N'] their unit."""
    agent: Ids
    """[U] agent of each unit."""
    step: Ids
    """[U] index of the step of each unit."""
    cell: Ids
    """[U] prompt, step and agent; step and agent alone where most prompts have one rollout."""
    live: Bools
    """[U] whether rewards that are the agent's own vary in its prompt."""
    could: Floats
    """[U] the share of the unit's own reward that statistics could use, from 0 to 1. It is 1 if
    rewards that are the agent's own vary in its prompt. If they do not, an advantage is only the
    offset of the prompt, which does not depend on the agent's actions: 0, unless agents have
    rewards of their own and prompts are unlucky draws of one task (`SAME_PROMPTS`)."""
    targets: tuple[Floats, ...]
    """[U] each: its own reward, as a sum and, of several components, on one scale."""
    agents: int
    """A."""

    @classmethod
    def of(cls, log: Log, weights: tuple[float, ...] | None, own_terms: bool) -> Units:
        """Returns the units of a log; `own_terms` is whether agents have own rewards (C3)."""
        n = len(log.agents)
        columns = [log.rewards(Scheme(weights=weights))]
        if len(log.decisions.components) > 1:
            columns.append(log.rewards(Scheme(weights=weights, components="normalize_first")))
        row = np.flatnonzero(~np.isnan(columns[0]))
        ids, first = dense((log.rollout * n + log.agent)[row], log.n_rollouts * n)
        cell = dense((log.block * n + log.agent)[row][first], log.n_blocks * n)[0]
        agent, step, block = (c[row][first] for c in (log.agent, log.step, log.block))
        by_prompt = _filled(cell) >= 0.5
        if not by_prompt:
            cell = dense(step * n + agent, len(log.steps) * n)[0]
        if _filled(cell) < 0.5:  # one long rollout an update: its rows are what there is
            ids, first = np.arange(len(row)), np.arange(len(row))
            agent, step, block = (c[row] for c in (log.agent, log.step, log.block))
            cell = dense(step * n + agent, len(log.steps) * n)[0]
        targets = tuple(_means(column[row], ids, len(first)) for column in columns)
        group = cell if own_terms else (block if by_prompt else step)
        live = np.zeros(len(first), dtype=bool)
        for component in (columns[0], *log.components(Scheme(weights=weights)).T):
            values = _means(component[row], ids, len(first))
            live |= varies(values, group, int(group.max(initial=0)) + 1)[group]
        # The less prompts differ for an agent, the more its dead prompts are unlucky draws.
        lucky = np.zeros(n)
        if own_terms and by_prompt:
            when = dense(step * n + agent, len(log.steps) * n)[0]
            between = _between(targets[0], cell, when, agent, n)
            lucky = np.clip(1.0 - between / SAME_PROMPTS, 0.0, 1.0)
        could = np.where(live, 1.0, lucky[agent])
        return cls(row, ids, agent, step, cell, live, could, targets, n)

    def mean(self, values: Floats) -> Floats:
        """Returns [U] the mean of a column [N] over each unit's rows."""
        return _means(values[self.row], self.of_row, len(self.agent))

    def lost(self, dead: Bools) -> Floats:
        """Returns [N] how much of each decision is dead under a scheme, from 0 to 1.

        It is counted over the same decisions under every scheme: what no statistics could use is
        dead under all of them, whatever number the scheme gives it. `dead` [N] is whether no
        difference of the agent's own rewards arrives at the decision.
        """
        lost = np.ones(len(dead))
        lost[self.row] = np.where(dead[self.row], 1.0, 1.0 - self.could[self.of_row])
        return lost


@dataclass(frozen=True)
class SignalFactors:
    """The factors by which a scheme reduces each agent's signal, [A] each."""

    share: Floats
    """The product of all factors, from 0 to 1; NaN where the agent has no signal to lose."""
    inflation: Floats
    """Inflation of its advantages by the means of prompts: 1 means none."""
    crowded: Floats
    """Share of its decisions in prompts that louder prompts drown."""
    alive: Floats
    """The first factor: share of the decisions with a signal whose advantage carries it."""


def kept_by(units: Units, values: Floats, dead: Bools) -> SignalFactors:
    """Returns the factors of one scheme with the advantages `values` [N].

    `dead` [N] is whether no difference of the agent's own rewards arrives at the decision.

    Source: ours, the cosine of an advantage with the agent's own centered reward, in cells.
    """
    a, gone = units.mean(values), units.mean(dead.astype(np.float64)) >= 1.0
    cells = _Spread.of(a, units.cell)
    owner = np.zeros(len(cells.n), dtype=np.int64)
    owner[units.cell] = units.agent
    used = (cells.n > 1) & (cells.var > 0)
    used &= np.bincount(units.cell, weights=~gone) > 0  # else what varies in the cell is rounding
    used[units.cell[~units.live]] = False

    def total(of_cell: Floats) -> Floats:
        return segment_sum(of_cell, owner, units.agents)

    # Chance moves the mean of n advantages by var / n, which is taken off its square.
    noise = total(np.where(cells.n > 1, cells.n * cells.mean**2 - cells.var, 0.0))
    power = total(np.where(used, cells.n * cells.var, 0.0))
    inflation = 1.0 + ratio(np.maximum(noise, 0.0), power, 0.0)
    fidelity = _fidelity(units, a, cells, owner, used)
    loud = ratio(power, total(np.where(used, cells.n, 0.0)), 0.0)
    weight = np.bincount(units.agent, minlength=units.agents) * (loud > 0)
    team = (weight * loud).sum() / max(weight.sum(), 1.0)
    here = used[units.cell]
    away, cell = (a - cells.mean[units.cell])[here], units.cell[here]
    even, crowded = evenness(away, cell, units.step[here], units.agent[here], units.agents)
    could = segment_sum(units.could, units.agent, units.agents)
    missed = segment_sum(units.could * gone, units.agent, units.agents)
    alive = np.where(could > 0, 1.0 - ratio(missed, could, 0.0), np.nan)
    share = alive * fidelity**2 / inflation * even
    share = share * np.minimum(1.0, loud / team if team > 0 else 0.0)
    return SignalFactors(share, inflation, crowded, alive)


@dataclass(frozen=True)
class _Spread:
    """Count, mean and unbiased variance of values in cells; 0 by rounding is 0."""

    n: Floats
    mean: Floats
    var: Floats

    @classmethod
    def of(cls, values: Floats, cell: Ids) -> _Spread:
        """Returns the spread of values [U] in cells [U]."""
        n = np.bincount(cell).astype(np.float64)
        mean = segment_mean(values, cell, len(n))
        away = values - mean[cell]
        away[abs(away) <= 1e-9 * abs(mean[cell])] = 0.0  # rounding, which ratios would blow up
        squares = np.bincount(cell, weights=away**2)
        return cls(n, mean, squares / np.maximum(n - 1, 1))


def _fidelity(units: Units, a: Floats, cells: _Spread, owner: Ids, used: Bools) -> Floats:
    """Returns [A] the mean correlation in cells of advantages with the better reward target."""
    best = np.zeros(units.agents)
    for target in units.targets:
        other = _Spread.of(target, units.cell)
        both = used & (other.var > 0)
        product = (a - cells.mean[units.cell]) * (target - other.mean[units.cell])
        covariance = np.bincount(units.cell, weights=product) / np.maximum(cells.n - 1, 1)
        size = np.sqrt(np.where(both, cells.var * other.var, 1.0))
        weight, correlation = (
            segment_sum(np.where(both, x, 0.0), owner, units.agents)
            for x in (cells.n, cells.n * covariance / size)
        )
        best = np.maximum(best, ratio(correlation, weight, 0.0))
    return np.clip(best, 0.0, 1.0)


def _between(values: Floats, cell: Ids, when: Ids, agent: Ids, agents: int) -> Floats:
    """Returns [A] the share of the reward variance of a step that lies between prompts."""
    cells = _Spread.of(centered(values, when, int(when.max()) + 1), cell)
    owner = np.zeros(len(cells.n), dtype=np.int64)
    owner[cell] = agent
    several = cells.n > 1
    noise = np.where(several, cells.n * cells.mean**2 - cells.var, 0.0)
    power = np.where(several, cells.n * cells.var, 0.0)
    outside = np.maximum(segment_sum(noise, owner, agents), 0.0)
    inside = segment_sum(power, owner, agents)
    return ratio(outside, outside + inside, 1.0)


def _filled(cell: Ids) -> float:
    """Returns the share of the units that share their cell with another one."""
    return float((np.bincount(cell)[cell] > 1).mean()) if len(cell) else 0.0


def _means(values: Floats, ids: Ids, n: int) -> Floats:
    """Returns [n] the mean of the known values of each segment; NaN without any."""
    ok = ~np.isnan(values)
    return ratio(segment_sum(values[ok], ids[ok], n), np.bincount(ids[ok], minlength=n))
