"""What most worlds share: each agent has one right action in each context, drawn by the seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays
from counterpoint.worlds.exact.world import by_seed, chosen, one_hot, sample


class Answers(NamedTuple):
    """What the agents of a batch did, and whether it was right."""

    action: Ints
    """[S, P, G, L]."""
    right: Bools
    """[S, P, G, L]."""
    chance: Floats
    """[S, P, G, L] probability with which the policy would be right there."""


def draw_targets(rng: np.random.Generator, agents: int, contexts: int, actions: int) -> NamedArrays:
    """The right action of each agent in each context: `target` [A, C]."""
    return {"target": rng.integers(actions, size=(agents, contexts))}


def answer(
    tasks: NamedArrays, probs: Floats, agent: Ints, context: Ints, uniforms: Floats
) -> Answers:
    """Act, and compare with the targets.

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
    return Answers(action, action == target, probs[seed, agent, context, target])


def accuracies(tasks: NamedArrays, probs: Floats) -> Floats:
    """[S, A] probability of the right action, averaged over contexts."""
    right: Floats = chosen(probs, tasks["target"]).mean(axis=-1)
    return right


def always_right(tasks: NamedArrays, actions: int) -> Floats:
    """[S, A, C, M] the policy that takes the right action everywhere."""
    return one_hot(tasks["target"], actions)
