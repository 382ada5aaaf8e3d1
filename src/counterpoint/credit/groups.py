"""Moments of grouped samples, exactly zero where a group is constant.

Values are shifted by the group's minimum before anything is summed, the mean is corrected by what
its own deviations sum to, and the variance takes a pass of its own. So rewards of 1e8 + {0, 1}
keep their digits, a constant group has deviation 0 and not 1e-17, and no threshold on the
standard deviation is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from counterpoint.credit.labels import Groups
from counterpoint.credit.segments import Array, Arrays

ROUNDING = 8
"""Values within this many ulps of the largest of them count as equal: what arithmetic on equal
rewards can leave. It is the only definition of "constant", and always of a range, never of a
deviation, which among many samples can be far smaller than a real difference."""


def tolerance_of(largest: Array, epsilon: float) -> Array:
    """How far values of that magnitude may lie apart and still be equal."""
    return ROUNDING * epsilon * largest


@dataclass(frozen=True)
class Samples:
    """Which rows count in which group, and how much each weighs."""

    ids: Array
    """[N] group of each row; rows that do not count are in a last group of weight 0."""
    n: int
    """Number of groups, that last one included."""
    rollout: Array | None
    """[N] rollout within the group of each row, where the scheme needs rollouts."""
    n_rollouts: int
    """Number of rollout ids, that of rows that do not count included."""
    rollout_rows: Array | None
    """[N] how many rows the row's rollout has in its group."""
    weight: Array
    """[N] 1 under step weighting, 1 / rollout_rows under trajectory weighting; 0 = left out."""
    total: Array
    """[n] weight of each group."""
    by_rollout: bool
    """Whether a rollout enters with the mean of its rows (trajectory weighting)."""

    @classmethod
    def of(
        cls, groups: Groups, rollouts: Groups | None, ok: Array | None, by_rollout: bool, a: Arrays
    ) -> Samples:
        """Samples of `groups`, without the rows that are not `ok` ([N], None = all are)."""
        ids, n = _without(groups, ok, a)
        one = a.ones(len(ids)) if ok is None else a.floats(ok)
        rollout = rollout_rows = None
        weight, n_rollouts = one, 0
        if rollouts is not None:
            rollout, n_rollouts = _without(rollouts, ok, a)
            counts = a.sum(one, rollout, n_rollouts)[rollout]
            rollout_rows = a.xp.where(counts > 0, counts, 1.0)
            if by_rollout:
                weight = one / rollout_rows
        total = a.sum(weight, ids, n)
        return cls(ids, n, rollout, n_rollouts, rollout_rows, weight, total, by_rollout)

    def rollout_sum(self, values: Array, a: Arrays) -> Array:
        """[N] the sum of `values` over the rows of the row's own rollout in its group."""
        assert self.rollout is not None
        return a.sum(values, self.rollout, self.n_rollouts)[self.rollout]

    def rollout_count(self, a: Arrays) -> Array:
        """[n] how many rollouts each group has."""
        assert self.rollout_rows is not None
        counted = a.xp.where(self.weight > 0, 1.0 / self.rollout_rows, 0.0)
        return a.sum(counted, self.ids, self.n)


@dataclass(frozen=True)
class GroupMoments:
    """Statistics of one column in each group; rows hold the rollout's mean where that counts."""

    low: Array
    """[n] smallest value of the group, 0 where it is empty."""
    above: Array
    """[N] value minus `low` of its group."""
    mean: Array
    """[n] mean of `above`: the group's mean is `low + mean`."""
    deviation: Array
    """[N] value minus the group's mean; exactly 0 in a constant group."""
    var: Array
    """[n] population variance; exactly 0 in a constant group (and where squares underflow)."""
    constant: Array
    """[n] whether all samples agree up to rounding (true for empty groups)."""
    tolerance: Array
    """[n] how far values may differ and still agree."""


def group_moments(
    x: Array,
    size: Array | None,
    s: Samples,
    a: Arrays,
    epsilon: float,
    rest: Array | None = None,
) -> GroupMoments:
    """Mean and population variance of `x` (plus `rest`) [N] in each group of `s`.

    Args:
        x: [N] values; those of rows that do not count must be finite.
        size: [N] magnitude of the terms that `x` was summed from, or None for |x| itself: it
            decides which differences are rounding.
        s: the samples.
        a: the array library.
        epsilon: machine epsilon of the rewards as they were given.
        rest: [N] what to add to `x`, small beside it, or None.
    """
    where, filled = a.xp.where, s.total > 0
    low = where(filled, a.min(x, s.ids, s.n), 0.0)
    above = x - low[s.ids] if rest is None else x - low[s.ids] + rest
    if s.by_rollout:
        above = s.rollout_sum(above, a) / s.rollout_rows
    top = where(filled, a.max(above, s.ids, s.n), 0.0)
    exact = not s.by_rollout and rest is None  # then the smallest is `low` itself
    bottom = 0.0 * low if exact else where(filled, a.min(above, s.ids, s.n), 0.0)
    if size is None:
        largest = where(abs(low) > abs(low + top), abs(low), abs(low + top))
    else:
        largest = where(filled, a.max(size, s.ids, s.n), 0.0)
    tolerance = tolerance_of(largest, epsilon)
    constant = top - bottom <= tolerance
    weight = where(filled, s.total, 1.0)
    mean = a.sum(s.weight * above, s.ids, s.n) / weight
    mean = mean + a.sum(s.weight * (above - mean[s.ids]), s.ids, s.n) / weight  # what it missed
    mean = where(constant, bottom, mean)
    deviation = where(constant[s.ids], 0.0, above - mean[s.ids])
    var = a.sum(s.weight * deviation * deviation, s.ids, s.n) / weight
    return GroupMoments(low, above, mean, deviation, var, constant, tolerance)


def _without(groups: Groups, ok: Array | None, a: Arrays) -> tuple[Array, int]:
    """Ids in which rows that are not ok form a group of their own at the end."""
    if ok is None:
        return groups.ids, groups.n
    return a.xp.where(ok, groups.ids, groups.n), groups.n + 1
