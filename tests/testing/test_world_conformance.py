"""Every world passes the conformance suite; every planted defect is found, by the right check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from counterpoint.arrays import Bools, Floats, NamedArrays
from counterpoint.testing import ConformanceError, check_world
from counterpoint.train import train
from counterpoint.worlds import Evaluation, Kind, Play, Settings, World, find_world, worlds
from counterpoint.worlds.exact.all_hands import AllHands
from counterpoint.worlds.exact.regions import Regions
from counterpoint.worlds.exact.world import one_hot, sample

VARIANTS: dict[str, list[dict[str, object]]] = {
    "regions": [{"participation": "everyone"}, {"drawn": "in_rollout"}, {"agents": 8}],
    "all_hands": [{"agents": 2}, {"agents": 8}],
    "on_call": [{"rate": 0.02, "scale": 5.0, "offset": 0.0}],
    "unequal_stakes": [{"agents": 2, "ratio": 1.0}],
    "variable_calls": [{"hard": 1.0}, {"hard": 0.0}],
    "idle_then_needed": [{"updates": 1}],
    "planner_worker": [{"workers": 5}, {"workers": 2, "alone": 0.0}],
    "homogeneous": [{"agents": 2}],
    "project": [{"team": "led"}, {"fresh": False}, {"team": "led", "fresh": False, "members": 2}],
    "merging": [{"works": "in_turn", "members": 3}, {"works": "alone"}, {"files": "own"}],
}


@pytest.mark.parametrize("name", [entry.name for entry in worlds(Kind.EXACT)])
def test_every_world_keeps_its_promises(name: str) -> None:
    for settings in ({}, {"parameters": "separate"}, *VARIANTS.get(name, [])):
        check_world(find_world(name).make(settings))


class GlobalChance(Regions):
    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        return super().draw(np.random.default_rng(), update)


class SharesLuck(Regions):
    """Rewards are centered over all seeds of the call."""

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        return replace(play, reward=play.reward - play.reward.mean())


class IgnoresThePolicy(Regions):
    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        return super().play(tasks, chance, np.full_like(probs, 0.25))


class InfiniteReward(Regions):
    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        return replace(play, reward=play.reward / 0.0)


class LeavesOutSlots(Regions):
    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        return replace(play, active=play.active[..., :2])


class WritesIntoItsInput(Regions):
    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        chance["noise"][:] = 0.0
        return super().play(tasks, chance, probs)


class ModestReference(Regions):
    random = 0.2


class BoastfulReference(Regions):
    optimal = 1.2


class FlattersItself(Regions):
    """Evaluates every policy but the two references too well."""

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        found = super().evaluate(tasks, probs)
        bonus = (found.returns - self.random) * (self.optimal - found.returns)
        return replace(found, returns=found.returns + bonus)


class CreditsItsOwnAction(Regions):
    """The counterfactual keeps a part of what the agent's own action was worth."""

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        mixed = 0.9 * play.signals["counterfactual"] + 0.1 * play.reward
        return replace(play, signals={**play.signals, "counterfactual": mixed})


class DiffersFromItself(Regions):
    """The difference baseline is not free of the agent's own action."""

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        return replace(play, signals={**play.signals, "difference": 0.5 * play.reward})


class PaysOthersSuccess(AllHands):
    """What is called an agent's own component is the share of the team that is right."""

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        play = super().play(tasks, chance, probs)
        own = play.signals["own_component"]
        shared = np.broadcast_to(own.mean(axis=-1, keepdims=True), own.shape)
        return replace(play, signals={**play.signals, "own_component": shared})


class HidesComponents(AllHands):
    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        return replace(super().play(tasks, chance, probs), components=None)


class ForbidsEverything(Regions):
    @property
    def legal(self) -> Bools:
        return np.zeros((4, self.contexts, self.actions), dtype=bool)


class CallsMistakesPerfect(Regions):
    """Its solution is right in all contexts but one."""

    def solution(self, tasks: NamedArrays) -> Floats:
        policy = super().solution(tasks)
        policy[:, 0, 0] = np.roll(policy[:, 0, 0], 1, axis=-1)
        return policy


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
        (PaysOthersSuccess, "an own component that moves"),
        (HidesComponents, "components named but none played"),
        (ForbidsEverything, "without a legal action"),
        (CallsMistakesPerfect, "the solution"),
        (PromisesTooMuch, "world.baselines"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_broken_world_is_rejected(broken: Callable[[], World], complaint: str) -> None:
    with pytest.raises(ConformanceError, match=complaint):
        check_world(broken())


class OneCoin(World):
    """The smallest world: one agent calls heads (0) or tails (1), and heads pays 1."""

    name = "one_coin"
    summary = "one agent, one context, two actions"
    agents = ("caller",)
    slots = ((0, 0),)
    contexts, actions = 1, 2
    random, optimal = 0.5, 1.0

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        return {"pays": np.zeros((1, 1), dtype=np.int64)}  # [A, C]

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        return {"uniforms": rng.random((self.prompts, self.rollouts, 1))}

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        context = np.zeros(chance["uniforms"].shape, dtype=np.int64)
        action = sample(probs, np.array([0]), context, chance["uniforms"])
        paid = (action == 0).astype(np.float64)
        return Play(context, action, np.ones(action.shape, dtype=bool), paid, paid[..., 0])

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        heads = probs[:, 0, 0, 0]
        return Evaluation(heads, heads, heads[:, None], 1 - heads[:, None])

    def solution(self, tasks: NamedArrays) -> Floats:
        return one_hot(tasks["pays"], self.actions)


def test_a_world_of_your_own_can_be_checked_and_trained() -> None:
    world = OneCoin(Settings(updates=20))
    check_world(world)
    assert train(world, "mappo_pooled", (0, 1)).returns[:, -1].min() > 0.95
