"""The advantages of reward columns: start at `column_credit`, which centers and divides one column.

`together` adds the columns of several components and makes the last pass over their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce
from operator import or_

import numpy as np

from counterpoint.arrays import Array
from counterpoint.credit.groups import (
    GroupLayout,
    GroupMoments,
    Level,
    Samples,
    group_moments,
    midranks,
)
from counterpoint.credit.memory import Moments, Recalled, recall
from counterpoint.credit.rewards import RewardColumn
from counterpoint.credit.shrunken import shrunken
from counterpoint.errors import RewardError


@dataclass(frozen=True)
class Tally:
    """How often each edge case occurred. Under `normalize_first`, groups count once a component."""

    rows: int = 0
    """Rows given."""
    missing: int = 0
    """Rows with at least one missing (NaN or None) component that has a weight."""
    left_out: int = 0
    """Rows whose advantage is 0 because nothing of their reward was usable."""
    groups: int = 0
    """Groups with samples, by `center_by` and, where it differs, by `scale_by`."""
    singletons: int = 0
    """Groups of one sample, where the scheme needs more."""
    constants: int = 0
    """Groups of several samples without variance, where the scheme needs some."""
    cold: int = 0
    """Groups with a running mean or deviation that is not known yet: this call's is used."""
    floored: int = 0
    """Groups whose deviation was raised to the scheme's floor."""
    pooled: int = 0
    """Groups below `min_count` that took the batch's deviation."""
    disagreeing: int = 0
    """Rollouts whose rows had different rewards in one group (trajectory weighting)."""
    clipped: int = 0
    """Rows with an advantage that was cut to the scheme's `clip`."""
    conflicting: int = 0
    """Rows dropped since their components disagree (the scheme's `agreement`)."""
    raised: int = 0
    """Rows with a center that was raised to `baseline_floor`."""
    flat: int = 0
    """Batches that were constant when the last pass was to whiten them."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


@dataclass(frozen=True)
class ColumnCredit:
    """The advantages of one reward column, and its memory."""

    values: Array
    """[N] its advantage."""
    weight: float
    """Its weight in the sum."""
    ok: Array | None
    """[N] rows that it has a value for; None = all."""
    deviation: Array | None
    """[N] deviation of the row's scale group, where components are weighed by it."""
    size: Array | None
    """[N] magnitude of the terms that the values were summed from, where nothing divides them;
    None = |values|."""
    center: Moments
    scale: Moments
    tally: Tally


def column_credit(
    column: RewardColumn, layout: GroupLayout, center: Moments, scale: Moments
) -> ColumnCredit:
    """Returns the advantages of one reward column [N], and its memory after the call."""
    a, scheme, where = layout.arrays, layout.scheme, layout.arrays.xp.where
    if scheme.center == "shrunk":
        return _shrunken(column, layout, center, scale)
    s = layout.samples("center", column.ok)
    x, rest, size = column.values, column.rest, column.size
    own = group_moments(x, size, s, a, layout.epsilon, rest)
    factor = _group_factor(own, s, layout)
    if scheme.transform == "rank":
        x, rest, size = midranks(own.above, own.tolerance, s, a), None, None
        own = group_moments(x, size, s, a, layout.epsilon)
    raw = own.low[s.ids] + own.above if s.by_rollout or rest is not None else x

    values, center, tally = _centered(raw, own, s, layout, center)
    alone, deviation = layout.are_singletons(s, "center")[s.ids], None
    if scheme.scale != "none":
        t, target, of = s, own, (x, rest)
        if not layout.same:
            t = layout.samples("scale", column.ok)
            if scheme.scale_of == "centered" and scheme.center != "none":
                of = (values, None)
            sized = abs(raw) if size is None else size
            target = group_moments(of[0], sized, t, a, layout.epsilon, of[1])
            alone = alone | layout.are_singletons(t, "scale")[t.ids]
        divisor, scale, more = _divisor(target, of, t, layout, column.ok, scale)
        tally += more
        if scheme.weigh_by == "deviation":
            deviation = where(alone, 0.0, divisor[t.ids])
        flat = (divisor <= 0)[t.ids]  # only where nothing differs, or squares are 0
        unscaled = 0.0 if scheme.constant == "zero" else values
        divisor = where(divisor <= 0, 1.0, divisor + scheme.epsilon)
        values = where(flat, unscaled, values / divisor[t.ids])
    values = where(alone, raw if scheme.singleton == "raw" else 0.0, values)
    if factor is not None:
        values = values * factor
    if column.ok is not None:
        values = where(column.ok, values, 0.0)
    size = size if scheme.scale == "none" else None  # after a division, that is |values|
    return ColumnCredit(values, column.weight, column.ok, deviation, size, center, scale, tally)


