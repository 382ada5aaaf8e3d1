"""The value of a rollout: `returned` for each row, and `Rollouts` with one row for each rollout.

Trainers write the return of an episode on every row of it, on the last row alone, or in parts;
`rollout_reward` says which. Under trajectory weighting a rollout counts once in its prompt, by the
mean of its rows. If groups consist of whole rollouts, that mean is computed first: a team of eight
that shares one reward then has one row a rollout instead of eight.

`refuse_repeated_rows` refuses rows that cannot be distinguished: one rollout of one agent at one
turn, with two rewards. A prompt that is drawn twice in a batch, with rollouts numbered alike each
time, would be averaged into nonsense by every scheme that takes rollouts together.
`conflicting_rows` says what a different reward is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Array, Bools, Ints
from counterpoint.credit.groups import tolerance_of
from counterpoint.credit.labels import Labels, traced_order
from counterpoint.credit.rewards import RewardColumn, Rewards
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import Arrays, segment_max, segment_min
from counterpoint.errors import LabelError


@dataclass(frozen=True)
class Rollouts:
    """The rollouts of a batch, which take the place of its rows."""

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

        Rows are needed where a group can hold a part of a rollout, where rows or single components
        are missing (then each component has rollouts of its own), where the last pass counts rows,
        and where shapes must be known (inside `jax.jit`).
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


def returned(column: RewardColumn, table: Labels, scheme: Scheme, a: Arrays) -> RewardColumn:
    """Returns the reward column [N] with the value that `rollout_reward` gives each row.

    Rows are ordered by turn where it is given, else as they come. A row without a reward takes part
    in its agent's rollout like any other; it is left out only where nothing of that rollout (for
    `to_go`: nothing from the row on) has a reward.
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
        turn = table.columns.get("turn")
        if table.traced:
            order = traced_order(cell, turn)
        elif turn is None:  # rows stand in the order of their turns
            order = a.beside(np.argsort(cell, kind="stable"))
        else:
            order = a.beside(np.lexsort((np.asarray(turn), cell)))
        if scheme.rollout_reward == "last":
            place = a.floats(a.argsort(order))  # of each row in the order of its cell
            latest = a.max(a.xp.where(known > 0, place, -1.0), ids, n)[ids]
            is_last = a.floats((known > 0) & (place == latest))
            values, sizes = (a.sum(x * is_last, ids, n)[ids] for x in (column.values, size))
            there = a.floats(latest >= 0)
        else:
            parts = (column.values * known, size * known, known)
            gammas = (scheme.gamma, scheme.gamma, 1.0)
            values, sizes, there = (
                _to_go(part, gamma, ids, order, a)
                for part, gamma in zip(parts, gammas, strict=True)
            )
    ok = None if column.ok is None else there > 0.5
    return replace(column, values=values, size=sizes, ok=ok)


def _to_go(x: Array, gamma: float, ids: Array, order: Array, a: Arrays) -> Array:
    """Returns [N] `x_t + gamma x_(t+1) + ...` over the rows of a cell from each row on.

    Each pass doubles the span that is summed, so that T steps take log T passes and no sum is a
    difference of larger ones.
    """
    total, cell = x[order], ids[order]
    reach, power, rows = 1, gamma, len(total)
    while reach < rows and power != 0.0:
        # After k passes each place holds 2^k terms, those 2^k rows ahead the next ones.
        place = a.places(rows)
        ahead = a.xp.where(place + reach < rows, place + reach, 0)
        same = (place + reach < rows) & (cell[ahead] == cell)
        if not a.traced and not a.count(same):
            break
        total = total + a.xp.where(same, power * total[ahead], 0.0)
        reach, power = 2 * reach, power * power
    return total[a.argsort(order)]


ORDER = ("batch", "prompt", "rollout", "agent", "role", "turn", "context")
"""Labels that distinguish rows, in the order in which their ids are made elsewhere too."""


