"""The games by name: `game_catalogue()` lists them, `make_game("lever", {...})` makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from counterpoint.errors import SettingError, UnknownNameError, choices
from counterpoint.games.bayesian import unsure_battle
from counterpoint.games.game import LARGEST, Game, bimatrix
from counterpoint.settings import GivenSettings, from_text


class GameEntry(NamedTuple):
    """A game in the catalogue."""

    build: Callable[..., Game]
    """Makes the game from its options."""
    summary: str
    """One line."""

    @property
    def options(self) -> tuple[str, ...]:
        """Returns the names of its options."""
        return tuple(signature(self.build).parameters)


def _two(name: str, first: Any, actions: tuple[str, ...], source: str, second: Any = None) -> Game:
    """Returns a game of two; it is symmetric if the second player's payoffs are not given."""
    other = np.array(first, dtype=float).T if second is None else second
    return bimatrix(first, other, name=name, actions=(actions, actions), source=source)


def prisoners_dilemma() -> Game:
    """Returns the dilemma with reward 3, temptation 5, punishment 1 and sucker's payoff 0."""
    return _two("prisoners_dilemma", [[3, 0], [5, 1]], ("cooperate", "defect"),
                "Rapoport and Chammah, Prisoner's Dilemma (1965)")  # fmt: skip


def stag_hunt() -> Game:
    """Returns the game in which two hunt a stag together for 4, or each a hare alone for 3."""
    return _two("stag_hunt", [[4, 0], [3, 3]], ("stag", "hare"),
                "Skyrms, The Stag Hunt (2004)")  # fmt: skip


def chicken() -> Game:
    """Returns the game in which each driver swerves, or drives on and hopes."""
    return _two("chicken", [[3, 1], [4, 0]], ("swerve", "drive on"),
                "Rapoport and Chammah, American Behavioral Scientist 10 (1966)")  # fmt: skip


def battle_of_the_sexes() -> Game:
    """Returns the game in which two meet, though each would rather meet elsewhere."""
    return _two("battle_of_the_sexes", [[2, 0], [0, 1]], ("opera", "football"),
                "Luce and Raiffa, Games and Decisions (1957)", [[1, 0], [0, 2]])  # fmt: skip


def climbing() -> Game:
    """Returns a game of a common payoff with a high peak beside a cliff."""
    payoff = [[11, -30, 0], [-30, 7, 6], [0, 0, 5]]
    return _two("climbing", payoff, ("a", "b", "c"), "Claus and Boutilier, AAAI 1998", payoff)


def penalty(k: float = -10.0) -> Game:
    """Returns a game of a common payoff with two peaks, a penalty between them, and a refuge."""
    payoff = [[10, 0, k], [0, 2, 0], [k, 0, 10]]
    return _two("penalty", payoff, ("a", "b", "c"), "Claus and Boutilier, AAAI 1998", payoff)


def lever(levers: int = 10) -> Game:
    """Returns the game in which two pull the same lever for 1; the last one alone pays 0.9."""
    if not 2 <= levers <= 400:
        raise SettingError(f"got levers={levers}; wanted 2 to 400")
    payoff = np.eye(levers)
    payoff[-1, -1] = 0.9
    names = tuple(f"lever {i + 1}" for i in range(levers))
    return _two("lever", payoff, names, "Hu et al., Other-Play, ICML 2020", payoff)


def refuges(actions: int = 4, safe: float = 0.5) -> Game:
    """Returns the game in which two match for 1, or take a refuge that always pays less."""
    if not 2 <= actions <= 400:
        raise SettingError(f"got actions={actions}; wanted 2 to 400")
    payoff = np.eye(actions + 1)
    payoff[-1, :] = safe
    names = (*(f"place {i + 1}" for i in range(actions)), "refuge")
    return _two("refuges", payoff, names, "ours")


def matching_pennies() -> Game:
    """Returns the game in which one wants both coins alike, the other unlike."""
    payoff = np.array([[1, -1], [-1, 1]])
    return _two("matching_pennies", payoff, ("heads", "tails"),
                "von Neumann and Morgenstern (1944)", -payoff)  # fmt: skip


def rock_paper_scissors() -> Game:
    """Returns the game in which each action beats one and is beaten by another."""
    payoff = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return _two("rock_paper_scissors", payoff, ("rock", "paper", "scissors"),
                "von Neumann and Morgenstern (1944)", -payoff)  # fmt: skip