def _shrunken(
    column: RewardColumn, layout: GroupLayout, center: Moments, scale: Moments
) -> ColumnCredit:
    """Returns the advantages of one reward column whose statistics are shrunk."""
    given = column.values if column.rest is None else column.values + column.rest
    out = shrunken((given, column.ok, column.size), layout.table, layout.scheme, center, scale,
                   layout.epsilon)  # fmt: skip
    tally = Tally(groups=out.groups, singletons=out.alone, constants=out.constants, cold=out.cold)
    values = layout.arrays.beside(out.values)
    return ColumnCredit(values, column.weight, column.ok, None, None, out.center, out.scale, tally)


def _centered(
    raw: Array, own: GroupMoments, s: Samples, layout: GroupLayout, memory: Moments
) -> tuple[Array, Moments, Tally]:
    """Returns values [N] minus their center, the memory after it, and the edge-case counts."""
    a, center = layout.arrays, layout.scheme.center
    tally = _tally(own, s, layout, "center")
    if center == "mean":
        values = own.deviation
    elif center == "none":
        return raw, memory, tally
    elif center == "running_mean":
        now = _recalled(memory, own, s, layout, "center")
        values, memory = raw - a.beside(now.mean)[s.ids], now.memory
        tally += Tally(cold=now.cold)
    else:
        # Without the row's own rollout: the group's sums minus those of the rollout.
        others = s.total[s.ids] - s.rollout_sum(s.weight, a)
        rest = (s.total * own.mean)[s.ids] - s.rollout_sum(s.weight * own.above, a)
        baseline = rest / a.xp.where(others > 0.5, others, 1.0)
        nothing = own.constant[s.ids] | (others <= 0.5)  # no other rollout to compare with
        values = a.xp.where(nothing, 0.0, own.above - baseline)
    floor = layout.scheme.baseline_floor
    if floor is not None:
        low = (raw - values < floor) & (s.weight > 0)
        values = a.xp.where(low, raw - floor, values)
        tally += Tally(raised=layout.count_rows(low))
    return values, memory, tally


def _divisor(
    target: GroupMoments,
    of: tuple[Array, Array | None],
    s: Samples,
    layout: GroupLayout,
    ok: Array | None,
    memory: Moments,
) -> tuple[Array, Moments, Tally]:
    """Returns the divisor [n] of each scale group after its guards, the memory, and the counts.

    It is 0 where there is nothing to divide by. `of` are the values [N] that `target` describes,
    and their rest.
    """
    a, scheme, filled, where = layout.arrays, layout.scheme, s.total > 0, layout.arrays.xp.where
    tally = Tally() if layout.same else _tally(target, s, layout, "scale")
    if scheme.scale == "mean":
        mean = target.low + target.mean
        divisor = where(filled & (mean > target.tolerance), mean, 0.0)
    else:
        var, cold = target.var, 0
        if scheme.scale == "running_std":
            now = _recalled(memory, target, s, layout, "scale")
            var, memory, cold = a.beside(now.var), now.memory, now.cold_scale
            if layout.same and scheme.center == "running_mean":
                cold = now.cold_scale - now.cold  # the others were counted with the center
        tally += Tally(cold=cold)
        if scheme.ddof:
            var = var * s.total / where(s.total > 1.0, s.total - 1.0, 1.0)
        if scheme.shrink or scheme.min_count:
            var, few = _guarded(var, of, s, layout, ok)
            tally += Tally(pooled=few)
        divisor = a.xp.sqrt(var)
    counted = layout.are_singletons(s, "center" if layout.same else "scale")
    if layout.needs_samples("center" if layout.same else "scale"):
        counted = counted | target.constant
    tally += Tally(constants=a.count(filled & (divisor <= 0) & ~counted))
    if scheme.floor:
        low = filled & (divisor < scheme.floor)
        divisor = where(low, scheme.floor, divisor)
        tally += Tally(floored=a.count(low))
    return divisor, memory, tally


