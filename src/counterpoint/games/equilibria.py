"""Equilibria: all extreme ones of two players, exactly; pure, mixed and correlated ones of more.

Two players: the vertices of the two best-response polytopes, paired so that every action is a best
response or is not played. In a game that is not degenerate these are all equilibria, an odd number;
in a degenerate one there are more between them, and the result says so. Start with `equilibria`.

More players: `search_mixed` finds mixed equilibria of small games. For every choice of which
actions are played, those that are have to pay alike: equations in several unknowns, which Newton's
method solves from several starts. Each result is an equilibrium, but others may exist, and the
result says so. `correlated_equilibrium` solves a linear program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, islice, product
from math import comb, prod
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.game import Game, bimatrix
from counterpoint.optional import needs, pip_line

Rational = tuple[Fraction, ...]
MOST_BASES = 200_000
"""Maximum number of subsets of constraints that are examined for each player: 8 x 8 actions have
12,870."""
MOST_CHECKS = 4_000_000
"""Maximum number of bases times constraints: each point is checked against all constraints."""
SLACK = 1e-7
"""A basis that is infeasible by more, in floating point, is not examined exactly."""


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
                for y in filter(any, ys):
                    mixes = tuple(tuple(p / sum(z) for p in z) for z in (x, y))
                    listed.append(Equilibrium(mixes, _paid(game, mixes)))
    order = sorted(listed, key=lambda one: tuple(tuple(-p for p in s) for s in one.strategies))
    return tuple(order)


def pure_equilibria(game: Game) -> list[Equilibrium]:
    """Returns all equilibria in pure strategies; any number of players."""
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
    """Returns whether a mix has more best responses than actions it plays; two players.

    Then there may be a continuum of equilibria between those that are listed.
    """
    rows, columns = game.sizes
    first, second = _polytopes(game)
    return any(tight.bit_count() > rows for tight in first.values()) or any(
        tight.bit_count() > columns for tight in second.values()
    )


def is_equilibrium(game: Game, strategies: Sequence[Rational]) -> bool:
    """Returns whether no player can gain by deviating, in exact arithmetic; any number of
    players."""
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
    """Returns the vertices of both best-response polytopes, and the tight constraints.

    P = {x >= 0 : B'x <= 1} has labels of rows (x_i = 0) and columns (a best response), Q likewise.
    """
    rows, columns = game.sizes
    moved = []
    for player in range(2):
        # payoffs are shifted to at least 1: best responses stay what they are
        table = [[game.exact[(i, j)][player] for j in range(columns)] for i in range(rows)]
        low = min(min(row) for row in table)
        moved.append([[value - low + 1 for value in row] for row in table])
    first = _vertices([list(column) for column in zip(*moved[1], strict=True)], rows)
    return first, _vertices(moved[0], columns)


def _vertices(matrix: Sequence[Sequence[Fraction]], size: int) -> dict[Rational, int]:
    """Returns the vertices of {z >= 0 : Mz <= 1}, and the tight constraints of each as bits: one
    for each row of M, then one for each z_k = 0."""
    above = len(matrix)
    whole = np.vstack([np.array(matrix, dtype=np.float64), -np.eye(size)])
    right = np.concatenate([np.ones(above), np.zeros(size)])
    vertices: dict[Rational, int] = {}
    subsets = combinations(range(above + size), size)
    for block in iter(lambda: list(islice(subsets, 4096)), []):
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


Concept = Literal["correlated", "coarse"]
MOST_VARIABLES = 20_000
"""Profiles of a game whose correlated equilibria are computed."""


def solver() -> Any:
    """Returns `scipy.optimize.linprog`.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    with needs("the linear program of punishments and correlated equilibria", pip_line("games")):
        from scipy.optimize import linprog
    function: Any = linprog
    return function


def correlated_equilibrium(
    game: Game, kind: Concept = "correlated", *, best: bool = True
) -> tuple[NDArray[np.float64], float]:
    """Returns the equilibrium with the largest (or smallest) sum of payoffs.

    It is a distribution over profiles. No player gains by disobeying a recommendation
    (`correlated`), or by never listening (`coarse`).

    Args:
        game: any number of players.
        kind: of the two.
        best: True for the largest sum of payoffs, False for the smallest.

    Returns: [M_1, ..., M_A] probabilities, and the sum of payoffs.

    Source: Aumann, J. Math. Econ. 1 (1974); Moulin and Vial, Int. J. Game Theory 7 (1978).

    Raises:
        SettingError: a game too large, or an unknown kind.
        MissingPackageError: scipy is not installed.
    """
    if kind not in get_args(Concept):
        raise SettingError(f"got kind {kind!r}; wanted correlated or coarse")
    size = int(np.prod(game.sizes))
    if size > MOST_VARIABLES:
        raise SettingError(f"got a game of {size:,} profiles; wanted at most {MOST_VARIABLES:,}")
    welfare = game.payoffs.sum(axis=-1).ravel()
    temptations = np.array(list(_temptations(game, kind))).reshape(-1, size)
    if not len(temptations):  # nobody has a choice
        return np.ones(game.sizes), float(welfare[0])
    solution = solver()(
        c=-welfare if best else welfare,
        A_ub=temptations,
        b_ub=np.zeros(len(temptations)),
        A_eq=np.ones((1, size)),
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
    )
    chances = np.clip(np.asarray(solution.x), 0, None)
    chances /= chances.sum()
    return chances.reshape(game.sizes), float(chances @ welfare)


def _temptations(game: Game, kind: str) -> Iterator[NDArray[np.float64]]:
    """Yields the gain of a deviation at each profile, [profiles], one row for each deviation."""
    for player in range(game.count):
        own = np.moveaxis(game.payoffs[..., player], player, 0)
        for new in range(game.sizes[player]):
            gains = own[new][None] - own
            if kind == "coarse":
                yield np.moveaxis(gains, 0, player).ravel()
                continue
            for obeyed in range(game.sizes[player]):
                if obeyed != new:
                    row = np.zeros_like(gains)
                    row[obeyed] = gains[obeyed]
                    yield np.moveaxis(row, 0, player).ravel()


MOST_SUPPORTS = 400
"""Maximum number of choices of played actions: 3 players with 3 actions have 343."""
STARTS = 4
"""Number of starts of Newton's method for each choice."""
CLOSE = 1e-9
"""Tolerance of the gain of a deviation, relative to the spread of payoffs."""
DENOMINATOR = 10_000
"""Probabilities that are a fraction with at most this denominator are written as it."""


def search_mixed(game: Game, seed: int = 0) -> list[Equilibrium]:
    """Returns pure equilibria, exactly, and mixed ones of any number of players by search.

    Args:
        game: small: at most 400 choices of which actions are played.
        seed: of the starts.

    Returns: `exact` tells those whose fractions are an equilibrium to the last digit.

    Raises:
        SettingError: a game that is too large.
        MissingPackageError: scipy is not installed.
    """
    choices = prod(2**size - 1 for size in game.sizes)
    if choices > MOST_SUPPORTS:
        raise SettingError(
            f"got a game of {choices:,} choices of played actions; wanted at most "
            f"{MOST_SUPPORTS:,}: its pure equilibria are found at any size"
        )
    with needs("the search for mixed equilibria of three players", pip_line("games")):
        from scipy.optimize import root
    rng, known = np.random.default_rng(seed), pure_equilibria(game)
    spread = max(float(np.ptp(game.payoffs)), 1e-300)
    subsets = [
        [c for k in range(1, size + 1) for c in combinations(range(size), k)] for size in game.sizes
    ]
    for played in product(*subsets):
        if sum(len(own) > 1 for own in played) < 2:
            continue  # where one alone mixes, there is a pure one beside it
        for _ in range(STARTS):
            start = [rng.dirichlet(np.ones(len(own))) for own in played]
            solution = root(lambda x, p=played: _gaps(game, p, x), np.concatenate(start), tol=1e-13)
            mix = _mixed(game, played, solution.x)
            if min(min(s[list(own)]) for s, own in zip(mix, played, strict=True)) < 1e-7:
                continue
            if float(game.gain(mix).max()) > CLOSE * spread:
                continue
            apart = [
                max(np.abs(a - b).max() for a, b in zip(mix, one.floats(), strict=True))
                for one in known
            ]
            if min(apart, default=1.0) > 1e-5:
                known.append(_as_fractions(game, mix))
    return known


def _gaps(game: Game, played: tuple[tuple[int, ...], ...], x: Floats) -> Floats:
    """Returns the values that must be 0: payoff differences of played actions, and sums of
    probabilities minus 1."""
    mix = _mixed(game, played, x)
    gaps = []
    for own, strategy, pays in zip(played, mix, game.deviations(mix), strict=True):
        pays = pays[list(own)]
        gaps += [*(pays[1:] - pays[0]), strategy.sum() - 1]
    return np.array(gaps)


def _mixed(game: Game, played: tuple[tuple[int, ...], ...], x: Floats) -> list[Floats]:
    mix, at = [], 0
    for own, size in zip(played, game.sizes, strict=True):
        strategy = np.zeros(size)
        strategy[list(own)] = x[at : at + len(own)]
        at += len(own)
        mix.append(strategy)
    return mix


def _as_fractions(game: Game, mix: list[Floats]) -> Equilibrium:
    """Returns the equilibrium in simple fractions if these are one, else in those of the floats."""
    simple = tuple(
        tuple(Fraction(float(p)).limit_denominator(DENOMINATOR) for p in own) for own in mix
    )
    if all(sum(own) == 1 for own in simple) and is_equilibrium(game, simple):
        return Equilibrium(simple, _paid(game, simple))
    close = [[Fraction(float(p)).limit_denominator(10**9) for p in own] for own in mix]
    strategies = tuple(tuple(p / sum(own) for p in own) for own in close)
    return Equilibrium(strategies, _paid(game, strategies), exact=False)


def _paid(game: Game, strategies: tuple[Rational, ...]) -> Rational:
    """Returns the exact payoffs of mixed strategies."""
    paid = [Fraction(0)] * game.count
    for profile, payoffs in game.exact.items():
        chances = [own[action] for own, action in zip(strategies, profile, strict=True)]
        if all(chances):
            chance = prod(chances)
            paid = [total + chance * value for total, value in zip(paid, payoffs, strict=True)]
    return tuple(paid)
