"""Games in which one wins what the other loses: self-play, past selves, a league of exploiters.

A member is a pair of policies, one for each seat. Its worth is what it can be held to: the mean
over seats of its exact expected payoff against a best response. Axis letters: R repeats, N members,
M actions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.game import Game
from counterpoint.population.members import Policies, PopulationSettings, sampled

FROZEN = 64
"""Times of freezing that are kept; with more of them every second one is forgotten."""


def is_duel(game: Game) -> bool:
    """Returns whether two play, and the sum of their payoffs is always the same."""
    sums = game.payoffs.sum(axis=-1)
    return game.count == 2 and bool(np.ptp(sums) < 1e-9) and bool(np.ptp(game.payoffs[..., 0]) > 0)


def require_halves(settings: PopulationSettings) -> None:
    """Checks that a batch can be played in both seats.

    Raises:
        SettingError: it cannot.
    """
    if settings.batch < 4 or settings.batch % 2:
        raise SettingError(
            f"got batch={settings.batch} in a duel, half of which is played in each seat; "
            "wanted an even number of at least 4"
        )


class Duellists(Policies):
    """R x N pairs of policies [R, N, 2, M] that learn, one policy for each seat.

    Raises:
        SettingError: a game in which not all that one wins the other loses, or an odd batch.
    """

    stream = 37

    def __init__(
        self, game: Game, settings: PopulationSettings, repeats: int, count: int, seed: int = 0
    ) -> None:
        if not is_duel(game):
            raise SettingError(f"got {game.name}, in which not all that one wins the other loses")
        require_halves(settings)
        super().__init__(game, settings, repeats, count, seed)
        self.paid = (game.payoffs[..., 0], game.payoffs[..., 1].T)
        """The payoff of each seat, [own actions, the other's]."""
        self.blocks: list[Floats] = []
        """The policies of each time that selves were frozen, [R, n, 2, M]."""
        self.pool = np.zeros((repeats, 0, *self.logits.shape[2:]))
        """[R, F, 2, M] policies of all past selves."""

    def values(self) -> Floats:
        """Returns what each can be held to, [R, N]: at best the value of the game. No learner sees
        it."""
        return self.held_to(self.probs())

    def held_to(self, policies: Floats) -> Floats:
        """Returns what policies [..., 2, M] get against those who answer them best, [...]."""
        worth = [
            (policies[..., seat, : self.game.sizes[seat]] @ self.paid[seat]).min(axis=-1)
            for seat in range(2)
        ]
        return np.asarray((worth[0] + worth[1]) / 2)

    def against(self) -> Floats:
        """Returns the expected payoff of each member (row) against each (column), the mean over
        seats, [R, N, N]."""
        probs, met = self.probs(), []
        for seat in range(2):
            own = probs[:, :, seat, : self.game.sizes[seat]]
            other = probs[:, :, 1 - seat, : self.game.sizes[1 - seat]]
            met.append(own @ self.paid[seat] @ np.swapaxes(other, 1, 2))
        return np.asarray((met[0] + met[1]) / 2)

    def freeze(self, members: NDArray[np.int64]) -> None:
        """Keeps the members of these numbers [n], as they are now, as past selves."""
        self.blocks.append(self.probs()[:, members])
        if len(self.blocks) > FROZEN:
            self.blocks = self.blocks[::2]
        self.pool = np.concatenate(self.blocks, axis=1)

    def update(self, times: int) -> None:
        """Updates every member `times` times against itself."""
        for _ in range(times):
            self.meet(None)

    def meet(self, opponents: Floats | None, who: slice = slice(None)) -> None:
        """Updates some members once: a batch of plays, half of them in each seat.

        Args:
            opponents: [R, n, 2, M] policies of each member's opponent; None if each meets itself.
            who: which members learn.
        """
        probs = self.probs()[:, who]
        met = probs if opponents is None else opponents
        half = self.settings.batch // 2
        shape = (probs.shape[1], 2, 2, half)
        uniforms = np.stack([rng.random(shape) for rng in self.rngs])
        step = np.zeros_like(probs)
        for seat in range(2):
            own = sampled(probs[:, :, seat, None], uniforms[:, :, seat, 0])
            other = sampled(met[:, :, 1 - seat, None], uniforms[:, :, seat, 1])
            paid = self.paid[seat][own, other]
            credit = paid - paid.mean(axis=-1, keepdims=True)  # the baseline of the batch
            chosen = own[..., None] == np.arange(probs.shape[-1])
            step[:, :, seat] = (credit[..., None] * (chosen - probs[:, :, seat, None])).mean(axis=2)
        self.ascend(step, who)

    def evaluate(self, times: int) -> Floats:
        """Returns the mean pay of each member against the others, [R, N].

        Every play has a partner of its own, and all are charged as `times` updates of each member.
        """
        probs, half = self.probs(), times * self.settings.batch // 2
        paid = np.zeros(probs.shape[:2])
        for row, rng in enumerate(self.rngs):
            # a distance of 1 to N - 1 around the circle of members is never the member itself
            shift = rng.integers(1, max(2, self.count), (self.count, half))
            partner = (np.arange(self.count)[:, None] + shift) % self.count
            for seat in range(2):
                uniforms = rng.random((2, self.count, half))
                own = sampled(probs[row, :, seat, None], uniforms[0])
                other = sampled(probs[row, :, 1 - seat][partner], uniforms[1])
                paid[row] += self.paid[seat][own, other].mean(axis=-1) / 2
        return paid

    def drawn(self) -> Floats:
        """Returns an opponent of the first member, [R, 1, 2, M]: itself now or a past self, drawn
        at random."""
        opponents = [
            now if rng.random() < 0.5 else pool[rng.integers(len(pool))]
            for now, pool, rng in zip(self.probs()[:, 0], self.pool, self.rngs, strict=True)
        ]
        return np.stack(opponents)[:, None]


def elo(scores: Floats, rounds: int = 200) -> Floats:
    """Returns Elo ratings [N], mean 0, whose expected scores are nearest to `scores`.

    Args:
        scores: [N, N] share of a point that each (row) takes from each (column); s and 1 - s.
        rounds: rounds of minorization and maximization.

    A rating is one number, so that ratings cannot show a cycle: all members of it rate alike.
    Scores are kept within 1% of either end, so that a member that always wins has a finite rating.
    Source: Elo 1978; Bradley and Terry 1952; Hunter 2004 for the ascent.
    """
    count = len(scores)
    if count < 2:
        return np.zeros(count)
    wins = np.clip(scores, 0.01, 0.99)
    np.fill_diagonal(wins, 0.0)
    games = wins + wins.T
    strength = np.ones(count)
    for _ in range(rounds):
        strength = wins.sum(axis=1) / (games / (strength[:, None] + strength)).sum(axis=1)
        strength /= np.exp(np.log(strength).mean())
    return np.asarray(400 * np.log10(strength))
