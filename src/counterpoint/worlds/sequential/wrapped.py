"""`WrappedStepWorld`: a sequential environment that shows another one in a different way.

`PermutedStepWorld` lists its agents in another order; `by_name` in that of their names.
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


class WrappedStepWorld(StepWorld):
    """`world` itself, until a subclass changes what it shows or says of itself."""

    def __init__(self, world: StepWorld) -> None:
        self.world = world
        self.name, self.summary, self.source = world.name, world.summary, world.source
        self.settings, self.copies = world.settings, world.copies
        self.horizon, self.limit = world.horizon, world.limit
        self.agents, self.roles, self.speakers = world.agents, world.roles, world.speakers
        self.seen_sizes, self.seen_parts = world.seen_sizes, world.seen_parts
        self.extents, self.actions = world.extents, world.actions
        self.state_size, self.components = world.state_size, world.components
        self.python = world.python  # type: ignore[misc]  # as the world that is inside

    @property
    def references(self) -> References:  # type: ignore[override]  # asked for when wanted
        return self.world.references

    def shown(self, view: View) -> View:
        """Returns what is shown of the world's view."""
        return view

    def reset(self, seed: int | None = None) -> View:
        return self.shown(self.world.reset(seed))

    def step(self, actions: NDArray[Any]) -> Step:
        step = self.world.step(actions)
        return replace(step, view=self.shown(step.view), last=self.shown(step.last))

    def capture(self) -> Captured:
        return self.world.capture()

    def restore(self, arrays: NamedArrays, facts: CapturedFacts) -> View:
        return self.shown(self.world.restore(arrays, facts))

    def omit_state(self) -> None:
        self.world.omit_state()
        self.state_size = self.world.state_size

    def notes(self) -> tuple[str, ...]:
        return self.world.notes()

    def close(self) -> None:
        self.world.close()


class PermutedStepWorld(WrappedStepWorld):
    """`world` with agent `order[k]` in place k; the state, and all that happens, is the same.

    Raises:
        SettingError: `order` does not name each agent once.
    """

    def __init__(self, world: StepWorld, order: Sequence[int]) -> None:
        if sorted(order) != list(range(len(world.agents))):
            raise SettingError(
                f"got order {list(order)}; wanted each of 0 to {len(world.agents) - 1} once"
            )
        super().__init__(world)
        self.order = list(order)
        self.agents = tuple(world.agents[k] for k in order)
        self.roles = tuple(world.roles[k] for k in order)
        self.seen_sizes = tuple(world.seen_sizes[k] for k in order)
        self.seen_parts = tuple(world.seen_parts[k] for k in order) if world.seen_parts else ()
        self.extents = None if world.extents is None else world.extents[self.order]
        self.actions = tuple(world.actions[k] for k in order)

    def step(self, actions: NDArray[Any]) -> Step:
        theirs = np.empty_like(actions)
        theirs[:, self.order] = actions
        step = self.world.step(theirs)
        return Step(
            view=self.shown(step.view),
            reward=step.reward[:, self.order],
            own=step.own[:, self.order],
            terminated=step.terminated[:, self.order],
            ended=step.ended,
            last=self.shown(step.last),
            components=None if step.components is None else step.components[:, self.order],
        )

    def shown(self, view: View) -> View:
        legal = None if view.legal is None else view.legal[:, self.order]
        seen, active = view.seen[:, self.order], view.active[:, self.order]
        return replace(view, seen=seen, active=active, legal=legal)


def by_name(world: StepWorld) -> StepWorld:
    """Returns `world` with its agents in the order of their names, which carries no information."""
    order = sorted(range(len(world.agents)), key=lambda k: world.agents[k])
    return world if order == list(range(len(order))) else PermutedStepWorld(world, order)
