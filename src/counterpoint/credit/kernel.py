"""`advantages` computes the advantage of every row from rewards and labels, by any scheme.

Read `advantages` and `_one` from top to bottom, then `normalize.column_credit` for one reward
column. The same code runs on NumPy, torch and JAX through `segments.Arrays`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, reduce
from operator import add, and_, or_
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Array, Columns, Ints
from counterpoint.credit.groups import GroupLayout, tolerance_of
from counterpoint.credit.labels import Labels
from counterpoint.credit.memory import JointState, RunningState, SchemeState
from counterpoint.credit.normalize import Tally, column_credit, together
from counterpoint.credit.rewards import RewardColumn, Rewards
from counterpoint.credit.rollouts import Rollouts, refuse_repeated_rows, returned
from counterpoint.credit.scheme import AnyScheme, Mix, PerRole, Scheme
from counterpoint.credit.segments import Arrays, arrays_of, is_traced
from counterpoint.errors import LabelError, SchemeError, StateError


@dataclass(frozen=True)
class Credit:
    """Advantages, the state for the next call, and the counts of edge cases."""

    values: Array
    """[N] advantage of each row, in the kind of array that the rewards were."""
    state: RunningState | None
    """Running statistics to pass into the next call; None for memory `batch`."""
    tally: Tally
    """Counts of the edge cases met."""


def advantages(
    rewards: Array, labels: Columns, scheme: AnyScheme, *, state: RunningState | None = None
) -> Credit:
    """Returns the advantage of every row under `scheme`.

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
    if isinstance(scheme, Mix):
        return _mixed(rewards, labels, scheme, state)
    if isinstance(scheme, PerRole):
        return _by_role(rewards, labels, scheme, state)
    if not isinstance(scheme, Scheme):
        raise SchemeError(f"got scheme {scheme!r}; wanted a Scheme, e.g. catalogue()['grpo']")
    return _one(rewards, labels, scheme, state).credit


class _Computed(NamedTuple):
    """The credit of one `Scheme`, and the facts about the rows that a mix needs."""

    credit: Credit
    used: Array | None
    """[N] rows of which some component counts; None = all."""
    incomplete: Array | None
    """[N] rows of which a component that has a weight is missing; None = none."""


def _one(rewards: Array, labels: Columns, scheme: Scheme, state: RunningState | None) -> _Computed:
    """Returns the credit of one `Scheme`, and the rows that have a value in it."""
    read = Rewards.read(rewards, scheme)
    table = Labels(labels, read.rows, read.arrays)
    rollouts = Rollouts.of(read, table, scheme)
    a, parts, differs = read.arrays, [], None
    if rollouts is None:
        layout = GroupLayout(table, scheme, a, read.epsilon)
    else:  # groups consist of whole rollouts, so each rollout becomes one row
        layout = GroupLayout(rollouts.labels, rollouts.scheme, a, read.epsilon, rollouts.rows)
    if not isinstance(state, SchemeState | None):
        raise StateError(f"got state of type {type(state).__name__}; wanted a RunningState or None")
    old = state or SchemeState.empty(scheme, read.n_columns)
    old.check(scheme, read.n_columns)
    if a.name == "jax":
        _register_with_jax()
    if rollouts is None:
        refuse_repeated_rows(read, table, scheme)
    for given, center, scale in zip(read.columns(), old.center, old.scale, strict=True):
        column, apart = _row_values(given, rollouts, table, layout, a)
        # One row a rollout already shows whether its rows differ, so the check runs only then.
        if rollouts is not None and apart is not None and differs is None:
            refuse_repeated_rows(read, table, scheme, known_to_differ=True)
        parts.append(column_credit(column, layout, center, scale))
        if apart is not None:
            differs = apart if differs is None else differs | apart
    values, used, tally = together(parts, read.rows, layout)
    if rollouts is not None:
        values = values[rollouts.rollout]
    if scheme.clip:
        large = abs(values) > scheme.clip
        values = a.xp.where(large, scheme.clip * a.xp.sign(values), values)
        tally += Tally(clipped=a.count(large))
    tally += Tally(
        missing=0 if read.incomplete is None else a.count(read.incomplete),
        left_out=0 if used is None else a.count(~used),
        disagreeing=0 if differs is None else a.count(differs),
    )
    new = old.advanced([(p.center, p.scale) for p in parts]) if scheme.keeps_state else None
    return _Computed(Credit(a.like(values, read.given), new, tally), used, read.incomplete)


