"""`StepwisePlan`: the part that all trainings of networks in sequential environments share.

Start with `evaluated`, the evaluation of a trained team.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.results.training import Messages
from counterpoint.train.loop import TrainConfig
from counterpoint.train.talk import PolicyOf, Recorder, measure_messages
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.channels import (
    COPIES,
    Channel,
    ExchangedMessages,
    find_channels,
    speakers_of,
)
from counterpoint.worlds.sequential.world import StepWorld, endless, stakes_of
from counterpoint.worlds.sequential.wrapped import by_name

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

    def channels(self, world: StepWorld) -> tuple[Channel, ...]:
        """Returns who says what to whom in `world`, which this plan made; it is left as it is."""
        return find_channels(self.make_world(3, COPIES)) if speakers_of(world) else ()

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


class Evaluated(NamedTuple):
    """Fresh episodes of a trained team."""

    returns: Floats
    """[n] the first ones of each copy, equally many of each."""
    by_agent: Floats
    """[n, A] each agent's part in them."""
    messages: Messages | None
    """What messages carried in them; None where no agent speaks."""


def evaluated(
    plan: StepwisePlan,
    world: StepWorld,
    channels: Sequence[Channel],
    played_in: Callable[[StepWorld, Recorder | None], Play],
    policy: PolicyOf | None,
    usual: int,
    should_stop: Callable[[], bool],
) -> Evaluated | None:
    """Returns fresh episodes of a trained team; None if it should stop before they have ended.

    Where agents speak, the same episodes are played again with exchanged messages.

    Args:
        plan: what was trained.
        world: where it learned.
        channels: who says what to whom in it.
        played_in: returns what plays in fresh copies, always with the same chance; steps that are
            played are recorded, if there is a recorder.
        policy: the team's policies: see `measure_messages`.
        usual: steps that are played at once where episodes have no limit.
        should_stop: called after each part.
    """
    copies = min(plan.episodes, world.copies if world.python else plan.episodes)

    def returns_in(fresh: StepWorld, recorder: Recorder | None) -> Floats | None:
        play, each = played_in(fresh, recorder), -(-plan.episodes // copies)
        kept = first_episodes(fresh, each, play, usual, should_stop)
        fresh.close()
        return None if kept is None else np.array(kept).reshape(len(kept), len(fresh.agents))

    recorder = Recorder() if channels else None
    by_agent = returns_in(plan.make_world(1, copies), recorder)
    if by_agent is None:
        return None
    returns = by_agent.sum(axis=-1)
    if recorder is None:
        return Evaluated(returns, by_agent, None)
    exchanged = returns_in(ExchangedMessages(plan.make_world(1, copies), channels), None)
    if exchanged is None:
        return None
    worth = returns - exchanged.sum(axis=-1) if len(exchanged) == len(returns) else np.zeros(0)
    worth = worth if copies > 1 else np.zeros(0)  # alone, a copy hears itself
    sizes = [can.size for can in world.actions]
    good, random = world.references.reference, world.references.random
    scale = None if good is None or random is None else good - random
    carried = measure_messages(
        world.agents, sizes, channels, recorder, policy, worth, scale, plan.seed
    )
    return Evaluated(returns, by_agent, carried)


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
