"""Players of different seeds, who have never met; and actions that only their names tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from counterpoint.errors import SettingError
from counterpoint.games.game import Game

if TYPE_CHECKING:
    from counterpoint.games.learners import Learned


def cross_play(game: Game, learned: Learned) -> tuple[float, float]:
    """Mean payoff, over players, of teams with themselves, and of players of different seeds; two
    players.

    Raises:
        SettingError: a game of more.
    """
    if game.count != 2:
        raise SettingError(f"got {game.count} players; cross-play is of two")
    first, second = learned.strategies
    common = game.payoffs.mean(axis=-1)
    if learned.words is None:
        pairs = np.einsum("sza,ab,tzb->st", first, common, second) / first.shape[1]
    else:
        says, hears = learned.words
        count = says.shape[1]
        first, second = (each.reshape(-1, count, count, each.shape[-1]) for each in (first, second))
        pairs = np.einsum("si,tj,sija,ab,tijb->st", says, hears, first, common, second,
                          optimize=True)  # fmt: skip
    seeds = len(first)
    own = float(np.trace(pairs) / seeds)
    return own, float((pairs.sum() - np.trace(pairs)) / max(1, seeds * (seeds - 1)))


def alike(game: Game) -> tuple[tuple[int, ...], ...]:
    """The classes of actions that can be relabelled, for all players at once, without changing the
    game: every exchange of two of a class leaves the payoffs as they are.

    Raises:
        SettingError: players have different numbers of actions.
    """
    if len(set(game.sizes)) > 1:
        raise SettingError("got players with different actions; relabelling is of all at once")
    size = game.sizes[0]
    classes: list[list[int]] = []
    for action in range(size):
        for known in classes:
            swap = np.arange(size)
            swap[[action, known[0]]] = swap[[known[0], action]]
            moved = game.payoffs[np.ix_(*[swap] * game.count)]
            if np.array_equal(moved, game.payoffs):
                known.append(action)
                break
        else:
            classes.append([action])
    return tuple(tuple(each) for each in classes)
