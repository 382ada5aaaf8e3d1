"""Teams of a game under way, as tables of logits: what they play, what it pays, how they climb.

Axis letters: S seeds, Z signals, A players, M actions, K words, N plays of a batch.
"""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.games.game import Game
from counterpoint.games.learning import Learning


class _Adam:
    """Steps of Adam that climb; what is no number in the gradient stays where it is."""

    def __init__(self, lr: float, like: Floats) -> None:
        self.lr, self.steps = lr, 0
        self.moment, self.square = np.zeros_like(like), np.zeros_like(like)

    def step(self, gradient: Floats) -> Floats:
        """What to add."""
        self.steps += 1
        self.moment = 0.9 * self.moment + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean = self.moment / (1 - 0.9**self.steps)
        root = np.sqrt(self.square / (1 - 0.999**self.steps)) + 1e-8
        return np.asarray(self.lr * mean / root)


class Table:
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
        self.said: Floats | None = None
        """[S, A, K] logits of what each says first."""
        if learning.remedy == "cheap_talk":
            told = (restarts, game.count, learning.signals)
            self.said = np.concatenate(
                [learning.start * rng.standard_normal(told) for rng in self.rngs]
            )
            self.speech = _Adam(learning.lr, self.said)
        batch, players = learning.batch, game.count
        grid = np.indices((seeds, batch, players)).reshape(3, -1)
        self.labels = {"prompt": grid[0], "rollout": grid[0] * batch + grid[1], "agent": grid[2],
                       "batch": grid[0]}  # fmt: skip

    def probs(self) -> Floats:
        """[S, Z, A, M] the joint policy."""
        raised = np.exp(self.logits - self.logits.max(axis=-1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=-1, keepdims=True))

    def strategies(self) -> tuple[Floats, ...]:
        """[A] arrays [S, Z, M_i]."""
        probs = self.probs()
        return tuple(probs[:, :, i, :size] for i, size in enumerate(self.game.sizes))

    def words(self) -> tuple[Floats, ...] | None:
        """[A] arrays [S, K] of what each says first; None where nobody does."""
        if self.said is None:
            return None
        raised = np.exp(self.said - self.said.max(axis=-1, keepdims=True))
        probs = raised / raised.sum(axis=-1, keepdims=True)
        return tuple(probs[:, i] for i in range(self.game.count))

    def weights(self) -> Floats:
        """[S, Z] chances of each signal."""
        words = self.words()
        if words is None:
            signals = self.logits.shape[1]
            return np.full((self.seeds, signals), 1 / signals)
        joint = words[0]
        for own in words[1:]:
            joint = (joint[:, :, None] * own[:, None]).reshape(self.seeds, -1)
        return joint

    def payoffs(self) -> Floats:
        """[S, A] expected payoffs, exactly."""
        return expected(self.game, self.strategies(), self.weights())

    def objective(self, relabel: tuple[tuple[int, ...], ...] | None) -> Floats:
        """[S] what each team learned for: its mean payoff, or that with partners who relabel."""
        strategies = list(self.strategies())
        for player in range(1, len(strategies)) if relabel is not None else ():
            mixed = strategies[player].copy()
            for members in relabel or ():
                mixed[..., members] = mixed[..., members].mean(axis=-1, keepdims=True)
            strategies[player] = mixed
        return np.asarray(expected(self.game, tuple(strategies), self.weights()).mean(axis=1))

    def agree(self, seed: int) -> None:
        """Everybody leans to one profile that is drawn in public, before anybody begins."""
        rng = np.random.default_rng([seed, 12])
        total = self.game.payoffs.sum(axis=-1)
        best = np.argwhere(np.isclose(total, total.max()))
        for player, action in enumerate(best[rng.integers(len(best))]):
            self.logits[:, :, player, action] += 3.0 + 2 * self.learning.start

    def play(self) -> tuple[Ints, Ints]:
        """[S, N] signals and [S, N, A] actions of a batch."""
        batch, players = self.learning.batch, self.game.count
        signals = self.logits.shape[1]
        starts = self.restarts
        if self.said is None:
            signal = np.concatenate(
                [rng.integers(signals, size=(starts, batch)) for rng in self.rngs]
            )
        else:
            signal = self.talk()
        uniforms = np.concatenate([rng.random((starts, batch, players)) for rng in self.rngs])
        total = self.probs().cumsum(axis=-1)
        at = total[np.arange(self.seeds)[:, None], signal]  # [S, N, A, M]
        return signal, np.asarray((at[..., :-1] <= uniforms[..., None] * at[..., -1:]).sum(axis=-1))

    def talk(self) -> Ints:
        """[S, N] the signal of what all say before they act; `spoken` keeps who said what."""
        words, count = self.words(), self.learning.signals
        assert words is not None
        shape = (self.restarts, self.learning.batch, self.game.count)
        uniforms = np.concatenate([rng.random(shape) for rng in self.rngs])
        total = np.stack(words, axis=1).cumsum(axis=-1)[:, None]  # [S, 1, A, K]
        self.spoken = (total[..., :-1] <= uniforms[..., None] * total[..., -1:]).sum(axis=-1)
        signal = np.zeros(self.spoken.shape[:2], dtype=np.int64)
        for player in range(self.game.count):
            signal = signal * count + self.spoken[..., player]
        return signal

    def paid(self, actions: Ints, relabel: tuple[tuple[int, ...], ...] | None) -> Floats:
        """[S, N, A] what each play paid each player."""
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
        """[N, A] the actions as partners take them who call those alike by other names."""
        moved = actions.copy()
        size, batch = self.game.sizes[0], len(actions)
        for player in range(1, actions.shape[1]):
            names = np.tile(np.arange(size), (batch, 1))
            for members in classes:
                names[:, members] = rng.permuted(names[:, members], axis=1)
            moved[:, player] = names[np.arange(batch), actions[:, player]]
        return moved

    def ascend(self, signal: Ints, actions: Ints, values: Floats) -> None:
        """One step of Adam on the mean of A log pi, and the entropy bonus."""
        probs, learning = self.probs(), self.learning
        rows = np.arange(self.seeds)[:, None]
        chosen = np.arange(probs.shape[-1]) == actions[..., None]
        each = values[..., None] * (chosen - probs[rows, signal])  # [S, N, A, M]
        gradient = np.zeros_like(probs)
        for z in range(probs.shape[1]):
            gradient[:, z] = (each * (signal == z)[..., None, None]).mean(axis=1)
        if learning.entropy:
            logs = np.where(probs > 0, np.log(np.maximum(probs, 1e-300)), 0.0)
            mean = (probs * logs).sum(axis=-1, keepdims=True)
            gradient -= learning.entropy * probs * (logs - mean)
        gradient[:, :, ~self.there] = 0.0
        self.logits = np.where(self.there, self.logits + self.adam.step(gradient), -np.inf)
        words = self.words()
        if self.said is not None and words is not None:
            told = np.stack(words, axis=1)[:, None]  # [S, 1, A, K]
            chosen = np.arange(told.shape[-1]) == self.spoken[..., None]
            pushed = (values[..., None] * (chosen - told)).mean(axis=1)
            self.said = self.said + self.speech.step(pushed)


def expected(game: Game, strategies: tuple[Floats, ...], weights: Floats) -> Floats:
    """[S, A] expected payoffs where strategies [S, Z, M_i] meet at signals of chances [S, Z]."""
    value = np.broadcast_to(game.payoffs, (*strategies[0].shape[:2], *game.payoffs.shape))
    for strategy in strategies:
        shape = (*strategy.shape, *[1] * (value.ndim - strategy.ndim))
        value = (value * strategy.reshape(shape)).sum(axis=2)
    return np.asarray((value * weights[..., None]).sum(axis=1))
