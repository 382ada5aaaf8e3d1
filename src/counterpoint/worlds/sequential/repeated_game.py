"""`repeated_game`: a game of the games' catalogue, round after round, for any trainer.

The results of `counterpoint game` are exact; here teams of networks play the game. With one round
an agent sees only that the episode begins: this is the game itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.games.catalogue import make_game
from counterpoint.settings import Range
from counterpoint.worlds.sequential.actions import Actions
from counterpoint.worlds.sequential.twin import Twin
from counterpoint.worlds.sequential.world import StepSettings, View


@dataclass(frozen=True, kw_only=True)
class RepeatedGameSettings(StepSettings):
    """Settings of `repeated_game`."""

    game: str = "prisoners_dilemma"
    """Name of a game: see `counterpoint game`."""
    rounds: Annotated[int, Range(1, 1_000_000)] = 10
    """Rounds of an episode."""

    def __post_init__(self) -> None:
        super().__post_init__()
        make_game(self.game)


class RepeatedGame(Twin):
    """Players who take an action each, in every round, and see what all did in the last one.

    An agent sees a 1 in the first round, then its own last action and those of the others in their
    order, one number for each action. It is paid its own payoff. Episodes end only when their time
    is over.
    """

    name = "repeated_game"
    settings_type = RepeatedGameSettings
    summary = "a game round after round: which equilibrium do networks reach?"
    source = "ours; the games name their own"
    settings: RepeatedGameSettings
    scale = "team sum: payoffs added over players and rounds; reference: the best sum, always"
    limit = "rounds"
    measured = (45.0, 60.0)  # exact: 10 rounds of 4.5 and of 6

    def build(self) -> None:
        given, copies = self.settings, self.copies
        self.game = make_game(given.game)
        count, sizes = self.game.count, self.game.sizes
        self.agents = tuple(f"player_{i}" for i in range(count))
        self.roles = self.agents
        self.actions = tuple(Actions(size) for size in sizes)
        self.state_size = 1 + sum(sizes)
        self.seen_sizes = (self.state_size,) * count
        self.horizon = given.rounds
        self.starts = np.concatenate([[1], 1 + np.cumsum(sizes)])
        """[A + 1] where each player's last action stands in the state."""
        self.held |= {"last": np.full((count, copies), -1, dtype=np.int64)}

    def begin(self, copies: Ints) -> None:
        self.held["last"][:, copies] = -1

    def advance(self, actions: NDArray[Any]) -> tuple[Floats, Bools]:
        self.held["last"][...] = np.asarray(actions).T
        own = self.game.payoffs[tuple(self.held["last"])]
        return np.asarray(own), np.zeros(self.copies, dtype=bool)

    def view(self) -> View:
        last, copies = self.held["last"], self.copies
        state = np.zeros((copies, self.state_size), dtype=np.float32)
        state[:, 0] = last[0] < 0
        known = np.flatnonzero(last[0] >= 0)
        for player, start in enumerate(self.starts[:-1]):
            state[known, start + last[player, known]] = 1.0
        seen = np.empty((copies, len(self.agents), self.state_size), dtype=np.float32)
        for player in range(len(self.agents)):
            mine = slice(self.starts[player], self.starts[player + 1])
            rest = [state[:, self.starts[p] : self.starts[p + 1]]
                    for p in range(len(self.agents)) if p != player]  # fmt: skip
            seen[:, player] = np.concatenate([state[:, :1], state[:, mine], *rest], axis=1)
        return View(seen, state, np.ones((copies, len(self.agents)), dtype=bool))

    def scripted(self, rng: np.random.Generator) -> NDArray[Any]:
        """Returns the profile that pays most in sum, always, [E, A]."""
        total = self.game.payoffs.sum(axis=-1)
        best = np.unravel_index(int(total.argmax()), total.shape)
        return np.repeat(np.array(best)[None], self.copies, axis=0)
