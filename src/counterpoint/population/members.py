"""Members of a population: teams that learn a game by policy gradient, all side by side in arrays.

Axis letters: R repeats, N members, A players, M actions. One update of one member is one batch of
plays and one step; that is the unit in which everything is charged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.credit import advantages, plain_scheme_named
from counterpoint.games.game import Game
from counterpoint.settings import require, require_choices

SCHEMES = ("dr_grpo", "grpo", "rank")
"""Schemes of members who differ in their schemes."""
SPREAD = {"wide": 1.0, "narrow": 0.1}
"""Standard deviation of the first logits."""


@dataclass(frozen=True, kw_only=True)
class PopulationSettings:
    """Settings of the members: how they begin and learn.

    Raises:
        SettingError: a number out of its range.
    """

    start: Literal["wide", "narrow"] = "wide"
    """Spread of the members in the beginning: logits of standard deviation 1, or 0.1."""
    batch: int = 32
    """Plays of an update, and of an evaluation that is charged as one update."""
    lr: float = 0.01
    """Step size of plain gradient ascent on logits."""
    evaluations: int = 4
    """Updates that are charged for the evaluation of a member before a champion is chosen."""
    rounds: int = 10
    """Rounds of population-based training; after each the worst members are replaced."""
    diverse: Literal["start", "hyper", "scheme"] = "start"
    """The difference of members besides their seeds: none; step sizes, from a third of `lr` to
    three times as much; or credit schemes, those of `SCHEMES` in turn."""

    def __post_init__(self) -> None:
        require("batch", self.batch, 2, 1_000_000)
        require("lr", self.lr, 0.0, 1000.0)
        require("evaluations", self.evaluations, 1, 1_000_000)
        require("rounds", self.rounds, 1, 1_000_000)
        require_choices(self)


class Policies:
    """R x N tables of logits [R, N, A, M] that learn, padded where players have fewer actions.

    Args:
        game: what is played.
        settings: how members begin and learn.
        repeats: R, the independent populations.
        count: N, the members of each.
        seed: seed of the first repeat; repeat r has the generator of seed + r, whatever N is.
    """

    stream: ClassVar[int]
    """Number of the stream of random numbers that this kind of member draws from."""

    def __init__(
        self, game: Game, settings: PopulationSettings, repeats: int, count: int, seed: int = 0
    ) -> None:
        self.game, self.settings, self.count = game, settings, count
        self.rngs = [np.random.default_rng([seed + r, self.stream]) for r in range(repeats)]
        most = max(game.sizes)
        self.there = np.arange(most) < np.array(game.sizes)[:, None]
        """[A, M] which actions there are."""
        self.logits = self.fresh(count)
        self.lr = np.full((repeats, count), settings.lr)
        if settings.diverse == "hyper":
            self.lr *= np.stack([3.0 ** rng.uniform(-1, 1, count) for rng in self.rngs])

    def fresh(self, count: int) -> Floats:
        """Returns the logits of beginners, [R, count, A, M]."""
        spread, shape = SPREAD[self.settings.start], (count, *self.there.shape)
        logits = np.stack([spread * rng.standard_normal(shape) for rng in self.rngs])
        logits[..., ~self.there] = -np.inf
        return logits

    def probs(self) -> Floats:
        """Returns the policies, [R, N, A, M]."""
        raised = np.exp(self.logits - self.logits.max(axis=-1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=-1, keepdims=True))

    def diversity(self) -> Floats:
        """Returns the effective number of different members, [R].

        It is the exponential of the entropy of the profiles of their likeliest actions.
        """
        numbers = []
        for members in self.probs().argmax(axis=-1):
            _, counts = np.unique(members, axis=0, return_counts=True)
            share = counts / counts.sum()
            numbers.append(np.exp(-(share * np.log(share)).sum()))
        return np.array(numbers)

    def ascend(self, gradient: Floats, who: slice = slice(None)) -> None:
        """Takes one step of some members along their gradients, [R, n, A, M]."""
        # actions that a player does not have keep the logit -inf: their step would be NaN
        step = self.lr[:, who, None, None] * np.where(self.there, gradient, 0.0)
        self.logits[:, who] = np.where(self.there, self.logits[:, who] + step, -np.inf)


class Members(Policies):
    """R x N teams that learn; a team is paid the mean of the payoffs of its players."""

    stream = 31

    def __init__(
        self, game: Game, settings: PopulationSettings, repeats: int, count: int, seed: int = 0
    ) -> None:
        super().__init__(game, settings, repeats, count, seed)
        self.common = game.payoffs.mean(axis=-1)
        """[M_1, ..., M_A] what a team is paid."""

    def values(self) -> Floats:
        """Returns the exact worth of each team, [R, N], which no learner sees."""
        probs = self.probs()
        value = np.broadcast_to(self.common, (*probs.shape[:2], *self.common.shape))
        for player, size in enumerate(self.game.sizes):
            own = probs[:, :, player, :size]
            value = (value * own.reshape(*own.shape, *[1] * (value.ndim - 3))).sum(axis=2)
        return np.asarray(value)

    def play(self, plays: int) -> tuple[NDArray[np.int64], Floats]:
        """Returns actions [R, N, plays, A] and what they paid, [R, N, plays]."""
        shape = (self.count, plays, self.game.count)
        uniforms = np.stack([rng.random(shape) for rng in self.rngs])
        actions = sampled(self.probs()[:, :, None], uniforms)
        return actions, self.common[tuple(np.moveaxis(actions, -1, 0))]

    def update(self, times: int) -> None:
        """Updates every member `times` times."""
        arange = np.arange(self.logits.shape[-1])
        for _ in range(times):
            actions, paid = self.play(self.settings.batch)
            credit = self.credit(paid)[..., None, None]
            # REINFORCE: the gradient of log pi by the logits is the chosen action less pi
            chosen = actions[..., None] == arange
            self.ascend((credit * (chosen - self.probs()[:, :, None])).mean(axis=2))

    def credit(self, paid: Floats) -> Floats:
        """Returns advantages of what was paid, [R, N, plays], each member under its own scheme."""
        if self.settings.diverse != "scheme":
            return np.asarray(paid - paid.mean(axis=-1, keepdims=True))
        values = np.empty_like(paid)
        for number, name in enumerate(SCHEMES):
            own = paid[:, number :: len(SCHEMES)]
            # every team is one prompt of its own, and its plays are the rollouts of that prompt
            team, play = np.indices((own.shape[0] * own.shape[1], own.shape[2])).reshape(2, -1)
            labels = {"prompt": team, "rollout": team * own.shape[2] + play, "agent": 0 * team}
            result = advantages(own.reshape(-1), labels, plain_scheme_named(name))
            values[:, number :: len(SCHEMES)] = result.values.reshape(own.shape)
        return values

    def evaluate(self, times: int) -> Floats:
        """Returns the mean pay of each member over `times` batches, [R, N]; charged as `times`
        updates."""
        return np.asarray(self.play(times * self.settings.batch)[1].mean(axis=-1))

    def against(self) -> Floats | None:
        """Returns the expected pay if player 1 is of one member (row) and player 2 of another
        (column), [R, N, N]; None unless two play."""
        if self.game.count != 2:
            return None
        probs, (rows, columns) = self.probs(), self.game.sizes
        first, second = probs[:, :, 0, :rows], probs[:, :, 1, :columns]
        return np.asarray(first @ self.common @ np.swapaxes(second, 1, 2))


def sampled(probs: Floats, uniforms: Floats) -> NDArray[np.int64]:
    """Returns actions [...] of policies [..., M] by uniforms [...], which broadcast."""
    # the sums end a rounding error beside 1, so that uniforms are scaled by the last of them
    total = probs.cumsum(axis=-1)
    return np.asarray((total[..., :-1] <= uniforms[..., None] * total[..., -1:]).sum(axis=-1))
