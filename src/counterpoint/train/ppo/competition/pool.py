"""`Pool`: past selves of a team, against which it plays.

A self enters every so many updates. When the pool is full, every second self is forgotten and the
updates between two entries double: so the selves stay evenly spread over the training, the first
one among them, and memory and checkpoints stay bounded.

Source: Heinrich et al. 2015, Fictitious self-play in extensive-form games (play against the past);
    Vinyals et al. 2019, Grandmaster level in StarCraft II (opponents by win rate).
"""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats, GeneratorState, Ints, NamedArrays, generator_state
from counterpoint.errors import StateError
from counterpoint.train.ppo.competition.players import Players
from counterpoint.train.ppo.networks import TeamNetworks
from counterpoint.train.ppo.settings import PolicySettings

REMEMBERED = 0.95
"""Factor on the points of earlier games with each batch: a team that learns outgrows them."""


class Pool:
    """The past selves of a team, and how the team did against each of them lately.

    Args:
        team: whose past selves they are.
        settings: `pool_size`, `pool_every`, `pool_first`, `opponents`.
        seed: of which opponents are drawn.
    """

    def __init__(self, team: TeamNetworks, settings: PolicySettings, seed: int) -> None:
        self.team = team
        self.size, self.every = settings.pool_size, settings.pool_every
        self.kind, self.first = settings.opponents, settings.pool_first
        self.players = Players(team, self.size + 1)
        """The past selves, and behind them room for the team itself: see `with_team`."""
        self.entered: list[int] = []
        """The number of updates that the team had made when each past self entered."""
        self.points, self.games = np.zeros((2, self.size))
        """[K] points and games of the team against each self, later games counting more."""
        self.rng = np.random.default_rng([seed, 4])

    def enter(self, update: int) -> bool:
        """Lets the team enter as a past self if that is due after its update of this number.

        Returns:
            Whether every second self was forgotten: number k is number k // 2 then, and a game
            against a forgotten one goes on against the one before it.
        """
        if self.entered and update - self.entered[-1] < self.every:
            return False
        full = len(self.entered) == self.size
        if full:
            self.players.move(list(range(0, self.size, 2)))
            self.entered, self.every = self.entered[::2], 2 * self.every
            kept = len(self.entered)
            for numbers in (self.points, self.games):
                numbers[:kept], numbers[kept:] = numbers[::2].copy(), 0.0
        if not full or update - self.entered[-1] >= self.every:
            self.players.put(len(self.entered), self.team)
            self.entered.append(update)
        return full

    def with_team(self) -> int:
        """Returns the number of the team itself among the players, as it is now."""
        self.players.put(self.size, self.team)
        return self.size

    def draw(self, count: int) -> Ints:
        """Returns the numbers [count] of opponents.

        A share `pool_first` of them is the first self. The others are each as likely as any other,
        or in proportion to the square of the share of points that the team lost to it lately.
        """
        lost = 1.0 - (self.points + 0.5) / (self.games + 1.0)
        weight = lost[: len(self.entered)] ** 2
        if self.kind == "uniform":
            weight = np.ones(len(self.entered))
        weight = (1.0 - self.first) * weight / weight.sum()
        weight[0] += self.first
        return self.rng.choice(len(weight), count, p=weight)

    def observe(self, opponent: Ints, points: Floats) -> None:
        """Takes in the points [R] of the games of a batch, against the selves `opponent` [R]."""
        self.points *= REMEMBERED
        self.games *= REMEMBERED
        np.add.at(self.points, opponent, points)
        np.add.at(self.games, opponent, 1.0)

    def capture(self) -> tuple[NamedArrays, GeneratorState]:
        """Returns everything that decides which selves play next, and how."""
        arrays = {
            "points": self.points.copy(),
            "games": self.games.copy(),
            "entered": np.array(self.entered, dtype=np.int64),
            "every": np.array(self.every),
        }
        return {**arrays, **self._networks()}, generator_state(self.rng)

    def _networks(self) -> NamedArrays:
        """Returns the weights [K, n] of the past selves and, if inputs are normalized, the scales
        [K, 3, A, D]."""
        kept = slice(len(self.entered))
        arrays = {"weights": self.players.weights[kept].cpu().numpy().copy()}
        if self.players.scale is not None:
            arrays["scale"] = self.players.scale[kept].cpu().numpy().copy()
        return arrays if self.entered else {}

    def restore(self, arrays: NamedArrays, rng: GeneratorState) -> None:
        """Resumes where `capture` was called.

        Raises:
            StateError: the selves are those of another plan.
        """
        if {"points", "games", "entered", "every"} - set(arrays):
            raise StateError("got a checkpoint without past selves; wanted one of the same plan")
        self.points, self.games = np.array(arrays["points"]), np.array(arrays["games"])
        self.every, self.entered = int(arrays["every"]), arrays["entered"].tolist()
        for name, mine in self._networks().items():
            if name not in arrays or arrays[name].shape != mine.shape:
                raise StateError(
                    f"got a checkpoint whose past selves have no {name} of shape {mine.shape}; "
                    "wanted those of the same plan"
                )
        for k in range(len(self.entered)):
            scale = arrays["scale"][k] if "scale" in arrays else None
            self.players.load(k, arrays["weights"][k], scale)
        self.rng.bit_generator.state = rng
