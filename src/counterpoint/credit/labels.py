"""Label columns to row ids: which rows share a statistic, which belong to one rollout.

`Labels` checks the columns once, fills in the defaults that credit schemes allow, and hands out
ids for any combination of labels. Ids may leave gaps: a group without rows has no effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Array, Columns, Ints
from counterpoint.credit.segments import Arrays, is_traced, segment_min
from counterpoint.errors import LabelError

KNOWN = ("prompt", "rollout", "agent", "role", "turn", "context", "batch")
"""Every label that `advantages` accepts. Rows of different `batch` never share a statistic."""


class Groups(NamedTuple):
    """Rows [N] sorted into n groups."""

    ids: Array
    """[N] group of each row."""
    n: int
    """Number of ids; some may have no rows."""


@dataclass
class Labels:
    """The checked label columns of one call.

    Raises:
        LabelError: an unknown label, a column of a wrong length or rank, a missing value in a
            column, or (from `groups`) a label that the scheme needs and that was not given.
    """

    columns: Columns
    rows: int
    arrays: Arrays
    _cache: dict[tuple[str, ...], Groups] = field(default_factory=dict)
    _rollouts: tuple[Ints, Ints] | None = None

    def __post_init__(self) -> None:
        try:
            unknown = sorted(set(self.columns) - set(KNOWN))
        except TypeError:
            kind = type(self.columns).__name__
            raise LabelError(f"got labels of type {kind}; wanted a column for each label") from None
        if unknown:
            raise LabelError(f"got labels {unknown}; wanted labels out of {', '.join(KNOWN)}")
        self.traced = any(is_traced(column) for column in self.columns.values())
        self.columns = {
            name: column if is_traced(column) else _plain(name, column)
            for name, column in self.columns.items()
        }
        for name, column in self.columns.items():
            if tuple(column.shape) != (self.rows,):
                raise LabelError(
                    f"got label '{name}' of shape {tuple(column.shape)} for {self.rows} rows of "
                    f"rewards; wanted shape ({self.rows},)"
                )

    def ids_of(self, by: Iterable[str]) -> Groups:
        """Returns the groups of rows that agree on every label in `by` and on `batch`, in NumPy."""
        return self.ids((*self._batch, *by))

    def groups(self, by: Iterable[str]) -> Groups:
        """Returns the same groups, with ids where the rewards are."""
        groups = self.ids_of(by)
        return Groups(groups.ids if self.traced else self.arrays.beside(groups.ids), groups.n)

    def keys(self, by: Iterable[str]) -> list[tuple[Any, ...] | None]:
        """Returns the label values of each group of `by`, `batch` first; None for an empty group.

        Labels that were not given and have a constant default are left out. The values are plain
        Python ones, so that a state compares and serializes.
        """
        names = (*self._batch, *by)
        groups = self.ids(names)
        given = [n for n in names if n in self.columns or n in ("role", "turn")]
        columns = [self._column(name) for name in given]
        first = segment_min(np.arange(self.rows), groups.ids, groups.n)
        keys: list[tuple[Any, ...] | None] = [None] * groups.n
        for group in np.flatnonzero(np.isfinite(first)).tolist():
            values = [column[int(first[group])] for column in columns]
            keys[group] = tuple(v.item() if isinstance(v, np.generic) else v for v in values)
        return keys

    def ids(self, names: tuple[str, ...]) -> Groups:
        """Returns the rows that agree on exactly these labels, as NumPy ids (JAX ids if traced)."""
        # Each prefix of the names is kept, since schemes ask for the same pairs again and again.
        if names not in self._cache:
            groups = self._one(names[-1]) if names else self._constant()
            if len(names) > 1:
                groups = self._pairs(self.ids(names[:-1]), groups)
            self._cache[names] = groups
        return self._cache[names]

    def rollouts(self) -> tuple[Ints, Ints]:
        """Returns the rollout of each row [N], without gaps, and each rollout's first row [R]."""
        if self._rollouts is None:
            combined = self.ids((*self._batch, "prompt", "rollout"))
            first = np.full(combined.n, -1)
            # Written from the last row to the first, so that the first row of an id stays.
            first[combined.ids[::-1]] = np.arange(self.rows)[::-1]
            present = first >= 0
            self._rollouts = (np.cumsum(present) - 1)[combined.ids], first[present]
        return self._rollouts

    def speakers(self) -> Groups:
        """Returns the rows of one agent in one rollout.

        Without `agent`, `role` distinguishes agents; without either, a rollout has one agent.
        """
        who = next(((name,) for name in ("agent", "role") if name in self.columns), ())
        return self.ids((*self._batch, "prompt", "rollout", *who))

    @property
    def _batch(self) -> tuple[str, ...]:
        return ("batch",) if "batch" in self.columns else ()

    def _constant(self) -> Groups:
        return Groups(np.zeros(self.rows, dtype=np.int64), 1)

    def _one(self, name: str) -> Groups:
        if name in ("prompt", "context") and name not in self.columns:
            return self._constant()
        column = self._column(name)
        if is_traced(column):
            return Groups(traced_ids(column, self.rows), self.rows)
        return Groups(*factorize(column))

    def _column(self, name: str) -> Array:
        if name == "role" and "role" not in self.columns:
            name = "agent"
        if name == "turn" and "turn" not in self.columns:  # how many rows of a speaker come before
            speaker = self.ids((*self._batch, "prompt", "rollout", "agent"))
            if self.traced:
                return traced_places(speaker.ids, speaker.n, self.rows)
            return occurrence(speaker.ids)
        if name not in self.columns:
            raise LabelError(
                f"got labels {sorted(self.columns)}; wanted '{name}' too, which this scheme needs: "
                f"pass labels['{name}'] with one value for each of the {self.rows} rows"
            )
        return self.columns[name]

    def _pairs(self, one: Groups, other: Groups) -> Groups:
        if self.traced:
            return Groups(traced_pairs(one.ids, other.ids, self.rows), self.rows)
        codes, n = one.ids * other.n + other.ids, one.n * other.n
        # Codes with few gaps serve as ids: sorting them costs more than a few empty groups.
        return Groups(codes, n) if n <= 2 * self.rows + 1024 else Groups(*factorize(codes))


