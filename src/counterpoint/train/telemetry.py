"""What is measured at every update: the policies, the rewards, and each agent's gradient.

Start with `Telemetry`: three `record_*` methods, called once an update, fill arrays along T, and
`collapse` reads them at the end. Here is only bookkeeping; `diagnose` has the definitions.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import Scheme
from counterpoint.credit.segments import segment_sum
from counterpoint.diagnose import (
    ThreeNumbers,
    collapsed,
    gradient_statistics,
    name_causes,
    three_numbers,
)
from counterpoint.diagnose.agents import spike_limit
from counterpoint.diagnose.gradients import FEWEST_MICRO_BATCHES
from counterpoint.worlds.base import Bools, Evaluation, Floats, Ints, Play

WINDOW = 10
"""Updates in a row without a gradient that can be told from zero: a collapse."""
IMPROVABLE = 0.05
"""An agent that is right less often than 1 minus this could still improve."""

Columns = Mapping[str, Ints]


class Telemetry:
    """The record of one training: arrays [S, T, A] that fill up along T."""

    def __init__(self, seeds: int, updates: int, agents: int, scheme: Scheme) -> None:
        self.seeds, self.updates, self.agents, self.scheme = seeds, updates, agents, scheme
        self.gradients: dict[str, Floats] = {}
        self.rewards: dict[str, Floats] = {}
        self.returns, self.price = np.full((2, seeds, updates + 1), np.nan)
        self.accuracy, self.regret = np.full((2, seeds, updates + 1, agents), np.nan)

    def record_policy(self, t: int, found: Evaluation) -> None:
        """How good the joint policy is before update `t`, or after the last one."""
        self.returns[:, t], self.price[:, t] = found.returns, found.price
        self.accuracy[:, t], self.regret[:, t] = found.accuracy, found.regret

    def record_gradients(self, t: int, gradients: Floats, active: Bools, shared: bool) -> None:
        """What micro-batches say about each agent's gradient.

        Args:
            t: the update.
            gradients: [S, B, A, d] of each of B micro-batches.
            active: [S, B, A] whether the agent decided anything in the micro-batch. An agent that
                is absent from too many has no interval: nothing was measured.
            shared: whether the agents' d coordinates are the same parameters.
        """
        found = dict(vars(gradient_statistics(gradients)))
        if not shared:
            found["effective_rank"] = _rank_of_orthogonal(found["norm"])
        measured = active.sum(axis=1) >= FEWEST_MICRO_BATCHES
        for name, values in found.items():
            if name.startswith(("snr", "cosine")):
                values = np.where(measured, values, np.nan)
            self._series(self.gradients, name, values.shape[1:])[:, t] = values

    def record_rewards(self, t: int, columns: Columns, rewards: Floats, values: Floats) -> None:
        """What the rewards and advantages of an update say about each agent.

        Args:
            t: the update.
            columns: labels of the decisions, each [N].
            rewards: [N] what was normalized, components summed.
            values: [N] the advantages.
        """
        found = {
            **self._three_numbers(columns, rewards),
            "dead_rate": self.mean(columns, values == 0),
            "net_mass": self.mean(columns, values),
            "spike_rate": self.mean(columns, self._spikes(columns, values)),
        }
        for name, numbers in found.items():
            self._series(self.rewards, name, (self.agents,))[:, t] = numbers

    def record_choices(
        self, t: int, columns: Columns, play: Play, rows: Ints, probs: Floats
    ) -> None:
        """Who acted how often, how much choice its policy leaves, and how much the choice matters.

        Args:
            t: the update.
            columns: labels of the decisions, each [N].
            play: what was played.
            rows: [N] flat indices of the decisions.
            probs: [S, A, C, M] the joint policy.
        """
        count = self._total(columns, np.ones(len(rows)))
        information = np.log(np.where(probs > 0, probs, 1.0))
        found = {
            "participation": count / np.prod(play.active.shape[1:3]),
            "entropy": -(probs * information).sum(axis=-1).mean(axis=-1),
            "influence": np.full(count.shape, np.nan),
        }
        if "counterfactual" in play.signals:
            reward = play.reward.ravel()[rows]
            own = reward - play.signals["counterfactual"].ravel()[rows]
            deviation = reward - self.mean(columns, reward)[columns["batch"], columns["agent"]]
            under = self.mean(columns, deviation**2)
            explained = self.mean(columns, own**2)
            found["influence"] = np.divide(
                explained, under, out=np.full(under.shape, np.nan), where=under > 0
            )
        for name, numbers in found.items():
            self._series(self.rewards, name, (self.agents,))[:, t] = numbers

    def collapse(self) -> tuple[Bools, NDArray[np.int8]]:
        """Which agents are collapsed at which update, and why: [S, T, A] each."""
        improvable = self.accuracy[:, :-1] < 1 - IMPROVABLE
        found = collapsed(self.gradients["cosine_low"], improvable, WINDOW)
        return found, name_causes({**self.rewards, "collapsed": found})

    def mean(self, columns: Columns, values: NDArray[np.generic]) -> Floats:
        """[S, A] the mean of `values` [N] over each agent's decisions; NaN where it has none."""
        count = self._total(columns, np.ones(len(values)))
        out = np.full(count.shape, np.nan)
        np.divide(self._total(columns, values), count, out=out, where=count > 0)
        return out

    def _total(self, columns: Columns, values: NDArray[np.generic]) -> Floats:
        cell = columns["batch"] * self.agents + columns["agent"]
        return segment_sum(values, cell, self.seeds * self.agents).reshape(self.seeds, self.agents)

    def _series(self, into: dict[str, Floats], name: str, shape: tuple[int, ...]) -> Floats:
        """The array [S, T, *shape] called `name`; NaN until it is filled."""
        if name not in into:
            into[name] = np.full((self.seeds, self.updates, *shape), np.nan)
        return into[name]

    def _spikes(self, columns: Columns, values: Floats) -> Bools:
        """[N] whether the advantage is larger than those of normal rewards are."""
        group, n = self._groups(self.scheme.scale_by or (), columns)
        found: Bools = abs(values) > spike_limit(segment_sum(np.ones(len(group)), group, n))[group]
        return found if self.scheme.scale != "none" else np.zeros(len(values), dtype=bool)

    def _three_numbers(self, columns: Columns, rewards: Floats) -> dict[str, Floats]:
        """Offsets in the groups that share a center, the rest in those that share a scale."""
        center_by, scale_by = self.scheme.center_by, self.scheme.scale_by or ()
        centered = scaled = self._over(center_by, columns, rewards)
        if scale_by != center_by:
            if self.scheme.scale_of == "centered":
                group, n = self._groups(center_by, columns)
                count = np.maximum(np.bincount(group, minlength=n), 1)
                rewards = rewards - (segment_sum(rewards, group, n) / count)[group]
            scaled = self._over(scale_by, columns, rewards)
        return {
            "norm_inflation": scaled.norm_inflation,
            "inflation": centered.inflation,
            "signal_share": scaled.signal_share,
        }

    def _over(self, by: tuple[str, ...], columns: Columns, rewards: Floats) -> ThreeNumbers:
        group, n = self._groups(by, columns)
        agent, batch = columns["agent"], columns["batch"]
        n_groups = n // self.seeds
        return three_numbers(
            rewards, group % n_groups, agent, n_groups, self.agents, batch, self.seeds
        )

    def _groups(self, by: tuple[str, ...], columns: Columns) -> tuple[Ints, int]:
        """Group [N] of each decision, seeds apart, and how many groups there can be."""
        group, n = columns["batch"], self.seeds
        for label in by:
            column = columns.get(label, columns["agent"] if label == "role" else None)
            if column is not None:
                size = int(column.max(initial=0)) + 1
                group, n = group * size + column, n * size
        return group, n


def _rank_of_orthogonal(norm: Floats) -> Floats:
    """Effective rank [...] of gradients [..., A] that share no parameter: exp entropy of shares."""
    total = norm.sum(axis=-1, keepdims=True)
    share = norm / np.where(total > 0, total, 1.0)
    entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=-1)
    return np.where(total[..., 0] > 0, np.exp(entropy), 0.0)
