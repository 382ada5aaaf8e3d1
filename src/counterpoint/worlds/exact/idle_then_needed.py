"""`idle_then_needed`: what decoupling costs. A reserve whose choices do not matter, until they do.

While it is idle the reserve's rollouts pay nearly the same whatever it does. Divided by the
per-agent deviation, these nearly constant rewards give advantages of size 1. So the reserve learns
arbitrary preferences at full strength, and must unlearn them when it is needed. Pooled with the
regulars' rewards the noise stays small, and the entropy bonus keeps the reserve open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.settings import Range
from counterpoint.worlds.exact.targets import TargetWorld, accuracies, team_play
from counterpoint.worlds.exact.world import Evaluation, Play, Settings

NOISE = 0.1
"""Standard deviation of the reward noise in rollouts where the choices matter."""


@dataclass(frozen=True, kw_only=True)
class IdleThenNeededSettings(Settings):
    """Settings of `idle_then_needed`."""

    parameters: Literal["shared", "separate"] = "separate"
    idle: Annotated[float, Range(0.0, 0.99)] = 0.5
    """Share of the updates, from the first on, in which the reserve's choices do not matter."""
    quiet: Annotated[float, Range(0.0, 1e6)] = 0.01
    """Standard deviation of the reserve's reward while it is idle."""
    level: Annotated[float, Range(-1e6, 1e6)] = 1.0
    """Mean of the reserve's reward while it is idle."""


class IdleThenNeeded(TargetWorld):
    """Two regulars act in half of the prompts, the reserve in the other half.

    A prompt has one of 8 contexts; each agent has 4 actions, one right. The reward is the share of
    acting agents that are right, + .1 e; while the reserve is idle its rollouts pay level + quiet e
    instead, e ~ N(0, 1). The return is the expected share of right decisions with equal weights for
    both kinds of prompts, as if the reserve were needed already; the reward-weighted return is
    the same number.
    """

    name = "idle_then_needed"
    settings_type = IdleThenNeededSettings
    summary = "decoupling hurts: a reserve is idle at a near-constant reward, then needed"
    source = "ours"
    contexts, actions = 8, 4
    agents = ("regular_0", "regular_1", "reserve")
    slots = ((0, 0), (1, 0), (2, 0))
    baselines = ("counterfactual", "difference")
    random, optimal = 0.25, 1.0
    settings: IdleThenNeededSettings

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        p, rollouts = self.prompts, (self.prompts, self.rollouts)
        shape = (*rollouts, len(self.slots))
        return {
            "needed": np.array(update >= int(self.settings.idle * self.settings.updates)),
            "reserve": np.broadcast_to(rng.random((p, 1)) < 0.5, rollouts),
            "context": np.broadcast_to(rng.integers(self.contexts, size=(p, 1, 1)), shape),
            "noise": rng.standard_normal(rollouts),
            "uniforms": rng.random(shape),
        }

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        context, reserve, noise = chance["context"], chance["reserve"], chance["noise"]
        answers = self.answers(tasks, chance, probs)
        active = reserve[..., None] == (np.arange(len(self.agents)) == len(self.agents) - 1)
        share = (active * answers.right).sum(axis=-1) / active.sum(axis=-1)
        idle = reserve & ~chance["needed"][:, None, None]
        paid = np.where(
            idle, self.settings.level + self.settings.quiet * noise, share + NOISE * noise
        )
        weight = active * ~idle[..., None] / active.sum(axis=-1, keepdims=True)
        return team_play(context, answers, paid, weight, share, active)

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        accuracy, weight = accuracies(tasks, probs), np.array([0.25, 0.25, 0.5])
        returns = accuracy @ weight
        return Evaluation(returns, returns, accuracy, (1 - accuracy) * weight)