def occurrence(ids: Ints) -> Ints:
    """Returns [N] the number of earlier rows with the same id, which is the default turn."""
    order, count = np.argsort(ids, kind="stable"), np.bincount(ids)
    first = np.cumsum(count) - count  # where the rows of each id begin in that order
    turn = np.empty(len(ids), dtype=np.int64)
    turn[order] = np.arange(len(ids)) - first[ids[order]]
    return turn


def factorize(column: NDArray[Any]) -> tuple[Ints, int]:
    """Returns ids [N] of the distinct values of `column` [N], and how many ids there are.

    Integers of a small range take no sort; fixed-width text is split into integer columns.
    """
    if column.dtype.kind in "iub":
        return _factorize_integers(column)
    if column.dtype.kind == "U" and column.size:
        return _factorize_text(np.ascontiguousarray(column))
    if column.dtype.kind == "O":
        numbers: dict[Any, int] = {}
        try:
            places = [numbers.setdefault(value, len(numbers)) for value in column.tolist()]
        except TypeError as error:
            raise LabelError(f"got a label that is no plain value ({error})") from error
        return np.asarray(places, dtype=np.int64), len(numbers)
    values, ids = np.unique(column, return_inverse=True)
    return ids, len(values)


def _factorize_integers(column: NDArray[Any]) -> tuple[Ints, int]:
    """Returns ids of integers: their distance from the least if the range is small."""
    if not column.size:
        return column.astype(np.int64), 0
    low, high = int(column.min()), int(column.max())
    span = high - low + 1
    if span <= 2 * column.size + 1024 and high < 2**63:
        return column.astype(np.int64) - low, span
    values, ids = np.unique(column, return_inverse=True)
    return ids, len(values)


