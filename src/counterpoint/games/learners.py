"""Learners in a game: policy gradient from samples under any credit scheme, many seeds at once.

Each player has a table of logits, with one row for each public signal (one, unless a device is
shared), and learns from its rewards. Start with `learn_teams`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.credit import RunningState, advantages, plain_scheme_named
from counterpoint.errors import SettingError
from counterpoint.games.game import Game
from counterpoint.settings import CheckedSettings, Range

Remedy = Literal["none", "convention", "device", "cheap_talk", "other_play", "population"]
"""The remedies: a convention that all teams know before they begin; a public signal on which
players can condition; a word that each player says before anybody acts, at no cost; training as if
actions that are alike had been relabelled (Other-Play, Hu et al., ICML 2020); partners drawn from a
population."""
REMEDIES: tuple[str, ...] = get_args(Remedy)
MOST_SIGNALS = 4096
"""Maximum number of signals before an action; with cheap talk there are words to the power of
players."""


@dataclass(frozen=True, kw_only=True)
class Learning(CheckedSettings):
    """How players learn.

    Raises:
        SettingError: a number out of its range.
    """

    scheme: str = "mappo_per_agent"
    """The scheme that turns rewards into advantages: a name of `counterpoint schemes`."""
    updates: Annotated[int, Range(1, 1_000_000)] = 400
    """Number of updates, each with its own batch."""
    batch: Annotated[int, Range(2, 1_000_000)] = 64
    """Number of plays of the game in a batch."""
    lr: Annotated[float, Range(0.0, 100.0)] = 0.1
    """Step size of Adam on logits."""
    entropy: Annotated[float, Range(0.0, 100.0)] = 0.0
    """Weight of the entropy bonus, in nats."""
    start: Annotated[float, Range(0.0, 100.0)] = 1.0
    """Standard deviation of the initial logits."""
    paid: Literal["own", "team"] = "own"
    """The reward of a player: its own payoff, or the mean of all payoffs."""
    remedy: Remedy = "none"
    """The remedy against conventions that partners of other teams do not share."""
    signals: Annotated[int, Range(1, 64)] = 2
    """Number of public signals of a device, or of words of cheap talk."""
    restarts: Annotated[int | None, Range(1, 1000)] = None
    """Number of starts from which each team learns; the result with the best own objective is kept.
    The default is 1, and 32 for Other-Play."""
    partners: Annotated[int, Range(2, 64)] = 8
    """Number of partners for each player in a population."""


@dataclass(frozen=True)
class LearnedTeams:
    """The strategies of learners at the end of their training."""

    strategies: tuple[Floats, ...]
    """[A] arrays [S, Z, M_i]: probabilities of each seed at each signal."""
    payoffs: Floats
    """[S, A] expected payoffs of each seed's own team."""
    weights: Floats
    """[S, Z] the frequency of each signal in each seed's own team."""
    words: tuple[Floats, ...] | None
    """[A] arrays [S, K] of the probabilities of first words, if there is cheap talk: in signal i K
    + j the first of two players says i and the second j."""


def learn_teams(game: Game, learning: Learning, seeds: int, seed: int = 0) -> LearnedTeams:
    """Trains a team for each seed, and returns where the teams end.

    Args:
        game: the game, which each team plays with itself.
        learning: how teams learn.
        seeds: S, the number of teams.
        seed: seed of the first team; team s has the generator of seed + s.

    Raises:
        UnknownNameError, SchemeError: the scheme does not exist, or does not fit.
        SettingError: a remedy that does not fit the game.
    """
    scheme = plain_scheme_named(learning.scheme)
    if learning.remedy == "population":
        return _population(game, learning, seeds, seed)
    restarts = learning.restarts or (32 if learning.remedy == "other_play" else 1)
    signals = {"device": learning.signals, "cheap_talk": learning.signals**game.count}.get(
        learning.remedy, 1
    )
    if learning.remedy == "cheap_talk" and signals > MOST_SIGNALS:
        raise SettingError(
            f"got {learning.signals} words of each of {game.count} players, {signals:,} signals; "
            f"wanted at most {MOST_SIGNALS:,}: set signals"
        )
    table = TabularTeams(game, learning, seeds * restarts, seed, signals, restarts)
    relabel = alike(game) if learning.remedy == "other_play" else None
    if learning.remedy == "convention":
        table.agree(seed)
    state: RunningState | None = None
    for _ in range(learning.updates):
        signal, actions = table.play()
        paid = table.paid(actions, relabel)
        credit = advantages(paid.reshape(-1), table.labels, scheme, state=state)
        state = credit.state
        table.ascend(signal, actions, credit.values.reshape(paid.shape))
    worth = table.objective(relabel).reshape(seeds, restarts)
    kept = np.arange(seeds) * restarts + worth.argmax(axis=1)
    strategies = tuple(each[kept] for each in table.strategies())
    words = table.words()
    spoken = None if words is None else tuple(each[kept] for each in words)
    return LearnedTeams(strategies, table.payoffs()[kept], table.weights()[kept], spoken)


