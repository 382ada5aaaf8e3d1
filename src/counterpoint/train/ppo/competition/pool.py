"""`Pool`: past selves of a team, against which it plays.

A self enters every so many updates. When the pool is full, every second self is forgotten and the
updates between two entries double: so the selves stay evenly spread over the training, the first
one among them, and memory and checkpoints stay bounded.

Source: Heinrich et al. 2015, Fictitious self-play in extensive-form games (play against the past);
    Vinyals et al. 2019, Grandmaster level in StarCraft II (opponents by win rate).
"""

from __future__ import annotations

import copy
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from counterpoint.arrays import Floats, GeneratorState, Ints, NamedArrays, generator_state
from counterpoint.errors import StateError
from counterpoint.train.adam import as_vector
from counterpoint.train.ppo.networks import ParameterSet, TeamNetworks
from counterpoint.train.ppo.settings import PolicySettings

REMEMBERED = 0.95
"""Factor on the points of earlier games with each batch: a team that learns outgrows them."""


class Player(Protocol):
    """Networks that act: a team, or a past self of it."""

    @property
    def actors(self) -> nn.ModuleList: ...
    @property
    def sets(self) -> tuple[ParameterSet, ...]: ...
    @property
    def device(self) -> torch.device: ...


class PastSelf:
    """The actors of a team as they are now, and the scale of what they see; they stay so.

    Args:
        team: what is copied.
        update: the number of updates that the team had made.
    """

    def __init__(self, team: TeamNetworks, update: int) -> None:
        self.sets, self.device, self.update = team.sets, team.device, update
        self.actors: nn.ModuleList = copy.deepcopy(team.actors)  # one copy of a scale they share
        self.weights = as_vector(list(self.actors)).requires_grad_(False)
        for parameter in self.actors.parameters():
            parameter.requires_grad_(False)
        self.scale = self.actors[0].inputs.scale

    def capture(self) -> dict[str, NDArray[Any]]:
        """Returns the weights [n] and, if inputs are normalized, the scale [3, A, D], by name."""
        arrays = {"weights": self.weights.cpu().numpy().copy()}
        if self.scale is not None:
            arrays["scale"] = torch.stack(self.scale.published()).cpu().numpy()
        return arrays

    def restore(self, arrays: NamedArrays) -> None:
        """Becomes the self whose `capture` these arrays are.

        Raises:
            StateError: they are those of another team.
        """
        for name, mine in self.capture().items():
            if name not in arrays or arrays[name].shape != mine.shape:
                raise StateError(
                    f"got a checkpoint whose past selves have no {name} of shape {mine.shape}; "
                    "wanted those of the same plan"
                )
        self.weights.copy_(torch.from_numpy(np.array(arrays["weights"])))
        if self.scale is not None:
            for mine, array in zip(self.scale.published(), arrays["scale"], strict=True):
                mine.copy_(torch.from_numpy(np.array(array)))


class Pool:
    """The past selves of a team, and how the team did against each of them lately.

    Args:
        team: whose past selves they are.
        settings: `pool_size`, `pool_every`, `opponents`.
        seed: of which opponents are drawn.
    """

    def __init__(self, team: TeamNetworks, settings: PolicySettings, seed: int) -> None:
        self.team = team
        self.size, self.every, self.kind = (
            settings.pool_size, settings.pool_every, settings.opponents,
        )  # fmt: skip
        self.selves: list[PastSelf] = []
        self.points, self.games = np.zeros((2, self.size))
        """[K] points and games of the team against each self, later games counting more."""
        self.rng = np.random.default_rng([seed, 4])

    def enter(self, update: int) -> bool:
        """Lets the team enter as a past self if that is due after its update of this number.

        Returns:
            Whether every second self was forgotten: number k is number k // 2 then, and a game
            against a forgotten one goes on against the one before it.
        """
        last = self.selves[-1].update if self.selves else 0
        if update - last < self.every:
            return False
        full = len(self.selves) == self.size
        if full:
            self.selves, self.every = self.selves[::2], 2 * self.every
            kept = len(self.selves)
            for numbers in (self.points, self.games):
                numbers[:kept], numbers[kept:] = numbers[::2].copy(), 0.0
        if not full or update - self.selves[-1].update >= self.every:
            self.selves.append(PastSelf(self.team, update))
        return full

    def draw(self, count: int) -> Ints:
        """Returns the numbers [count] of opponents: each as likely as any other, or in proportion
        to the square of the share of points that the team lost to it lately."""
        lost = 1.0 - (self.points + 0.5) / (self.games + 1.0)
        weight = lost[: len(self.selves)] ** 2
        if self.kind == "uniform":
            weight = np.ones(len(self.selves))
        return self.rng.choice(len(self.selves), count, p=weight / weight.sum())

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
            "entered": np.array([one.update for one in self.selves], dtype=np.int64),
            "every": np.array(self.every),
        }
        for name in self.selves[0].capture() if self.selves else ():
            arrays[name] = np.stack([one.capture()[name] for one in self.selves])
        return arrays, generator_state(self.rng)

    def restore(self, arrays: NamedArrays, rng: GeneratorState) -> None:
        """Resumes where `capture` was called.

        Raises:
            StateError: the selves are those of another plan.
        """
        if {"points", "games", "entered", "every"} - set(arrays):
            raise StateError("got a checkpoint without past selves; wanted one of the same plan")
        self.points, self.games = np.array(arrays["points"]), np.array(arrays["games"])
        self.every, self.selves = int(arrays["every"]), []
        for k, update in enumerate(arrays["entered"].tolist()):
            self.selves.append(PastSelf(self.team, update))
            own = {name: arrays[name][k] for name in ("weights", "scale") if name in arrays}
            self.selves[-1].restore(own)
        self.rng.bit_generator.state = rng
