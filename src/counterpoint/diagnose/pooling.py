"""The three numbers of a log under a scheme: over the groups, and of the values, that it uses.

Each step is a call of its own. Where the scheme centers and scales by different labels, offsets
are judged in the groups of the center, and the share of the scale in those of the scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.credit import Scheme, advantages
from counterpoint.credit.rewards import Rewards
from counterpoint.credit.segments import segment_sum
from counterpoint.diagnose.inflation import Sharing, ThreeNumbers, sharing, three_numbers
from counterpoint.diagnose.log import Ids, Log


def pooled_numbers(log: Log, scheme: Scheme) -> tuple[ThreeNumbers, ThreeNumbers, Sharing]:
    """The three numbers over the log [1, A] and at each step [T, A]; what sharing costs [A]."""
    columns = entering(log, scheme)
    weight = _weights(log, scheme)
    center: Ids = np.asarray(log.labels.groups(scheme.center_by).ids)
    offsets = _Table(log, columns, center, weight)
    if scheme.center_by == scheme.scale_by:
        return offsets.numbers(False), offsets.numbers(True), offsets.sharing()
    if scheme.scale_of == "centered":
        columns = [_without_mean(values, center) for values in columns]
    scale: Ids = np.asarray(log.labels.groups(scheme.scale_by or ()).ids)
    scales = _Table(log, columns, scale, weight)
    return (
        replace(scales.numbers(False), inflation=offsets.numbers(False).inflation),
        replace(scales.numbers(True), inflation=offsets.numbers(True).inflation),
        replace(scales.sharing(), inflation=offsets.sharing().inflation),
    )


@dataclass(frozen=True)
class _Table:
    """Reward columns below each other, each with groups of its own."""

    log: Log
    columns: list[Floats]
    group: Ids
    weight: Floats

    def numbers(self, by_step: bool) -> ThreeNumbers:
        values, group, agent, weight, groups = self._rows()
        step = np.tile(self.log.step, len(self.columns)) if by_step else None
        steps = len(self.log.steps) if by_step else 1
        return three_numbers(
            values, group, agent, groups, len(self.log.agents), step, steps, weight
        )

    def sharing(self) -> Sharing:
        values, group, agent, weight, groups = self._rows()
        rollout = np.tile(self.log.rollout, len(self.columns))
        return sharing(values, group, agent, rollout, groups, len(self.log.agents), weight)

    def _rows(self) -> tuple[Floats, Ids, Ids, Floats, int]:
        k, n = len(self.columns), int(self.group.max()) + 1
        group = np.concatenate([self.group + n * column for column in range(k)])
        agent, weight = np.tile(self.log.agent, k), np.tile(self.weight, k)
        return np.concatenate(self.columns), group, agent, weight, n * k


def entering(log: Log, scheme: Scheme) -> list[Floats]:
    """The columns that the scheme normalizes: [N] the values with which rows enter their groups.

    A value is ranked, or the rollout's, as the scheme has it. Under trajectory weighting it is the
    mean of the agent's own rows of the rollout: the mean of all of them would make every agent
    look like the team, however loud another one is in it. NaN is a row that is left out.
    """
    read = Rewards.read(log.components(scheme), scheme)
    given = [c.values if c.ok is None else np.where(c.ok, c.values, np.nan) for c in read.columns()]
    if (scheme.transform, scheme.weighting, scheme.rollout_reward) == ("identity", "step", "mean"):
        return given
    parts = np.split(read.values, read.n_columns, axis=1)  # all that are summed, or one by one
    own = ("agent",) if scheme.transform == "identity" else ()
    plain = Scheme(
        center_by=(*scheme.center_by, *own),
        weights=read.weights if scheme.components == "sum_first" else None,
        missing=scheme.missing,
        transform=scheme.transform,
        weighting=scheme.weighting,
        rollout_reward=scheme.rollout_reward,
        gamma=scheme.gamma,
        center="none",
        scale="none",
    )
    values = [np.asarray(advantages(part, log.columns, plain).values) for part in parts]
    return [np.where(np.isnan(g), np.nan, v) for g, v in zip(given, values, strict=True)]


def _weights(log: Log, scheme: Scheme) -> Floats:
    """[N] how much a row counts: 1, or 1 / the rows of its rollout in its group."""
    if scheme.weighting == "step":
        return np.ones(len(log.agent))
    others = (name for name in scheme.center_by if name != "prompt")
    group: Ids = np.asarray(log.labels.groups((*others, "prompt", "rollout")).ids)
    given = ~np.isnan(log.rewards(scheme))
    weight: Floats = 1.0 / np.maximum(np.bincount(group, weights=given), 1.0)
    return weight[group]


def _without_mean(values: Floats, ids: Ids) -> Floats:
    ok = ~np.isnan(values)
    n = int(ids.max()) + 1
    count = np.maximum(np.bincount(ids[ok], minlength=n), 1)
    mean = segment_sum(values[ok], ids[ok], n) / count
    centered: Floats = values - mean[ids]
    return centered