def _factorize_text(column: NDArray[Any]) -> tuple[Ints, int]:
    """Returns ids of fixed-width texts, one place after the other."""
    # NumPy keeps 4 bytes a letter: as integer columns, texts need no comparison of strings.
    letters = column.view(np.uint32).reshape(len(column), -1)
    ids, n = _factorize_integers(letters[:, 0])
    for place in range(1, letters.shape[1]):
        more, m = _factorize_integers(letters[:, place])
        if m == 1:
            continue
        codes = ids * m + more
        if n * m > 2 * len(codes) + 1024:
            ids, n = _factorize_integers(codes)
        else:  # unused codes are taken out at each place, so that products stay small
            dense = np.cumsum(np.bincount(codes) > 0) - 1
            ids, n = dense[codes], int(dense[-1]) + 1
    return ids, n


def _plain(name: str, column: Array) -> NDArray[Any]:
    """Returns a label column as a NumPy array without missing values.

    A list of different types stays what it is: as an array, 1 and "1" would become one label. So
    does one of texts of which one ends with NUL, which an array of texts takes for padding.
    """
    if hasattr(column, "detach"):
        column = column.detach().cpu()
    try:
        plain = np.asarray(column)
        types = {type(value) for value in column} if isinstance(column, list | tuple) else set()
        mixed = len(types) > 1 or (int in types and plain.dtype.kind == "f")
        padded = types == {str} and any(value.endswith("\0") for value in column)
        if plain.ndim == 1 and (mixed or padded):
            plain = np.asarray(column, dtype=object)
    except (ValueError, OverflowError) as error:
        raise LabelError(f"got label '{name}' that is no flat column ({error})") from error
    kind = plain.dtype.kind
    if kind not in "biufUSOMm":
        raise LabelError(f"got label '{name}' of type {plain.dtype}; wanted numbers or text")
    if kind == "O":
        missing = sum(value is None or bool(value != value) for value in plain.ravel().tolist())
    elif kind in "fMm":
        missing = int((np.isnan(plain) if kind == "f" else np.isnat(plain)).sum())
    else:
        missing = 0
    if missing:
        raise LabelError(f"got missing values in label '{name}' ({missing}); wanted none")
    return plain


def traced_ids(column: Array, rows: int) -> Array:
    """Returns [N] ids of the distinct values of a column."""
    import jax.numpy as jnp

    ids: Array = jnp.unique(column, return_inverse=True, size=rows)[1]
    return ids


def traced_pairs(one: Array, other: Array, rows: int) -> Array:
    """Returns [N] ids of the distinct pairs of ids."""
    import jax.numpy as jnp

    left, right = jnp.asarray(one), jnp.asarray(other)
    order = jnp.lexsort((right, left))
    left_sorted, right_sorted = left[order], right[order]
    changed = (left_sorted[1:] != left_sorted[:-1]) | (right_sorted[1:] != right_sorted[:-1])
    dense = jnp.concatenate([jnp.zeros(min(1, rows), dtype=int), jnp.cumsum(changed)])
    ids: Array = jnp.zeros(rows, dtype=int).at[order].set(dense)
    return ids


def traced_places(ids: Array, n: int, rows: int) -> Array:
    """Returns [N] how many rows with the same id come before."""
    import jax
    import jax.numpy as jnp

    order, places = jnp.argsort(ids, stable=True), jnp.arange(rows)
    first = jax.ops.segment_min(places, ids[order], n)
    earlier: Array = jnp.zeros(rows, dtype=int).at[order].set(places - first[ids[order]])
    return earlier


def traced_order(cell: Array, turn: Array | None) -> Array:
    """Returns [N] rows sorted by cell, then by turn where it is given, then as they come."""
    import jax.numpy as jnp

    places = jnp.arange(len(cell))
    keys = (places, cell) if turn is None else (places, jnp.asarray(turn), cell)
    order: Array = jnp.lexsort(keys)
    return order
