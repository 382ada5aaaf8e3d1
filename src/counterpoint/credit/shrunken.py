"""Statistics that count as far as they are known: center and scale `shrunk`.

A reward is predicted from its labels, without its own rollout, and the prediction is subtracted:

    b = team + f_own (own - team) + f_prompt (prompt's rest) + f_both (the agent's part of that)

`team` and `own` are means of all rows and of the rows with the same lasting labels (agent, role,
turn, context); with memory `precision` they are blended with what earlier calls have shown. The
prompt's effect is a mean of what is left, in units of each agent's own deviation. Each effect is
multiplied by its reliability,

    f = tau^2 / (tau^2 + error),

where `error` is the sampling variance of the group's mean and `tau^2` how much such groups really
differ: the mean product of a row's rest and its group's effect. That product has the expectation 0
where groups do not differ, since the effect is measured without the row's rollout. So pooled,
per-agent and per-prompt means are its limits, and labels that predict nothing cost nothing.

What is left is divided by a deviation, `exp(log s_team + own_scale f (log s_own - log s_team))`:
f is again a reliability, now of logarithms of variances, and `own_scale` says how far agents with
small rewards may be raised: 1 gives all of them steps of one size, 0 one divisor for everybody.

Memory is one number for each lasting group, its mean, with the rollouts that it is worth. Before a
call those become `1 / (1 / count + drift / variance)`: the more a mean moves, the less of the past
counts. There is no decay to choose.

Source: ours. Efron & Morris 1975 and Morris 1983 (empirical Bayes); DerSimonian & Laird 1986 (the
variance between groups by moments); Smyth 2004 (shrunken logarithms of variances); Harvey 1989,
chapter 2 (the local level model, whose filter the memory is).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Array, Bools, Floats, Ints
from counterpoint.credit.groups import Samples, tolerance_of
from counterpoint.credit.labels import Labels
from counterpoint.credit.memory import Key, Moments
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import NUMPY, ratio, segment_max, segment_min, segment_sum

SMOOTHING = 0.9
"""How much of a group's measured drift stays when the next call measures it again."""
LOG_VARIANCE = 2.0
"""Sampling variance of the logarithm of a variance, times its degrees of freedom (of normal
values)."""


class Shrunken(NamedTuple):
    """The advantages of one reward column, its memory, and the counts of edge cases."""

    values: Floats
    """[N] advantage; 0 for rows that do not count."""
    center: Moments
    """Memory of means."""
    scale: Moments
    """Memory of logarithms of variances."""
    groups: int
    """Groups that share a mean, over all levels."""
    constants: int
    """Groups of a prompt whose rewards are all the same: nothing is learned from them."""
    cold: int
    """Lasting groups that no earlier call had, where earlier calls count."""


def shrunken(
    column: tuple[Array, Array | None, Array | None], table: Labels, scheme: Scheme,
    center: Moments, scale: Moments, epsilon: float,
) -> Shrunken:  # fmt: skip
    """Returns the advantages of one reward column, and the memory after the call.

    Args:
        column: [N] rewards (any number where a row does not count), which rows count (None = all),
            and the magnitude of the terms that they were summed from (None = their own).
        table: labels of the rows, `rollout` among them.
        scheme: whose fields `center_by`, `memory`, `weighting` and `own_scale` are read.
        center: memory of means.
        scale: memory of logarithms of variances.
        epsilon: machine epsilon of the rewards as given.
    """
    given, ok, size = (None if part is None else _plain(part) for part in column)
    assert given is not None
    by = scheme.center_by
    lasting = tuple(name for name in by if name != "prompt")

    def level(names: tuple[str, ...]) -> Samples:
        apart = tuple(name for name in names if name != "prompt")
        groups, rollouts = table.ids_of(names), table.ids_of((*apart, "prompt", "rollout"))
        return Samples.of(groups, rollouts, ok, scheme.weighting == "trajectory", NUMPY)

    levels = [level(()), level(lasting)]
    team, own = levels
    teams = _teams(own, team)
    # Distances from the least reward keep the digits that rewards of 1e8 + {0, 1} differ in.
    low = np.where(team.total > 0, segment_min(given, team.ids, team.n), 0.0)
    size = abs(given) if size is None else size
    tolerance = tolerance_of(segment_max(size, team.ids, team.n), epsilon)[team.ids]
    x = given - low[team.ids]
    x = np.where(segment_max(x, team.ids, team.n)[team.ids] <= tolerance, 0.0, x)

    keys, lows = [table.keys(()), table.keys(lasting)], [low, low[teams]]
    past = [_Past.of(center, *part) for part in zip(keys, levels, lows, strict=True)]
    means = [_mean_known(x, s, p) for s, p in zip(levels, past, strict=True)]
    rest, effect = x - means[0].value, means[1].value - means[0].value
    truly = _mean_of(_mean(own, rest * effect), own.total > 0, teams, team.n)
    rest = rest - _reliability(truly[team.ids], means[1].error) * effect
    unit = np.sqrt(_mean(own, rest * rest))
    unit = np.where(unit > 0, unit, 1.0)[own.ids]
    constants = 0
    if "prompt" in by:
        prompt, rest = level(("prompt",)), rest / unit
        effect = _others(prompt, rest)
        rest = rest - _known(rest, effect, prompt, team) * effect
        levels.append(prompt)
        if lasting:  # a part that all agents share is the prompt's effect already
            both = level(by)
            part = np.where(_degrees(both)[both.ids] > 0, _others(both, rest), 0.0)
            part = np.where(part != 0, part - _others(prompt, rest), 0.0)
            rest = rest - _known(rest, part, both, team) * part
            levels.append(both)
        span = segment_max(given, prompt.ids, prompt.n) - segment_min(given, prompt.ids, prompt.n)
        same = span[prompt.ids] <= tolerance
        rest, constants = np.where(same, 0.0, rest * unit), _groups(prompt, same)
    rest = np.where(abs(rest) <= tolerance, 0.0, rest)

    logs = [_log_variance(rest, s, _Past.of(scale, k, s, np.zeros(s.n)))
            for s, k in zip(levels, keys, strict=False)]  # fmt: skip
    divisor = _divisor(logs[0], logs[1], teams, scheme.own_scale)
    cold = 0
    if scheme.keeps_state:
        cold = sum(int(((p.count == 0) & (s.total > 0)).sum()) for p, s in zip(past, levels))
        for k, s, p, m, b, log in zip(keys, levels, past, means, lows, logs):
            after = _after(p, _mean(s, x), m.variance, s.rollout_count(NUMPY))
            center, scale = after.into(center, k, b), log.into(scale, k, np.zeros(s.n))
    values = rest / divisor[own.ids]
    return Shrunken(
        values if ok is None else np.where(ok, values, 0.0),
        center,
        scale,
        groups=sum(int((s.total > 0).sum()) for s in levels),
        constants=constants,
        cold=cold,
    )


