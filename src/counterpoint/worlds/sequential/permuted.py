"""`PermutedStepWorld`: the same world with its agents listed in another order.

What a team learns must not depend on the order in which a world lists its agents; this is what
tests compare with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import NamedArrays
from counterpoint.errors import SettingError
from counterpoint.worlds.sequential.world import (
    Captured,
    CapturedFacts,
    References,
    Step,
    StepWorld,
    View,
)


class PermutedStepWorld(StepWorld):
    """`world` with agent `order[k]` in place k; the state, and all that happens, is the same.

    Raises:
        SettingError: `order` does not name each agent once.
    """

    def __init__(self, world: StepWorld, order: Sequence[int]) -> None:
        if sorted(order) != list(range(len(world.agents))):
            raise SettingError(
                f"got order {list(order)}; wanted each of 0 to {len(world.agents) - 1} once"
            )
        self.world, self.order = world, list(order)
        self.name, self.summary, self.source = world.name, world.summary, world.source
        self.settings, self.copies, self.horizon = world.settings, world.copies, world.horizon
        self.limit = world.limit
        self.state_size, self.components = world.state_size, world.components
        self.agents = tuple(world.agents[k] for k in order)
        self.roles = tuple(world.roles[k] for k in order)
        self.seen_sizes = tuple(world.seen_sizes[k] for k in order)
        self.actions = tuple(world.actions[k] for k in order)
        self.python = world.python  # type: ignore[misc]  # as the world that is inside

    @property
    def references(self) -> References:  # type: ignore[override]  # asked for when wanted
        return self.world.references

    def reset(self, seed: int | None = None) -> View:
        return self._view(self.world.reset(seed))

    def step(self, actions: NDArray[Any]) -> Step:
        theirs = np.empty_like(actions)
        theirs[:, self.order] = actions
        step = self.world.step(theirs)
        parts = step.components
        return Step(
            view=self._view(step.view),
            reward=step.reward[:, self.order],
            own=step.own[:, self.order],
            terminated=step.terminated[:, self.order],
            ended=step.ended,
            last=self._view(step.last),
            components=None if parts is None else parts[:, self.order],
        )

    def capture(self) -> Captured:
        return self.world.capture()

    def restore(self, arrays: NamedArrays, facts: CapturedFacts) -> View:
        return self._view(self.world.restore(arrays, facts))

    def close(self) -> None:
        self.world.close()

    def _view(self, view: View) -> View:
        legal = None if view.legal is None else view.legal[:, self.order]
        seen, active = view.seen[:, self.order], view.active[:, self.order]
        return replace(view, seen=seen, active=active, legal=legal)


def by_name(world: StepWorld) -> StepWorld:
    """Returns `world` with its agents in the order of their names, which carries no information."""
    order = sorted(range(len(world.agents)), key=lambda k: world.agents[k])
    return world if order == list(range(len(order))) else PermutedStepWorld(world, order)
