"""`Twin`: the shared part of the NumPy re-implementations of published worlds. `particles.py` has
two to read.

A twin keeps its whole state in arrays whose last axis is E, so that each operation runs over all
copies at once, and defines how a step changes them. Episodes, time, auto-reset, capture and restore
are here. Given the state of the original, a twin does what the original does.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays, generator_state
from counterpoint.errors import SettingError, StateError
from counterpoint.settings import GivenSettings, settings_from
from counterpoint.worlds.exact.world import one_hot
from counterpoint.worlds.sequential.actions import most_numbers
from counterpoint.worlds.sequential.world import (
    Captured,
    CapturedFacts,
    References,
    SequentialEntry,
    Step,
    StepSettings,
    StepWorld,
    View,
    paid,
    returns,
    uniform_actions,
)


class Twin(StepWorld):
    """A world whose state is arrays [..., E] by name, and one generator."""

    settings_type: ClassVar[type[StepSettings]] = StepSettings
    """Its settings: a frozen dataclass, each field with a docstring under it."""
    horizon: int
    limit = "horizon"
    scale: ClassVar[str]
    """The scale of the returns."""
    measured: ClassVar[tuple[float, float]]
    """Returns of a random and of the scripted team with default settings."""
    measured_silent: ClassVar[float | None] = None
    """Return of the `silent` team with default settings; None where there is no such team."""
    held: dict[str, NDArray[Any]]
    """Name to array [..., E]: the state, `time` among it."""

    def __init__(
        self, settings: StepSettings | None = None, *, copies: int = 1, seed: int = 0
    ) -> None:
        if copies < 1:
            raise SettingError(f"got copies={copies}; wanted at least 1")
        self.settings, self.copies = settings or self.settings_type(), copies
        self.rng = np.random.default_rng(seed)
        self.held = {"time": np.zeros(copies, dtype=np.int64)}
        self.build()
        self.reset()

    @abstractmethod
    def build(self) -> None:
        """Sets the attributes that follow from the settings: agents, actions, sizes, and the arrays
        of `held`."""

    @abstractmethod
    def begin(self, copies: Ints) -> None:
        """Draws a new episode in the copies of these indices."""

    @abstractmethod
    def advance(self, actions: NDArray[Any]) -> tuple[Floats, Bools]:
        """Changes the state by one step; returns each agent's own reward [E, A], and [E] whether
        the episode terminates."""

    @abstractmethod
    def view(self) -> View:
        """Returns the observations in the present state."""

    @abstractmethod
    def scripted(self, rng: np.random.Generator) -> NDArray[Any]:
        """Returns choices [E, A] of a good team in the present state: see `scripted_team`."""

    def silent(self, rng: np.random.Generator) -> NDArray[Any]:
        """Returns choices [E, A] of a good team that does not talk; it is for worlds with speakers.

        Raises:
            NotImplementedError: there is no such team.
        """
        raise NotImplementedError

    @cached_property
    def references(self) -> References:  # type: ignore[override]  # measured when asked for
        """Returns `measured` for default settings; for others it plays 2,048 episodes each."""
        plain = replace(self.settings, reward="own", stakes="", speakers="")  # no return moves
        if plain == type(self.settings)():
            return References(*self.measured, self.scale, self.measured_silent)
        random, reference, silent = _measured(type(self), plain)
        return References(random, reference, self.scale, silent)

    def reset(self, seed: int | None = None) -> View:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.held["time"][:] = 0
        self.begin(np.arange(self.copies))
        return self.view()

    def step(self, actions: NDArray[Any]) -> Step:
        own, over = self.advance(actions)
        time = self.held["time"]
        time += 1
        ended = over | (time >= self.horizon)
        last = view = self.view()
        if ended.any():
            which = np.flatnonzero(ended)
            time[which] = 0
            self.begin(which)
            view = self.view()
        terminated = np.repeat(over[:, None], len(self.agents), axis=1)
        return Step(view, paid(own, self), own, terminated, ended, last)

    def load(self, **state: NDArray[Any]) -> View:
        """Puts every copy into a given state, and returns the view.

        Args:
            state: some of `held`, by name, with axes in reverse: E first.

        Raises:
            StateError: a name or a shape that is not the world's.
        """
        for name, given in state.items():
            self._put(name, np.asarray(given).T)
        return self.view()

    def capture(self) -> Captured:
        arrays = {name: array.copy() for name, array in self.held.items()}
        return Captured(arrays, {"generator": generator_state(self.rng)})

    def restore(self, arrays: NamedArrays, facts: CapturedFacts) -> View:
        if set(arrays) != set(self.held) or "generator" not in facts:
            raise StateError(
                f"got a captured state with {', '.join([*arrays, *facts])}; "
                f"wanted {', '.join([*self.held, 'generator'])}: that of another world?"
            )
        for name, array in arrays.items():
            self._put(name, array)
        self.rng.bit_generator.state = facts["generator"]
        return self.view()

    def _put(self, name: str, array: NDArray[Any]) -> None:
        if name not in self.held:
            raise StateError(f"got state '{name}'; wanted one of {', '.join(self.held)}")
        held = self.held[name]
        if array.shape != held.shape:
            raise StateError(
                f"got {name} of shape {array.shape}; wanted {held.shape}, axes with E last"
            )
        held[...] = array


def scripted_team(world: StepWorld, view: View, rng: np.random.Generator) -> NDArray[Any]:
    """Returns actions of the team behind `References.reference`.

    A choice is one strength in full. It reads the state of the twin in which it plays.
    """
    assert isinstance(world, Twin)
    return _in_full(world, world.scripted(rng))


def silent_team(world: StepWorld, view: View, rng: np.random.Generator) -> NDArray[Any]:
    """Returns actions of the team behind `References.silent`: see `scripted_team`."""
    assert isinstance(world, Twin)
    return _in_full(world, world.silent(rng))


def _in_full(world: Twin, moves: NDArray[Any]) -> NDArray[Any]:
    size = most_numbers(world.actions)
    return one_hot(moves, size) if size else moves


@lru_cache(maxsize=64)
def _measured(twin: type[Twin], settings: StepSettings) -> tuple[float, float, float | None]:
    """Returns the mean returns of a random, the scripted, and the silent team, the same in every
    process; None where there is no silent team."""
    teams = [uniform_actions, scripted_team]
    teams += [silent_team] if twin.measured_silent is not None else []
    scores = []
    for seed, team in enumerate(teams):
        world = twin(settings, copies=256, seed=seed)
        scores.append(float(returns(world, team, 2048, most_steps=10**8).mean()))
    return scores[0], scores[1], scores[2] if len(scores) > 2 else None


class TwinEntry(SequentialEntry):
    """One of our sequential environments."""

    def __init__(self, world: type[Twin]) -> None:
        super().__init__(world.name, world.settings_type, world.summary, world.source)
        self.world = world

    def construct(self, settings: GivenSettings | None, copies: int, seed: int) -> StepWorld:
        given = settings_from(settings, self.world.settings_type, self.name)
        return self.world(given, copies=copies, seed=seed)
