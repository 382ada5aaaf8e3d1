"""`advantages` computes the advantage of every row from rewards and labels, by any `Scheme`.

Read `advantages` from top to bottom, then `normalize.column_credit` for one reward column. The same
code runs on NumPy, torch and JAX through `segments.Arrays`.
"""

from __future__ import annotations

from counterpoint.arrays import Array, Columns
from counterpoint.credit.composite import AnyScheme, Computed, Mix, PerRole, by_role, mixed
from counterpoint.credit.groups import GroupLayout, tolerance_of
from counterpoint.credit.identities import refuse_repeated_rows
from counterpoint.credit.labels import Labels
from counterpoint.credit.memory import RunningState, SchemeState
from counterpoint.credit.normalize import column_credit, together
from counterpoint.credit.result import Credit, Tally, register_with_jax
from counterpoint.credit.rewards import RewardColumn, Rewards
from counterpoint.credit.rollouts import Rollouts, returned
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import Arrays
from counterpoint.errors import SchemeError, StateError


def advantages(
    rewards: Array,
    labels: Columns,
    scheme: AnyScheme,
    *,
    state: RunningState | None = None,
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
        return mixed(rewards, labels, scheme, state, _one)
    if isinstance(scheme, PerRole):
        return by_role(rewards, labels, scheme, state, advantages)
    if not isinstance(scheme, Scheme):
        raise SchemeError(f"got scheme {scheme!r}; wanted a Scheme, e.g. catalogue()['grpo']")
    return _one(rewards, labels, scheme, state).credit


def _one(rewards: Array, labels: Columns, scheme: Scheme, state: RunningState | None) -> Computed:
    """Returns the credit of one `Scheme`, and which rows it says something of."""
    read = Rewards.read(rewards, scheme)
    table = Labels(labels, read.rows, read.arrays)
    rollouts = Rollouts.of(read, table, scheme)
    if rollouts is None:
        layout = GroupLayout(table, scheme, read.arrays, read.epsilon)
    else:
        layout = GroupLayout(
            rollouts.labels, rollouts.scheme, read.arrays, read.epsilon, rollouts.rows
        )
    if not isinstance(state, SchemeState | None):
        raise StateError(f"got state of type {type(state).__name__}; wanted a RunningState or None")
    old = state or SchemeState.empty(scheme, read.n_columns)
    old.check(scheme, read.n_columns)
    a, parts, differs = read.arrays, [], None
    if a.name == "jax":
        register_with_jax()
    if rollouts is None:  # else looked at where rows of a rollout turn out to differ
        refuse_repeated_rows(read, table, scheme)
    for given, center, scale in zip(read.columns(), old.center, old.scale, strict=True):
        column, apart = _row_values(given, rollouts, table, layout, a)
        if rollouts is not None and apart is not None and differs is None:
            refuse_repeated_rows(read, table, scheme, known_to_differ=True)
        parts.append(column_credit(column, layout, center, scale))
        if apart is not None:
            differs = apart if differs is None else differs | apart
    values, used, tally = together(parts, read.rows, layout)
    if rollouts is not None:
        values = rollouts.spread(values)
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
    return Computed(Credit(a.like(values, read.given), new, tally), used, read.incomplete)


def _row_values(
    given: RewardColumn, rollouts: Rollouts | None, table: Labels, layout: GroupLayout, a: Arrays
) -> tuple[RewardColumn, Array | None]:
    """Returns the column with what each row counts as, and which rollouts had rows that differ."""
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
        differs = _differing(given, layout, a)
    if scheme.rollout_reward == "mean":
        return given, differs
    return returned(given, table, scheme, a), differs


def _differing(column: RewardColumn, layout: GroupLayout, a: Arrays) -> Array:
    """Returns [rollouts] whether the rows of a rollout had different rewards in their group."""
    s = layout.samples("center", column.ok)
    high, low = (
        a.max(column.values, s.rollout, s.n_rollouts),
        a.min(column.values, s.rollout, s.n_rollouts),
    )
    size = abs(column.values) if column.size is None else column.size
    differ = high - low > tolerance_of(a.max(size, s.rollout, s.n_rollouts), layout.epsilon)
    return differ[: s.n_rollouts - (column.ok is not None)]
