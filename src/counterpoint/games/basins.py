"""Basins: from which starts do two learners of two actions each end at which equilibrium?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.equilibria import Equilibrium
from counterpoint.games.game import Game

POINTS = 19
"""Starts of each player: probabilities of the first action from 5% to 95%."""
STEPS, LR = 4000, 0.5


@dataclass(frozen=True)
class Basins:
    """Where each start ends."""

    starts: Floats
    """[P] probabilities of the first action in the beginning, of either player."""
    ends: NDArray[np.int64]
    """[P, P] number of the equilibrium at which the pair ends that began at (row's, column's)
    probability; -1 where it is near none."""

    def share(self, equilibrium: int) -> float:
        """Share of starts that end there."""
        return float((self.ends == equilibrium).mean())


def basins(game: Game, known: Sequence[Equilibrium], near: float = 0.1) -> Basins:
    """Both climb their own expected payoff by its exact gradient, from every start of a grid.

    Args:
        game: of two players with two actions each.
        known: its equilibria, whose numbers are told.
        near: how far a player's probabilities may be from those of an equilibrium, in all.

    Raises:
        SettingError: another game.
    """
    if game.sizes != (2, 2):
        raise SettingError(f"got a game of {game.sizes} actions; basins are drawn for 2 x 2")
    starts = np.linspace(0.05, 0.95, POINTS)
    begin = np.log(starts / (1 - starts))
    x, y = (each.ravel() for each in np.meshgrid(begin, begin, indexing="ij"))
    scale = max(float(np.ptp(game.payoffs)), 1e-300)
    a, b = game.payoffs[..., 0] / scale, game.payoffs[..., 1] / scale
    for _ in range(STEPS):
        p, q = _sigmoid(x), _sigmoid(y)
        rows = (a[0, 0] - a[1, 0]) * q + (a[0, 1] - a[1, 1]) * (1 - q)
        columns = (b[0, 0] - b[0, 1]) * p + (b[1, 0] - b[1, 1]) * (1 - p)
        x, y = x + LR * p * (1 - p) * rows, y + LR * q * (1 - q) * columns
    p, q = _sigmoid(x), _sigmoid(y)
    ends = np.full(len(p), -1, dtype=np.int64)
    for number, one in enumerate(known):
        first, second = (strategy[0] for strategy in one.floats())
        apart = 2 * np.maximum(np.abs(p - first), np.abs(q - second))
        ends[(apart <= near) & (ends < 0)] = number
    return Basins(starts, ends.reshape(POINTS, POINTS))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