def _population(game: Game, learning: Learning, seeds: int, seed: int) -> LearnedTeams:
    """Trains two populations for each seed, whose first members stand for it."""
    if game.count != 2:
        raise SettingError(f"got {game.count} players; a population of partners is of two")
    size, scheme = learning.partners, plain_scheme_named(learning.scheme)
    tables = [TabularTeams(game, learning, size, (seed + s) * 1009, 1) for s in range(seeds)]
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
    strategies = tuple(np.stack([t.strategies()[i][0] for t in tables]) for i in range(game.count))
    weights = np.ones((seeds, 1))
    return LearnedTeams(strategies, expected(game, strategies, weights), weights, None)


def cross_play(game: Game, learned: LearnedTeams) -> tuple[float, float]:
    """Returns the mean payoff of teams with themselves, and of players of different seeds.

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
    """Returns the classes of actions that can be relabelled for all players at once.

    Every exchange of two actions of a class leaves the payoffs as they are.

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


class _Adam:
    """Steps of Adam that climb; what is no number in the gradient stays where it is."""

    def __init__(self, lr: float, like: Floats) -> None:
        self.lr, self.steps = lr, 0
        self.moment, self.square = np.zeros_like(like), np.zeros_like(like)

    def step(self, gradient: Floats) -> Floats:
        """Returns what to add to the parameters."""
        self.steps += 1
        self.moment = 0.9 * self.moment + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean = self.moment / (1 - 0.9**self.steps)
        root = np.sqrt(self.square / (1 - 0.999**self.steps)) + 1e-8
        return np.asarray(self.lr * mean / root)