def _row_values(
    given: RewardColumn, rollouts: Rollouts | None, table: Labels, layout: GroupLayout, a: Arrays
) -> tuple[RewardColumn, Array | None]:
    """Returns the column with the value of each row, and the rollouts whose rows differ."""
    scheme, differs = layout.scheme, None
    if rollouts is not None:
        column = rollouts.column(given)
        if column.span is not None:
            size = abs(column.values) + column.span if column.size is None else column.size
            differs = column.span > tolerance_of(size, layout.epsilon)
        alike = column.span is None and scheme.rollout_reward == "last"
        if scheme.rollout_reward == "mean" or alike:
            return column, differs
        back = returned(given, table, scheme, a)
        return column if back is given else rollouts.column(back), differs
    if layout.by_rollout:
        s = layout.samples("center", given.ok)
        size = abs(given.values) if given.size is None else given.size
        high, low, size = (
            a.max(given.values, s.rollout, s.n_rollouts),
            a.min(given.values, s.rollout, s.n_rollouts),
            a.max(size, s.rollout, s.n_rollouts),
        )
        differs = high - low > tolerance_of(size, layout.epsilon)
        # The last id stands for all rows that do not count, which are no rollout.
        differs = differs[: s.n_rollouts - (given.ok is not None)]
    return given if scheme.rollout_reward == "mean" else returned(given, table, scheme, a), differs


def _mixed(rewards: Array, labels: Columns, mix: Mix, state: RunningState | None) -> Credit:
    """Returns the credit of a mix: the weighted sum of its parts' advantages."""
    old = _joint(state)
    parts = [_one(rewards, labels, s, old.of(i)) for i, s in enumerate(mix.schemes)]
    weighted = [weight * p.credit.values for (weight, _), p in zip(mix.parts, parts, strict=True)]
    incomplete = [part.incomplete for part in parts if part.incomplete is not None]
    unused = [~part.used for part in parts if part.used is not None]
    count = arrays_of(parts[0].credit.values).count
    # Edge cases add up over the parts; rows are the same in all of them and count once.
    tally = replace(
        reduce(add, (part.credit.tally for part in parts)),
        rows=parts[0].credit.tally.rows,
        missing=count(reduce(or_, incomplete)) if incomplete else 0,
        left_out=count(reduce(and_, unused)) if len(unused) == len(parts) else 0,
    )
    return Credit(
        sum(weighted), old.after([(i, p.credit.state) for i, p in enumerate(parts)]), tally
    )


def _by_role(rewards: Array, labels: Columns, per: PerRole, state: RunningState | None) -> Credit:
    """Returns the credit of each role by its own scheme."""
    old = _joint(state)
    role_of = labels.get("role", labels.get("agent"))
    if role_of is None or is_traced(role_of):
        raise LabelError(
            f"got labels {sorted(labels)}; wanted labels['role'] (or 'agent') as known values, one "
            "for each row: PerRole has a scheme for each role"
        )
    columns = {name: _column(column) for name, column in labels.items()}
    rows_of: dict[Any, list[int]] = {}
    for row, role in enumerate(_column(role_of).tolist()):
        rows_of.setdefault(role, []).append(row)
    plain = rewards if hasattr(rewards, "shape") else np.asarray(rewards, dtype=object)
    pieces: list[tuple[Ints, Credit]] = []
    for role, places in rows_of.items():
        rows = np.asarray(places)
        part = plain[arrays_of(plain).beside(rows)]
        chosen = {name: column[rows] for name, column in columns.items()}
        pieces.append((rows, _one(part, chosen, per.of(role), old.of(role)).credit))
    if not pieces:  # no row, thus no role: running statistics stay as they are
        empty = _one(rewards, labels, per.default or per.schemes[0][1], None).credit
        return replace(empty, state=old.after([]))
    tally = reduce(add, (credit.tally for _, credit in pieces))
    states = [(role, credit.state) for role, (_, credit) in zip(rows_of, pieces, strict=True)]
    return Credit(_scattered(pieces, plain), old.after(states), tally)


def _column(column: Array) -> NDArray[Any]:
    """Returns a label column as an array in which a list keeps the types of its values."""
    if hasattr(column, "detach"):
        column = column.detach().cpu()
    if isinstance(column, list | tuple):
        out = np.empty(len(column), dtype=object)
        out[:] = column
        return out
    return np.asarray(column)


def _scattered(pieces: Sequence[tuple[Ints, Credit]], like: Array) -> Array:
    """Returns the pieces' values in the order of the batch, in their kind of array."""
    # Joined and then reordered: JAX arrays cannot be written to.
    order = np.argsort(np.concatenate([rows for rows, _ in pieces]), kind="stable")
    library, values = arrays_of(like).name, [credit.values for _, credit in pieces]
    if library == "torch":
        import torch

        return torch.cat(values)[torch.as_tensor(order, device=values[0].device)]
    if library == "jax":
        import jax.numpy as jnp

        return jnp.concatenate(values)[order]
    return np.concatenate(values)[order]


def _joint(state: RunningState | None) -> JointState:
    """Returns the state of a scheme made of schemes; an empty one before the first call."""
    if not isinstance(state, JointState | None):
        raise StateError(
            f"got state of type {type(state).__name__} for a scheme made of schemes; wanted the "
            "JointState that it returned, or None"
        )
    return state or JointState(())


@cache
def _register_with_jax() -> None:
    """Makes `Credit` and `Tally` pytrees, so that a jitted function may return them."""
    import jax

    for cls in (Credit, Tally):
        names = [f.name for f in fields(cls)]
        jax.tree_util.register_dataclass(cls, data_fields=names, meta_fields=[])
