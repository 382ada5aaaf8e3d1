"""What repetition can sustain: punishment values, feasible and rational payoffs, patience.

Source: Friedman, Rev. Econ. Stud. 38 (1971); Fudenberg and Maskin, Econometrica 54 (1986).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.games.equilibria import equilibria
from counterpoint.games.game import Game
from counterpoint.optional import needs, pip_line
from counterpoint.results.game import Sustained

Point = tuple[Fraction, Fraction]
DENOMINATOR = 10**6
"""Values of linear programs become the nearest fraction with at most this denominator."""


def minmax(game: Game) -> NDArray[np.float64]:
    """Returns the least payoff to which the others can hold each player, who answers as well as it
    can, [A].

    If there are more than two players, the others may coordinate: they mix over their joint
    actions.

    Raises:
        MissingPackageError: scipy is not installed, and somebody has more than one action.
    """
    values = []
    for player in range(game.count):
        table = np.moveaxis(game.payoffs[..., player], player, 0).reshape(game.sizes[player], -1)
        pure = table.max(axis=0).min()
        low = table.min(axis=1).max()
        values.append(pure if pure == low else zero_sum_value(table))
    return np.array(values)


def zero_sum_value(table: NDArray[np.float64]) -> float:
    """Returns the value of a matrix game to the rows, who want most, against columns, who want
    least.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    linprog = solver()
    rows, columns = table.shape
    shift = float(table.min())
    moved = table - shift
    solution = linprog(
        c=[*[0.0] * columns, 1.0],
        A_ub=np.hstack([moved, -np.ones((rows, 1))]),
        b_ub=np.zeros(rows),
        A_eq=[[*[1.0] * columns, 0.0]],
        b_eq=[1.0],
        bounds=[(0, None)] * (columns + 1),
        method="highs",
    )
    return float(solution.fun) + shift


def solver() -> Any:
    """Returns `scipy.optimize.linprog`.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    with needs("the linear program of punishments and correlated equilibria", pip_line("games")):
        from scipy.optimize import linprog
    function: Any = linprog
    return function


def feasible_rational(game: Game) -> list[Point]:
    """Returns the vertices, in order, of the feasible and individually rational payoffs of two
    players.

    Feasible payoffs are means of profiles; rational ones give each player its minmax value at
    least. All is exact but for the minmax value of mixes.

    Raises:
        MissingPackageError: as `minmax`.
    """
    hull = convex_hull([(p[0], p[1]) for p in game.exact.values()])
    for axis, value in enumerate(minmax(game)):
        least = Fraction(float(value)).limit_denominator(DENOMINATOR)
        hull = _clipped(hull, axis, least)
    return hull


def convex_hull(points: Sequence[Point]) -> list[Point]:
    """Returns the corners of the convex hull, counterclockwise from the lowest to the left.

    Source: Andrew's monotone chain (1979).
    """
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered

    def half(line: Sequence[Point]) -> list[Point]:
        kept: list[Point] = []
        for point in line:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], point) <= 0:
                kept.pop()
            kept.append(point)
        return kept

    lower, upper = half(ordered), half(ordered[::-1])
    return lower[:-1] + upper[:-1]


def _turn(o: Point, a: Point, b: Point) -> Fraction:
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])


def _clipped(hull: Sequence[Point], axis: int, least: Fraction) -> list[Point]:
    """Returns the part of a polygon where a coordinate is at least `least` (Sutherland and
    Hodgman)."""
    corners: list[Point] = []
    for i, here in enumerate(hull):
        before = hull[i - 1]
        if (here[axis] >= least) != (before[axis] >= least):
            share = (least - before[axis]) / (here[axis] - before[axis])
            other = before[1 - axis] + share * (here[1 - axis] - before[1 - axis])
            corners.append((least, other) if axis == 0 else (other, least))
        if here[axis] >= least:
            corners.append(here)
    return list(dict.fromkeys(corners))


def critical_discount(game: Game, profile: Sequence[int] | None = None) -> Sustained:
    """Returns how patient players have to be to keep to a profile.

    A deviation ends in the worst equilibrium of the stage game for ever: delta >= (deviation -
    reward) / (deviation - punishment) of the player who gains most by deviating.

    Args:
        game: the stage game.
        profile: what is to be sustained; the one that pays most in all if none is given.

    Source: Friedman, Rev. Econ. Stud. 38 (1971).
    """
    if profile is None:
        total = game.payoffs.sum(axis=-1)
        profile = tuple(int(i) for i in np.unravel_index(int(total.argmax()), total.shape))
    profile = tuple(profile)
    paid = game.exact[profile]
    payoffs = tuple(map(float, paid))
    bad = (
        [min(one.payoffs[i] for one in known) for i in range(game.count)]
        if (known := equilibria(game))
        else None
    )
    worst, who = Fraction(0), None
    for player in range(game.count):
        best = max(
            game.exact[(*profile[:player], action, *profile[player + 1 :])][player]
            for action in range(game.sizes[player])
        )
        if best == paid[player]:
            continue
        if bad is None or bad[player] >= paid[player]:
            return Sustained(profile=profile, payoffs=payoffs, discount=None, player=player)
        needed = (best - paid[player]) / (best - bad[player])
        if needed > worst:
            worst, who = needed, player
    return Sustained(profile=profile, payoffs=payoffs, discount=float(worst), player=who)


def price_of_anarchy(game: Game) -> dict[str, float | None]:
    """Returns the largest sum of payoffs over that of the worst equilibrium (`anarchy`) and of the
    best (`stability`); None if that is not above 0.

    Source: Koutsoupias and Papadimitriou (1999); Anshelevich et al. (2004).
    """
    known = equilibria(game)
    best = float(game.payoffs.sum(axis=-1).max())
    sums = [float(sum(one.payoffs)) for one in known]
    prices: dict[str, float | None] = {"optimum": best}
    for name, value in (("anarchy", min(sums, default=0.0)), ("stability", max(sums, default=0.0))):
        prices[name] = best / value if value > 0 and best > 0 else None
    return prices
