"""Statistics that count as far as they are known: center and scale `shrunk`.

A reward is predicted from its labels, without its own rollout, and the prediction is subtracted:

    b = team + f_own (own - team) + f_prompt (prompt's rest) + f_both (the agent's part of that)

`team` and `own` are means of all rows and of the rows with the same lasting labels (agent, role,
turn, context); with memory `precision` they are blended with what earlier calls have shown. The
prompt's effect is a mean of what is left, in units of each agent's deviation. Each effect is
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

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Array, Bools, Floats, Ints
from counterpoint.credit.groups import Samples, tolerance_of
from counterpoint.credit.labels import Labels
from counterpoint.credit.memory import Key, Moments
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import NUMPY, ratio, segment_max, segment_min, segment_sum

Keys = list[Key | None]

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
    alone: int
    """Batches of one rollout and without a past: their advantages are 0."""
    groups: int
    """Groups by `center_by` and, where it differs, by `scale_by`."""
    constants: int
    """Groups whose rewards are all the same."""
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
    size = abs(given) if size is None else size
    lasting = tuple(name for name in scheme.center_by if name != "prompt")
    team, own = (_Level.of(table, by, ok, scheme) for by in ((), lasting))
    # Distances from the least reward keep the digits that rewards of 1e8 + {0, 1} differ in.
    low = np.where(team.filled, segment_min(given, team.ids, team.n), 0.0)
    tolerance = tolerance_of(segment_max(size, team.ids, team.n), epsilon)[team.ids]
    x = given - low[team.ids]
    x = np.where(segment_max(x, team.ids, team.n)[team.ids] <= tolerance, 0.0, x)

    teams = own.within(team)
    both = [(team, table.keys(()), low), (own, table.keys(lasting), low[teams])]
    past = [_Past.of(center, *one) for one in both]
    means = [_mean_known(x, team, past[0], np.arange(team.n), team.n),
             _mean_known(x, own, past[1], teams, team.n)]  # fmt: skip
    known = np.isfinite(means[0].error)  # a single rollout has nothing to be compared with
    rest = np.where(known, x - means[0].value, 0.0)
    effect = np.where(np.isfinite(means[1].error), means[1].value - means[0].value, 0.0)
    truly = _mean_of(own.mean(rest * effect), own.filled, teams, team.n)
    rest = rest - _reliability(truly[team.ids], means[1].error) * effect
    finest = own
    if "prompt" in scheme.center_by:
        prompt = _Level.of(table, ("prompt",), ok, scheme)
        parts = _Level.of(table, scheme.center_by, ok, scheme) if lasting else None
        rest = _without_prompts(rest, team, own, prompt, parts)
        rest = np.where(prompt.constant(x, tolerance)[prompt.ids], 0.0, rest)
        finest = prompt if parts is None else parts
    rest = np.where(abs(rest) <= tolerance, 0.0, rest)

    logs = [_log_variance(rest, s, _Past.of(scale, s, keys, 0.0)) for s, keys, _ in both]
    divisor, cold = _divisor(logs[0], logs[1], teams, scheme.own_scale), 0
    if scheme.keeps_state:
        for (s, keys, base), p, m, log in zip(both, past, means, logs, strict=True):
            center = _after(p, s.mean(x), m.variance, s.rollouts).into(center, keys, base)
            scale = log.into(scale, keys, 0.0)
            cold += int((s.filled & (p.count == 0)).sum())
    values = rest / divisor[own.ids]
    counted = [finest] if scheme.center_by == scheme.scale_by else [finest, own]
    return Shrunken(
        values if ok is None else np.where(ok, values, 0.0),
        center,
        scale,
        alone=len(np.unique(team.ids[~known & (team.weight > 0)])),
        groups=sum(int(s.filled.sum()) for s in counted),
        constants=sum(int(s.constant(x, tolerance).sum()) for s in counted),
        cold=cold,
    )


def _without_prompts(
    rest: Floats, team: _Level, own: _Level, prompt: _Level, parts: _Level | None
) -> Floats:
    """Returns what is left [N] without the prompts' effects, and without each agent's part of them.

    Effects are those of this call alone, in units of each agent's deviation.
    """
    unit = np.sqrt(own.mean(rest * rest))
    unit = np.where(unit > 0, unit, 1.0)[own.ids]
    rest = rest / unit
    effect = prompt.others(rest)
    rest = rest - _known(rest, effect, prompt, team) * effect
    if parts is not None:  # what all agents share is the prompt's effect already
        several = (parts.degrees > 0)[parts.ids]
        effect = np.where(several, parts.others(rest) - prompt.others(rest), 0.0)
        rest = rest - _known(rest, effect, parts, team) * effect
    return rest * unit


@dataclass(frozen=True)
class _Level:
    """Rows in groups that share a statistic; each rollout of a group is one sample of its mean."""

    ids: Ints
    """[N] group of each row; rows that do not count are in a last group."""
    n: int
    rollout: Ints
    """[N] rollout within its group of each row."""
    n_rollouts: int
    weight: Floats
    """[N] 1, or under trajectory weighting 1 / rows of the rollout; 0 = does not count."""
    total: Floats
    """[n] weight of each group."""
    own: Floats
    """[N] weight of the row's rollout in its group."""
    rollouts: Floats
    """[n] number of rollouts."""

    @classmethod
    def of(cls, table: Labels, by: tuple[str, ...], ok: Bools | None, scheme: Scheme) -> _Level:
        """Returns the groups of rows that agree on the labels `by`."""
        apart = tuple(name for name in by if name != "prompt")
        groups, rollouts = table.ids_of(by), table.ids_of((*apart, "prompt", "rollout"))
        s = Samples.of(groups, rollouts, ok, scheme.weighting == "trajectory", NUMPY)
        assert s.rollout is not None
        # whole numbers: sixths that are summed may give less than 1
        own, counts = s.rollout_sum(s.weight, NUMPY), np.rint(s.rollout_count(NUMPY))
        return cls(
            s.ids, s.n, s.rollout, s.n_rollouts, s.weight, s.total, own, counts
        )  # fmt: skip

    @property
    def filled(self) -> Bools:
        """Returns [n] which groups have a row that counts."""
        return self.total > 0

    @property
    def degrees(self) -> Floats:
        """Returns [n] the rollouts of each group beside one."""
        return np.maximum(self.rollouts - 1.0, 0.0)

    def mean(self, x: Floats) -> Floats:
        """Returns [n] the mean of each group."""
        return ratio(segment_sum(self.weight * x, self.ids, self.n), self.total, 0.0)

    def others(self, x: Floats) -> Floats:
        """Returns [N] the mean of the other rollouts of each row's group; 0 if there is none."""
        total = segment_sum(self.weight * x, self.ids, self.n)
        count = self.total[self.ids] - self.own
        return ratio(total[self.ids] - self.mine(x), np.where(count > 0.5, count, 0.0), 0.0)

    def mine(self, x: Floats) -> Floats:
        """Returns [N] the sum over the row's own rollout in its group."""
        return segment_sum(self.weight * x, self.rollout, self.n_rollouts)[self.rollout]

    def spread(self, x: Floats) -> Floats:
        """Returns [n] the variance between the rollouts of each group; 0 if there is one."""
        apart = ratio(self.mine(x), self.own, 0.0) - self.mean(x)[self.ids]
        return ratio(self.mean(apart * apart) * self.rollouts, self.degrees, 0.0)

    def constant(self, x: Floats, tolerance: Floats) -> Bools:
        """Returns [n] which groups of several rollouts have one value, up to a tolerance [N]."""
        span = segment_max(x, self.ids, self.n) - segment_min(x, self.ids, self.n)
        return (self.rollouts > 1) & (span <= segment_max(tolerance, self.ids, self.n))

    def within(self, team: _Level) -> Ints:
        """Returns [n] the team of each group's rows; that of an empty group is any."""
        teams = np.zeros(self.n, dtype=np.int64)
        teams[self.ids] = team.ids
        return teams


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
    """[n] samples that the mean is worth."""
    mean: Floats
    """[n]."""
    var: Floats
    """[n] variance between samples."""
    known: Floats
    """[n] samples beside one that the variance is worth."""
    drift: Floats
    """[n] expected square of the mean's next move; below 0 where none was seen."""

    @classmethod
    def of(cls, memory: Moments, s: _Level, keys: Keys, low: Floats | float) -> _Past:
        """Returns the past of groups with these keys, whose rewards are `low` [n] less here."""
        rows = memory.rows(keys)
        places, known = np.flatnonzero(rows >= 0), rows[rows >= 0]
        lows = np.broadcast_to(low, s.n)[places]
        columns = memory.count, memory.mean, memory.var, memory.known, memory.drift
        out = np.zeros((len(columns), s.n))
        out[:, places] = np.stack(columns)[:, known]
        out[1, places] -= lows
        return cls(*out)

    def at(self, ids: Ints) -> _Past:
        """Returns the past of the groups `ids` [N] of rows, [N]."""
        return _Past(*(getattr(self, f.name)[ids] for f in fields(self)))

    def worth(self, drift: Floats, variance: Floats) -> Floats:
        """Returns how many samples of this call the mean is worth,
        1 / (1 / count + drift / variance).
        """
        moves = self.count * np.maximum(drift, 0.0)
        return np.where(moves > 0, ratio(self.count * variance, variance + moves, 0.0), self.count)

    def into(self, memory: Moments, keys: Keys, low: Floats | float) -> Moments:
        """Returns the memory with these groups in place of what it had of them."""
        return memory.replaced(keys, self.count, self.mean + low, self.var, self.known, self.drift)


