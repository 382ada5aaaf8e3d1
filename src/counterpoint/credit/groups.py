"""Groups of rows that share a statistic (`GroupLayout`), their moments, and ranks within them.

Values are shifted by the group's minimum before they are summed, the mean is corrected by the sum
of its deviations, and the variance is computed in a second pass. So rewards of 1e8 + {0, 1} keep
their digits, a constant group has deviation 0 and not 1e-17, and the standard deviation needs no
threshold. A strict ranking of G rollouts always has the same advantages and never a dead group;
ties share the mean of their places and bring dead groups back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from counterpoint.arrays import Array
from counterpoint.credit.labels import Groups, Labels
from counterpoint.credit.memory import Key
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import Arrays
from counterpoint.errors import SchemeError

ROUNDING = 8
"""Values within this many ulps of the largest of them count as equal: what arithmetic on equal
rewards can leave. It is the only definition of "constant", and always of a range, never of a
deviation, which among many samples can be far smaller than a real difference."""


def tolerance_of(largest: Array, epsilon: float) -> Array:
    """Returns how far values of that magnitude may lie apart and still be equal."""
    return ROUNDING * epsilon * largest


@dataclass(frozen=True)
class Samples:
    """The group and the weight of every row."""

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
        """Returns samples of `groups`, without the rows that are not `ok` ([N], None = all are)."""

        def without(groups: Groups) -> tuple[Array, int]:
            if ok is None:
                return groups.ids, groups.n
            return a.xp.where(ok, groups.ids, groups.n), groups.n + 1

        ids, n = without(groups)
        one = a.ones(len(ids)) if ok is None else a.floats(ok)
        rollout = rollout_rows = None
        weight, n_rollouts = one, 0
        if rollouts is not None:
            rollout, n_rollouts = without(rollouts)
            counts = a.sum(one, rollout, n_rollouts)[rollout]
            rollout_rows = a.xp.where(counts > 0, counts, 1.0)
            if by_rollout:
                weight = one / rollout_rows
        total = a.sum(weight, ids, n)
        return cls(ids, n, rollout, n_rollouts, rollout_rows, weight, total, by_rollout)

    def rollout_sum(self, values: Array, a: Arrays) -> Array:
        """Returns [N] the sum of `values` over the rows of the row's own rollout in its group."""
        assert self.rollout is not None
        return a.sum(values, self.rollout, self.n_rollouts)[self.rollout]

    def rollout_count(self, a: Arrays) -> Array:
        """Returns [n] how many rollouts each group has."""
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
    x: Array, size: Array | None, s: Samples, a: Arrays, epsilon: float, rest: Array | None = None
) -> GroupMoments:
    """Returns mean and population variance of `x` (plus `rest`) [N] in each group of `s`.

    Values of rows that do not count must be finite. `size` [N] is the magnitude of the terms that
    `x` was summed from, or None for |x| itself; with the machine epsilon of the rewards as given,
    it decides which differences are rounding. `rest` [N] is small beside `x`.
    """
    where, filled = a.xp.where, s.total > 0
    # Distances from the group's minimum keep the digits that rewards of 1e8 + {0, 1} differ in.
    low = where(filled, a.min(x, s.ids, s.n), 0.0)
    above = x - low[s.ids] if rest is None else x - low[s.ids] + rest
    if s.by_rollout:
        above = s.rollout_sum(above, a) / s.rollout_rows
    top = where(filled, a.max(above, s.ids, s.n), 0.0)
    exact = not s.by_rollout and rest is None  # then the smallest is `low` itself
    bottom = 0.0 * low if exact else where(filled, a.min(above, s.ids, s.n), 0.0)
    if size is not None:
        largest = where(filled, a.max(size, s.ids, s.n), 0.0)
    else:  # without sizes, the largest value is one of both ends
        largest = where(abs(low) > abs(low + top), abs(low), abs(low + top))
    tolerance = tolerance_of(largest, epsilon)
    constant = top - bottom <= tolerance
    weight = where(filled, s.total, 1.0)
    mean = a.sum(s.weight * above, s.ids, s.n) / weight
    mean = mean + a.sum(s.weight * (above - mean[s.ids]), s.ids, s.n) / weight  # what it missed
    mean = where(constant, bottom, mean)
    deviation = where(constant[s.ids], 0.0, above - mean[s.ids])
    var = a.sum(s.weight * deviation * deviation, s.ids, s.n) / weight
    return GroupMoments(low, above, mean, deviation, var, constant, tolerance)


