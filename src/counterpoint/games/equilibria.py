"""Equilibria of two players: all extreme ones, exactly, or one of them at any size; pure ones of
any number of players. Start with `equilibria`.

The vertices of the two best-response polytopes are paired so that every action is a best response
or is not played. In a game that is not degenerate these are all equilibria, an odd number; in a
degenerate one there are more between them, and the result says so. `lemke_howson` finds one
equilibrium where there are too many vertices. All payoffs are compared as they were written: no
rounding makes two integers alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb, gcd, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.game import Game, bimatrix, normalized
from counterpoint.games.numbers import as_integers
from counterpoint.games.pivots import lemke_howson as end_of_path
from counterpoint.games.pivots import vertices

Rational = tuple[Fraction, ...]
MOST_VERTICES = 60_000
"""Largest possible number of vertices of a best-response polytope with which all equilibria are
searched: 13 x 13 actions have up to 54,264, and usually far fewer."""
MOST_BASES = 25_000
"""Maximum number of bases of a polytope that are visited."""
MOST_WORK = 4_000_000
"""Maximum number of bases times entries of the payoff matrix."""
MOST_BITS = 4096
"""Binary digits of the common denominator of payoffs up to which results are exact."""
MOST_EXACT = 1_600
"""Profiles up to which a path of Lemke-Howson is exact."""
PATHS = ((20, 400), (10, 4_000), (4, 20_000))
"""Numbers of paths of Lemke-Howson, each from another action, and their most pivots: most games
have short paths beside very long ones."""
CLOSE = 1e-9
"""Tolerance of the gain of a deviation, relative to the spread of payoffs."""


@dataclass(frozen=True)
class Equilibrium:
    """One equilibrium, in fractions."""

    strategies: tuple[Rational, ...]
    """`[A][M_i]` the probabilities with which each player takes its actions."""
    payoffs: Rational
    """[A] its payoffs."""
    exact: bool = True
    """Whether no player gains by deviating, in exact arithmetic; otherwise it is the result of a
    search, and its probabilities are rounded."""

    @property
    def pure(self) -> bool:
        """Returns whether all strategies are pure."""
        return all(max(strategy) == 1 for strategy in self.strategies)

    def floats(self) -> list[Floats]:
        """Returns the probabilities as floating-point numbers, `[A][M_i]`."""
        return [np.array([float(p) for p in strategy]) for strategy in self.strategies]


def nash_equilibria(first: Any, second: Any) -> list[tuple[Floats, Floats]]:
    """Returns all extreme equilibria of two matrices, as (row strategy, column strategy).

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
        SettingError: a game of two players that is too large for a complete search.
    """
    return pure_equilibria(game) if game.count != 2 else list(_extreme(game))


@lru_cache(maxsize=8)
def _extreme(game: Game) -> tuple[Equilibrium, ...]:
    """Returns all extreme equilibria of a game of two; several questions about a game need them."""
    rows, columns = game.sizes
    first, second = _polytopes(game)
    partners = list(second.items())
    # label to the vertices of Q that have it, as bits; an equilibrium has all labels
    having = [
        sum(1 << k for k, (tight, _) in enumerate(partners) if tight >> label & 1)
        for label in range(rows + columns)
    ]
    listed = []
    for tight, x in first.items():
        own = (tight >> columns) | ((tight & ((1 << columns) - 1)) << rows)
        if not any(x):
            continue
        fits = (1 << len(partners)) - 1
        for label, ones in enumerate(having):
            if not own >> label & 1:
                fits &= ones
        while fits:
            y = partners[fits.bit_length() - 1][1]
            fits ^= 1 << (fits.bit_length() - 1)
            if any(y):
                listed.append(_of_points(game, x, y))
    order = sorted(listed, key=lambda one: tuple(tuple(-p for p in s) for s in one.strategies))
    return tuple(order)


def _of_points(game: Game, x: Sequence[int], y: Sequence[int]) -> Equilibrium:
    """Returns the equilibrium of a vertex of each polytope."""
    mixes = tuple(tuple(Fraction(p, sum(z)) for p in z) for z in (x, y))
    return Equilibrium(mixes, paid(game, mixes))


def lemke_howson(game: Game) -> Equilibrium:
    """Returns one equilibrium of two players, at any size.

    A path of pivots leads from the label of the first action to an equilibrium. It is exact up to
    about 40 x 40 actions (`MOST_EXACT`). Beyond that, pivots are in floating point, and the result
    is one at which nobody gains more than 1e-9 of the spread of payoffs by deviating; `exact` says
    which. A path may be exponentially long, so that a few are tried from different actions.

    Source: Lemke and Howson, J. SIAM 12 (1964).

    Raises:
        SettingError: not two players; or rounding or the limit of pivots stopped all paths.
    """
    if game.count != 2:
        raise SettingError(f"got a game of {game.count} players; Lemke-Howson is for two")
    rows, columns = game.sizes
    if rows * columns <= MOST_EXACT:
        try:
            first, second = _matrices(game)
        except SettingError:
            pass  # the common denominator of the payoffs is too large
        else:
            for label, most in _paths(rows + columns):
                try:
                    return _of_points(game, *end_of_path(first, second, label, most))
                except ArithmeticError:
                    continue
    scaled = normalized(game)
    moved = scaled.payoffs + 1
    for label, most in _paths(rows + columns):
        try:
            points = end_of_path(moved[..., 1].T.copy(), moved[..., 0].copy(), label, most)
        except ArithmeticError:
            continue
        mix = [np.clip(np.array(z, dtype=np.float64), 0, None) for z in points]
        mix = [z / max(float(z.sum()), 1e-300) for z in mix]
        if scaled.gain(mix).max() <= CLOSE:
            paid = tuple(Fraction(float(value)) for value in game.expected(mix))
            return Equilibrium(tuple(as_mix(own) for own in mix), paid, exact=False)
    raise SettingError(
        f"got a game of {rows} x {columns} actions in which no path of Lemke-Howson ended at an "
        "equilibrium within rounding"
    )


def _paths(labels: int) -> Iterator[tuple[int, int]]:
    """Yields the labels from which paths of Lemke-Howson begin, and their most pivots."""
    for count, most in PATHS:
        for label in np.linspace(0, labels - 1, min(count, labels)).astype(int):
            yield int(label), most


def pure_equilibria(game: Game) -> list[Equilibrium]:
    """Returns all equilibria in pure strategies, exactly; any number of players."""
    top = [
        game.payoffs[..., player] == game.payoffs[..., player].max(axis=player, keepdims=True)
        for player in range(game.count)
    ]
    profiles = []
    # rounding keeps the order of payoffs, so that the best action is among those that are best here
    for found in zip(*np.nonzero(np.logical_and.reduce(top)), strict=True):
        profile = tuple(int(action) for action in found)
        if _is_rounded_best(game, profile, top):
            continue
        strategies = tuple(
            tuple(Fraction(int(a == action)) for a in range(size))
            for action, size in zip(profile, game.sizes, strict=True)
        )
        profiles.append(Equilibrium(strategies, game.exact[profile]))
    return profiles


def _is_rounded_best(game: Game, profile: tuple[int, ...], top: Sequence[NDArray[Any]]) -> bool:
    """Returns whether an action of a profile is best in floating point alone."""
    for player, best in enumerate(top):
        own = game.exact[profile][player]
        others = (*profile[:player], *profile[player + 1 :])
        for action in np.flatnonzero(np.moveaxis(best, player, -1)[others]):
            if game.exact[(*profile[:player], int(action), *profile[player + 1 :])][player] > own:
                return True
    return False


def is_degenerate(game: Game) -> bool:
    """Returns whether a mix has more best responses than actions it plays; two players.

    Then there may be a continuum of equilibria between those that are listed.

    Raises:
        SettingError: a game that is too large for a complete search.
    """
    rows, columns = game.sizes
    first, second = _polytopes(game)
    return any(tight.bit_count() > rows for tight in first) or any(
        tight.bit_count() > columns for tight in second
    )


def is_equilibrium(game: Game, strategies: Sequence[Rational]) -> bool:
    """Returns whether no player can gain by deviating, in exact arithmetic; any number of
    players."""
    if any(min(own) < 0 or sum(own) != 1 for own in strategies):
        return False
    return not any(
        p and value != max(pays)
        for own, pays in zip(strategies, exact_deviations(game, strategies), strict=True)
        for p, value in zip(own, pays, strict=True)
    )


def exact_deviations(game: Game, strategies: Sequence[Rational]) -> list[list[Fraction]]:
    """Returns the payoff of each action of each player against the strategies of the others,
    exactly, `[A][M_i]`."""
    values = []
    for player, own in enumerate(strategies):
        pays = [Fraction(0)] * len(own)
        for profile, payoffs in game.exact.items():
            chance = Fraction(1)
            for other, action in enumerate(profile):
                if other != player:
                    chance *= strategies[other][action]
            if chance:
                pays[profile[player]] += chance * payoffs[player]
        values.append(pays)
    return values


@lru_cache(maxsize=8)
def _polytopes(game: Game) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Returns the vertices of both best-response polytopes, with the tight constraints of each.

    P = {x >= 0 : B'x <= 1} has labels of columns (a best response), then rows (x_i = 0); Q has
    those of rows, then columns.

    Raises:
        SettingError: there are too many.
    """
    rows, columns = game.sizes
    bounds = _most_vertices(rows, rows + columns), _most_vertices(columns, rows + columns)
    if max(bounds) > MOST_VERTICES:
        raise SettingError(
            f"got a game of {rows} x {columns} actions, whose best-response polytopes can have "
            f"{_rounded(max(bounds))} vertices; wanted at most {MOST_VERTICES:,} for all "
            "equilibria: the pure ones and one by Lemke-Howson are found at any size"
        )
    most = max(1, min(MOST_BASES, MOST_WORK // (rows * columns)))
    try:
        first, second = _matrices(game)
        return vertices(first, most), vertices(second, most)
    except SettingError as error:
        raise SettingError(
            f"got a game of {rows} x {columns} actions: {error}; its pure equilibria and one by "
            "Lemke-Howson are found at any size"
        ) from None


def _rounded(number: int) -> str:
    return f"{number:,}" if number < 10**9 else f"10^{len(str(number)) - 1}"


def _most_vertices(size: int, constraints: int) -> int:
    """Returns the largest number of vertices of a polytope.

    Source: McMullen, Mathematika 17 (1970).
    """
    half, other = size // 2, -(-size // 2)
    return comb(constraints - other, half) + comb(constraints - half - 1, other - 1)


def _matrices(game: Game) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns payoffs as integers from 1 on, with the same best responses: of the column player
    [columns, rows], of the row player [rows, columns].

    Raises:
        SettingError: their common denominator is too large.
    """
    tables = []
    for player in range(2):
        values = [payoffs[player] for payoffs in game.exact.values()]
        low = min(values)
        whole = as_integers([value - low for value in values], MOST_BITS)
        unit = gcd(*whole) or 1
        table = np.empty(len(whole), dtype=object)
        table[:] = [value // unit + 1 for value in whole]
        tables.append(table.reshape(game.sizes))
    return tables[1].T, tables[0]


def paid(game: Game, strategies: tuple[Rational, ...]) -> Rational:
    """Returns the exact payoffs of mixed strategies."""
    paid = [Fraction(0)] * game.count
    for profile, payoffs in game.exact.items():
        chances = [own[action] for own, action in zip(strategies, profile, strict=True)]
        if all(chances):
            chance = prod(chances)
            paid = [total + chance * value for total, value in zip(paid, payoffs, strict=True)]
    return tuple(paid)


def as_mix(own: Floats) -> Rational:
    """Returns probabilities in floating point as fractions that add up to 1."""
    close = [Fraction(float(p)).limit_denominator(10**9) for p in own]
    return tuple(p / sum(close) for p in close)
