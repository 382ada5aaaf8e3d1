"""Every world passes the conformance suite; every planted defect is found, by the right check."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from counterpoint.testing import ConformanceError, check_world
from counterpoint.worlds import Evaluation, Play, catalogue, make
from counterpoint.worlds.base import Arrays, Floats
from counterpoint.worlds.regions import Regions

VARIANTS: dict[str, list[dict[str, object]]] = {
    "regions": [{"participation": "everyone"}, {"drawn": "in_rollout"}, {"agents": 8}],
    "all_hands": [{"agents": 2}, {"agents": 8}],
    "on_call": [{"rate": 0.02, "scale": 5.0, "offset": 0.0}],
    "unequal_stakes": [{"agents": 2, "ratio": 1.0}],
    "variable_calls": [{"hard": 1.0}, {"hard": 0.0}],
    "idle_then_needed": [{"updates": 1}],
    "planner_worker": [{"workers": 5}, {"workers": 2, "alone": 0.0}],
    "homogeneous": [{"agents": 2}],
}


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_world_keeps_its_promises(name: str) -> None:
    for settings in ({}, {"parameters": "separate"}, *VARIANTS.get(name, [])):
        check_world(make(name, settings))


class GlobalChance(Regions):
    def draw(self, rng: np.random.Generator, update: int) -> Arrays:
        return super().draw(np.random.default_rng(), update)


class SharesLuck(Regions):
    """Rewards are centered over all seeds of the call."""

    def play(self, tasks: Arrays, chance: Arrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        return replace(play, reward=play.reward - play.reward.mean())


class IgnoresThePolicy(Regions):
    def play(self, tasks: Arrays, chance: Arrays, probs: Floats) -> Play:
        return super().play(tasks, chance, np.full_like(probs, 0.25))


class InfiniteReward(Regions):
    def play(self, tasks: Arrays, chance: Arrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        return replace(play, reward=play.reward / 0.0)


class LeavesOutSlots(Regions):
    def play(self, tasks: Arrays, chance: Arrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        return replace(play, active=play.active[..., :2])


class WritesIntoItsInput(Regions):
    def play(self, tasks: Arrays, chance: Arrays, probs: Floats) -> Play:
        chance["noise"][:] = 0.0
        return super().play(tasks, chance, probs)


class ModestReference(Regions):
    random = 0.2


class BoastfulReference(Regions):
    optimal = 1.2


class FlattersItself(Regions):
    """Evaluates every policy but the two references too well."""

    def evaluate(self, tasks: Arrays, probs: Floats) -> Evaluation:
        found = super().evaluate(tasks, probs)
        bonus = (found.returns - self.random) * (self.optimal - found.returns)
        return replace(found, returns=found.returns + bonus)


class CreditsItsOwnAction(Regions):
    """The counterfactual keeps a part of what the agent's own action was worth."""

    def play(self, tasks: Arrays, chance: Arrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        mixed = 0.9 * play.signals["counterfactual"] + 0.1 * play.reward
        return replace(play, signals={**play.signals, "counterfactual": mixed})


class DiffersFromItself(Regions):
    """The difference baseline is not free of the agent's own action."""

    def play(self, tasks: Arrays, chance: Arrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        return replace(play, signals={**play.signals, "difference": 0.5 * play.reward})


class PromisesTooMuch(Regions):
    baselines = ("counterfactual", "difference", "own_component")


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (GlobalChance, "the same generator"),
        (SharesLuck, "another reward for a seed beside others"),
        (IgnoresThePolicy, "actions of probability 0"),
        (InfiniteReward, "not finite"),
        (LeavesOutSlots, "active of shape"),
        (WritesIntoItsInput, "wanted pure"),
        (ModestReference, "uniform policy"),
        (BoastfulReference, "the solution"),
        (FlattersItself, "the exact return"),
        (CreditsItsOwnAction, "a counterfactual that is off"),
        (DiffersFromItself, "a difference baseline that moves"),
        (PromisesTooMuch, "world.baselines"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_broken_world_is_rejected(broken: type[Regions], complaint: str) -> None:
    with pytest.raises(ConformanceError, match=complaint):
        check_world(broken())
