"""Ids of labels whose values are unknown: the steps of `labels` inside `jax.jit`.

Shapes must be known there, so there are always as many ids as rows, most of them without rows.
"""

from __future__ import annotations

from counterpoint.credit.segments import Array


def traced_ids(column: Array, rows: int) -> Array:
    """[N] ids of the distinct values of a column."""
    import jax.numpy as jnp

    ids: Array = jnp.unique(column, return_inverse=True, size=rows)[1]
    return ids


def traced_pairs(one: Array, other: Array, rows: int) -> Array:
    """[N] ids of the distinct pairs of ids."""
    import jax.numpy as jnp

    left, right = jnp.asarray(one), jnp.asarray(other)
    order = jnp.lexsort((right, left))
    left_sorted, right_sorted = left[order], right[order]
    changed = (left_sorted[1:] != left_sorted[:-1]) | (right_sorted[1:] != right_sorted[:-1])
    dense = jnp.concatenate([jnp.zeros(min(1, rows), dtype=int), jnp.cumsum(changed)])
    ids: Array = jnp.zeros(rows, dtype=int).at[order].set(dense)
    return ids


def traced_places(ids: Array, n: int, rows: int) -> Array:
    """[N] how many rows with the same id come before."""
    import jax
    import jax.numpy as jnp

    order, places = jnp.argsort(ids, stable=True), jnp.arange(rows)
    first = jax.ops.segment_min(places, ids[order], n)
    found: Array = jnp.zeros(rows, dtype=int).at[order].set(places - first[ids[order]])
    return found


def traced_order(cell: Array, turn: Array | None) -> Array:
    """[N] rows sorted by cell, then by turn where it is given, then as they come."""
    import jax.numpy as jnp

    places = jnp.arange(len(cell))
    keys = (places, cell) if turn is None else (places, jnp.asarray(turn), cell)
    order: Array = jnp.lexsort(keys)
    return order