class _Mean(NamedTuple):
    """A group's mean as it is known without a row's own rollout."""

    value: Floats
    """[N]."""
    error: Floats
    """[N] its sampling variance; infinite where nothing is known."""
    variance: Floats
    """[n] variance between rollouts of a group."""


@dataclass(frozen=True)
class _Past:
    """What earlier calls have shown of each group of this call; zeros where they had none."""

    count: Floats
    """[n] rollouts that the mean is worth."""
    mean: Floats
    var: Floats
    drift: Floats
    """[n] expected square of the mean's next move; below 0 where none was seen."""

    @classmethod
    def of(cls, memory: Moments, keys: list[Key | None], s: Samples, low: Floats) -> _Past:
        """Returns the past of groups with these keys, `low` [n] below what memory holds."""
        rows = memory.rows(keys)
        places, known = np.flatnonzero(rows >= 0), rows[rows >= 0]
        count, mean, var, drift = np.zeros((4, s.n))
        count[places], mean[places] = memory.count[known], memory.mean[known] - low[places]
        var[places], drift[places] = memory.var[known], memory.drift[known]
        return cls(count, mean, var, drift)

    def into(self, memory: Moments, keys: list[Key | None], low: Floats) -> Moments:
        """Returns the memory with these groups in place of what it had of them."""
        return memory.replaced(keys, self.count, self.mean + low, self.var, self.drift)

    def worth(self, drift: Floats, variance: Floats) -> Floats:
        """Returns how many rollouts of this call the mean is worth, 1 / (1 / count + drift / var)."""
        sure = self.count * np.maximum(drift, 0.0) <= 0
        return np.where(
            sure, self.count,
            ratio(self.count * variance, variance + self.count * np.maximum(drift, 0.0), 0.0),
        )  # fmt: skip


def _mean_known(x: Floats, s: Samples, past: _Past) -> _Mean:
    """Returns the mean of each row's group: of its other rollouts, and of the past."""
    degrees = np.maximum(s.rollout_count(NUMPY) - 1.0, 0.0)
    variance = ratio(past.count * past.var + degrees * _between(s, x), past.count + degrees, 0.0)
    now, others = _others(s, x), degrees[s.ids]
    count, mean = past.count[s.ids], past.mean[s.ids]
    error = variance[s.ids] * (ratio(1.0, others, 0.0) + ratio(1.0, count, 0.0))
    # What the other rollouts show of a move counts at once, before the drift is known.
    seen = np.where((others > 0) & (count > 0), (now - mean) ** 2 - error, 0.0)
    at_row = _Past(count, mean, past.var[s.ids], past.drift[s.ids])
    worth = at_row.worth(np.maximum(at_row.drift, seen), variance[s.ids])
    total = worth + others
    value = ratio(worth * mean + others * now, total, 0.0)
    return _Mean(value, ratio(variance[s.ids], total, np.inf), variance)


