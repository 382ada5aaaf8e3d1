"""Measurements of every update: the policies, the rewards, and each agent's gradient.

Start with `Telemetry`: its `record_*` methods, called once an update, fill arrays along T, and
`collapse` reads them at the end. `alternatives_evidence` measures what other statistics would have
made of the same plays. The noise of a gradient is exact given the advantages, since the policy is
known: a sample of 8 micro-batches without a new action would look free of noise.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.credit import Scheme
from counterpoint.credit.segments import segment_sum
from counterpoint.diagnose import collapsed_updates, gradient_statistics, name_causes
from counterpoint.diagnose.evidence import (
    Evidence,
    bonus_noise,
    competing_noise,
    family,
    signal_of,
    stacked,
    z_scores,
)
from counterpoint.diagnose.gradients import FEWEST_MICRO_BATCHES, rank_of_orthogonal
from counterpoint.diagnose.updates import IdColumns, UpdateNumbers
from counterpoint.train.tabular.policies import Policy
from counterpoint.worlds.exact.world import Evaluation, Play, World

EVERY = 2
"""Updates from one measurement of what other statistics would have made of it to the next."""
IMPROVABLE = 0.05
"""An agent that is right less often than 1 minus this could still improve."""


class Telemetry:
    """The record of one training: arrays [S, T, A] that fill up along T."""

    def __init__(self, seeds: int, updates: int, agents: int, scheme: Scheme) -> None:
        self.seeds, self.updates, self.agents = seeds, updates, agents
        self.numbers = UpdateNumbers(scheme, seeds, agents)
        self.gradients: dict[str, Floats] = {}
        self.rewards: dict[str, Floats] = {}
        self.updates_of_evidence: list[Evidence] = []
        self.returns, self.weighted_returns = np.full((2, seeds, updates + 1), np.nan)
        self.accuracy, self.regret = np.full((2, seeds, updates + 1, agents), np.nan)

    def record_policy(self, t: int, evaluation: Evaluation) -> None:
        """Records how good the joint policy is before update `t`, or after the last one."""
        self.returns[:, t], self.weighted_returns[:, t] = (
            evaluation.returns,
            evaluation.weighted_returns,
        )
        self.accuracy[:, t], self.regret[:, t] = evaluation.accuracy, evaluation.regret

    def record_gradients(self, t: int, gradients: Floats, active: Bools, shared: bool) -> None:
        """Records the statistics of each agent's gradient in micro-batches.

        Args:
            t: the update.
            gradients: [S, B, A, d] of each of B micro-batches.
            active: [S, B, A] whether the agent decided anything in the micro-batch. An agent that
                is absent from too many was not measured.
            shared: whether the agents' d coordinates are the same parameters.
        """
        statistics = dict(vars(gradient_statistics(gradients, intervals=False)))
        if not shared:
            statistics["effective_rank"] = rank_of_orthogonal(statistics["norm"])
        measured = active.sum(axis=1) >= FEWEST_MICRO_BATCHES
        for name, values in statistics.items():
            if name.startswith(("snr", "cosine")):
                values = np.where(measured, values, np.nan)
            self._series(self.gradients, name, values.shape[1:])[:, t] = values

    def record_rewards(self, t: int, columns: IdColumns, rewards: Floats, values: Floats) -> None:
        """Records the statistics of each agent's rewards and advantages in an update.

        Args:
            t: the update.
            columns: labels of the decisions, each [N].
            rewards: [N] what was normalized, components summed.
            values: [N] the advantages.
        """
        for name, numbers in self.numbers.of(columns, rewards, values).items():
            self._series(self.rewards, name, (self.agents,))[:, t] = numbers

    def record_choices(
        self, t: int, columns: IdColumns, play: Play, rows: Ints, probs: Floats
    ) -> None:
        """Records participation, entropy, and the influence of each agent's choices on the reward.

        Args:
            t: the update.
            columns: labels of the decisions, each [N].
            play: what was played.
            rows: [N] flat indices of the decisions.
            probs: [S, A, C, M] the joint policy.
        """
        count = self.numbers.total(columns, np.ones(len(rows)))
        information = np.log(np.where(probs > 0, probs, 1.0))
        measures = {
            "participation": count / np.prod(play.active.shape[1:3]),
            "entropy": -(probs * information).sum(axis=-1).mean(axis=-1),
            "influence": np.full(count.shape, np.nan),
        }
        if "counterfactual" in play.signals:
            reward = play.reward.ravel()[rows]
            own = reward - play.signals["counterfactual"].ravel()[rows]
            deviation = (
                reward - self.numbers.mean(columns, reward)[columns["batch"], columns["agent"]]
            )
            under = self.numbers.mean(columns, deviation**2)
            explained = self.numbers.mean(columns, own**2)
            measures["influence"] = np.divide(
                explained, under, out=np.full(under.shape, np.nan), where=under > 0
            )
        for name, numbers in measures.items():
            self._series(self.rewards, name, (self.agents,))[:, t] = numbers

    def record_evidence(self, evidence: Evidence) -> None:
        """Records signal and noise [S, V, A] of each candidate; called at every second update."""
        self.updates_of_evidence.append(evidence)

    @property
    def evidence(self) -> Evidence:
        """The evidence of all measured updates, each array [S, ceil(T / 2), V, A]."""
        return stacked(self.updates_of_evidence)

    def collapse(self) -> tuple[Bools, NDArray[np.int8]]:
        """Returns which agents are collapsed at which update, and why, [S, T, A] each.

        Influence is no evidence here: the small influence of an agent's choice is a property of the
        task, not of the scheme.
        """
        measured = collapsed_updates(self.evidence, improvable_at(self.accuracy))
        collapsed = measured.repeat(EVERY, axis=1)[:, : self.updates]
        why = {name: values for name, values in self.rewards.items() if name != "influence"}
        return collapsed, name_causes({**why, "collapsed": collapsed})

    def _series(self, into: dict[str, Floats], name: str, shape: tuple[int, ...]) -> Floats:
        """Returns the array [S, T, *shape] of that name; it is NaN until it is filled."""
        if name not in into:
            into[name] = np.full((self.seeds, self.updates, *shape), np.nan)
        return into[name]


def improvable_at(accuracy: Floats) -> Bools:
    """Returns [S, ceil(T / 2), A], whether each agent could still improve where evidence was
    measured, from its accuracies [S, T + 1, A]."""
    return np.asarray(accuracy[:, :-1:EVERY] < 1 - IMPROVABLE)


def alternatives_evidence(
    world: World,
    scheme: Scheme,
    policy: Policy,
    play: Play,
    rows: Ints,
    columns: Mapping[str, Ints],
    rewards: Floats,
    values: Floats,
    probs: Floats,
) -> Evidence:
    """Returns signal and noise [S, V, A] of one update under the scheme and other statistics.

    Args:
        world: where the team trains.
        scheme: what normalizes.
        policy: whose gradient it is.
        play: the batch.
        rows: [N] flat indices of the decisions.
        columns: their labels, each [N].
        rewards: [N] what is normalized, components summed.
        values: [N] the scheme's advantages.
        probs: [S, A, C, M] the policy that played.
    """
    others, settings = family(scheme, prompts=world.prompts > 1), world.settings
    s, a, c, m = probs.shape
    v, g = 1 + len(others), world.rollouts
    seed, agent = columns["batch"], columns["agent"]
    context, action = play.context.ravel()[rows], play.action.ravel()[rows]
    share = 1.0 / np.maximum(np.bincount(seed, minlength=s), 1)[seed]
    every = np.stack([values, *(z_scores(rewards, columns, by) for by in others)])
    every *= share  # [V, N] what each decision's score is multiplied by
    # One sum over all candidates: each candidate has cells of its own behind those of the last.
    cell = (seed * v * g + columns["rollout"]) * a * c + agent * c + context
    place = (cell + np.arange(v)[:, None] * (g * a * c)).ravel()
    taken = np.tile(action, v)
    cells = s * v * g * a * c
    logits = segment_sum(every.ravel(), place * m + taken, cells * m).reshape(cells, m)
    drawn = segment_sum(every.ravel(), place, cells).reshape(s, v * g, a, c, 1)
    logits = logits.reshape(s, v * g, a, c, m)
    # The score of an action is 1[taken] - pi: what was taken is in place, minus pi of all.
    logits -= drawn * probs[:, None]
    each = policy.squared_lengths(logits).reshape(s, v, g, a).sum(axis=2)
    whole = policy.squared_lengths(logits.reshape(s, v, g, a, c, m).sum(axis=2))
    random = (1.0 - (probs**2).sum(axis=-1))[seed, agent, context]
    who = ((seed * a + agent) + np.arange(v)[:, None] * (s * a)).ravel()

    def total(what: Floats) -> Floats:
        by_agent = segment_sum(what.ravel(), who, v * s * a).reshape(v, s, a)
        return np.swapaxes(by_agent, 0, 1)

    noise = total(every**2 * random) / g
    square = total((every / share) ** 2) / np.maximum(total(np.ones(every.shape)), 1.0)
    competing = competing_noise(noise, policy.shares_parameters or settings.optimizer == "sgd")
    competing = competing + bonus_noise(noise, square, settings.entropy)
    signal = signal_of(whole, each, g)
    return Evidence(signal, noise, competing, signal)
