"""The settings of a competition that a plan takes by itself, and the sentences that say so."""

from __future__ import annotations

import math
from dataclasses import replace

from counterpoint.errors import SettingError
from counterpoint.results.parts import Settings
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.sides import (
    AUTO,
    NONE,
    SAMPLED_COPIES,
    RandomPlay,
    Sides,
    guess_sides,
    random_play,
    sides_from,
)
from counterpoint.worlds.sequential.world import SequentialEntry, StepWorld
from counterpoint.worlds.sequential.wrapped import by_name

STARTS = 32
"""Starts of the games against random actions that are played on the way, each once on each side."""
LEARNED_WITH: Settings = {"epochs": 4, "minibatches": 8, "hidden": 128, "entropy": 0.01}
"""The defaults where sides play against each other. An outcome that comes only at the end of a game
needs more passes over it: see docs/discussion/training-results.md."""
FOUND = frozenset(("sides", "scoring", "evaluate_every"))
"""The settings that follow from random play, unless they are given."""
EVALUATED_SHARE = 0.03
"""Largest share of the steps of a training that these games take by default."""


def with_sides(
    entry: SequentialEntry, own: Settings, policy: PolicySettings, given: Settings, budget: int
) -> tuple[PolicySettings, tuple[str, ...]]:
    """Returns settings with the sides of a world, and sentences about what was guessed.

    Args:
        entry: the world.
        own: its settings.
        policy: the settings so far.
        given: those that the user gave.
        budget: steps of the training.

    Raises:
        SettingError: sides that the world does not have, or that are paid one common reward.
    """
    world = by_name(entry.make(own, SAMPLED_COPIES))
    try:
        agents, common = world.agents, world.settings.reward == "common"
        auto = given.get("sides", AUTO) == AUTO
        sides = None if auto else sides_from(policy.sides, agents, world.roles)
        if sides is not None and common:
            raise SettingError(
                f"got sides={policy.sides} with reward=common, which pays all sides the same; "
                "wanted reward=own"
            )
        if len(agents) < 2 or common or (sides is None and not auto):
            return replace(policy, sides=NONE), ()
        if sides is not None and given.keys() >= FOUND:
            policy = replace(policy, sides=sides.text(agents), **learned_with(policy, given))
            return policy, (unit_of(policy),)
        play = random_play(world)
        guess = guess_sides(play, agents, world.roles)
    finally:
        world.close()
    if sides is None and guess.sides is None:
        note = f"{guess.reason}: if they play against each other, give sides=..."
        return replace(policy, sides=NONE), (note,) if guess.reason else ()
    taken = sides or guess.sides
    assert taken is not None
    policy = replace(policy, sides=taken.text(agents), **learned_with(policy, given))
    if "scoring" not in given:
        policy = replace(policy, scoring="game" if guess.decided else "match")
    if "evaluate_every" not in given:
        every = affordable_games(play, world, policy, taken)
        half = max(1, budget // (2 * policy.copies * policy.steps))  # twice at least
        policy = replace(policy, evaluate_every=min(every, half))
    notes = () if sides else (f"sides: {' against '.join(taken.names)}, since {guess.reason}; "
                              f"sides={NONE} trains one team",)  # fmt: skip
    return policy, (*notes, unit_of(policy))


def learned_with(policy: PolicySettings, given: Settings) -> Settings:
    """Returns the settings out of `LEARNED_WITH` that are not given."""
    fitting = {**LEARNED_WITH, "minibatches": min(LEARNED_WITH["minibatches"], policy.sequences)}
    return {name: value for name, value in fitting.items() if name not in given}


def unit_of(policy: PolicySettings) -> str:
    """Returns a sentence about what returns are, where sides play against each other."""
    what = "game" if policy.scoring == "game" else "match of one game on each side"
    return f"the return is in points for each {what} against random actions: 1, 0.5 or 0"


def affordable_games(
    play: RandomPlay, world: StepWorld, policy: PolicySettings, sides: Sides
) -> int:
    """Returns the updates between games against random actions with which they take at most
    `EVALUATED_SHARE` of the steps; 0, for none, where nothing shows how long an episode is."""
    longest = world.horizon or (2 * play.steps if play.steps else None)
    if longest is None:
        return 0
    steps = STARTS * sides.count * longest
    return math.ceil(steps / (policy.copies * policy.steps * EVALUATED_SHARE))
