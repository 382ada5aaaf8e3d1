"""Nash equilibria: all extreme ones of two players, exactly; pure ones of any number.

Two players: the vertices of the two best-response polytopes, paired so that every action is a best
response or is not played. In a game that is not degenerate these are all equilibria, an odd number;
in a degenerate one there are more between them, and that is said. Start with `equilibria`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Any

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.game import Game, bimatrix

Rational = tuple[Fraction, ...]
MOST_BASES = 200_000
"""Subsets of constraints that are looked at, for each player: 8 x 8 actions have 12,870."""
MOST_CHECKS = 4_000_000
"""Bases times constraints: each point is held against all of them."""
SLACK = 1e-7
"""A basis that is infeasible by more, in floating point, is not looked at exactly."""


@dataclass(frozen=True)
class Equilibrium:
    """One equilibrium, in fractions."""

    strategies: tuple[Rational, ...]
    """[A][M_i] the probabilities with which each player takes its actions."""
    payoffs: Rational
    """[A] what it pays."""
    exact: bool = True
    """Whether nobody gains anything by deviating, to the last digit; else it was found by search,
    and its probabilities are rounded."""

    @property
    def pure(self) -> bool:
        """Returns whether nobody mixes."""
        return all(max(strategy) == 1 for strategy in self.strategies)

    def floats(self) -> list[Floats]:
        """Returns the probabilities as floating-point numbers, [A][M_i]."""
        return [np.array([float(p) for p in strategy]) for strategy in self.strategies]


def nash_equilibria(first: Any, second: Any) -> list[tuple[Floats, Floats]]:
    """Returns all extreme equilibria of two matrices of payoffs, as (row strategy, column
    strategy).

    Args:
        first: [M_1, M_2] payoffs of the row player.
        second: [M_1, M_2] payoffs of the column player.

    Raises:
        SettingError: no matrices of one shape, payoffs that are not finite, or a game too large.
    """
    return [(one.floats()[0], one.floats()[1]) for one in equilibria(bimatrix(first, second))]


def equilibria(game: Game) -> list[Equilibrium]:
    """Returns the equilibria of a game: all extreme ones of two players, the pure ones of more.

    Raises:
        SettingError: a game of two that is too large to be looked at whole.
    """
    return pure_equilibria(game) if game.count != 2 else list(_extreme(game))


@lru_cache(maxsize=8)
def _extreme(game: Game) -> tuple[Equilibrium, ...]:
    """Returns all extreme equilibria of a game of two; several questions about a game need them."""
    rows, columns = game.sizes
    bases = comb(rows + columns, min(rows, columns))
    if bases > MOST_BASES or bases * (rows + columns) > MOST_CHECKS:
        raise SettingError(
            f"got a game of {rows} x {columns} actions, which has {bases:,} bases; wanted at most "
            f"{MOST_BASES:,}: its pure equilibria are found at any size"
        )
    first, second = _polytopes(game)
    everything = (1 << (rows + columns)) - 1
    by_labels: dict[int, list[Rational]] = {}
    for y, tight in second.items():
        # Q: constraint i is the row i as a best response, then the columns that are not played
        by_labels.setdefault(tight, []).append(y)
    listed = []
    for x, tight in first.items():
        # P: constraint j is the column j as a best response, then the rows that are not played
        own = (tight >> columns) | ((tight & ((1 << columns) - 1)) << rows)
        if not any(x):
            continue
        for labels, ys in by_labels.items():
            if own | labels == everything:
                listed += [_of(game, x, y) for y in ys if any(y)]
    order = sorted(listed, key=lambda one: tuple(tuple(-p for p in s) for s in one.strategies))
    return tuple(order)


def pure_equilibria(game: Game) -> list[Equilibrium]:
    """Returns all equilibria in which nobody mixes; any number of players."""
    best = np.ones(game.sizes, dtype=bool)
    for player in range(game.count):
        own = game.payoffs[..., player]
        best &= own == own.max(axis=player, keepdims=True)
    profiles = []
    for profile in zip(*np.nonzero(best), strict=True):
        strategies = tuple(
            tuple(Fraction(int(a == action)) for a in range(size))
            for action, size in zip(profile, game.sizes, strict=True)
        )
        profiles.append(Equilibrium(strategies, game.exact[tuple(int(a) for a in profile)]))
    return profiles


def is_degenerate(game: Game) -> bool:
    """Returns whether a mix has more best responses than actions it plays, at a vertex of a game of
    two.

    Then there may be a continuum of equilibria between those that are listed.
    """
    rows, columns = game.sizes
    first, second = _polytopes(game)
    return any(tight.bit_count() > rows for tight in first.values()) or any(
        tight.bit_count() > columns for tight in second.values()
    )


def is_equilibrium(game: Game, strategies: Sequence[Rational]) -> bool:
    """Returns whether nobody can gain anything by deviating, exactly; any number of players."""
    if any(min(own) < 0 or sum(own) != 1 for own in strategies):
        return False
    for player, own in enumerate(strategies):
        pays = [Fraction(0)] * len(own)
        for profile, payoffs in game.exact.items():
            chance = Fraction(1)
            for other, action in enumerate(profile):
                if other != player:
                    chance *= strategies[other][action]
            if chance:
                pays[profile[player]] += chance * payoffs[player]
        if any(p and value != max(pays) for p, value in zip(own, pays, strict=True)):
            return False
    return True


@lru_cache(maxsize=8)
def _polytopes(game: Game) -> tuple[dict[Rational, int], dict[Rational, int]]:
    """Returns the vertices of both best-response polytopes, and which constraints are tight at
    each.

    P = {x >= 0 : B'x <= 1} has labels of rows (x_i = 0) and columns (a best response), Q likewise.
    """
    rows, columns = game.sizes
    a, b = _matrices(game)
    first = _vertices([[b[i][j] for i in range(rows)] for j in range(columns)], rows)
    return first, _vertices(a, columns)


def _matrices(game: Game) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
    """Returns the payoffs of both, shifted to at least 1: best responses stay what they are."""
    rows, columns = game.sizes
    moved = []
    for player in range(2):
        table = [[game.exact[(i, j)][player] for j in range(columns)] for i in range(rows)]
        low = min(min(row) for row in table)
        moved.append([[value - low + 1 for value in row] for row in table])
    return moved[0], moved[1]


def _vertices(matrix: Sequence[Sequence[Fraction]], size: int) -> dict[Rational, int]:
    """Returns the vertices of {z >= 0 : Mz <= 1}, and the tight constraints of each as bits: one
    for each row of M, then one for each z_k = 0."""
    above = len(matrix)
    whole = np.vstack([np.array(matrix, dtype=np.float64), -np.eye(size)])
    right = np.concatenate([np.ones(above), np.zeros(size)])
    vertices: dict[Rational, int] = {}
    for block in _blocks(combinations(range(above + size), size), 4096):
        bases = np.array(block)
        systems = whole[bases]
        # floating point discards most bases; the few that may be vertices are solved in fractions
        regular = np.abs(np.linalg.det(systems)) > 1e-12
        bases = bases[regular]
        if not len(bases):
            continue
        points = np.linalg.solve(systems[regular], right[bases][..., None])[..., 0]
        scale = 1 + np.abs(points).max(axis=1)
        fits = (points @ whole.T - right).max(axis=1) <= SLACK * scale
        for basis in bases[fits]:
            point = _solve(matrix, size, [int(i) for i in basis])
            if point is None or min(point) < 0:
                continue
            values = [sum(m * z for m, z in zip(row, point, strict=True)) for row in matrix]
            if max(values) > 1:
                continue
            tight = sum(1 << i for i, value in enumerate(values) if value == 1)
            tight |= sum(1 << (above + k) for k, z in enumerate(point) if z == 0)
            vertices[point] = tight
    return vertices


def _blocks(items: Any, size: int) -> Any:
    block = []
    for item in items:
        block.append(item)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def _solve(
    matrix: Sequence[Sequence[Fraction]], size: int, basis: Sequence[int]
) -> Rational | None:
    """Returns the point at which a basis of constraints is tight, by elimination in fractions."""
    above = len(matrix)
    zero = {i - above for i in basis if i >= above}
    free = [k for k in range(size) if k not in zero]
    rows = [[matrix[i][k] for k in free] + [Fraction(1)] for i in basis if i < above]
    if len(rows) != len(free):
        return None
    for column in range(len(free)):
        pivot = next((r for r in range(column, len(rows)) if rows[r][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        head = rows[column][column]
        rows[column] = [value / head for value in rows[column]]
        for r in range(len(rows)):
            if r != column and rows[r][column]:
                factor = rows[r][column]
                rows[r] = [v - factor * w for v, w in zip(rows[r], rows[column], strict=True)]
    point = [Fraction(0)] * size
    for k, row in zip(free, rows, strict=True):
        point[k] = row[-1]
    return tuple(point)


def _of(game: Game, x: Rational, y: Rational) -> Equilibrium:
    strategies = tuple(tuple(p / sum(z) for p in z) for z in (x, y))
    first, second = strategies
    payoffs = tuple(
        sum((first[i] * second[j] * game.exact[(i, j)][player]
             for i in range(len(first)) if first[i] for j in range(len(second)) if second[j]),
            Fraction(0))
        for player in range(2)
    )  # fmt: skip
    return Equilibrium(strategies, payoffs)
