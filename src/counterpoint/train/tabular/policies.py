"""Policies that need no autograd: a table for each agent, or one linear policy shared by all.

Both hold parameters [S, D], give the joint policy [S, A, C, M], and turn a gradient of the logits
into each agent's gradient of the parameters. `TabularPolicy` has a block for each agent; in
`SharedLinear` the gradients of all agents share the same D numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.worlds.exact.world import FEATURES, World

FEATURES_PER_PLACE = 1.25
"""Random features of the shared policy for each (agent, context): 40 for 4 agents x 8 contexts."""


@dataclass(frozen=True)
class TabularPolicy:
    """A table of logits for each agent: pi_a(m | c) = softmax(theta[a, c])_m."""

    legal: Bools
    """[A, C, M] whether the action exists."""
    shares_parameters: bool = False
    """Whether the agents' gradients live in the same coordinates."""

    def start(self, seeds: int) -> Floats:
        """Returns [S, D], the parameters of a team that chooses uniformly among legal actions."""
        return np.zeros((seeds, self.legal.size))

    def probs(self, parameters: Floats) -> Floats:
        """Returns [S, A, C, M], the joint policy."""
        return masked_softmax(parameters.reshape(-1, *self.legal.shape), self.legal)

    def per_agent(self, logits: Floats) -> Floats:
        """Returns the gradient [S, B, A, d] of each agent's parameters, from that of its logits [S,
        B, A, C, M] in each of B micro-batches."""
        return logits.reshape(*logits.shape[:3], -1)

    def squared_lengths(self, logits: Floats) -> Floats:
        """Returns [S, B, A], the squared length of the result of `per_agent`."""
        return np.asarray(np.einsum("sbacm,sbacm->sba", logits, logits))

    def joined(self, gradients: Floats) -> Floats:
        """Returns [S, D], the gradient of all parameters, from those of the agents [S, A, d]."""
        return gradients.reshape(len(gradients), -1)


@dataclass(frozen=True)
class SharedLinear:
    """One linear policy on fixed random features: logits = phi(a, c)^T W.

    The features of an (agent, context) pair are a random direction of length 1, so that agents
    interfere with each other as they do in a shared network, and can still be distinguished. The
    methods return what those of `TabularPolicy` do.
    """

    features: Floats
    """[S, A, C, F] features, unit length along F."""
    legal: Bools
    """[A, C, M] whether the action exists."""
    shares_parameters: bool = True

    @cached_property
    def alike(self) -> Floats:
        """[S, A, C, C] inner products of each agent's features."""
        return np.asarray(self.features @ np.swapaxes(self.features, -1, -2))

    @classmethod
    def random(cls, world: World, seeds: tuple[int, ...]) -> SharedLinear:
        """Returns the policy with the features of each seed, whatever the other seeds are.

        An agent has those of its place; `train` takes its place from its name.
        """
        places = len(world.agents) * world.contexts
        shape = (len(world.agents), world.contexts, int(FEATURES_PER_PLACE * places))
        draws = [np.random.default_rng([seed, FEATURES]).standard_normal(shape) for seed in seeds]
        features = np.stack(draws)
        return cls(features / np.linalg.norm(features, axis=-1, keepdims=True), world.legal)

    def start(self, seeds: int) -> Floats:
        return np.zeros((seeds, self.features.shape[-1] * self.legal.shape[-1]))

    def probs(self, parameters: Floats) -> Floats:
        weights = parameters.reshape(len(parameters), 1, self.features.shape[-1], -1)
        return masked_softmax(self.features @ weights, self.legal)

    def per_agent(self, logits: Floats) -> Floats:
        pulled = np.swapaxes(self.features, -1, -2)[:, None] @ logits  # [S, B, A, F, M]
        return pulled.reshape(*logits.shape[:3], -1)

    def squared_lengths(self, logits: Floats) -> Floats:
        # |phi^T L|^2 = <L, (phi phi^T) L>: C x C inner products instead of F features
        spread = self.alike[:, None] @ logits
        return np.asarray(np.einsum("sbacm,sbacm->sba", logits, spread))

    def joined(self, gradients: Floats) -> Floats:
        total: Floats = gradients.sum(axis=1)
        return total


Policy = TabularPolicy | SharedLinear
"""A policy as the training loop uses it."""


def policy_for(world: World, seeds: tuple[int, ...]) -> Policy:
    """Returns the policy that the world's settings name."""
    if world.settings.parameters == "separate":
        return TabularPolicy(world.legal)
    return SharedLinear.random(world, seeds)


def masked_softmax(logits: Floats, legal: Bools) -> Floats:
    """Returns probabilities along the last axis; exactly 0 where an action is not legal."""
    shifted = np.where(legal, logits, -np.inf)
    weights: Floats = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights
