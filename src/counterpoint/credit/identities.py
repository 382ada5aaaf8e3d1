"""Rows that cannot be distinguished: one rollout of one agent at one turn, with two rewards.

A prompt that is drawn twice in a batch, with rollouts numbered alike each time, would be averaged
into nonsense by every scheme that takes rollouts together. Nothing is looked at closely unless
the rows of some rollout have different rewards. `conflicting_rows` says what a different one is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Array, Bools, Ints
from counterpoint.credit.labels import Labels
from counterpoint.credit.rewards import RewardColumn, Rewards
from counterpoint.credit.scheme import Scheme
from counterpoint.errors import LabelError

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
        bad &= ~_side_by_side(table.rollouts()[0])
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

    Args:
        read: the rewards, as the scheme reads them.
        key: [N] ids of what distinguishes rows.

    Source: ours.
    """
    bad = _differ(_stated(read), key, read.epsilon)
    if read.scheme.rollout_reward == "sum" and bad.any():
        bad &= _differ(_components(read), key, read.epsilon)
    return bad


def _stated(read: Rewards) -> list[RewardColumn]:
    """Returns the normalized columns; for `to_go`, also whether a row has a value in each."""
    columns = list(read.columns())
    if read.scheme.rollout_reward == "to_go":
        given = [read.arrays.floats(c.ok) for c in columns if c.ok is not None]
        columns += [RewardColumn(values, None, None, 1.0) for values in given]
    return columns


def _components(read: Rewards) -> list[RewardColumn]:
    """Returns each component by itself, where it is there."""
    missing = read.missing
    return [
        RewardColumn(read.values[:, k], None if missing is None else ~missing[:, k], None, weight)
        for k, weight in enumerate(read.weights)
    ]


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
    out = np.zeros(len(key), dtype=bool)
    n = int(key.max()) + 1
    for column in columns:
        x = _plain(column.values)
        ok = np.ones(len(key), dtype=bool) if column.ok is None else _plain(column.ok)
        size = abs(x) if column.size is None else _plain(column.size)
        low, high, largest = np.full(n, np.inf), np.full(n, -np.inf), np.zeros(n)
        np.minimum.at(low, key[ok], x[ok])
        np.maximum.at(high, key[ok], x[ok])
        np.maximum.at(largest, key[ok], size[ok])
        out |= ok & ((high - low) > 8 * epsilon * largest)[key]
    return out


def _plain(values: Array) -> NDArray[np.generic]:
    """Returns the values as a NumPy array."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _side_by_side(rollout: Ints) -> Bools:
    """Returns [N] whether the rows of a row's rollout stand side by side."""
    n = int(rollout.max()) + 1
    place = np.arange(len(rollout))
    first, last = np.full(n, len(rollout)), np.zeros(n, dtype=np.int64)
    np.minimum.at(first, rollout, place)
    np.maximum.at(last, rollout, place)
    together: Bools = last - first + 1 == np.bincount(rollout, minlength=n)
    return together[rollout]
