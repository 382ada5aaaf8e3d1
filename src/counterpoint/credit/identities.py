"""Rows that cannot be distinguished: one rollout of one agent at one turn, with two rewards.

A prompt that is drawn twice in a batch, with rollouts numbered alike each time, would be averaged
into nonsense by every scheme that takes rollouts together. Nothing is looked at closely unless
the rows of some rollout have different rewards.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit.labels import Labels
from counterpoint.credit.rewards import Rewards
from counterpoint.credit.scheme import Scheme
from counterpoint.errors import LabelError

ORDER = ("batch", "prompt", "rollout", "agent", "role", "turn", "context")
"""Labels that distinguish rows, in the order in which their ids are made elsewhere too."""


def refuse_repeated_rows(
    read: Rewards, table: Labels, scheme: Scheme, *, known_to_differ: bool = False
) -> None:
    """Check that a scheme that takes the rows of a rollout together knows which they are.

    Rows of one agent in one rollout may differ if `turn` distinguishes them. Without `turn` they
    are the agent's turns in their order, which can be believed only where the rollout's rows stand
    side by side and `agent` (or `role`) is given.

    Raises:
        LabelError: rows with the same labels have different rewards.
    """
    if not _takes_rollouts(scheme) or table.traced or read.arrays.traced or not table.rows:
        return
    if "rollout" not in table.columns or not (known_to_differ or _disagree(read, table)):
        return
    names = tuple(name for name in ORDER if name in table.columns)
    key = table.ids(names)
    if np.bincount(key.ids).max() < 2:
        return
    bad = _conflicts(read, key.ids)
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


def _takes_rollouts(scheme: Scheme) -> bool:
    alone = scheme.weighting == "step" and scheme.rollout_reward == "mean"
    return not alone or scheme.center == "leave_one_out"


def _disagree(read: Rewards, table: Labels) -> bool:
    """Whether the rows of some rollout have different rewards, beyond rounding."""
    a = read.arrays
    ids, first = table.rollouts()
    rows = a.beside(ids)
    if read.missing is None:
        values = read.values
        return bool((values != values[a.beside(first)][rows]).any())
    n, inf = len(first), float("inf")
    for k in range(len(read.weights)):
        missing, x = read.missing[:, k], read.values[:, k]
        high = a.max(a.xp.where(missing, -inf, x), rows, n)
        low = a.min(a.xp.where(missing, inf, x), rows, n)
        if (high > low).any():
            return True
    return False


def _conflicts(read: Rewards, key: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[N] whether a row with the same key has another reward; a missing one is no other."""
    values = read.values
    plain = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    out = np.zeros(len(key), dtype=bool)
    n = int(key.max()) + 1
    for x in plain.T:
        ok = ~np.isnan(x)
        low, high = np.full(n, np.inf), np.full(n, -np.inf)
        np.minimum.at(low, key[ok], x[ok])
        np.maximum.at(high, key[ok], x[ok])
        size = np.maximum(abs(low), abs(high))
        with np.errstate(invalid="ignore"):
            out |= ok & ((high - low) > 8 * read.epsilon * size)[key]
    return out


def _side_by_side(rollout: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[N] whether the rows of a row's rollout stand side by side."""
    n = int(rollout.max()) + 1
    place = np.arange(len(rollout))
    first, last = np.full(n, len(rollout)), np.zeros(n, dtype=np.int64)
    np.minimum.at(first, rollout, place)
    np.maximum.at(last, rollout, place)
    together: NDArray[np.bool_] = last - first + 1 == np.bincount(rollout, minlength=n)
    return together[rollout]
