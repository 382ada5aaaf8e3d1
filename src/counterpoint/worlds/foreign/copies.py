"""`PlayedCopies`: some of the copies of a foreign environment, stepped one after the other.

They may live in another process than `ForeignWorld`. It alone draws by chance, so that the results
are the same wherever copies are played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.worlds.foreign.dialects import dialect, state_of, team_of
from counterpoint.worlds.foreign.driver import (
    LARGEST_REWARD,
    CopyArrays,
    EnvironmentDriver,
    TeamSpec,
)
from counterpoint.worlds.foreign.names import foreign_code
from counterpoint.worlds.sequential.world import Singles


class Played(NamedTuple):
    """What came of e copies that did something."""

    rewards: Floats
    """[e, A] the world's own rewards of the step."""
    over: Bools
    """[e] whether the episode ended."""
    masked: bool
    """Whether masks of legal actions have come so far."""
    nothing_legal: Ints
    """[A] masks in these observations that allowed nothing."""
    states: list[Singles | None]
    """[e] the environments' states; empty if they are not asked for."""
    arrays: CopyArrays
    """[e, ...] what they see, and their flags."""


class PlayedCopies:
    """e copies of an environment, stepped one after the other.

    Args:
        name: of the world, for messages.
        envs: [e] the environments.
        speaks: their driver.
        team: their description.
        arrays: [e, ...] where observations and flags are written.
    """

    def __init__(
        self,
        name: str,
        envs: Sequence[Any],
        speaks: type[EnvironmentDriver],
        team: TeamSpec,
        arrays: CopyArrays,
    ) -> None:
        self.name, self.arrays = name, arrays
        self.players = [
            speaks(env, team, CopyArrays(*rows)) for env, *rows in zip(envs, *arrays, strict=True)
        ]
        self.all_legal, self.unpaid = team.all_legal(), np.zeros(arrays.active.shape)
        self.masked = any(player.masks for player in self.players)
        self.with_states = False
        """Whether answers have the environments' states."""

    def start(self, seeds: Mapping[int, int], with_states: bool) -> Played:
        """Begins an episode in the copies that have a seed."""
        self.with_states = with_states
        with foreign_code(self.name, "reset"):
            for e, seed in seeds.items():
                self.players[e].start(seed)
            return self._played(self.unpaid)

    def act(self, rows: NDArray[Any]) -> Played:
        """Plays one step of every copy with the actions [e, A] or [e, A, U]."""
        given = _listed(rows, 2)
        with foreign_code(self.name, "step"):
            rewards = [player.act(row) for player, row in zip(self.players, given, strict=True)]
            return self._played(self._numbers(rewards))

    def replay(
        self, seeds: Ints, logs: Sequence[Sequence[NDArray[Any]]], with_states: bool
    ) -> Played:
        """Begins an episode in every copy and plays its actions again, up to the end of it.

        Args:
            seeds: [e].
            logs: [e][steps] the actions of each copy, [A] or [A, U].
            with_states: whether answers have the environments' states.
        """
        self.with_states = with_states
        with foreign_code(self.name, "step"):
            for player, seed, log in zip(self.players, seeds, logs, strict=True):
                player.start(int(seed))
                for given in log:
                    if not player.over:
                        player.act(_listed(given, 1))
            return self._played(self.unpaid)

    def close(self) -> None:
        """Closes the environments."""
        for player in self.players:
            player.env.close()

    def _numbers(self, rewards: list[Any]) -> Floats:
        """Returns the rewards [e, A] of a step.

        Raises:
            WorldError: one is not a number up to `LARGEST_REWARD`.
        """
        try:
            own = np.array(rewards, dtype=np.float64)
        except (TypeError, ValueError):
            own = np.zeros(0)
        if own.shape == self.unpaid.shape and (abs(own) <= LARGEST_REWARD).all():
            return own
        pairs = zip(self.players, rewards, strict=True)
        return np.array([player.numbers(row) for player, row in pairs])

    def _played(self, rewards: Floats) -> Played:
        """Returns the answer; where a mask allows nothing, all actions are taken as legal.

        Raises:
            WorldError: an observation has numbers that are not finite.
        """
        if not np.isfinite(self.arrays.seen).all():
            for player in self.players:
                player.refuse_not_finite()
        self.masked = self.masked or any(player.informs for player in self.players)
        nothing = np.zeros(rewards.shape[1], dtype=np.int64)
        if self.masked:
            legal = self.arrays.legal
            empty = self.arrays.active & ~legal.any(axis=-1)
            if empty.any():
                nothing = empty.sum(axis=0)
                legal[empty] = np.broadcast_to(self.all_legal, legal.shape)[empty]
        over = np.array([player.over for player in self.players])
        states = [state_of(player.env) for player in self.players] if self.with_states else []
        return Played(rewards, over, self.masked, nothing, states, self.arrays)


def _listed(actions: NDArray[Any], axes: int) -> list[Any]:
    """Returns actions as a driver takes them: choices as Python's integers, numbers as arrays.

    Args:
        actions: choices [..., A], of so many axes, or numbers [..., A, U].
        axes: how many.
    """
    return list(actions) if actions.ndim > axes else actions.tolist()


def empty_arrays(team: TeamSpec, copies: int) -> CopyArrays:
    """Returns the arrays of E copies."""
    shape = (copies, len(team.agents))
    active, terminated = np.zeros((2, *shape), dtype=bool)
    legal = np.repeat(team.all_legal()[None], copies, axis=0)
    seen: Singles = np.zeros((*shape, max(team.sizes)), dtype=np.float32)
    return CopyArrays(seen, active, terminated, legal)


@dataclass(frozen=True)
class CopiesMaker:
    """Makes copies in another process."""

    name: str
    make: Callable[[], Any]
    """Makes one environment; it can be pickled."""
    count: int

    def __call__(self) -> PlayedCopies:
        envs = [self.make() for _ in range(self.count)]
        speaks = dialect(envs[0], self.name)
        team = team_of(envs[0], self.name, speaks)
        return PlayedCopies(self.name, envs, speaks, team, empty_arrays(team, self.count))