def _mean_known(x: Floats, s: _Level, past: _Past, teams: Ints, n: int) -> _Mean:
    """Returns the mean of each row's group: of its other rollouts, and of the past.

    `teams` [n] is the team of each group, out of `n`.
    """
    samples = past.known + s.degrees
    variance = ratio(past.known * past.var + s.degrees * s.spread(x), samples, 0.0)
    every = ratio(segment_sum(samples * variance, teams, n), segment_sum(samples, teams, n), 0.0)
    variance = np.where(samples > 0, variance, every[teams])  # that of the team's other groups
    now, others = s.others(x), s.degrees[s.ids]
    then = past.at(s.ids)
    # What the other rollouts show of a move counts at once, before the drift is known.
    error = variance[s.ids] * (ratio(1.0, others, 0.0) + ratio(1.0, then.count, 0.0))
    seen = np.where((others > 0) & (then.count > 0), (now - then.mean) ** 2 - error, 0.0)
    worth = then.worth(np.maximum(then.drift, seen), variance[s.ids])
    value = ratio(worth * then.mean + others * now, worth + others, 0.0)
    return _Mean(value, ratio(variance[s.ids], worth + others, np.inf), variance)


def _after(past: _Past, mean: Floats, variance: Floats, count: Floats) -> _Past:
    """Returns what is known after a call in which groups had `mean` [n] of `count` [n] samples.

    One sample cannot tell a move from its own variance: its distance counts as variance.
    """
    there = count > 0
    known = there & (past.count > 0)
    one = known & (count == 1)
    error = variance * (ratio(1.0, count, 0.0) + ratio(1.0, past.count, 0.0))
    seen = np.where(known & ~one, (mean - past.mean) ** 2 - error, 0.0)
    drift = np.where(known & ~one, SMOOTHING * past.drift + (1 - SMOOTHING) * seen, past.drift)
    worth = past.worth(np.maximum(drift, seen), variance)
    kept = past.known * ratio(worth, past.count, 0.0)
    alone = (mean - past.mean) ** 2 * ratio(past.count, past.count + 1.0, 0.0)
    return _Past(
        np.where(there, worth + count, past.count),
        np.where(there, ratio(worth * past.mean + count * mean, worth + count, 0.0), past.mean),
        np.where(
            one, ratio(kept * past.var + alone, kept + 1.0), np.where(there, variance, past.var)
        ),
        np.where(there, kept + np.where(one, 1.0, np.maximum(count - 1.0, 0.0)), past.known),
        drift,
    )