def _guarded(
    var: Array, of: tuple[Array, Array | None], s: Samples, layout: GroupLayout, ok: Array | None
) -> tuple[Array, int]:
    """Returns variances [n] pulled towards the batch's, and how many groups took that whole."""
    a, scheme, filled, where = layout.arrays, layout.scheme, s.total > 0, layout.arrays.xp.where
    whole = layout.samples("whole", ok)
    batch = group_moments(of[0], None, whole, a, layout.epsilon, of[1])
    # Calls side by side have a batch each; all rows of a group have the variance of its own one.
    batch_var = where(filled, a.max(batch.var[whole.ids], s.ids, s.n), 0.0)
    rollouts = s.rollout_count(a)
    var = (rollouts * var + scheme.shrink * batch_var) / where(
        filled, rollouts + scheme.shrink, 1.0
    )
    few = filled & (rollouts < scheme.min_count - 0.5)
    return where(few, batch_var, var), a.count(few)


def _group_factor(own: GroupMoments, s: Samples, layout: GroupLayout) -> Array | None:
    """Returns [N] the scheme's factor on the advantages of each row's group; None = 1."""
    scheme, a = layout.scheme, layout.arrays
    if scheme.group_weight == "none":
        return None
    where = a.xp.where
    p = where(s.total > 0, own.low + own.mean, 0.5)
    outside = (p < -own.tolerance) | (p > 1.0 + own.tolerance)
    if not a.traced and a.count(outside):
        raise RewardError(
            f"got {a.count(outside)} groups with a mean reward outside of 0 to 1; wanted success "
            f"rates, which group_weight={scheme.group_weight!r} is defined for"
        )
    p = where(p < 0.0, 0.0, where(p > 1.0, 1.0, p))
    distance = sum(where(q > 0.0, q * a.xp.log(where(q > 0.0, 2.0 * q, 1.0)), 0.0)
                   for q in (p, 1.0 - p))  # fmt: skip
    return a.xp.exp(-scheme.group_strength * distance)[s.ids]


def _tally(own: GroupMoments, s: Samples, layout: GroupLayout, level: Level) -> Tally:
    """Returns how many groups a level has, and how many have one sample or no variance."""
    filled, single = s.total > 0, layout.are_singletons(s, level)
    count = layout.arrays.count
    return Tally(
        groups=count(filled),
        singletons=count(filled & single),
        constants=count(filled & own.constant & ~single) if layout.needs_samples(level) else 0,
    )


def _recalled(
    memory: Moments, own: GroupMoments, s: Samples, layout: GroupLayout, level: Level
) -> Recalled:
    """Returns running statistics by group, in NumPy, since memory outlives the call."""
    keys = layout.keys(level)
    weight, mean, var, tolerance = (
        np.asarray(v.detach().cpu() if hasattr(v, "detach") else v, np.float64)[: len(keys)]
        for v in (s.total, own.low + own.mean, own.var, own.tolerance)
    )
    now = recall(memory, keys, weight, mean, var, tolerance, layout.scheme)
    spare = np.zeros(s.n - len(keys))  # the group of rows that do not count
    return now._replace(mean=np.append(now.mean, spare), var=np.append(now.var, spare))


