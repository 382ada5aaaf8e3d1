"""`variable_calls`: hard tasks take more rounds and pay less, so rollouts differ in their steps.

A baseline that counts every rollout once is not the mean of what the steps receive: the steps of
long rollouts, which pay less, are more than those of short ones. What is left over pushes every
step the same way. Counting steps repairs it, with statistics shared by both agents: who acts and
how often one acts are two different matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.settings import Range
from counterpoint.worlds.exact.targets import TargetWorld, accuracies, team_play
from counterpoint.worlds.exact.world import Evaluation, Play, Settings

ROUNDS = 4
"""Most rounds of one solver step and one verifier step; hard tasks take from 2 to this."""
NOISE = 0.1
"""Standard deviation of a rollout's reward noise."""


@dataclass(frozen=True, kw_only=True)
class VariableCallsSettings(Settings):
    """Settings of `variable_calls`."""

    hard: Annotated[float, Range(0.0, 1.0)] = 0.5
    """Share of rollouts with a hard task."""
    penalty: Annotated[float, Range(-1e6, 1e6)] = 0.5
    """The reward that a hard task pays less."""


class VariableCalls(TargetWorld):
    """A solver and a verifier who take turns: one round in an easy task, 2 to 4 in a hard one.

    Difficulty and rounds are drawn for each rollout, before any action. A prompt has one of 8
    contexts; in each step the agent has 4 actions, one right. The reward is the share of right
    steps, minus `penalty` if the task is hard, + .1 e, e ~ N(0, 1). The return is the expected
    share of right steps, which is all that a policy can change; the reward-weighted return is
    the same number.
    """

    name = "variable_calls"
    settings_type = VariableCallsSettings
    summary = "hard tasks take more steps and pay less: rollouts and steps are not the same"
    source = "ours, after the question raised in Dr. MAS, arXiv 2602.08847, issue 81"
    contexts, actions = 8, 4
    agents = ("solver", "verifier")
    slots = tuple((agent, turn) for turn in range(ROUNDS) for agent in range(2))
    baselines = ("counterfactual", "difference")
    random, optimal = 0.25, 1.0
    settings: VariableCallsSettings

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        rollouts = (self.prompts, self.rollouts)
        shape = (*rollouts, len(self.slots))
        hard = rng.random(rollouts) < self.settings.hard
        return {
            "hard": hard,
            "rounds": np.where(hard, rng.integers(2, ROUNDS + 1, size=rollouts), 1),
            "context": np.broadcast_to(
                rng.integers(self.contexts, size=(self.prompts, 1, 1)), shape
            ),
            "noise": rng.standard_normal(rollouts),
            "uniforms": rng.random(shape),
        }

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        answers = self.answers(tasks, chance, probs)
        turn = np.array([turn for _, turn in self.slots])
        active = turn < chance["rounds"][..., None]
        weight = active / active.sum(axis=-1, keepdims=True)
        share = (weight * answers.right).sum(axis=-1)
        total = share - self.settings.penalty * chance["hard"] + NOISE * chance["noise"]
        return team_play(chance["context"], answers, total, weight, share, active)

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        accuracy = accuracies(tasks, probs)
        returns = accuracy.mean(axis=-1)
        return Evaluation(returns, returns, accuracy, (1 - accuracy) / len(self.agents))