def midranks(values: Array, tolerance: Array, s: Samples, a: Arrays) -> Array:
    """Returns [N] the rank of each row's value in its group, from 1 (lowest).

    Ties share the mean of their places. Where w counts each sample once (the first row of a rollout
    under trajectory weighting), the rank is `sum of w below + (sum of w tied + 1) / 2`. All sums
    are of integers, so that ranks are exact and do not depend on what else is in the batch.
    Neighbours that differ by no more than their group's tolerance [n] are tied.
    """
    counted = a.floats(s.weight > 0)
    if s.by_rollout:
        places = a.floats(a.places(len(values)))
        first = a.min(places, s.rollout, s.n_rollouts)[s.rollout]
        counted = counted * a.floats(places == first)
    total = a.sum(counted, s.ids, s.n)
    order = a.argsort(values)
    order = order[a.argsort(s.ids[order])]  # by group, then by value
    ids, sorted_values, weight = s.ids[order], values[order], counted[order]
    places = a.places(len(values))
    before = a.xp.where(places > 0, places - 1, places)  # the left neighbour; the first is its own
    starts = a.xp.where(sorted_values - sorted_values[before] > tolerance[ids], 1, 0)
    starts = a.xp.where(ids != ids[before], 1, starts)
    # A block is a run of ties; the samples below it are those of the group's earlier blocks.
    block = a.xp.cumsum(starts) - starts[:1].sum()
    tied = a.sum(weight, block, len(values))
    below = (a.xp.cumsum(tied) - tied)[block] - (a.xp.cumsum(total) - total)[ids]
    rank_sorted = below + (tied[block] + 1) / 2
    return rank_sorted[a.argsort(order)]


Level = Literal["center", "scale", "whole"]
"""The groups that share a center, those that share a scale, or the whole batch as one."""


@dataclass(frozen=True)
class GroupLayout:
    """The groups whose rows share a statistic, for one set of labels and one scheme."""

    table: Labels
    scheme: Scheme
    arrays: Arrays
    epsilon: float
    """Machine epsilon of the rewards as given."""
    given_rows: Array | None = None
    """[N] how many of the caller's rows each row stands for; None = itself."""
    _samples: dict[Level, Samples] = field(default_factory=dict)

    def __post_init__(self) -> None:
        traced = self.arrays.traced or self.table.traced
        if self.scheme.keeps_state and traced:
            raise SchemeError(
                f"got memory={self.scheme.memory!r} inside jax.jit; wanted memory='batch' there: "
                "call schemes with running statistics outside of jit"
            )
        if self.scheme.center == "shrunk" and traced:
            raise SchemeError(
                "got center='shrunk' inside jax.jit; wanted another center there: call schemes "
                "whose statistics are shrunk outside of jit"
            )
        for level in ("center", "scale"):  # a label that is missing is an error at once
            self.samples(level, None)

    @property
    def same(self) -> bool:
        """Returns whether center and scale share their groups."""
        return self.scheme.center_by == self.scheme.scale_by

    @property
    def by_rollout(self) -> bool:
        """Returns whether a rollout counts once, with the mean of its rows."""
        return self.scheme.weighting == "trajectory"

    def count_rows(self, mask: Array) -> Any:
        """Returns how many of the caller's rows a mask [N] holds."""
        if self.given_rows is None:
            return self.arrays.count(mask)
        return int(self.given_rows[mask].sum())

    def by(self, level: Level) -> tuple[str, ...]:
        """Returns the labels that the groups of a level share."""
        levels = {"center": self.scheme.center_by, "scale": self.scheme.scale_by, "whole": ()}
        return levels[level] or ()

    def samples(self, level: Level, ok: Array | None) -> Samples:
        """Returns samples of a level's groups; rows that are not `ok` are left out."""
        # Without such rows they are the same for every column, and computed once.
        if ok is None and level in self._samples:
            return self._samples[level]
        if level == "scale" and self.same:
            return self.samples("center", ok)
        by, scheme = self.by(level), self.scheme
        groups, rollouts = self.table.groups(by), None
        guards = (scheme.shrink or scheme.min_count) and (level == "scale" or self.same)
        others = scheme.center == "leave_one_out" and level == "center"
        if self.by_rollout or guards or others:
            apart = (name for name in by if name != "prompt")
            rollouts = self.table.groups((*apart, "prompt", "rollout"))
        samples = Samples.of(groups, rollouts, ok, self.by_rollout, self.arrays)
        if ok is None:
            self._samples[level] = samples
        return samples

    def keys(self, level: Level) -> list[Key | None]:
        """Returns the label values of each group of a level."""
        return self.table.keys(self.by(level))

    def needs_samples(self, level: Level) -> bool:
        """Returns whether the scheme reads statistics of this call at a level: one is too few."""
        if level == "scale":
            return self.scheme.scale == "std"
        centers = self.scheme.center in ("mean", "leave_one_out") or self.scheme.transform == "rank"
        return centers or (self.same and self.scheme.scale == "std")

    def are_singletons(self, s: Samples, level: Level) -> Array:
        """Returns [n] groups with a single sample, where the scheme needs more than one there."""
        if not self.needs_samples(level):
            return s.total < 0
        by_rollout = level == "center" and self.scheme.center == "leave_one_out"
        # Sums of 1 / rows are whole numbers only up to rounding.
        return (s.rollout_count(self.arrays) if by_rollout else s.total) < 1.5
