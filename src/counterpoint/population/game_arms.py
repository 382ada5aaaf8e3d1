"""The arms of a game: teams that learn together, or duellists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from counterpoint.errors import UnknownNameError
from counterpoint.games import make_game
from counterpoint.games.catalogue import catalogue
from counterpoint.games.game import Game, bimatrix
from counterpoint.population.arms import (
    Spending,
    average,
    best_of,
    league,
    past_selves,
    population_based,
    split_best,
    split_even,
    split_rounds,
)
from counterpoint.population.cells import Facts
from counterpoint.population.duels import is_duel, require_halves
from counterpoint.population.members import Settings
from counterpoint.settings import did_you_mean

SMOOTH = "smooth"
"""A game with one peak, of the same height as climbing's: the negative control."""
ARMS: dict[str, tuple[Callable[..., Spending], Callable[[Settings, int, int], object]]] = {
    "single": (best_of, split_best),
    "average": (average, lambda _, members, budget: split_even(members, budget)),
    "past_selves": (past_selves, lambda _, members, budget: split_even(members, budget)),
    "best_of": (best_of, split_best),
    "pbt": (population_based, split_rounds),
    "league": (league, lambda _, members, budget: split_even(members, budget)),
}
"""Name without its size: what runs it, and what it is charged."""


@dataclass(frozen=True)
class GameArms:
    """What a comparison needs of a game."""

    game: Game
    settings: Settings

    fractions = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
    """Of the budget: where arms are also measured, to find where one overtakes another."""
    repeats_at_once = 10_000
    """All side by side, in arrays."""

    @property
    def duel(self) -> bool:
        """Whether one wins what the other loses."""
        return is_duel(self.game)

    @property
    def span(self) -> tuple[float, float] | None:
        """Lowest and highest payoff of a duel; None of other games."""
        own = self.game.payoffs[..., 0]
        return (float(own.min()), float(own.max())) if self.duel else None

    def arms(self, members: Sequence[int]) -> list[tuple[str, int]]:
        """Name and size of each arm."""
        found: list[tuple[str, int]] = []
        for size in sorted(members):
            if size == 1:
                names = ["single", "average", "past_selves"] if self.duel else ["single"]
                found += [(name, 1) for name in names]
                continue
            found.append((f"best_of_{size}", size))
            if size >= 4:
                found.append((f"pbt_{size}", size))
            if self.duel:
                found.append((f"league_{size}", size))
        return found

    def key(self) -> dict[str, Any]:
        """What results depend on."""
        return {"game": self.game.payoffs.tolist(), "settings": asdict(self.settings)}

    def facts(self) -> Facts:
        """What the result says of the game."""
        best = self.game.payoffs.mean(axis=-1).max()  # of a duel that is half of what is shared
        held = "what it can be held to, at most the value of the game"
        return Facts(
            source=self.game.source,
            optimum=float(best),
            unit=held if self.duel else "mean payoff",
            exact=True,
            settings=asdict(self.settings),
        )

    def split(self, name: str, members: int, budget: int) -> None:
        """Return where the budget can be split.

        Raises:
            SettingError: it cannot, or a duel with an odd batch.
        """
        if self.duel:
            require_halves(self.settings)
        ARMS[_kind(name)][1](self.settings, members, budget)

    def run(self, name: str, members: int, budget: int, first: int, repeats: int) -> Spending:
        """Repeats `first` and after of one arm at one budget.

        Raises:
            SettingError: the budget cannot be split.
        """
        arm = ARMS[_kind(name)][0]
        return arm(self.game, self.settings, members, budget, repeats, first)


def _kind(name: str) -> str:
    head, _, size = name.rpartition("_")
    return head if size.isdigit() else name


def game_of(world: str) -> Game:
    """The game called `world`.

    Raises:
        UnknownNameError: there is none.
    """
    if world == SMOOTH:
        own = np.array([5.5, 2.0, 0.0])
        payoff = own[:, None] + own
        return bimatrix(payoff, payoff, name=SMOOTH, source="ours: what each does adds up")
    if world not in catalogue():
        known = (SMOOTH, *catalogue())
        raise UnknownNameError(
            f"got world '{world}'; wanted one of {', '.join(known)}{did_you_mean(world, known)}"
        )
    return make_game(world)
