"""Random starts of `foraging`: agents anywhere, food away from the rim and from other food.

The original tries cells until one fits; here one of those that fit is drawn, which has the same
distribution. One difference: in the original the places where agents stood in the episode before
are not free to those that are placed earlier; here they are.
"""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Bools, Ints


def first_places(rng: np.random.Generator, copies: int, size: int, agents: int) -> Ints:
    """[2, A, E] rows and columns of agents, no two in the same cell, all placements alike."""
    chance = rng.random((copies, size * size))
    cells = np.argpartition(chance, range(agents), axis=1)[:, :agents].T
    return np.stack(np.divmod(cells, size))


def fields(
    rng: np.random.Generator, agents: Ints, size: int, food: int, most: Ints, heavy: bool
) -> Ints:
    """[3, F, E] row, column and level of the food, by row and then column; level 0 is none.

    Args:
        rng: where chance comes from.
        agents: [2, A, E] rows and columns that are taken.
        size: rows and columns of the field.
        food: F. Where no cell is left that fits, there is less.
        most: [E] the highest level.
        heavy: whether all food is of the highest level.
    """
    copies = agents.shape[-1]
    copy = np.arange(copies)
    free: Bools = np.zeros((copies, size, size), dtype=bool)
    free[:, 1:-1, 1:-1] = True
    free[copy, agents[0], agents[1]] = False
    cell, level = np.zeros((2, food, copies), dtype=np.int64)
    for piece in range(food):
        flat = free.reshape(copies, -1).cumsum(axis=1)
        fits = flat[:, -1] > 0
        nth = (rng.random(copies) * flat[:, -1]).astype(np.int64)
        cell[piece] = (flat > nth[:, None]).argmax(axis=1)
        drawn = most if heavy else rng.integers(1, most + 1)
        level[piece] = np.where(fits, drawn, 0)
        row, column = np.divmod(cell[piece], size)
        _take(free, copy[fits], row[fits], column[fits])
    order = np.argsort(np.where(level > 0, cell, size * size), axis=0, kind="stable")
    cell, level = (np.take_along_axis(array, order, axis=0) for array in (cell, level))
    return np.stack([*np.divmod(cell, size), level])


def _take(free: Bools, copy: Ints, row: Ints, column: Ints) -> None:
    """No more food in the cells around one, nor two cells from it in its row and column."""
    near = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)] + [(-2, 0), (2, 0), (0, -2), (0, 2)]
    last = free.shape[1] - 1
    for r, c in near:
        free[copy, np.clip(row + r, 0, last), np.clip(column + c, 0, last)] = False
