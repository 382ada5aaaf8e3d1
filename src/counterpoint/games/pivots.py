"""Pivoting in the best-response polytopes of two players. Start with `vertices` or `lemke_howson`.

With payoffs moved above 0, P = {x >= 0 : B'x <= 1} and Q = {y >= 0 : Ay <= 1} hold the mixes of
both players, scaled; a vertex of P and one of Q are an equilibrium if every action is unplayed in
one of them or a best response in the other. A `Dictionary` is such a polytope at one of its
vertices; a pivot leads to a neighbor. Ties are broken as if the right sides were 1 + e, 1 + e^2,
... for a small e (lexicographically), so that no path runs in a circle.

Numbers are integers with one common denominator (exact), or floating-point ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import SettingError

TINY = 1e-11
"""In floating point, a pivot that is smaller is taken for 0, and two ratios this close tie."""


class Dictionary:
    """The polytope {z >= 0 : Mz <= 1}, M above 0, at one vertex; at first at z = 0.

    Variable v is the slack of row v of M; variable `above + k` is z_k. Those that are 0 at the
    vertex by choice head the columns; the others head the rows.
    """

    def __init__(self, matrix: NDArray[Any]) -> None:
        self.above, self.size = matrix.shape
        self.exact = matrix.dtype == object
        one = np.ones((self.above, 1), dtype=matrix.dtype)
        if self.exact:
            one[:] = 1
        self.table = np.hstack([matrix, one])
        """[above, size + 1] coefficients, and the values of the variables of rows."""
        self.denominator: Any = 1
        self.rows = list(range(self.above))
        """[above] the variable of each row."""
        self.columns = list(range(self.above, self.above + self.size))
        """[size] the variable of each column."""

    def copy(self) -> Dictionary:
        """Returns the same polytope at the same vertex; pivots of one leave the other."""
        other = object.__new__(Dictionary)
        other.__dict__ = {**self.__dict__, "table": self.table.copy(),
                          "rows": self.rows.copy(), "columns": self.columns.copy()}  # fmt: skip
        return other

    def leaving(self, column: int) -> int:
        """Returns the row whose variable becomes 0 first if the column's variable grows.

        Raises:
            ArithmeticError: none does, which only rounding can cause.
        """
        entries, right = self.table[:, column], self.table[:, -1]
        tied = np.flatnonzero(entries > (0 if self.exact else TINY)).tolist()
        if not tied:
            raise ArithmeticError("no row bounds the column: rounding")
        tied = self._least(tied, right, entries)
        if len(tied) == 1:
            return int(tied[0])
        # the terms in e, e^2, ...: column j of the inverse of the basis is that of slack j
        # slack to its column, or to its row as a number below 0
        terms = {v: q for q, v in enumerate(self.columns) if v < self.above}
        terms |= {self.rows[i]: -1 - i for i in tied if self.rows[i] < self.above}
        for _, place in sorted(terms.items()):
            if place >= 0:
                tied = self._least(tied, self.table[:, place], entries)
            elif -1 - place in tied:
                tied.remove(-1 - place)  # it has a positive term where the others have 0
            if len(tied) == 1:
                break
        return int(tied[0])

    def _least(self, tied: list[int], values: Any, entries: Any) -> list[int]:
        """Returns the rows with the least ratio of value to entry."""
        if not self.exact:
            ratios = values[tied] / entries[tied]
            least = ratios.min()
            near = ratios <= least + TINY * max(1.0, abs(least))
            return [i for i, is_near in zip(tied, near, strict=True) if is_near]
        kept = tied[:1]
        for i in tied[1:]:
            sign = values[i] * entries[kept[0]] - values[kept[0]] * entries[i]
            if sign < 0:
                kept = [i]
            elif sign == 0:
                kept.append(i)
        return kept

    def pivot(self, row: int, column: int) -> None:
        """Exchanges the variables of a row and a column."""
        table, old = self.table, self.denominator
        head = table[row, column]
        left, top = table[:, column].copy(), table[row].copy()
        if self.exact:
            # by Sylvester's identity, the division leaves no rest
            table = (table * head - np.outer(left, top)) // old
        else:
            table -= np.outer(left / head, top)
            left, top = left / head, top / head
        table[row], table[:, column] = top, -left
        table[row, column] = old if self.exact else 1.0 / head
        self.table, self.denominator = table, head if self.exact else 1
        self.rows[row], self.columns[column] = self.columns[column], self.rows[row]

    def point(self) -> list[Any]:
        """Returns the coordinates z at the vertex, times the denominator, [size]."""
        z: list[Any] = [0] * self.size
        for row, variable in enumerate(self.rows):
            if variable >= self.above:
                z[variable - self.above] = self.table[row, -1]
        return z

    def tight(self) -> int:
        """Returns the variables that are 0 at the vertex, as bits."""
        bits = sum(1 << v for v in self.columns)
        return bits | sum(
            1 << v for v, z in zip(self.rows, self.table[:, -1], strict=True) if not z
        )


def vertices(matrix: NDArray[Any], most: int) -> dict[int, list[int]]:
    """Returns the vertices of {z >= 0 : Mz <= 1}, M above 0: tight constraints to coordinates.

    Args:
        matrix: [above, size] integers, of type object.
        most: how many bases may be visited; a vertex has one, or several if it is degenerate.

    Returns: the tight constraints as bits: one for each row of M, then one for each z_k = 0. The
        coordinates are integers, in proportion.

    Raises:
        SettingError: there are more bases.
    """
    first = Dictionary(matrix)
    seen = {sum(1 << v for v in first.columns)}
    found, waiting = {}, [first]
    while waiting:
        here = waiting.pop()
        found[here.tight()] = here.point()
        begun = sum(1 << v for v in here.columns)
        for column, enters in enumerate(here.columns):
            row = here.leaving(column)
            basis = begun ^ (1 << enters) ^ (1 << here.rows[row])
            if basis in seen:
                continue
            seen.add(basis)
            if len(seen) > most:
                raise SettingError(f"more than {most:,} bases")
            next_one = here.copy()
            next_one.pivot(row, column)
            waiting.append(next_one)
    return found


def lemke_howson(
    first: NDArray[Any], second: NDArray[Any], label: int, most: int
) -> tuple[list[Any], list[Any]]:
    """Returns the scaled mixes of both players at the end of the path that drops a label.

    Args:
        first: [columns, rows] payoffs of the column player for each of its actions, above 0.
        second: [rows, columns] those of the row player.
        label: of `rows + columns` actions, the one that may be played without being a best
            response along the path.
        most: pivots.

    Source: Lemke and Howson, J. SIAM 12 (1964); von Stengel, Handbook of Game Theory 3 (2002).

    Raises:
        ArithmeticError: rounding stops the path, or it is longer than `most` pivots.
    """
    rows, columns = second.shape
    polytopes = Dictionary(first), Dictionary(second)
    # labels of the variables of P: slacks of columns, then rows; of Q: slacks of rows, then columns
    names: Sequence[Sequence[int]] = (
        [*range(rows, rows + columns), *range(rows)], range(rows + columns),
    )  # fmt: skip
    side = 0 if label < rows else 1
    enters = label
    for _ in range(most):
        here, labels = polytopes[side], names[side]
        column = next(q for q, v in enumerate(here.columns) if labels[v] == enters)
        row = here.leaving(column)
        leaves = labels[here.rows[row]]
        here.pivot(row, column)
        if leaves == label:
            return polytopes[0].point(), polytopes[1].point()
        side, enters = 1 - side, leaves
    raise ArithmeticError(f"the path has more than {most:,} pivots")