class TabularTeams:
    """Teams under way: logits [S, Z, A, M], padded where players have fewer actions."""

    def __init__(
        self, game: Game, learning: Learning, seeds: int, seed: int, signals: int, restarts: int = 1
    ) -> None:
        self.game, self.learning, self.seeds = game, learning, seeds
        self.restarts = restarts
        self.rngs = [np.random.default_rng([seed + s, 11]) for s in range(seeds // restarts)]
        most = max(game.sizes)
        shape = (signals, game.count, most)
        self.logits = np.concatenate(
            [learning.start * rng.standard_normal((restarts, *shape)) for rng in self.rngs]
        )
        self.there = np.arange(most) < np.array(game.sizes)[:, None]
        self.logits[:, :, ~self.there] = -np.inf
        self.adam = _Adam(learning.lr, self.logits)
        self.word_logits: Floats | None = None
        """[S, A, K] logits of the word that each says first."""
        if learning.remedy == "cheap_talk":
            words_shape = (restarts, game.count, learning.signals)
            self.word_logits = np.concatenate(
                [learning.start * rng.standard_normal(words_shape) for rng in self.rngs]
            )
            self.speech = _Adam(learning.lr, self.word_logits)
        batch, players = learning.batch, game.count
        grid = np.indices((seeds, batch, players)).reshape(3, -1)
        self.labels = {"prompt": grid[0], "rollout": grid[0] * batch + grid[1], "agent": grid[2],
                       "batch": grid[0]}  # fmt: skip

    def probs(self) -> Floats:
        """Returns the joint policy, [S, Z, A, M]."""
        return _softmax(self.logits)

    def strategies(self) -> tuple[Floats, ...]:
        """Returns the policies of each player, [A] arrays [S, Z, M_i]."""
        probs = self.probs()
        return tuple(probs[:, :, i, :size] for i, size in enumerate(self.game.sizes))

    def words(self) -> tuple[Floats, ...] | None:
        """Returns the chances of each player's words, [A] arrays [S, K]; None if nobody talks."""
        if self.word_logits is None:
            return None
        return tuple(np.moveaxis(_softmax(self.word_logits), 1, 0))

    def weights(self) -> Floats:
        """Returns the chances of each signal, [S, Z]."""
        words = self.words()
        if words is None:
            signals = self.logits.shape[1]
            return np.full((self.seeds, signals), 1 / signals)
        joint = words[0]
        for own in words[1:]:
            joint = (joint[:, :, None] * own[:, None]).reshape(self.seeds, -1)
        return joint

    def payoffs(self) -> Floats:
        """Returns the expected payoffs, exactly, [S, A]."""
        return expected(self.game, self.strategies(), self.weights())

    def objective(self, relabel: tuple[tuple[int, ...], ...] | None) -> Floats:
        """Returns the mean payoff of each team, [S], with partners who relabel if any do."""
        strategies = list(self.strategies())
        for player in range(1, len(strategies)) if relabel is not None else ():
            mixed = strategies[player].copy()
            for members in relabel or ():
                mixed[..., members] = mixed[..., members].mean(axis=-1, keepdims=True)
            strategies[player] = mixed
        return np.asarray(expected(self.game, tuple(strategies), self.weights()).mean(axis=1))

    def agree(self, seed: int) -> None:
        """Biases all players to one profile, which is drawn in public before anybody begins."""
        rng = np.random.default_rng([seed, 12])
        total = self.game.payoffs.sum(axis=-1)
        best = np.argwhere(np.isclose(total, total.max()))
        for player, action in enumerate(best[rng.integers(len(best))]):
            self.logits[:, :, player, action] += 3.0 + 2 * self.learning.start

    def play(self) -> tuple[Ints, Ints]:
        """Returns signals [S, N] and actions [S, N, A] of a batch."""
        shape, signals = (self.restarts, self.learning.batch), self.logits.shape[1]
        if self.word_logits is None:
            signal = np.concatenate([rng.integers(signals, size=shape) for rng in self.rngs])
        else:
            signal = self.talk()
        uniforms = self._uniforms()
        probs = self.probs()[np.arange(self.seeds)[:, None], signal]  # [S, N, A, M]
        return signal, _drawn(probs, uniforms)

    def talk(self) -> Ints:
        """Returns the signal of all words that are said first, [S, N]; `spoken` keeps them."""
        words, count = self.words(), self.learning.signals
        assert words is not None
        self.spoken = _drawn(np.stack(words, axis=1)[:, None], self._uniforms())
        place = count ** np.arange(self.game.count)[::-1]
        return np.asarray((self.spoken * place).sum(axis=-1))

    def _uniforms(self) -> Floats:
        """Returns one uniform for each seed, play and player, [S, N, A]."""
        shape = (self.restarts, self.learning.batch, self.game.count)
        return np.concatenate([rng.random(shape) for rng in self.rngs])

    def paid(self, actions: Ints, relabel: tuple[tuple[int, ...], ...] | None) -> Floats:
        """Returns what each play paid each player, [S, N, A]."""
        if relabel is not None:
            batch = actions.shape[1:]
            grouped = actions.reshape(len(self.rngs), -1, batch[-1])
            actions = np.concatenate([
                self._relabelled(each, relabel, rng).reshape(self.restarts, *batch)
                for each, rng in zip(grouped, self.rngs, strict=True)
            ])  # fmt: skip
        paid = self.game.payoffs[tuple(np.moveaxis(actions, -1, 0))]
        if self.learning.paid == "team":
            paid = np.broadcast_to(paid.mean(axis=-1, keepdims=True), paid.shape)
        return np.asarray(paid)

    def _relabelled(
        self, actions: Ints, classes: tuple[tuple[int, ...], ...], rng: np.random.Generator
    ) -> Ints:
        """Returns the actions [N, A] as partners take them who relabel the actions of a class."""
        moved = actions.copy()
        size, batch = self.game.sizes[0], len(actions)
        for player in range(1, actions.shape[1]):
            names = np.tile(np.arange(size), (batch, 1))
            for members in classes:
                names[:, members] = rng.permuted(names[:, members], axis=1)
            moved[:, player] = names[np.arange(batch), actions[:, player]]
        return moved

    def ascend(self, signal: Ints, actions: Ints, values: Floats) -> None:
        """Takes one step of Adam on the mean of A log pi and on the entropy bonus."""
        probs, learning = self.probs(), self.learning
        rows = np.arange(self.seeds)[:, None]
        chosen = np.arange(probs.shape[-1]) == actions[..., None]
        each = values[..., None] * (chosen - probs[rows, signal])  # [S, N, A, M]
        gradient = np.zeros_like(probs)
        for z in range(probs.shape[1]):  # [S, N, Z, A, M] at once would not fit in memory
            gradient[:, z] = (each * (signal == z)[..., None, None]).mean(axis=1)
        if learning.entropy:
            logs = np.where(probs > 0, np.log(np.maximum(probs, 1e-300)), 0.0)
            mean = (probs * logs).sum(axis=-1, keepdims=True)
            gradient -= learning.entropy * probs * (logs - mean)
        gradient[:, :, ~self.there] = 0.0
        self.logits = np.where(self.there, self.logits + self.adam.step(gradient), -np.inf)
        words = self.words()
        if self.word_logits is not None and words is not None:
            word_probs = np.stack(words, axis=1)[:, None]  # [S, 1, A, K]
            chosen = np.arange(word_probs.shape[-1]) == self.spoken[..., None]
            pushed = (values[..., None] * (chosen - word_probs)).mean(axis=1)
            self.word_logits = self.word_logits + self.speech.step(pushed)


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _drawn(probs: Floats, uniforms: Floats) -> Ints:
    """Returns choices [...] by `uniforms` [...] of the distributions `probs` [..., M]."""
    total = probs.cumsum(axis=-1)
    # uniforms are scaled by the total, so that rounding never selects a choice of probability 0
    return np.asarray((total[..., :-1] <= uniforms[..., None] * total[..., -1:]).sum(axis=-1))


def expected(game: Game, strategies: tuple[Floats, ...], weights: Floats) -> Floats:
    """Returns payoffs [S, A] of strategies [S, Z, M_i] at signals of chances [S, Z]."""
    value = np.broadcast_to(game.payoffs, (*strategies[0].shape[:2], *game.payoffs.shape))
    for strategy in strategies:
        shape = (*strategy.shape, *[1] * (value.ndim - strategy.ndim))
        value = (value * strategy.reshape(shape)).sum(axis=2)
    return np.asarray((value * weights[..., None]).sum(axis=1))
