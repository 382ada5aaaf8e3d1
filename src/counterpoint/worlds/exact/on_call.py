"""`on_call`: a specialist who is rarely called, and then to rollouts of another reward.

Three regulars act in every rollout. The specialist joins a few of them, and those pay an `offset`
more, or `scale` times as much. Among everybody's rewards the specialist's are far from the mean,
so that pooled statistics push all that it does the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.settings import Range
from counterpoint.worlds.exact.targets import TargetWorld, accuracies, team_play
from counterpoint.worlds.exact.world import Evaluation, Play, Settings

NOISE = 0.1
"""Standard deviation of a rollout's reward noise, before its scale."""


@dataclass(frozen=True, kw_only=True)
class OnCallSettings(Settings):
    """Settings of `on_call`."""

    rate: Annotated[float, Range(1e-4, 1 - 1e-4)] = 0.1
    """Share of rollouts to which the specialist is called."""
    offset: Annotated[float, Range(-1e6, 1e6)] = 3.0
    """The additional reward of those rollouts, independent of all actions."""
    scale: Annotated[float, Range(1e-6, 1e6)] = 1.0
    """Factor on the rewards and the noise of those rollouts."""


class OnCall(TargetWorld):
    """Three regulars and a specialist; 32 prompts x 8 rollouts, so that rare calls happen at all.

    Every agent sees one of 4 contexts of its own in every rollout, and has 2 actions, one right.
    With c the share of acting agents that are right the reward is c + .1 e, and in rollouts with
    the specialist scale (c + .1 e) + offset, e ~ N(0, 1).

    The return is the share of right decisions with equal weights for rollouts with and without
    the specialist; the reward-weighted return weights them as they come and by their scale,
    the offset left out. Team size, actions and offset were chosen so that the specialist's
    accuracies are in the range that was measured.
    """

    name = "on_call"
    settings_type = OnCallSettings
    summary = "a specialist acts in few rollouts, which pay another reward"
    source = "ours"
    contexts, actions, prompts = 4, 2, 32
    agents = ("regular_0", "regular_1", "regular_2", "specialist")
    slots = ((0, 0), (1, 0), (2, 0), (3, 0))
    baselines = ("counterfactual", "difference")
    random, optimal = 0.5, 1.0
    settings: OnCallSettings

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        rollouts = (self.prompts, self.rollouts)
        shape = (*rollouts, len(self.slots))
        return {
            "called": rng.random(rollouts) < self.settings.rate,
            "context": rng.integers(self.contexts, size=shape),
            "noise": rng.standard_normal(rollouts),
            "uniforms": rng.random(shape),
        }

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        context, called = chance["context"], chance["called"]
        answers = self.answers(tasks, chance, probs)
        active = np.ones_like(answers.right)
        active[..., -1] = called
        weight = active / active.sum(axis=-1, keepdims=True)
        share = (weight * answers.right).sum(axis=-1)
        scale = np.where(called, self.settings.scale, 1.0)
        total = scale * (share + NOISE * chance["noise"]) + called * self.settings.offset
        part, rate = scale[..., None] * weight, self.settings.rate
        outcome = share * np.where(called, 0.5 / rate, 0.5 / (1 - rate))
        return team_play(context, answers, total, part, outcome, active)

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        accuracy = accuracies(tasks, probs)
        without, joined = accuracy[:, :-1].mean(axis=-1), accuracy.mean(axis=-1)
        loud = self.settings.rate * self.settings.scale
        quiet = 1 - self.settings.rate
        weight = np.array([0.5 / 3 + 0.5 / 4] * 3 + [0.5 / 4])
        return Evaluation(
            returns=(without + joined) / 2,
            weighted_returns=(quiet * without + loud * joined) / (quiet + loud),
            accuracy=accuracy,
            regret=(1 - accuracy) * weight,
        )
