"""Correlated and coarse correlated equilibria of any number of players, by a linear program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import SettingError
from counterpoint.games.game import Game
from counterpoint.optional import needs, pip_line

Concept = Literal["correlated", "coarse"]
MOST_VARIABLES = 20_000
"""Profiles of a game whose correlated equilibria are computed."""
MOST_APART = 1e6
"""Times the largest gain of a player may be the smallest. The solver takes 1e-7 of the largest for
0, so that beyond this it would overlook a gain."""
FAR_APART = "wanted payoffs that are not many orders of magnitude apart"


def solved(**program: Any) -> Any:
    """Returns the solution of a linear program, as `scipy.optimize.linprog` takes and gives it.

    Raises:
        SettingError: no solution was found. There always is one, so floats cannot hold the numbers.
        MissingPackageError: scipy is not installed.
    """
    with needs("the linear program of punishments and correlated equilibria", pip_line("games")):
        from scipy.optimize import linprog
    solution: Any = linprog(**program, method="highs")
    if solution.x is None:
        reason = " ".join(str(solution.message).split())
        raise SettingError(f"the linear program of a game was not solved ({reason}); {FAR_APART}")
    return solution


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
        SettingError: a game too large, an unknown kind, or gains too far apart for floats.
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
    # a common factor changes no equilibrium, and the solver expects numbers near 1
    largest = np.maximum(abs(temptations).max(axis=1, keepdims=True), np.finfo(float).tiny)
    least = np.where(temptations, abs(temptations), np.inf).min(axis=1, keepdims=True)
    if (largest > least * MOST_APART).any():
        raise SettingError(f"got gains from {least.min():.3g} to {largest.max():.3g}; {FAR_APART}")
    aim = welfare / max(float(abs(welfare).max()), np.finfo(float).tiny)
    solution = solved(
        c=-aim if best else aim,
        A_ub=temptations / largest,
        b_ub=np.zeros(len(temptations)),
        A_eq=np.ones((1, size)),
        b_eq=[1.0],
        bounds=(0, None),
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
            gains[np.isclose(own[new][None], own, rtol=1e-12, atol=0)] = 0  # alike but for rounding
            if kind == "coarse":
                yield np.moveaxis(gains, 0, player).ravel()
                continue
            for obeyed in range(game.sizes[player]):
                if obeyed != new:
                    row = np.zeros_like(gains)
                    row[obeyed] = gains[obeyed]
                    yield np.moveaxis(row, 0, player).ravel()
