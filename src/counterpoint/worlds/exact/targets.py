"""What most worlds share: each agent has one right action in each context, drawn by the seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays
from counterpoint.worlds.exact.world import World, by_seed, chosen, one_hot, sample


class TargetAnswers(NamedTuple):
    """What the agents of a batch did, and whether it was right."""

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

    def solution(self, tasks: NamedArrays) -> Floats:
        return one_hot(tasks["target"], self.actions)


def answer(
    tasks: NamedArrays, probs: Floats, agent: Ints, context: Ints, uniforms: Floats
) -> TargetAnswers:
    """Returns the actions of a batch and whether they match the targets.

    Args:
        tasks: with `target` [S, A, C].
        probs: [S, A, C, M] the joint policy.
        agent: agent indices that broadcast against `context`.
        context: [S, P, G, L].
        uniforms: [S, P, G, L] in [0, 1).
    """
    action = sample(probs, agent, context, uniforms)
    seed = by_seed(context)
    target = tasks["target"][seed, agent, context]
    return TargetAnswers(action, action == target, probs[seed, agent, context, target])


def accuracies(tasks: NamedArrays, probs: Floats) -> Floats:
    """Returns the probability of the right action, averaged over contexts, [S, A]."""
    right: Floats = chosen(probs, tasks["target"]).mean(axis=-1)
    return right
