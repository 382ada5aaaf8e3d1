"""`PermutedWorld`: an exact world with its agents listed in another order.

What a team learns must not depend on the order in which a world lists its agents. The trainer takes
every world `in_natural_order`, so that an agent's place follows from its name. For sequential
environments see `worlds/sequential/permuted.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, NamedArrays
from counterpoint.errors import SettingError
from counterpoint.worlds.exact.world import Evaluation, Play, World


class PermutedWorld(World):
    """`world` with agent `order[k]` in place k, and its slots by turn, then by place.

    Problems and chance are those of `world`, and so is all that happens.

    Raises:
        SettingError: `order` does not name each agent once.
    """

    def __init__(self, world: World, order: Sequence[int]) -> None:
        if sorted(order) != list(range(len(world.agents))):
            raise SettingError(
                f"got order {list(order)}; wanted each of 0 to {len(world.agents) - 1} once"
            )
        super().__init__(world.settings)
        self.world, self.order, self.place = world, list(order), np.argsort(order)
        self.name, self.summary = world.name, world.summary  # type: ignore[misc]  # as inside
        self.source, self.control = world.source, world.control  # type: ignore[misc]
        self.agents = tuple(world.agents[k] for k in order)
        self.roles = None if world.roles is None else tuple(world.roles[k] for k in order)
        slots = [(int(self.place[agent]), turn) for agent, turn in world.slots]
        self.slot = sorted(range(len(slots)), key=lambda i: (slots[i][1], slots[i][0]))
        self.slots = tuple(slots[i] for i in self.slot)
        self.contexts, self.actions = world.contexts, world.actions
        self.prompts, self.rollouts = world.prompts, world.rollouts
        self.components, self.baselines = world.components, world.baselines
        self.random, self.optimal = world.random, world.optimal

    @property
    def legal(self) -> Bools:
        return self.world.legal[self.order]

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        return self.world.tasks(rng)

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        return _uniforms_in(self.slot, self.world.draw(rng, update))

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        theirs = _uniforms_in(np.argsort(self.slot).tolist(), chance)
        play = self.world.play(tasks, theirs, np.take(probs, self.place, axis=1))
        parts = play.components
        return replace(
            play,
            context=self._by_slot(play.context),
            action=self._by_slot(play.action),
            active=self._by_slot(play.active),
            reward=self._by_slot(play.reward),
            components=None if parts is None else self._by_slot(parts),
            signals={name: self._by_slot(values) for name, values in play.signals.items()},
        )

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        evaluation = self.world.evaluate(tasks, np.take(probs, self.place, axis=1))
        accuracy, regret = evaluation.accuracy[:, self.order], evaluation.regret[:, self.order]
        return replace(evaluation, accuracy=accuracy, regret=regret)

    def solution(self, tasks: NamedArrays) -> Floats:
        return np.take(self.world.solution(tasks), self.order, axis=1)

    def _by_slot(self, values: NDArray[Any]) -> NDArray[Any]:
        """Returns `values` [S, P, G, L, ...] of the inner world in the order of these slots."""
        return np.take(values, self.slot, axis=3)


def _uniforms_in(slots: list[int], chance: NamedArrays) -> NamedArrays:
    """Returns `chance` with the uniforms behind the actions, [..., L], in the order of `slots`."""
    return {
        name: np.take(values, slots, axis=-1) if name == "uniforms" else values
        for name, values in chance.items()
    }


def natural_order(agents: Sequence[str]) -> list[int]:
    """Returns the indices of agents sorted by name, the first number by value (a2 before a10)."""

    def key(k: int) -> tuple[str, int, str, str]:
        parts = [*re.split(r"([0-9]+)", agents[k], maxsplit=1), "-1", ""]
        return parts[0], int(parts[1]), parts[2], agents[k]

    return sorted(range(len(agents)), key=key)


def in_natural_order(world: World) -> World:
    """Returns `world` with its agents in the natural order of their names, and slots by turn and
    agent.

    Then no result depends on the order in which a world lists them. A world in that order is
    returned unchanged.
    """
    order = natural_order(world.agents)
    if order == sorted(order) and list(world.slots) == sorted(world.slots, key=_turn_then_agent):
        return world
    return PermutedWorld(world, order)


def _turn_then_agent(slot: tuple[int, int]) -> tuple[int, int]:
    return slot[1], slot[0]
