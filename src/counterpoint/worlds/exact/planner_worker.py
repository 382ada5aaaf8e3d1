"""`planner_worker`: a planner decides which worker acts, so the data of a worker depend on its
skill.

A worker that is called to few of a prompt's rollouts has groups of one or two samples there, and
statistics of its own within the group leave it nothing to learn from. Statistics over the batch,
shared or by agent, are not affected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays
from counterpoint.settings import Range
from counterpoint.worlds.exact.targets import TargetWorld
from counterpoint.worlds.exact.world import (
    Evaluation,
    Play,
    Settings,
    by_seed,
    chosen,
    one_hot,
)


@dataclass(frozen=True, kw_only=True)
class PlannerWorkerSettings(Settings):
    """Settings of `planner_worker`."""

    parameters: Literal["shared", "separate"] = "separate"
    workers: Annotated[int, Range(2, 64)] = 3
    """Number of workers."""
    alone: Annotated[float, Range(0.0, 0.99)] = 0.5
    """The certain reward of the planner if it calls no worker; a good worker earns 1."""


class PlannerWorker(TargetWorld):
    """The planner calls one worker or does the task itself; only the called worker acts.

    A prompt has one of 16 contexts, and every context has one worker who is the expert. The planner
    chooses a worker, or itself for a certain reward of `alone`. A worker has 4 actions, one right
    in each context; right pays 1 if it is the expert, else a half, and wrong pays 0. The return is
    the expected reward, and the reward-weighted return is its share of the best, 1. A planner is
    right where it calls the expert; a worker's accuracy is that of its answers, called or not.

    What a worker that was not called would have done is drawn as well, so that the planner's
    counterfactual is exact: the reward averaged over its own choices, given those answers.
    """

    name = "planner_worker"
    settings_type = PlannerWorkerSettings
    summary = "decoupling within groups hurts: a planner decides which worker acts"
    source = "ours"
    contexts, tries = 16, 4
    baselines = ("counterfactual",)
    optimal = 1.0
    settings: PlannerWorkerSettings

    def __init__(self, settings: PlannerWorkerSettings | None = None) -> None:
        super().__init__(settings)
        workers = self.settings.workers
        self.agents = ("planner", *(f"worker_{k}" for k in range(workers)))
        self.roles = ("planner", *("worker" for _ in range(workers)))
        self.slots = ((0, 0), *((k + 1, 1) for k in range(workers)))
        self.actions = max(self.tries, workers + 1)
        called = (1 + (workers - 1) / 2) / self.tries  # by experts and others, at random
        self.random = (called + self.settings.alone) / (workers + 1)

    @property
    def legal(self) -> Bools:
        legal = np.zeros((len(self.agents), self.contexts, self.actions), dtype=bool)
        legal[0, :, : self.settings.workers + 1] = True
        legal[1:, :, : self.tries] = True
        return legal

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        expert = rng.integers(self.settings.workers, size=(1, self.contexts))
        answers = rng.integers(self.tries, size=(self.settings.workers, self.contexts))
        return {"target": np.concatenate([expert, answers])}

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        context, workers = chance["context"], self.settings.workers
        answers = self.answers(tasks, chance, probs)
        call, seed = answers.action[..., 0], by_seed(context[..., 0])
        skill = self._skill(tasks["target"][:, 0])[seed, context[..., 0]]  # [S, P, G, W]
        called = call[..., None] == np.arange(workers)
        alone = np.full((*call.shape, 1), self.settings.alone)
        would_pay = np.concatenate([skill * answers.right[..., 1:], alone], axis=-1)
        paid = chosen(would_pay, call)
        reward = np.broadcast_to(paid[..., None], context.shape)
        choice = probs[seed, 0, context[..., 0], : workers + 1]
        surprise = called * skill * (answers.right - answers.chance)[..., 1:]
        average = (choice * would_pay).sum(axis=-1, keepdims=True)
        return Play(
            context=context,
            action=answers.action,
            active=np.concatenate([np.ones_like(called[..., :1]), called], axis=-1),
            reward=reward,
            outcome=paid,
            signals={
                "counterfactual": np.concatenate([average, reward[..., 1:] - surprise], axis=-1)
            },
        )

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        expert = tasks["target"][:, 0]
        right = chosen(probs, tasks["target"])  # [S, A, C]
        call = probs[:, 0, :, : self.settings.workers + 1]
        value = self._value(expert, call, right)
        perfect = one_hot(expert, self.settings.workers + 1)
        better = [self._value(expert, perfect, right)]
        for worker in range(1, len(self.agents)):
            fixed = right.copy()
            fixed[:, worker] = 1.0
            better.append(self._value(expert, call, fixed))
        gain = np.stack(better, axis=-1) - value[:, None]
        # a worker that nobody trusts makes the expert's call a bad one: then nothing is lost
        return Evaluation(value, value, right.mean(axis=-1), np.maximum(gain, 0.0))

    def _skill(self, expert: Ints) -> Floats:
        """Returns the pay for a right answer of each worker, [S, C, W], for `expert` [S, C]."""
        return np.where(expert[..., None] == np.arange(self.settings.workers), 1.0, 0.5)

    def _value(self, expert: Ints, call: Floats, right: Floats) -> Floats:
        """Returns the expected reward [S] of the choices `call` [S, C, W+1] of the planner, if
        workers are right with the probabilities `right` [S, A, C]."""
        pays = self._skill(expert) * np.swapaxes(right[:, 1:], 1, 2)
        value: Floats = (call[..., :-1] * pays).sum(axis=-1) + call[..., -1] * self.settings.alone
        mean: Floats = value.mean(axis=-1)
        return mean