def _after(past: _Past, mean: Floats, variance: Floats, count: Floats) -> _Past:
    """Returns what is known after a call in which groups had `mean` [n] of `count` [n] samples."""
    known = (past.count > 0) & (count > 0)
    error = variance * (ratio(1.0, count, 0.0) + ratio(1.0, past.count, 0.0))
    seen = (mean - past.mean) ** 2 - error
    drift = np.where(known, SMOOTHING * past.drift + (1 - SMOOTHING) * seen, past.drift)
    worth = past.worth(np.where(known, np.maximum(drift, seen), 0.0), variance)
    total = worth + count
    moved = ratio(worth * past.mean + count * mean, total, 0.0)
    there = count > 0
    return _Past(
        np.where(there, total, past.count),
        np.where(there, moved, past.mean),
        np.where(there, variance, past.var),
        drift,
    )


def _log_variance(rest: Floats, s: Samples, past: _Past) -> _Past:
    """Returns the logarithm of the variance of what is left in each group, after this call."""
    variance = _mean(s, rest * rest)
    known = variance > 0
    degrees = np.where(known, np.maximum(s.rollout_count(NUMPY) - 1.0, 0.0), 0.0)
    logarithm = np.log(np.where(known, variance, 1.0))
    return _after(past, logarithm, np.full(s.n, LOG_VARIANCE), degrees)


def _divisor(team: _Past, own: _Past, teams: Ints, own_scale: float) -> Floats:
    """Returns [n] the deviation that divides each lasting group; 1 where none is known.

    `teams` [n] is the team of each group.
    """
    known, error = own.count > 0, ratio(LOG_VARIANCE, own.count, np.inf)
    apart = np.where(known, own.mean - team.mean[teams], 0.0)
    differ = apart**2 - np.where(known, error, 0.0)
    truly = _mean_of(differ, known, teams, len(team.mean))[teams]
    logarithm = team.mean[teams] + own_scale * _reliability(truly, error) * apart
    deviation: Floats = np.exp(0.5 * logarithm)
    return deviation


def _known(rest: Floats, effect: Floats, s: Samples, team: Samples) -> Floats:
    """Returns [N] the reliability of the effects of groups of this call alone.

    What varies within a group is taken for equal in all groups of a team: rows are in units of
    their agents' deviations here, and a group of two that agree by chance knows no more.
    """
    degrees, teams = _degrees(s), _teams(s, team)
    within = segment_sum(degrees * _between(s, rest), teams, team.n)
    within = ratio(within, segment_sum(degrees, teams, team.n), 0.0)
    truly = _mean(team, rest * effect)[team.ids]
    return _reliability(truly, ratio(within[team.ids], degrees[s.ids], np.inf))


def _reliability(truly: Floats, error: Floats) -> Floats:
    """Returns tau^2 / (tau^2 + error), 0 where groups do not truly differ."""
    truly = np.maximum(truly, 0.0)
    return ratio(truly, truly + error, 0.0)


def _mean(s: Samples, x: Floats) -> Floats:
    """Returns [n] the mean of each group."""
    return ratio(segment_sum(s.weight * x, s.ids, s.n), s.total, 0.0)


def _others(s: Samples, x: Floats) -> Floats:
    """Returns [N] the mean of the other rollouts of each row's group; 0 if there is none."""
    weighted = s.weight * x
    rest = segment_sum(weighted, s.ids, s.n)[s.ids] - s.rollout_sum(weighted, NUMPY)
    count = s.total[s.ids] - s.rollout_sum(s.weight, NUMPY)
    return np.where(count > 0.5, ratio(rest, count, 0.0), 0.0)


def _between(s: Samples, x: Floats) -> Floats:
    """Returns [n] the variance of the means of a group's rollouts; 0 if there is one."""
    own = ratio(s.rollout_sum(s.weight * x, NUMPY), s.rollout_sum(s.weight, NUMPY), 0.0)
    count = s.rollout_count(NUMPY)
    apart = own - _mean(s, x)[s.ids]
    return ratio(_mean(s, apart * apart) * count, _degrees(s), 0.0)


def _degrees(s: Samples) -> Floats:
    """Returns [n] the rollouts of each group beside one."""
    return np.maximum(s.rollout_count(NUMPY) - 1.0, 0.0)


def _teams(s: Samples, team: Samples) -> Ints:
    """Returns [n] the team that the rows of each group are of; that of an empty group is any."""
    teams = np.zeros(s.n, dtype=np.int64)
    teams[s.ids] = team.ids
    return teams


def _mean_of(values: Floats, there: Bools, ids: Ints, n: int) -> Floats:
    """Returns the mean over the groups [m] that are there of each team `ids` [m], [n]."""
    return ratio(segment_sum(values * there, ids, n), segment_sum(there, ids, n), 0.0)


def _groups(s: Samples, rows: Bools) -> int:
    """Returns how many groups have a row that counts among `rows` [N]."""
    return len(np.unique(s.ids[rows & (s.weight > 0)]))


def _plain(values: Array) -> NDArray[np.generic]:
    """Returns values as a NumPy array: memory outlives the call, and its arithmetic is exact."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