def refuse_repeated_rows(
    read: Rewards, table: Labels, scheme: Scheme, *, known_to_differ: bool = False
) -> None:
    """Checks that a scheme that takes the rows of a rollout together knows which they are.

    Rows of one agent in one rollout may differ if `turn` distinguishes them. Without `turn` they
    are the agent's turns in their order, which can be believed only where the rollout's rows stand
    side by side and `agent` (or `role`) is given.

    Raises:
        LabelError: rows with the same labels have different rewards.
    """
    by_row = scheme.weighting == "step" and scheme.rollout_reward == "mean"
    if by_row and scheme.center != "leave_one_out":
        return
    if table.traced or read.arrays.traced or not table.rows:
        return
    if "rollout" not in table.columns or not (known_to_differ or _disagree(read, table)):
        return
    names = tuple(name for name in ORDER if name in table.columns)
    key = table.ids(names)
    if np.bincount(key.ids).max() < 2:
        return
    bad = conflicting_rows(read, key.ids)
    if "turn" not in table.columns and {"agent", "role"} & set(table.columns):
        # Turns that are not numbered are in order where their rollout's rows stand side by side.
        rollout = table.rollouts()[0]
        place = np.arange(float(len(rollout)))
        first, last = (f(place, rollout, len(rollout)) for f in (segment_min, segment_max))
        together = last - first + 1 == np.bincount(rollout, minlength=len(rollout))
        bad &= ~together[rollout]
    if not bad.any():
        return
    row = int(np.flatnonzero(bad)[0])
    which = ", ".join(f"{name} {table.columns[name][row]}" for name in names)
    raise LabelError(
        f"got {int(bad.sum())} rows that share their labels ({which}) with a row of another "
        "reward; wanted rollouts that are numbered apart (a prompt that is drawn twice is two "
        "prompts, or has rollouts of its own), or labels['turn'] where they are turns of one "
        "rollout"
    )


def conflicting_rows(read: Rewards, key: Ints) -> Bools:
    """Returns [N] whether a row with the same key has another reward, as the scheme reads rewards.

    Two rows conflict if a column that the scheme normalizes differs between them: the sum of the
    components, or each component by itself. A row that says nothing in a column is no conflict,
    except in what `rollout_reward` makes of it:

    - `mean` takes the mean of such rows and `last` the last of them: both pass over a row that
      says nothing, and neither can be right for two different values.
    - `sum` adds up what the rows say of each component. Rows with `[1, None]` and `[None, 7]` are
      8 in either order; only two different values of one component conflict.
    - `to_go` gives a row the rest from it on. A row that says nothing beside one that does
      conflicts too: whether the rest of the first holds the second's reward depends on the order.

    Source: ours.
    """
    bad = _differ(_stated(read), key, read.epsilon)
    if read.scheme.rollout_reward == "sum" and bad.any():
        there = [None] * len(read.weights) if read.missing is None else (~read.missing).T
        apart = zip(read.values.T, there, read.weights, strict=True)
        bad &= _differ([RewardColumn(x, ok, None, w) for x, ok, w in apart], key, read.epsilon)
    return bad


def _stated(read: Rewards) -> list[RewardColumn]:
    """Returns the normalized columns; for `to_go`, also whether a row has a value in each."""
    columns = list(read.columns())
    if read.scheme.rollout_reward == "to_go":
        given = [read.arrays.floats(c.ok) for c in columns if c.ok is not None]
        columns += [RewardColumn(values, None, None, 1.0) for values in given]
    return columns


def _disagree(read: Rewards, table: Labels) -> bool:
    """Returns whether the rows of some rollout have different rewards, beyond rounding."""
    a = read.arrays
    ids, first = table.rollouts()
    rows, start, inf = a.beside(ids), a.beside(first), float("inf")
    for column in _stated(read):
        x = column.values
        if column.ok is None:
            differs = x != x[start][rows]
        else:
            high = a.max(a.xp.where(column.ok, x, -inf), rows, len(first))
            differs = high > a.min(a.xp.where(column.ok, x, inf), rows, len(first))
        if differs.any():
            return True
    return False


def _differ(columns: list[RewardColumn], key: Ints, epsilon: float) -> Bools:
    """Returns [N] whether a row with the same key has another value in some column."""
    out, n = np.zeros(len(key), dtype=bool), int(key.max()) + 1
    for column in columns:
        x = _plain(column.values)
        ok = np.ones(len(key), dtype=bool) if column.ok is None else _plain(column.ok)
        size = abs(x) if column.size is None else _plain(column.size)
        low, high = segment_min(x[ok], key[ok], n), segment_max(x[ok], key[ok], n)
        largest = segment_max(size[ok], key[ok], n)
        out |= ok & ((high - low) > tolerance_of(largest, epsilon))[key]
    return out


def _plain(values: Array) -> NDArray[np.generic]:
    """Returns the values as a NumPy array."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
