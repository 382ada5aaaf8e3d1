"""A log with its ids: which rows share an agent, a step, a prompt, a rollout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit.labels import Labels, factorize
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import NUMPY, segment_min
from counterpoint.errors import LabelError, RewardError
from counterpoint.records import Decisions

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Log:
    """Decisions with dense integer ids; a *block* is one prompt at one step."""

    decisions: Decisions
    labels: Labels
    """The label columns, with the step as `batch`: steps never share a statistic."""
    agents: tuple[str, ...]
    """[A] names in order of first appearance."""
    agent: Ids
    """[N] agent of each row."""
    steps: NDArray[Any]
    """[T] training updates in order; a single 0 where the log has none."""
    step: Ids
    """[N] index into `steps` of each row."""
    block: Ids
    """[N] prompt and step of each row."""
    n_blocks: int
    """Number of blocks."""
    rollout: Ids
    """[N] rollout of each row; a rollout belongs to one block."""
    n_rollouts: int
    """Number of rollouts."""

    @classmethod
    def of(cls, decisions: Decisions) -> Log:
        """Number the rows of `decisions`.

        Raises:
            RewardError: there is no row, or a reward is infinite.
            LabelError: there is no `agent` or no `rollout` column, or a label is missing.
        """
        if not len(decisions):
            raise RewardError("got no decisions; wanted at least one row")
        if np.isinf(decisions.rewards).any():
            raise RewardError("got an infinite reward; wanted finite ones, or NaN where missing")
        for name in ("agent", "rollout"):
            if name not in decisions.labels:
                raise LabelError(
                    f"got labels {sorted(decisions.labels)}; a diagnosis also needs '{name}'"
                )
        step = np.zeros(len(decisions), np.int64) if decisions.step is None else decisions.step
        steps, numbered = np.unique(step, return_inverse=True)
        labels = Labels({**decisions.labels, "batch": numbered}, len(decisions), NUMPY)
        agent, first = dense(*factorize(np.asarray(decisions.labels["agent"])), order="appearance")
        block, blocks = dense(*_ids(labels, "prompt"))
        rollout, rollouts = dense(*_ids(labels, "prompt", "rollout"))
        names = tuple(str(name) for name in np.asarray(decisions.labels["agent"])[first])
        if len(set(names)) < len(names):
            raise LabelError(f"got agents {names}; wanted names that differ as text")
        return cls(
            decisions, labels, names, agent, steps, numbered.astype(np.int64), block, len(blocks),
            rollout, len(rollouts),
        )  # fmt: skip

    def components(self, scheme: Scheme) -> Floats:
        """[N, K] the components as `scheme` is given them.

        A component of which an agent has no value in the whole log is no part of its reward: where
        components are summed it adds 0. Single missing values stay NaN.
        """
        values = self.decisions.rewards
        if scheme.components == "normalize_first" or not np.isnan(values).any():
            return values
        given = np.zeros((len(self.agents), values.shape[1]), dtype=bool)
        np.logical_or.at(given, self.agent, ~np.isnan(values))
        never = ~given & given.any(axis=1, keepdims=True)
        return np.where(never[self.agent], 0.0, values)

    def rewards(self, scheme: Scheme) -> Floats:
        """[N] one reward a row, as `scheme` adds the components; NaN where it leaves the row out.

        Components that the scheme normalizes first enter on one scale: divided by their deviation
        in their step.
        """
        values = self.components(scheme)
        weights = np.ones(values.shape[1]) if scheme.weights is None else np.array(scheme.weights)
        if scheme.components == "normalize_first":
            values = np.stack([standardized(c, self.step, len(self.steps)) for c in values.T], 1)
            missing = np.isnan(values)
            total = np.where(missing, 0.0, values) @ weights
            return np.where(missing.all(axis=1), np.nan, total)
        if scheme.missing == "as_zero":
            values = np.nan_to_num(values)
        total = np.zeros(len(values))
        for component, weight in zip(values.T, weights, strict=True):
            total += weight * component
        return total


def dense(ids: Ids, n: int, order: str = "value") -> tuple[Ids, Ids]:
    """Ids without gaps [N], by value or by first appearance, and the first row of each."""
    first = segment_min(np.arange(len(ids)), ids, n)
    present = np.flatnonzero(np.isfinite(first))
    if order == "appearance":
        present = present[np.argsort(first[present])]
    place = np.zeros(n, dtype=np.int64)
    place[present] = np.arange(len(present))
    return place[ids], first[present].astype(np.int64)


def standardized(values: Floats, ids: Ids, n: int) -> Floats:
    """[N] values minus their segment's mean, over its deviation; 0 in constant segments."""
    ok = ~np.isnan(values)
    count = np.maximum(np.bincount(ids[ok], minlength=n), 1)
    mean = np.bincount(ids[ok], weights=values[ok], minlength=n) / count
    deviation = values - mean[ids]
    deviation[abs(deviation) <= 1e-12 * abs(mean[ids])] = 0.0
    var = np.bincount(ids[ok], weights=deviation[ok] ** 2, minlength=n) / count
    return np.divide(deviation, np.sqrt(np.where(var > 0, var, 1.0))[ids])


def _ids(labels: Labels, *by: str) -> tuple[Ids, int]:
    groups = labels.groups(by)
    return np.asarray(groups.ids), groups.n
