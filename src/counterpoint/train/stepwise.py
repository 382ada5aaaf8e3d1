"""`StepwisePlan`: the part that all trainings of networks in sequential environments share.

Start with `fresh_returns`, the evaluation of a trained team.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.train.loop import TrainConfig
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.world import StepWorld, by_name, endless, stakes_of

LONGEST_EVALUATION = 20_000
"""Steps after which copies whose episode does not end are no longer waited for."""
PLAYED_TOGETHER = 500
"""Most steps of an evaluation that are in memory at once."""
Play = Callable[[int], tuple[Ints, Floats]]
"""Plays so many steps of every copy; returns the copies [R] of the episodes that ended, and each
agent's part of their returns [R, A]."""


@dataclass(frozen=True)
class StepwisePlan(TrainConfig, ABC):
    """A training of a team of networks in a sequential environment, as plain data."""

    axis: ClassVar[str] = "step"

    def make_world(self, stream: int, copies: int) -> StepWorld:
        """Returns copies of the world, agents by name, with another seed for each `stream`."""
        seed = int(np.random.SeedSequence([self.seed, stream]).generate_state(1)[0])
        entry = find_world(self.world, Kind.SEQUENTIAL)
        world = by_name(entry.make(self.world_settings, copies, seed))
        if not self.reads_state:
            world.omit_state()
        return world

    @property
    @abstractmethod
    def reads_state(self) -> bool:
        """Whether anything reads the state of the world; if not, the world need not compute it."""

    def paid_returns(self, by_agent: Floats) -> float | None:
        """Returns the return weighted by stakes of mean 1; None if all stakes are equal.

        Where the reward is common, what is paid is proportional to the return, whatever the stakes.
        """
        world = self.make_world(0, 1)
        world.close()
        weights = stakes_of(world.settings.stakes, world.agents, world.roles)
        if world.settings.reward == "common" or np.ptp(weights) == 0:
            return None
        return float((by_agent.mean(axis=0) * weights).sum() / weights.mean())

    def without_return(self) -> str:
        world = self.make_world(0, 1)
        world.close()
        return (
            f"no episode of '{self.world}' ended in {LONGEST_EVALUATION:,} steps of evaluation; "
            f"{endless(world)}"
        )


def fresh_copies(plan: StepwisePlan, world: StepWorld) -> StepWorld:
    """Returns the copies in which a team that learned in `world` is evaluated."""
    return plan.make_world(1, min(plan.episodes, world.copies if world.python else plan.episodes))


def fresh_returns(
    plan: StepwisePlan,
    fresh: StepWorld,
    play: Play,
    usual: int,
    should_stop: Callable[[], bool],
) -> tuple[Floats, Floats] | None:
    """Returns the returns [n] of fresh episodes, the first ones of each copy and equally many of
    each, and each agent's part in them [n, A]; None if it should stop before they have ended.

    Args:
        plan: what was trained.
        fresh: copies of the world; they are closed at the end.
        play: plays in them.
        usual: steps that are played at once where episodes have no limit.
        should_stop: called after each part.
    """
    kept = first_episodes(fresh, -(-plan.episodes // fresh.copies), play, usual, should_stop)
    fresh.close()
    if kept is None:
        return None
    by_agent = np.array(kept).reshape(len(kept), len(fresh.agents))
    return by_agent.sum(axis=-1), by_agent


def first_episodes(
    world: StepWorld,
    each: int,
    play: Play,
    usual: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Floats] | None:
    """Returns each agent's part [A] in the first `each` episodes of every copy, fewer where they do
    not end; None if it should stop before."""
    by_copy: list[list[Floats]] = [[] for _ in range(world.copies)]
    steps = min(world.horizon or usual, PLAYED_TOGETHER, LONGEST_EVALUATION)
    played = 0
    while min(map(len, by_copy)) < each and played < LONGEST_EVALUATION and not should_stop():
        finished, parts = play(steps)
        played += steps
        for copy, values in zip(finished, parts, strict=True):
            by_copy[copy].append(values)
    if should_stop() and min(map(len, by_copy)) < each:
        return None
    return [values for several in by_copy for values in several[:each]]
