"""What a team gets in a world, by playing it: the returns behind every reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import StatisticsError
from counterpoint.worlds.sequential.world import StepWorld, View, uniform_actions

Team = Callable[[StepWorld, View, np.random.Generator], NDArray[Any]]
"""World, what is seen, and chance to actions; `uniform_actions` is one."""


def returns(
    world: StepWorld, team: Team, episodes: int, seed: int = 0, most_steps: int = 1_000_000
) -> Floats:
    """Returns [episodes] of whole episodes: sums of the world's own rewards of all agents.

    Every copy plays the same number of episodes, so that short ones do not crowd out long ones;
    what is over is left out. The world is reset first.

    Raises:
        StatisticsError: the copies did not get through within `most_steps` steps, all together.
    """
    rng, view = np.random.default_rng(seed), world.reset()
    each = -(-episodes // world.copies)
    found = np.zeros((each, world.copies))
    played = np.zeros(world.copies, dtype=np.int64)
    running = np.zeros(world.copies)
    for _ in range(most_steps // world.copies):
        step = world.step(team(world, view, rng))
        view = step.view
        running += step.own.sum(axis=1)
        done = np.flatnonzero(step.ended & (played < each))
        found[played[done], done] = running[done]
        played[step.ended] += 1
        running[step.ended] = 0.0
        if played.min() >= each:
            return found.ravel()[:episodes]
    raise StatisticsError(
        f"got {played.sum()} episodes in {most_steps} steps; wanted {each * world.copies}: "
        "give more steps, or a world whose episodes end"
    )


def random_return(world: StepWorld, episodes: int = 200, seed: int = 0) -> tuple[float, float]:
    """Mean return of a team that chooses uniformly among legal actions, and its standard error.

    For worlds that do not know it. The world is reset, and played on from there.

    Raises:
        StatisticsError: its episodes do not end.
    """
    found = returns(world, uniform_actions, episodes, seed)
    return float(found.mean()), float(found.std(ddof=1) / np.sqrt(len(found)))