def blotto(soldiers: int = 5, fields: int = 3) -> Game:
    """Returns the game in which two spread soldiers; more on a field win its share of 1."""
    if not 1 <= soldiers <= 12 or not 2 <= fields <= 4:
        raise SettingError(f"got soldiers={soldiers}, fields={fields}; wanted 1 to 12, 2 to 4")
    spread = [s for s in product(range(soldiers + 1), repeat=fields) if sum(s) == soldiers]
    here = np.array(spread)
    payoff = np.sign(here[:, None] - here).mean(axis=-1)
    names = tuple("-".join(map(str, one)) for one in spread)
    return _two("blotto", payoff, names, "Borel (1921)", -payoff)


def higher(numbers: int = 4) -> Game:
    """Returns the game in which the higher number wins: one action is always best."""
    if not 2 <= numbers <= 400:
        raise SettingError(f"got numbers={numbers}; wanted 2 to 400")
    count = np.arange(numbers)
    payoff = np.sign(count[:, None] - count)
    return _two("higher", payoff, tuple(map(str, count)), "ours", -payoff)


def public_goods(players: int = 3, factor: float = 1.6) -> Game:
    """Returns the game in which each gives 1 to a pot that is multiplied and shared, or not."""
    if not 2 <= players <= 12:
        raise SettingError(f"got players={players}; wanted 2 to 12")
    if not abs(factor) <= LARGEST:
        raise SettingError(f"got factor={factor}; wanted a number up to {LARGEST:.0e}")
    shape = (2,) * players
    gives = np.stack(np.meshgrid(*[[1.0, 0.0]] * players, indexing="ij"), axis=-1)
    pot = factor * gives.sum(axis=-1, keepdims=True) / players
    payoffs = (pot - gives).reshape(*shape, players)
    return Game(payoffs, "public_goods", (), (("give", "keep"),) * players,
                "Ledyard, in Handbook of Experimental Economics (1995)")  # fmt: skip


_GAMES: Mapping[str, GameEntry] = {
    "prisoners_dilemma": GameEntry(
        prisoners_dilemma, "each is better off to defect, all to cooperate"
    ),
    "stag_hunt": GameEntry(stag_hunt, "the better of two equilibria is the riskier one"),
    "chicken": GameEntry(chicken, "each player wants the other to give way"),
    "battle_of_the_sexes": GameEntry(battle_of_the_sexes, "meet, but each prefers another place"),
    "climbing": GameEntry(climbing, "a common payoff with a high peak beside a cliff"),
    "penalty": GameEntry(penalty, "two peaks, and a penalty for missing each other"),
    "lever": GameEntry(lever, "choose the same one of many equal levers"),
    "refuges": GameEntry(refuges, "match for 1, or take a smaller payoff for certain"),
    "unsure_battle": GameEntry(unsure_battle, "meet a partner that may not want to; Bayesian"),
    "matching_pennies": GameEntry(matching_pennies, "one wants equal coins, the other unequal"),
    "rock_paper_scissors": GameEntry(
        rock_paper_scissors, "each action beats one action and loses to another"
    ),
    "blotto": GameEntry(blotto, "spread soldiers over fields"),
    "higher": GameEntry(higher, "the higher number wins: a duel without a cycle"),
    "public_goods": GameEntry(public_goods, "contribute to a common pot, or keep the money"),
}


def game_catalogue() -> dict[str, GameEntry]:
    """Returns the entry of each game by name, in the order in which tables list them."""
    return dict(_GAMES)


def make_game(name: str, options: GivenSettings | None = None) -> Game:
    """Returns the game called `name`.

    Args:
        name: of `game_catalogue()`.
        options: name to value; text is read as a number.

    Raises:
        UnknownNameError: no game, or no option of it, has that name.
        SettingError: an option out of range, or no number.
    """
    if name not in _GAMES:
        raise UnknownNameError(
            f"got game '{name}', which is no file{choices(name, _GAMES, 'counterpoint game')}"
        )
    build, values = _GAMES[name].build, {k: from_text(v) for k, v in (options or {}).items()}
    known = signature(build).parameters
    for key, value in values.items():
        if key not in known:
            raise UnknownNameError(f"got option {key} of game {name}{choices(key, known)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SettingError(f"got {key}={value!r} of game {name}; wanted a number")
        if isinstance(known[key].default, int) and not isinstance(value, int):
            raise SettingError(f"got {key}={value!r} of game {name}; wanted a whole number")
    return build(**values)
