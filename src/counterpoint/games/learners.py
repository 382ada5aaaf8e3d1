"""Learners in a game: policy gradient from samples under any credit scheme, many seeds at once.

Each player has a table of logits, with one row for each public signal (one, unless a device is
shared), and learns from what it is paid. Start with `learn`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.credit import RunningState, advantages, plain_scheme_named
from counterpoint.errors import SettingError
from counterpoint.games.game import Game
from counterpoint.games.learning import MOST_SIGNALS, Learning
from counterpoint.games.table import Table, expected


@dataclass(frozen=True)
class Learned:
    """Where learners landed."""

    strategies: tuple[Floats, ...]
    """[A] arrays [S, Z, M_i]: probabilities of each seed at each signal."""
    payoffs: Floats
    """[S, A] expected payoffs of each seed's own team."""
    weights: Floats
    """[S, Z] how often each seed's own team meets each signal."""
    words: tuple[Floats, ...] | None
    """[A] arrays [S, K] of what each says first, where there is cheap talk: signal i K + j is that
    the first of two said i and the second j."""
    history: Floats
    """[T + 1, A] mean over seeds of the expected payoffs before each update, and after the last."""


def learn(game: Game, learning: Learning, seeds: int, seed: int = 0) -> Learned:
    """Train a team for each seed.

    Args:
        game: what is played; each team plays it with itself.
        learning: how.
        seeds: S, how many teams.
        seed: of the first; team s has the generator of seed + s.

    Raises:
        UnknownNameError, SchemeError: the scheme does not exist, or does not fit.
        SettingError: a remedy that does not fit the game.
    """
    scheme = plain_scheme_named(learning.scheme)
    if learning.remedy == "population":
        return _population(game, learning, seeds, seed)
    restarts = learning.restarts or (32 if learning.remedy == "other_play" else 1)
    signals = _signals(game, learning)
    table = Table(game, learning, seeds * restarts, seed, signals, restarts)
    relabel = alike(game) if learning.remedy == "other_play" else None
    if learning.remedy == "convention":
        table.agree(seed)
    history, state = [table.payoffs().mean(axis=0)], None
    for _ in range(learning.updates):
        signal, actions = table.play()
        paid = table.paid(actions, relabel)
        credit = advantages(paid.reshape(-1), table.labels, scheme, state=state)
        state = credit.state
        table.ascend(signal, actions, credit.values.reshape(paid.shape))
        history.append(table.payoffs().mean(axis=0))
    worth = table.objective(relabel).reshape(seeds, restarts)
    kept = np.arange(seeds) * restarts + worth.argmax(axis=1)
    strategies = tuple(each[kept] for each in table.strategies())
    words = table.words()
    said = None if words is None else tuple(each[kept] for each in words)
    return Learned(strategies, table.payoffs()[kept], table.weights()[kept], said,
                   np.array(history))  # fmt: skip


def _signals(game: Game, learning: Learning) -> int:
    """How many things players may have heard before they act.

    Raises:
        SettingError: too many.
    """
    if learning.remedy == "device":
        return learning.signals
    if learning.remedy != "cheap_talk":
        return 1
    heard: int = learning.signals**game.count
    if heard > MOST_SIGNALS:
        raise SettingError(
            f"got {learning.signals} words of each of {game.count} players, {heard:,} things to "
            f"hear; wanted at most {MOST_SIGNALS:,}: set signals"
        )
    return heard


def _population(game: Game, learning: Learning, seeds: int, seed: int) -> Learned:
    """Each team is of two populations; in every play partners are drawn anew. What stands for a
    seed in the end is the first of each.
    """
    if game.count != 2:
        raise SettingError(f"got {game.count} players; a population of partners is of two")
    size, scheme = learning.partners, plain_scheme_named(learning.scheme)
    tables = [Table(game, learning, size, (seed + s) * 1009, 1) for s in range(seeds)]
    history = [np.mean([t.payoffs().mean(axis=0) for t in tables], axis=0)]
    states: list[RunningState | None] = [None] * seeds
    for _ in range(learning.updates):
        for number, table in enumerate(tables):
            signal, actions = table.play()
            rng = table.rngs[0]
            order = np.stack([rng.permutation(size) for _ in range(actions.shape[1])], axis=1)
            columns = np.arange(actions.shape[1])
            met = np.stack([actions[..., 0], actions[order, columns, 1]], axis=-1)
            paid = table.paid(met, None)
            own = paid.copy()
            for play in columns:
                own[order[:, play], play, 1] = paid[:, play, 1]
            credit = advantages(own.reshape(-1), table.labels, scheme, state=states[number])
            states[number] = credit.state
            table.ascend(signal, actions, credit.values.reshape(own.shape))
        history.append(np.mean([t.payoffs().mean(axis=0) for t in tables], axis=0))
    strategies = tuple(np.stack([t.strategies()[i][0] for t in tables]) for i in range(game.count))
    weights = np.ones((seeds, 1))
    return Learned(strategies, expected(game, strategies, weights), weights, None,
                   np.array(history))  # fmt: skip


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
