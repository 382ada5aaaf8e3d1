"""The value of a rollout: `returned` for each row, and `Rollouts` with one row for each rollout.

Trainers write the return of an episode on every row of it, on the last row alone, or in parts;
`rollout_reward` says which. Under trajectory weighting a rollout counts once in its prompt, by the
mean of its rows. If groups consist of whole rollouts, that mean is computed first: a team of eight
that shares one reward then has one row a rollout instead of eight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from counterpoint.arrays import Array, Ints
from counterpoint.credit.labels import Labels, traced_order
from counterpoint.credit.rewards import RewardColumn, Rewards
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import Arrays


@dataclass(frozen=True)
class Rollouts:
    """The rollouts of a batch, to be taken for its rows."""

    labels: Labels
    """Labels [R] of the rollouts."""
    scheme: Scheme
    """The scheme for them: every one counts once, with its value."""
    arrays: Arrays
    rollout: Array
    """[N] rollout of each row."""
    first: Array
    """[R] first row of each rollout."""
    rows: Array
    """[R] how many rows each rollout has."""

    @classmethod
    def of(cls, read: Rewards, labels: Labels, scheme: Scheme) -> Rollouts | None:
        """Returns the rollouts, or None where rows are needed.

        They are where a group can hold a part of a rollout, where rows or single components are
        missing (then each component has rollouts of its own), where the last pass counts rows, and
        where shapes must be known (inside `jax.jit`).
        """
        by = {*scheme.center_by, *(scheme.scale_by or ())}
        parts = bool(by - {"prompt"}) or scheme.weighting == "step"
        summed = scheme.components == "sum_first" and read.used is None
        whole = read.missing is None or summed
        apart = scheme.whiten_weighting not in (None, "trajectory")
        if parts or apart or not whole or labels.traced or read.arrays.traced:
            return None
        ids, first = labels.rollouts()
        columns = {n: column[first] for n, column in labels.columns.items() if n != "agent"}
        fewer = Labels(columns, len(first), read.arrays)
        a = read.arrays
        once = replace(scheme, weighting="step", whiten_weighting=None)
        rows = a.beside(np.bincount(ids, minlength=len(first)))
        return cls(fewer, once, a, a.beside(ids), a.beside(first), rows)

    def column(self, given: RewardColumn) -> RewardColumn:
        """Returns [R] the mean of each rollout's rows, from one value a row.

        It is the first row's value plus the mean difference from it, kept apart: rewards of 1e8
        keep their digits.
        """
        a, n = self.arrays, self.labels.rows
        values = given.values[self.first]
        size = None if given.size is None else a.max(given.size, self.rollout, n)
        off = given.values - values[self.rollout]
        if not off.any():
            return RewardColumn(values, None, size, given.weight)
        rest = a.sum(off, self.rollout, n) / self.rows
        up, down = a.max(off, self.rollout, n) - rest, rest - a.min(off, self.rollout, n)
        span = a.xp.where(up > down, up, down)
        return RewardColumn(values, None, size, given.weight, rest, span)

    def spread(self, values: Array) -> Array:
        """Returns [N] the value of each row's rollout, from one for each rollout [R]."""
        return values[self.rollout]


def returned(column: RewardColumn, table: Labels, scheme: Scheme, a: Arrays) -> RewardColumn:
    """Returns `column` with the value that `rollout_reward` gives each row.

    A row without a reward takes part in its agent's rollout like any other; it is left out only
    where nothing of that rollout (for `to_go`: nothing from the row on) has a reward.

    Args:
        column: one reward column [N].
        table: the labels; rows are ordered by turn where it is given, else as they come.
        scheme: its `rollout_reward` and `gamma` are used.
        a: the array library.
    """
    cell, n = table.speakers()
    if not table.traced and np.bincount(cell, minlength=1).max() < 2:
        return column  # one row an agent and rollout: it is the first, the last and the sum
    ids = cell if table.traced else a.beside(cell)
    known = a.floats(column.values == column.values) if column.ok is None else a.floats(column.ok)
    size = abs(column.values) if column.size is None else column.size
    if scheme.rollout_reward == "sum":
        values, sizes, there = (
            a.sum(part * known, ids, n)[ids] for part in (column.values, size, 1.0 + 0.0 * known)
        )
    else:
        order = _order(table, cell, n, a)
        if scheme.rollout_reward == "last":
            values, sizes, there = _last(column.values, size, known, ids, n, order, a)
        else:
            parts = (column.values * known, size * known, known)
            gammas = (scheme.gamma, scheme.gamma, 1.0)
            values, sizes, there = (
                _to_go(part, gamma, ids, order, a)
                for part, gamma in zip(parts, gammas, strict=True)
            )
    ok = None if column.ok is None else there > 0.5
    return replace(column, values=values, size=sizes, ok=ok)


def _last(
    x: Array, size: Array, known: Array, ids: Array, n: int, order: Array, a: Arrays
) -> tuple[Array, Array, Array]:
    """Returns [N] the last known value of each row's cell, its size, and whether it exists."""
    place = a.floats(a.argsort(order))  # of each row in the order of its cell
    latest = a.max(a.xp.where(known > 0, place, -1.0), ids, n)[ids]
    is_last = a.floats((known > 0) & (place == latest))
    return (
        a.sum(x * is_last, ids, n)[ids],
        a.sum(size * is_last, ids, n)[ids],
        a.floats(latest >= 0),
    )


def _to_go(x: Array, gamma: float, ids: Array, order: Array, a: Arrays) -> Array:
    """Returns [N] `x_t + gamma x_(t+1) + ...` over the rows of a cell from each row on.

    Doubles the span that is summed in each pass, so that T steps take log T passes and no sum is a
    difference of larger ones.
    """
    total, cell = x[order], ids[order]
    reach, power, rows = 1, gamma, len(total)
    while reach < rows and power != 0.0:
        place = a.places(rows)
        ahead = a.xp.where(place + reach < rows, place + reach, 0)
        same = (place + reach < rows) & (cell[ahead] == cell)
        if not a.traced and not a.count(same):
            break
        total = total + a.xp.where(same, power * total[ahead], 0.0)
        reach, power = 2 * reach, power * power
    return total[a.argsort(order)]


def _order(table: Labels, cell: Array, n: int, a: Arrays) -> Array:
    """Returns [N] rows sorted by cell, then by turn where it is given, then as they come."""
    turn = table.columns.get("turn")
    if table.traced:
        return traced_order(cell, turn)
    if turn is None:
        return a.beside(np.argsort(cell, kind="stable"))
    order: Ints = np.lexsort((np.asarray(turn), cell))
    return a.beside(order)
