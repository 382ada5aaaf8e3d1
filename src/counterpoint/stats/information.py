"""Mutual information in bits, from counts, with a permutation null.

Start with `largest_information`. Axis letters: N observations (decisions), B blocks (episodes).
Source: Lowe et al. 2019, On the pitfalls of measuring emergent communication, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from counterpoint.arrays import Floats, Ints
from counterpoint.errors import StatisticsError

FEW = 64
"""Different rows up to which a row counts as one class."""
COLUMNS = 64
"""Most columns that are looked at one by one."""
BINS = 4
"""Classes of a column of many different values: equally many values in each."""


class Information(NamedTuple):
    """Mutual information, and what chance alone gives."""

    bits: float
    chance: float
    """The 95th percentile, in bits, under permutations."""


def mutual_information(x: ArrayLike, y: ArrayLike) -> float:
    """Returns I(x; y) = sum_xy p(x, y) log2 p(x, y) / (p(x) p(y)) of the counts, in bits.

    It is 0 if x or y never changes. From few observations it is too large on average: by about
    (classes of x - 1) (classes of y - 1) / (2 N ln 2) bits if x and y are independent.

    Args:
        x, y: [N] classes, integers from 0 on.

    Raises:
        StatisticsError: no observations, or not as many of x as of y.
    """
    one, two = np.asarray(x, dtype=np.int64), np.asarray(y, dtype=np.int64)
    if one.ndim != 1 or one.shape != two.shape or not one.size:
        raise StatisticsError(
            f"got classes of shapes {one.shape} and {two.shape}; wanted two of one shape [N]"
        )
    return _information(one, two, int(two.max()) + 1)


def _information(x: Ints, y: Ints, words: int) -> float:
    joint = np.bincount(x * words + y, minlength=(int(x.max()) + 1) * words) / len(x)
    table = joint.reshape(-1, words)
    apart = np.outer(table.sum(axis=1), table.sum(axis=0))
    there = table > 0
    return float((table[there] * np.log2(table[there] / apart[there])).sum())


def classes_of(rows: NDArray[np.floating]) -> list[Ints]:
    """Returns rows [N, D] as columns [N] of classes.

    If there are few different rows, each is a class, and there is one column. If not, each number
    is a column: its values if there are few, else quarters of them. Numbers that never change are
    left out; of many, those that vary most are kept.
    """
    if not rows.shape[1]:
        return []
    different, row = np.unique(rows, axis=0, return_inverse=True)
    if len(different) == 1:
        return []
    if len(different) <= FEW:
        return [row.reshape(-1).astype(np.int64)]
    spread = rows.std(axis=0)
    order = np.argsort(-spread, kind="stable")[:COLUMNS]
    columns = []
    for column in sorted(order[spread[order] > 0].tolist()):
        values, place = np.unique(rows[:, column], return_inverse=True)
        if len(values) > 2 * BINS:
            ends = np.quantile(rows[:, column], np.arange(1, BINS) / BINS)
            place = np.searchsorted(ends, rows[:, column], side="right")
        columns.append(place.reshape(-1).astype(np.int64))
    return columns


def largest_information(
    columns: Sequence[Ints],
    words: Ints,
    blocks: Ints,
    rng: np.random.Generator,
    permutations: int = 200,
) -> Information:
    """Returns the information of the column that tells most of the words, with a null for it.

    In a permutation every block has the words of another block, as often repeated or cut as it is
    long. So what persists within a block (an episode's goal) does not count as many observations.

    Args:
        columns: [N] each, classes: see `classes_of`. Without any the information is 0.
        words: [N] from 0 on.
        blocks: [N] the block of each observation.
        rng: of the permutations.
        permutations: how many.

    Raises:
        StatisticsError: no observations.
    """
    if not len(words):
        raise StatisticsError("got no observations; wanted at least one")
    count = int(words.max()) + 1

    def most(of: Ints) -> float:
        return max((_information(column, of, count) for column in columns), default=0.0)

    order = np.argsort(blocks, kind="stable")
    starts = np.flatnonzero(np.diff(blocks[order], prepend=-1))
    by_block = np.split(order, starts[1:])
    nulls: Floats = np.zeros(permutations)
    for i in range(permutations):
        moved = np.empty_like(words)
        for mine, theirs in zip(by_block, rng.permutation(len(by_block)), strict=True):
            moved[mine] = np.resize(words[by_block[theirs]], len(mine))
        nulls[i] = most(moved)
    return Information(most(words), float(np.quantile(nulls, 0.95)))