def together(
    parts: Sequence[ColumnCredit], rows: int, layout: GroupLayout
) -> tuple[Array, Array | None, Tally]:
    """Returns the weighted sum of the components' advantages, whitened where the scheme says so.

    Beside the sum [N] stand the rows for which some component has a value ([N], None = all), and
    the counts. `rows` is how many rows the caller gave.
    """
    a, scheme = layout.arrays, layout.scheme
    weights: list[Array] = [part.weight for part in parts]
    if scheme.weigh_by == "deviation":  # DVAO: w_k sigma_k / sum of w_l sigma_l
        shares = [part.weight * part.deviation for part in parts if part.deviation is not None]
        total, where = sum(abs(share) for share in shares), a.xp.where
        weights = [where(total > 0, share / where(total > 0, total, 1.0), 0.0) for share in shares]
    values = size = a.ones(layout.table.rows) * 0
    rounded, tally = size, Tally(rows=rows)
    for weight, part in zip(weights, parts, strict=True):
        term = weight * part.values
        values, size, tally = values + term, size + abs(term), tally + part.tally
        rounded = rounded + (abs(term) if part.size is None else abs(weight) * part.size)
    known = [part.ok for part in parts if part.ok is not None]
    used = counted = reduce(or_, known) if len(known) == len(parts) else None
    if scheme.agreement > 0:
        values, counted, dropped = _agreeing(values, size, used, layout)
        tally += Tally(conflicting=dropped)
    if scheme.whiten == "batch":
        values, flat = _whitened(values, rounded, counted, layout)
        tally += Tally(flat=flat)
    return values, used, tally


def _agreeing(
    values: Array, size: Array, used: Array | None, layout: GroupLayout
) -> tuple[Array, Array, int]:
    """Returns values without rows whose components disagree, the rows left, and the count dropped.

    A row without any advantage disagrees with nothing. What is left of a group is multiplied by the
    share of its samples that is left.
    """
    a, scheme = layout.arrays, layout.scheme
    rounding = 1.0 - 1e-12  # components of one sign add up to their size but for rounding
    agrees = abs(values) >= min(scheme.agreement, rounding) * size
    s = layout.samples("center", used)
    left = a.floats(agrees) * s.weight
    share = a.sum(left, s.ids, s.n) / a.xp.where(s.total > 0, s.total, 1.0)
    kept = agrees if used is None else agrees & used
    return a.xp.where(kept, values * share[s.ids], 0.0), kept, layout.count_rows(~agrees)


def _whitened(
    values: Array, size: Array, used: Array | None, layout: GroupLayout
) -> tuple[Array, int]:
    """Returns values [N] with mean 0 and deviation 1 over the whole batch; constant ones become 0.

    `size` [N] is the magnitude of the terms that were summed: terms that cancel leave rounding,
    which is constant too.
    """
    a, scheme = layout.arrays, layout.scheme
    where = a.xp.where
    if scheme.whiten_weighting not in (None, scheme.weighting):
        layout = GroupLayout(
            layout.table, replace(scheme, weighting=scheme.whiten_weighting), a, layout.epsilon
        )
    s = layout.samples("whole", used)
    own = group_moments(values, size, s, a, layout.epsilon)
    var = own.var
    if scheme.ddof:
        var = var * s.total / where(s.total > 1.0, s.total - 1.0, 1.0)
    divisor = a.xp.sqrt(var)
    flat = own.constant | (divisor <= 0)  # constant, or so small that squares are 0
    shifted = values - (own.low + own.mean)[s.ids]
    values = where(flat[s.ids], 0.0, shifted / where(flat, 1.0, divisor + scheme.epsilon)[s.ids])
    flats = a.count(flat & (s.total > 0))
    return (values if used is None else where(used, values, 0.0)), flats
