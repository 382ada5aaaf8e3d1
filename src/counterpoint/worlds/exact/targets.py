"""The shared part of most worlds: each agent has one right action in each context, drawn by the
seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays
from counterpoint.worlds.exact.world import Play, World, by_seed, chosen, one_hot, sample


class TargetAnswers(NamedTuple):
    """The actions of the agents in a batch, and whether they are right."""

    action: Ints
    """[S, P, G, L]."""
    right: Bools
    """[S, P, G, L]."""
    chance: Floats
    """[S, P, G, L] probability with which the policy would be right there."""


class TargetWorld(World):
    """A world in which every agent has one right action in every context."""

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        size = (len(self.agents), self.contexts)
        return {"target": rng.integers(self.actions, size=size)}

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        """Returns one context for each prompt, which the whole team sees, and uniforms."""
        shape = (self.prompts, self.rollouts, len(self.slots))
        context = rng.integers(self.contexts, size=(self.prompts, 1, 1))
        return {"context": np.broadcast_to(context, shape), "uniforms": rng.random(shape)}

    def solution(self, tasks: NamedArrays) -> Floats:
        return one_hot(tasks["target"], self.actions)

    def answers(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> TargetAnswers:
        """Returns the actions of a batch, and whether they match the targets, as for `play`."""
        context, agent = chance["context"], np.array([agent for agent, _ in self.slots])
        action = sample(probs, agent, context, chance["uniforms"])
        seed = by_seed(context)
        target = tasks["target"][seed, agent, context]
        return TargetAnswers(action, action == target, probs[seed, agent, context, target])


def team_play(
    context: Ints,
    answers: TargetAnswers,
    reward: Floats,
    weight: Floats,
    outcome: Floats,
    active: Bools | None = None,
) -> Play:
    """Returns a batch in which the team has one reward, with both baselines that follow from it.

    Args:
        context: [S, P, G, L].
        answers: what the agents did.
        reward: [S, P, G] of the team.
        weight: [S, P, G, L] how much of the reward a right answer of the slot is.
        outcome: [S, P, G] as in `Play`.
        active: [S, P, G, L] as in `Play`; all slots if not given.
    """
    if active is None:
        active = np.ones_like(answers.right)
    shared = np.broadcast_to(reward[..., None], active.shape)
    signals = {
        "counterfactual": shared - weight * (answers.right - answers.chance),
        "difference": weight * answers.right,
    }
    return Play(context, answers.action, active, shared, outcome, signals=signals)


def accuracies(tasks: NamedArrays, probs: Floats) -> Floats:
    """Returns the probability of the right action, averaged over contexts, [S, A]."""
    right: Floats = chosen(probs, tasks["target"]).mean(axis=-1)
    return right
