"""Who sits at the table of a comparison of topologies: the world's own members, searched or named,
or a model that reads its items in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.task import Advance
from counterpoint.speakers.named import open_speaker
from counterpoint.speakers.speaker import Speaker
from counterpoint.topology.catalogue import make_topology
from counterpoint.topology.guards import Guards
from counterpoint.topology.play import Answers, decide, play
from counterpoint.topology.speaker import Meter, SpokenMember
from counterpoint.topology.topology import Topology
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.message.world import Member, MessageWorld, Observation
from counterpoint.worlds.registry import find_world

TRAINED = "trained"
"""The prompt that is searched for each topology."""
SEARCHED = 3
"""Stream of the items and the chance that a search sees: none of a comparison."""
GENERATIONS, POPULATION, ELITE, ITEMS = 8, 24, 6, 120

Ways = tuple[float, ...]


class Seats(Protocol):
    """Who can be put at a table."""

    def members(self, prompt: str, ways: Ways | None) -> Sequence[Member[Any]]:
        """One for each seat."""
        ...

    def single(
        self, items: Any, prompt: str, ways: Ways | None, turns: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """[B] the answers of one agent with all that the team has."""
        ...


@dataclass(frozen=True)
class Own:
    """The world's own members."""

    world: MessageWorld[Any]

    def members(self, prompt: str, ways: Ways | None) -> Sequence[Member[Any]]:
        searched = prompt == TRAINED and ways is not None
        one = self.world.member_with(ways or ()) if searched else self.world.member(prompt)
        return [one] * self.world.settings.members

    def single(
        self, items: Any, prompt: str, ways: Ways | None, turns: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        named = next(iter(self.world.prompts)) if prompt == TRAINED else prompt
        return self.world.single(items, named, turns, rng)


@dataclass(frozen=True)
class Spoken:
    """A model that reads and speaks for all of them."""

    world: MessageWorld[Any]
    speaker: Speaker

    def members(self, prompt: str, ways: Ways | None) -> Sequence[Member[Any]]:
        one = SpokenMember(self.speaker, self.world, self.world.prompts[prompt], Meter())
        return [one] * self.world.settings.members

    def single(
        self, items: Any, prompt: str, ways: Ways | None, turns: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """[B] answers of one that is shown everything, the majority of as many answers."""
        member, everything = self.members(prompt, ways)[0], Observation(-1, 0)
        votes = [Answers(i, *member.answer(items, everything, rng)) for i in range(turns)]
        return decide(votes, "vote", len(items), rng)[0]


def seats_of(world: MessageWorld[Any], model: str | None, base_url: str | None) -> Seats:
    """Whom a comparison puts at its tables.

    Raises:
        CounterpointError: as `open_speaker`.
    """
    return Own(world) if model is None else Spoken(world, open_speaker(model, base_url))


@dataclass(frozen=True)
class Search:
    """The search of one topology's ways: a task for any executor."""

    world: str
    settings: Mapping[str, Any]
    told: str
    guards: Guards

    def __call__(self, advance: Advance) -> Ways:
        world = find_world(self.world, Kind.MESSAGE).make(self.settings)
        if world.parameter_range is None:
            raise SettingError(f"{world.name} has no ways to search; wanted named prompts")
        low, high = world.parameter_range
        topology = make_topology(self.told, world.settings.members)
        rng = np.random.default_rng([SEARCHED, 0])
        named = np.array([world.parameters(prompt) for prompt in world.prompts])
        mean, spread = (low + high) / 2, (high - low) / 2
        for generation in range(GENERATIONS):
            tried = np.clip(rng.normal(mean, spread, size=(POPULATION, len(low))), low, high)
            tried[: len(named)] = named if generation == 0 else mean
            won = self._won(world, topology, tried, generation, ITEMS)
            best = tried[np.argsort(won)[-ELITE:]]
            mean, spread = best.mean(axis=0), best.std(axis=0) + 0.02 * (high - low)
            advance()
        last = np.vstack([mean, named])
        won = self._won(world, topology, last, GENERATIONS, 4 * ITEMS)
        return tuple(float(value) for value in last[int(np.argmax(won))])

    def _won(
        self, world: MessageWorld[Any], topology: Topology, tried: Floats, batch: int, count: int
    ) -> list[float]:
        """[ways] the mean score of each, all on the same items."""
        items = world.draw(np.random.default_rng([SEARCHED, 1, batch]), count)
        won = []
        for ways in tried:
            members = [world.member_with(tuple(ways))] * world.settings.members
            chance = np.random.default_rng([SEARCHED, 2, batch])
            played = play(topology, items, count, members, chance, guards=self.guards)
            won.append(float(world.score(items, played.answers).mean()))
        return won


def trained_ways(
    world: str,
    settings: Mapping[str, Any],
    topologies: Sequence[str],
    guards: Guards,
    workers: int | None,
) -> dict[str, Ways]:
    """For each topology the ways that score most under it, on items that no comparison plays.

    Source: the cross-entropy method, Rubinstein, Methodol. Comput. Appl. Probab. 1 (1999).
    """
    tasks = [Search(world, settings, told, guards) for told in topologies]
    return dict(zip(topologies, run_tasks(tasks, workers=workers), strict=True))
