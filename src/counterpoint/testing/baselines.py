"""Conformance of the baselines that a world answers, by intervention: force each action in turn.

Every action comes from a uniform of its own, so that one agent's action can be changed while the
luck of everybody else stays as it was. What a baseline promises about "whatever it had done" is
then checked exactly, without statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.testing.batches import ROUNDING, batch, demand, reward_size
from counterpoint.worlds.exact.world import Play, World, by_seed


def check_counterfactual(world: World, seeds: Sequence[int]) -> None:
    """The counterfactual is the mean reward over the agent's own action, others and luck fixed."""
    if "counterfactual" not in world.baselines:
        return
    for slot, played, forced, probs in _interventions(world, seeds):
        used = played.active[..., slot]
        expected = sum(
            prob * other.reward[..., slot] for prob, other in zip(probs, forced, strict=True)
        )
        gap = abs(expected - played.signals["counterfactual"][..., slot])[used]
        worst = float(gap.max(initial=0.0))
        demand(
            worst <= ROUNDING * reward_size(played),
            f"a counterfactual that is off by {worst:.3g} in slot {slot}",
            "the reward averaged over the agent's own actions",
        )


def check_difference(world: World, seeds: Sequence[int]) -> None:
    """What a difference reward subtracts does not depend on what the agent did."""
    if "difference" not in world.baselines:
        return
    for slot, played, forced, probs in _interventions(world, seeds):
        used = played.active[..., slot]
        baseline = (played.reward - played.signals["difference"])[..., slot]
        for prob, other in zip(probs, forced, strict=True):
            there = (other.reward - other.signals["difference"])[..., slot]
            gap = abs(there - baseline)[used & (prob > 0)]
            worst = float(gap.max(initial=0.0))
            demand(
                worst <= ROUNDING * reward_size(played),
                f"a difference baseline that moves by {worst:.3g} with the action in slot {slot}",
                "the reward without this agent, whatever it did",
            )


def check_own_component(world: World, seeds: Sequence[int]) -> None:
    """An agent's own component does not depend on what the others did."""
    if "own_component" not in world.baselines:
        return
    agent = np.array([agent for agent, _ in world.slots])
    for slot, played, forced, probs in _interventions(world, seeds):
        others = agent != agent[slot]
        for prob, other in zip(probs, forced, strict=True):
            possible = (prob > 0)[..., None] & played.active & other.active & others
            own, there = played.signals["own_component"], other.signals["own_component"]
            worst = float(abs(own - there)[possible].max(initial=0.0))
            demand(
                worst <= ROUNDING * reward_size(played),
                f"an own component that moves by {worst:.3g} with the action in slot {slot}",
                "what belongs to the agent alone",
            )


def _interventions(
    world: World, seeds: Sequence[int]
) -> Iterator[tuple[int, Play, list[Play], list[Floats]]]:
    """For each slot: the play, the play with every action forced there, and each action's
    probability [S, P, G]. Forcing moves the slot's uniform to the middle of the action's
    quantiles, so that the luck of everybody else stays as it was."""
    tasks, chance, probs = batch(world, seeds)
    played = world.play(tasks, chance, probs)
    for slot, (agent, _) in enumerate(world.slots):
        context = np.where(played.active, played.context, 0)[..., slot]
        here = probs[by_seed(context), agent, context]  # [S, P, G, M]
        middle = here.cumsum(axis=-1) - here / 2
        forced = []
        for action in range(world.actions):
            uniforms = chance["uniforms"].copy()
            uniforms[..., slot] = np.clip(middle[..., action], 0.0, np.nextafter(1.0, 0.0))
            forced.append(world.play(tasks, {**chance, "uniforms": uniforms}, probs))
        yield slot, played, forced, [here[..., action] for action in range(world.actions)]
