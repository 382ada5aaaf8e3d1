"""Ranks within groups: what is left of a reward when only order can be trusted.

A strict ranking of G rollouts always has the same advantages, never a dead group; ties share the
mean of their places and bring dead groups back.
"""

from __future__ import annotations

from counterpoint.credit.groups import Samples
from counterpoint.credit.segments import Array, Arrays


def midranks(values: Array, tolerance: Array, s: Samples, a: Arrays) -> Array:
    """[N] rank of each row's value in its group, from 1 (lowest); ties share their mean place.

    Where w counts each sample once (the first row of a rollout under trajectory weighting), the
    rank is `sum of w below + (sum of w tied + 1) / 2`. All sums are of integers, so that ranks are
    exact and do not depend on what else is in the batch.

    Args:
        values: [N] what to rank; rows of one rollout carry one value (trajectory weighting).
        tolerance: [n] neighbours that differ by no more are tied.
        s: the groups and weights.
        a: the array library.
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
    starts = a.xp.where(sorted_values - _previous(sorted_values, a) > tolerance[ids], 1, 0)
    starts = a.xp.where(ids != _previous(ids, a), 1, starts)
    block = a.xp.cumsum(starts) - starts[:1].sum()
    tied = a.sum(weight, block, len(values))
    below = (a.xp.cumsum(tied) - tied)[block] - (a.xp.cumsum(total) - total)[ids]
    rank_sorted = below + (tied[block] + 1) / 2
    back = a.argsort(order)
    return rank_sorted[back]


def _previous(values: Array, a: Arrays) -> Array:
    """[N] each value's left neighbour; the first is its own."""
    places = a.places(len(values))
    return values[a.xp.where(places > 0, places - 1, places)]
