"""What is measured at every update: the policies, the rewards, and each agent's gradient.

Start with `Telemetry`: three `record_*` methods, called once an update, fill arrays along T, and
`collapse` reads them at the end. Here is only bookkeeping; `diagnose` has the definitions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.credit import Scheme
from counterpoint.diagnose import collapsed_updates, gradient_statistics, name_causes
from counterpoint.diagnose.evidence import Evidence, stacked
from counterpoint.diagnose.gradients import FEWEST_MICRO_BATCHES, rank_of_orthogonal
from counterpoint.diagnose.updates import IdColumns, UpdateNumbers
from counterpoint.worlds.exact.world import Evaluation, Play

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

    def record_policy(self, t: int, found: Evaluation) -> None:
        """How good the joint policy is before update `t`, or after the last one."""
        self.returns[:, t], self.weighted_returns[:, t] = found.returns, found.weighted_returns
        self.accuracy[:, t], self.regret[:, t] = found.accuracy, found.regret

    def record_gradients(self, t: int, gradients: Floats, active: Bools, shared: bool) -> None:
        """What micro-batches say about each agent's gradient.

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
        """What the rewards and advantages of an update say about each agent.

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
        """Who acted how often, how much choice its policy leaves, and how much the choice matters.

        Args:
            t: the update.
            columns: labels of the decisions, each [N].
            play: what was played.
            rows: [N] flat indices of the decisions.
            probs: [S, A, C, M] the joint policy.
        """
        count = self.numbers.total(columns, np.ones(len(rows)))
        information = np.log(np.where(probs > 0, probs, 1.0))
        found = {
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
            found["influence"] = np.divide(
                explained, under, out=np.full(under.shape, np.nan), where=under > 0
            )
        for name, numbers in found.items():
            self._series(self.rewards, name, (self.agents,))[:, t] = numbers

    def record_evidence(self, found: Evidence) -> None:
        """Signal and noise under each candidate, each [S, V, A], of the first update and every
        second one after it."""
        self.updates_of_evidence.append(found)

    @property
    def evidence(self) -> Evidence:
        """The same of all measured updates, each [S, ceil(T / 2), V, A]."""
        return stacked(self.updates_of_evidence)

    def collapse(self) -> tuple[Bools, NDArray[np.int8]]:
        """Which agents are collapsed at which update, and why: [S, T, A] each.

        Influence is no evidence here: how little an agent's choice matters is the task's doing,
        not the scheme's.
        """
        measured = collapsed_updates(self.evidence, improvable_at(self.accuracy))
        collapsed = measured.repeat(EVERY, axis=1)[:, : self.updates]
        why = {name: values for name, values in self.rewards.items() if name != "influence"}
        return collapsed, name_causes({**why, "collapsed": collapsed})

    def _series(self, into: dict[str, Floats], name: str, shape: tuple[int, ...]) -> Floats:
        """The array [S, T, *shape] called `name`; NaN until it is filled."""
        if name not in into:
            into[name] = np.full((self.seeds, self.updates, *shape), np.nan)
        return into[name]


def improvable_at(accuracy: Floats) -> Bools:
    """[S, ceil(T / 2), A] whether each agent could still improve where evidence was measured, from
    its accuracies [S, T + 1, A]."""
    return np.asarray(accuracy[:, :-1:EVERY] < 1 - IMPROVABLE)
