"""Games as values: payoffs, equilibria, what repetition can sustain. Start with `make_game`.

`nash_equilibria(A, B)` is for those who have two matrices and no time.
"""

from counterpoint.games.catalogue import game_catalogue, make_game
from counterpoint.games.equilibria import (
    Equilibrium,
    equilibria,
    lemke_howson,
    nash_equilibria,
    pure_equilibria,
)
from counterpoint.games.files import read_game
from counterpoint.games.game import Game
from counterpoint.games.repeated import critical_discount, feasible_rational, minmax

__all__ = [
    "Equilibrium", "Game", "critical_discount", "equilibria", "feasible_rational", "game_catalogue",
    "lemke_howson", "make_game", "minmax", "nash_equilibria", "pure_equilibria", "read_game",
]  # fmt: skip
