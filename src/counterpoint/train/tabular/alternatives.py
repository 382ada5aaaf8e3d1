"""What other statistics would have made of an update, in worlds with tables or linear policies.

Start with `Alternatives.evidence`: the same plays, the same probabilities, other advantages. The
noise of a gradient is exact given the advantages, since the policy is known: a sample of 8
micro-batches in which nobody tried anything new would look free of noise.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.credit import Scheme
from counterpoint.credit.segments import segment_sum
from counterpoint.diagnose.evidence import (
    Evidence,
    bonus_noise,
    competing_noise,
    family,
    signal_of,
    z_scores,
)
from counterpoint.train.tabular.policies import Policy
from counterpoint.worlds.exact.world import Play, World


class Alternatives:
    """A scheme, and the statistics that it is held against in one world.

    Args:
        world: where it trains.
        scheme: what normalizes.
        policy: whose gradient it is.
    """

    def __init__(self, world: World, scheme: Scheme, policy: Policy) -> None:
        self.world, self.policy = world, policy
        self.others = family(scheme, prompts=world.prompts > 1)
        settings = world.settings
        self.together = policy.shares_parameters or settings.optimizer == "sgd"

    def evidence(
        self,
        play: Play,
        rows: Ints,
        columns: Mapping[str, Ints],
        rewards: Floats,
        values: Floats,
        probs: Floats,
    ) -> Evidence:
        """Signal and noise of one update, each [S, V, A].

        Args:
            play: the batch.
            rows: [N] flat indices of the decisions.
            columns: their labels, each [N].
            rewards: [N] what is normalized, components summed.
            values: [N] the scheme's advantages.
            probs: [S, A, C, M] the policy that played.
        """
        s, a, c, m = probs.shape
        v, g = 1 + len(self.others), self.world.rollouts
        seed, agent = columns["batch"], columns["agent"]
        context, action = play.context.ravel()[rows], play.action.ravel()[rows]
        share = 1.0 / np.maximum(np.bincount(seed, minlength=s), 1)[seed]
        every = np.stack([values, *(z_scores(rewards, columns, by) for by in self.others)])
        every *= share  # [V, N] what each decision's score is multiplied by
        cell = (seed * v * g + columns["rollout"]) * a * c + agent * c + context
        place = (cell + np.arange(v)[:, None] * (g * a * c)).ravel()
        taken = np.tile(action, v)
        cells = s * v * g * a * c
        logits = segment_sum(every.ravel(), place * m + taken, cells * m).reshape(cells, m)
        drawn = segment_sum(every.ravel(), place, cells).reshape(s, v * g, a, c, 1)
        logits = logits.reshape(s, v * g, a, c, m)
        logits -= drawn * probs[:, None]
        each = self.policy.squared_lengths(logits).reshape(s, v, g, a).sum(axis=2)
        whole = self.policy.squared_lengths(logits.reshape(s, v, g, a, c, m).sum(axis=2))
        random = (1.0 - (probs**2).sum(axis=-1))[seed, agent, context]
        who = ((seed * a + agent) + np.arange(v)[:, None] * (s * a)).ravel()

        def total(what: Floats) -> Floats:
            by_agent = segment_sum(what.ravel(), who, v * s * a).reshape(v, s, a)
            return np.swapaxes(by_agent, 0, 1)

        noise = total(every**2 * random) / g
        square = total((every / share) ** 2) / np.maximum(total(np.ones(every.shape)), 1.0)
        competing = competing_noise(noise, self.together)
        competing = competing + bonus_noise(noise, square, self.world.settings.entropy)
        signal = signal_of(whole, each, g)
        return Evidence(signal, noise, competing, signal)
