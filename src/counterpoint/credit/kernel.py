"""`advantages`: rewards and labels in, per-row advantages out, by any `Scheme`.

Read `advantages` top to bottom, then `_normalized`, which does one reward column. The same code
runs on NumPy, torch and JAX through `segments.Arrays`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit.groups import GroupMoments, Samples, group_moments
from counterpoint.credit.labels import Labels
from counterpoint.credit.layout import Layout, Level
from counterpoint.credit.memory import Moments, Recalled, RunningState, recall
from counterpoint.credit.ranks import midranks
from counterpoint.credit.result import Credit, Tally, register_with_jax
from counterpoint.credit.rewards import Column, Rewards
from counterpoint.credit.rollouts import Rollouts
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import Array, Arrays
from counterpoint.errors import SchemeError, StateError


def advantages(
    rewards: Any,
    labels: Mapping[str, Any],
    scheme: Scheme,
    *,
    state: RunningState | None = None,
) -> Credit:
    """The advantage of every row under `scheme`.

    With `center_by = scale_by = ("prompt",)` and trajectory weighting this is GRPO; with one
    reward component every `components` choice is the same; with one agent grouping by agent is
    no grouping at all.

    Args:
        rewards: [N] or [N, K] reward of each row, or of each of its K components. A list, a
            NumPy array, a torch tensor or a JAX array. NaN and None are missing.
        labels: label name to [N] values: `prompt`, `rollout` (unique within its prompt),
            `agent`, `role`, `turn`, `context`. Absent ones default: `role` to the agent,
            `context` to one value, `turn` to the order of an agent's rows in its rollout,
            `prompt` to one prompt. One more is allowed, `batch`: rows of different batches never
            share a statistic, so that independent seeds or logged updates go in one call.
        scheme: what to compute; see `catalogue()` for the published ones.
        state: running statistics that the last call returned; None starts anew.

    Returns:
        Credit: `.values` [N] in the kind of the rewards (NumPy: float64), `.state`, `.tally`.
        Rows whose reward is missing have the value 0 and are counted.

    Raises:
        RewardError: rewards of a wrong shape or type, or infinite. (Inside `jax.jit` values
            cannot be looked at: infinite ones count as missing there.)
        LabelError: a column of a wrong length, an unknown label, or one that the scheme needs.
        SchemeError: `scheme` is none, weights that are not K, or running memory inside `jax.jit`.
        StateError: `state` belongs to another scheme, or is given to one without memory.

    Source: ours; the algebra covers the estimators that `catalogue()` cites.
    """
    if not isinstance(scheme, Scheme):
        raise SchemeError(f"got scheme {scheme!r}; wanted a Scheme, e.g. catalogue()['grpo']")
    read = Rewards.read(rewards, scheme)
    table = Labels(labels, read.rows, read.arrays)
    rollouts = Rollouts.of(read, table, scheme)
    if rollouts is None:
        layout = Layout(table, scheme, read.arrays, read.epsilon)
    else:
        layout = Layout(rollouts.labels, rollouts.scheme, read.arrays, read.epsilon)
    if not isinstance(state, RunningState | None):
        raise StateError(f"got state of type {type(state).__name__}; wanted a RunningState or None")
    old = state or RunningState.empty(scheme, read.n_columns)
    old.check(scheme, read.n_columns)

    a, parts = read.arrays, []
    if a.name == "jax":
        register_with_jax()
    values, tally, disagreeing = a.ones(layout.table.rows) * 0, Tally(rows=read.rows), None
    size = values
    for column, center, scale in zip(read.columns(), old.center, old.scale, strict=True):
        column = column if rollouts is None else rollouts.column(column)
        part = _normalized(column, layout, center, scale)
        term = column.weight * part.values
        values, size, tally = values + term, size + abs(term), tally + part.tally
        parts.append((part.center, part.scale))
        if part.disagreeing is not None:
            first = disagreeing is None
            disagreeing = part.disagreeing if first else disagreeing | part.disagreeing
    if scheme.whiten == "batch":
        values = _whitened(values, size, read.used, layout)

    tally += Tally(
        missing=0 if read.incomplete is None else a.count(read.incomplete),
        left_out=0 if read.used is None else a.count(~read.used),
        disagreeing=0 if disagreeing is None else a.count(disagreeing),
    )
    if rollouts is not None:
        values = rollouts.spread(values)
    new = old.advanced(parts) if scheme.keeps_state else None
    return Credit(a.like(values, read.given), new, tally)


@dataclass(frozen=True)
class _Part:
    """What one reward column contributes."""

    values: Array
    center: Moments
    scale: Moments
    tally: Tally
    disagreeing: Array | None


def _normalized(column: Column, layout: Layout, center: Moments, scale: Moments) -> _Part:
    """One reward column [N], centered and divided, with its policies applied."""
    a, scheme, where = layout.arrays, layout.scheme, layout.arrays.xp.where
    s = layout.samples("center", column.ok)
    x, rest, size = column.values, column.rest, column.size
    own = group_moments(x, size, s, a, layout.epsilon, rest)
    disagreeing = _disagreeing(column, own, s, a)
    if scheme.transform == "rank":
        x, rest, size = midranks(own.above, own.tolerance, s, a), None, None
        own = group_moments(x, size, s, a, layout.epsilon)
    raw = own.low[s.ids] + own.above if s.by_rollout or rest is not None else x

    values, center, tally = _centered(raw, own, s, layout, center)
    alone = layout.lonely(s, "center")[s.ids]
    if scheme.scale != "none":
        t, target, of = s, own, (x, rest)
        if not layout.same:
            t = layout.samples("scale", column.ok)
            if scheme.scale_of == "centered" and scheme.center != "none":
                of = (values, None)
            sized = abs(raw) if size is None else size
            target = group_moments(of[0], sized, t, a, layout.epsilon, of[1])
            alone = alone | layout.lonely(t, "scale")[t.ids]
        divisor, scale, more = _divisor(target, of, t, layout, column.ok, scale)
        tally += more
        flat = (divisor <= target.tolerance)[t.ids]
        unscaled = 0.0 if scheme.constant == "zero" else values
        values = where(flat, unscaled, values / where(flat, 1.0, divisor[t.ids]))
    values = where(alone, raw if scheme.singleton == "raw" else 0.0, values)
    if column.ok is not None:
        values = where(column.ok, values, 0.0)
    return _Part(values, center, scale, tally, disagreeing)


def _centered(
    raw: Array, own: GroupMoments, s: Samples, layout: Layout, memory: Moments
) -> tuple[Array, Moments, Tally]:
    """Values [N] minus their center, the memory after it, and what was met."""
    a, center = layout.arrays, layout.scheme.center
    tally = _tally(own, s, layout, "center")
    if center == "mean":
        return own.deviation, memory, tally
    if center == "none":
        return raw, memory, tally
    if center == "running_mean":
        now = _recalled(memory, own, s, layout, "center")
        return raw - a.beside(now.mean)[s.ids], now.memory, tally + Tally(cold=now.cold)
    others = s.total[s.ids] - s.rollout_sum(s.weight, a)
    rest = (s.total * own.mean)[s.ids] - s.rollout_sum(s.weight * own.above, a)
    baseline = rest / a.xp.where(others > 0.5, others, 1.0)
    return a.xp.where(own.constant[s.ids], 0.0, own.above - baseline), memory, tally


def _divisor(
    target: GroupMoments,
    of: tuple[Array, Array | None],
    s: Samples,
    layout: Layout,
    ok: Array | None,
    memory: Moments,
) -> tuple[Array, Moments, Tally]:
    """The divisor [n] of each scale group after its guards, the memory, and what was met.

    `of` are the values [N] that `target` describes, and their rest.
    """
    a, scheme, filled = layout.arrays, layout.scheme, s.total > 0
    tally = Tally() if layout.same else _tally(target, s, layout, "scale")
    var = target.var
    if scheme.scale == "running_std":
        now = _recalled(memory, target, s, layout, "scale")
        var, memory = a.beside(now.var), now.memory
        flat = a.count(filled & (a.xp.sqrt(var) <= target.tolerance))
        if not (layout.same and scheme.center == "running_mean"):  # else the center counted them
            tally += Tally(cold=now.cold)
        if not (layout.same and layout.needs_samples("center")):
            tally += Tally(constants=flat)
    if scheme.shrink or scheme.min_count:
        whole = layout.samples("whole", ok)
        batch = group_moments(of[0], None, whole, a, layout.epsilon, of[1])
        batch_var = a.xp.where(filled, a.max(batch.var[whole.ids], s.ids, s.n), 0.0)
        rollouts = s.rollout_count(a)
        var = (rollouts * var + scheme.shrink * batch_var) / a.xp.where(
            filled, rollouts + scheme.shrink, 1.0
        )
        few = filled & (rollouts < scheme.min_count - 0.5)
        var = a.xp.where(few, batch_var, var)
        tally += Tally(pooled=a.count(few))
    divisor = a.xp.sqrt(var)
    if scheme.floor:
        low = filled & (divisor < scheme.floor)
        divisor = a.xp.where(low, scheme.floor, divisor)
        tally += Tally(floored=a.count(low))
    return divisor, memory, tally


def _tally(own: GroupMoments, s: Samples, layout: Layout, level: Level) -> Tally:
    """How many groups a level has, and how many have one sample or no variance."""
    filled, lonely = s.total > 0, layout.lonely(s, level)
    needs_spread = layout.needs_samples(level)
    constant = filled & own.constant & ~lonely
    count = layout.arrays.count
    return Tally(
        groups=count(filled),
        singletons=count(filled & lonely),
        constants=count(constant) if needs_spread else 0,
    )


def _recalled(
    memory: Moments, own: GroupMoments, s: Samples, layout: Layout, level: Level
) -> Recalled:
    """Running statistics by group; NumPy from here on, since memory outlives the call."""
    keys = layout.keys(level)
    weight, mean, var = (_numpy(v)[: len(keys)] for v in (s.total, own.low + own.mean, own.var))
    now = recall(memory, keys, weight, mean, var, layout.scheme)
    spare = np.zeros(s.n - len(keys))  # the group of rows that do not count
    return now._replace(mean=np.append(now.mean, spare), var=np.append(now.var, spare))


def _disagreeing(column: Column, own: GroupMoments, s: Samples, a: Arrays) -> Array | None:
    """[rollouts] whether the rows of a rollout had different rewards in their group."""
    if not s.by_rollout:
        return None if column.span is None else column.span > own.tolerance[s.ids]
    off = abs(column.values - own.low[s.ids] - own.above) > own.tolerance[s.ids]
    counted = a.sum(a.floats(off & (s.weight > 0)), s.rollout, s.n_rollouts)
    return counted[: s.n_rollouts - (column.ok is not None)] > 0


def _whitened(values: Array, size: Array, used: Array | None, layout: Layout) -> Array:
    """Values [N] with mean 0 and deviation 1 over the whole batch; constant ones become 0.

    `size` [N] is the magnitude of the terms that were summed: terms that cancel leave rounding,
    which is constant too.
    """
    a, where = layout.arrays, layout.arrays.xp.where
    s = layout.samples("whole", used)
    own = group_moments(values, size, s, a, layout.epsilon)
    divisor = a.xp.sqrt(own.var)
    flat = divisor <= own.tolerance  # constant, or so small that squares are 0
    shifted = values - (own.low + own.mean)[s.ids]
    values = where(flat[s.ids], 0.0, shifted / where(flat, 1.0, divisor)[s.ids])
    return values if used is None else where(used, values, 0.0)


def _numpy(values: Array) -> NDArray[np.float64]:
    values = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(values, dtype=np.float64)
