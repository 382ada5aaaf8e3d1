"""The members of a team in a comparison of topologies. Start with `Seats`.

They are the world's own scripted members, whose parameters are named or searched, or a model that
reads the items as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.runs.task import Advance
from counterpoint.speakers.speaker import Speaker
from counterpoint.topology.catalogue import make_topology
from counterpoint.topology.play import Guards, MemberAnswers, Meter, play, team_answers
from counterpoint.topology.speaker import SpokenMember
from counterpoint.topology.topology import Topology
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.message.world import Member, MessageWorld, Observation
from counterpoint.worlds.registry import find_world

TRAINED = "trained"
"""The prompt whose parameters are searched for each topology."""
SEARCHED = 3
"""Random stream of a search: no comparison uses its items."""
GENERATIONS, POPULATION, ELITE, ITEMS = 8, 24, 6, 120

Parameters = tuple[float, ...]
"""Policy parameters of a scripted member."""


@dataclass(frozen=True)
class Seats:
    """Makes the members of a team: the world's own, or a model that reads and speaks for all."""

    world: MessageWorld[Any]
    speaker: Speaker | None
    """The model; None takes the world's own members."""
    meter: Meter = field(default_factory=Meter)
    """Counts what the model is asked."""

    def members(self, prompt: str, parameters: Parameters | None) -> Sequence[Member[Any]]:
        """Returns one member for each seat."""
        world = self.world
        one: Member[Any]
        if self.speaker is not None:
            one = SpokenMember(self.speaker, world, world.prompts[prompt], self.meter)
        elif prompt == TRAINED and parameters is not None:
            one = world.member_with(parameters)
        else:
            one = world.member(prompt)
        return [one] * world.settings.members

    def single(self, items: Any, prompt: str, turns: int, rng: np.random.Generator) -> NDArray[Any]:
        """Returns [B] answers of one agent that has everything the team has, and all its turns."""
        if self.speaker is None:
            named = next(iter(self.world.prompts)) if prompt == TRAINED else prompt
            return self.world.single(items, named, turns, rng)
        member, everything = self.members(prompt, None)[0], Observation(-1, 0)
        votes = [MemberAnswers(i, *member.answer(items, everything, rng)) for i in range(turns)]
        return team_answers(votes, "vote", len(items), rng)[0]


@dataclass(frozen=True)
class ParameterSearch:
    """The search for the parameters of the members with the best score under one topology.

    It is a task for any executor, on items of the search alone.

    Source: the cross-entropy method, Rubinstein, Methodol. Comput. Appl. Probab. 1 (1999).
    """

    world: str
    settings: Mapping[str, object]
    topology: str
    guards: Guards

    def __call__(self, advance: Advance) -> Parameters:
        world = find_world(self.world, Kind.MESSAGE).make(self.settings)
        assert world.parameter_range is not None  # `lay_out` refuses the prompt elsewhere
        low, high = world.parameter_range
        topology = make_topology(self.topology, world.settings.members)
        rng = np.random.default_rng([SEARCHED, 0])
        named = np.array([world.parameters(prompt) for prompt in world.prompts])
        mean, spread = (low + high) / 2, (high - low) / 2
        for generation in range(GENERATIONS):
            sample = np.clip(rng.normal(mean, spread, size=(POPULATION, len(low))), low, high)
            # The first generation starts from the named prompts, every later one keeps the mean.
            sample[: len(named)] = named if generation == 0 else mean
            won = self._scores(world, topology, sample, generation, ITEMS)
            best = sample[np.argsort(won)[-ELITE:]]
            # A little more spread than the elite has, so that the search does not end too early.
            mean, spread = best.mean(axis=0), best.std(axis=0) + 0.02 * (high - low)
            advance()
        last = np.vstack([mean, named])
        won = self._scores(world, topology, last, GENERATIONS, 4 * ITEMS)
        return tuple(float(value) for value in last[int(np.argmax(won))])

    def _scores(
        self, world: MessageWorld[Any], topology: Topology, sample: Floats, batch: int, count: int
    ) -> list[float]:
        """Returns the mean score of each row of parameters, all on the same items."""
        items = world.draw(np.random.default_rng([SEARCHED, 1, batch]), count)
        scores = []
        for parameters in sample:
            members = [world.member_with(tuple(parameters))] * world.settings.members
            rng = np.random.default_rng([SEARCHED, 2, batch])
            transcript = play(topology, items, count, members, rng, guards=self.guards)
            scores.append(float(world.score(items, transcript.answers).mean()))
        return scores