def _log_variance(rest: Floats, s: _Level, past: _Past) -> _Past:
    """Returns the logarithm of the variance of what is left in each group, after this call.

    A mean of R squares of normal values has a logarithm that is about 1 / R too small.
    """
    variance = s.mean(rest * rest)
    count = np.where(variance > 0, s.rollouts, 0.0)
    logarithm = np.log(np.where(variance > 0, variance, 1.0)) + ratio(1.0, count, 0.0)
    return _after(past, logarithm, np.full(s.n, LOG_VARIANCE), count)


def _divisor(team: _Past, own: _Past, teams: Ints, own_scale: float) -> Floats:
    """Returns [n] the deviation that divides each lasting group; 1 where none is known.

    `teams` [n] is the team of each group.
    """
    known = own.count > 0
    apart = np.where(known, own.mean - team.mean[teams], 0.0)
    differ = apart**2 - ratio(LOG_VARIANCE, own.count, 0.0)
    truly = _mean_of(differ, known, teams, len(team.mean))[teams]
    f = _reliability(truly, ratio(LOG_VARIANCE, own.count, np.inf))
    deviation: Floats = np.exp(0.5 * (team.mean[teams] + own_scale * f * apart))
    return deviation


def _known(rest: Floats, effect: Floats, s: _Level, team: _Level) -> Floats:
    """Returns [N] the reliability of the effects of groups of this call alone.

    What varies within a group is taken for equal in all groups of a team: rows are in units of
    their agents' deviations here, and a group of two that agree by chance knows no more.
    """
    teams = s.within(team)
    within = segment_sum(s.degrees * s.spread(rest), teams, team.n)
    within = ratio(within, segment_sum(s.degrees, teams, team.n), 0.0)
    truly = team.mean(rest * effect)[team.ids]
    return _reliability(truly, ratio(within[team.ids], s.degrees[s.ids], np.inf))


def _reliability(truly: Floats, error: Floats) -> Floats:
    """Returns tau^2 / (tau^2 + error), 0 where groups do not truly differ."""
    truly = np.maximum(truly, 0.0)
    return ratio(truly, truly + error, 0.0)


def _mean_of(values: Floats, there: Bools, ids: Ints, n: int) -> Floats:
    """Returns [n] the mean over the groups [m] that are there of each team `ids` [m]."""
    return ratio(segment_sum(values * there, ids, n), segment_sum(there, ids, n), 0.0)


def _plain(values: Array) -> NDArray[Any]:
    """Returns values as a NumPy array, since memory outlives the call."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
