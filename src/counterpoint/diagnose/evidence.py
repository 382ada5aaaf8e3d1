"""Signal and noise of every agent's gradient, under a scheme and under the alternatives.

Start with `Evidence` and `family`. Gradients are linear in advantages: a trainer that has the
gradient of each micro-batch under one scheme has it under all of them, without new rollouts.
`kept.py` turns the evidence of many updates into two numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats, Ints
from counterpoint.credit import Scheme
from counterpoint.credit.groups import ROUNDING
from counterpoint.credit.segments import segment_mean

By = tuple[str, ...]
FAMILY: dict[str, By] = {
    "pooled": (),
    "per agent": ("agent",),
    "per prompt": ("prompt",),
    "per prompt and agent": ("prompt", "agent"),
}
"""The statistics with which a scheme is compared: z-scores of this batch's rows by these labels."""

Number = float | Sequence[float | None] | None
"""One measurement of an agent in a row of a series; evidence is a list [V] over candidates."""

BONUS = 10.0
"""Advantages of this many times the weight of the entropy bonus are as strong as the bonus: its
pull on a logit is about its weight, and theirs a tenth of their size where an agent's choice
explains a hundredth of its reward's variance."""


SAVED_NAMES = {
    "signal": "kept.signal",
    "noise": "kept.noise",
    "competing": "kept.heard",
    "power": "kept.power",
}
"""Each array of `Evidence` to its key in a row of a series."""


@dataclass(frozen=True)
class Evidence:
    """Signal and noise of each agent's gradient, update by update, under each candidate.

    Candidate 0 is the scheme that trains, the others are of `FAMILY`. All are [..., T, V, A]; a
    dead update has 0 everywhere, an update that was not measured has NaN.
    """

    signal: Floats
    """Power of the signal, measured; or, if `known`, the factor of each candidate on it."""
    noise: Floats
    """Power of the agent's own noise."""
    competing: Floats
    """Power of the noise with which the agent's signal competes."""
    power: Floats
    """Measured power of the signal; `signal` itself if that is measured."""
    known: bool = False
    """Whether candidates only multiply the same signal by a known number."""

    def of_agents(self, order: Sequence[int]) -> Evidence:
        """Returns the same with the agents in another order."""
        parts = {name: getattr(self, name)[..., order] for name in SAVED_NAMES}
        return Evidence(**parts, known=self.known)


def family(scheme: Scheme, *, prompts: bool = True) -> tuple[By, ...]:
    """Returns the labels of the statistics with which a scheme is compared, without its own.

    Without `prompts`, groups by prompt are the whole batch and are left out.
    """
    return tuple(
        by for by in FAMILY.values()
        if scheme != Scheme(center_by=by) and (prompts or "prompt" not in by)
    )  # fmt: skip


def z_scores(rewards: Floats, columns: Mapping[str, Ints], by: By) -> Floats:
    """Returns [N] the z-scores of rewards in their groups, as `Scheme(center_by=by)` gives them.

    Constant groups and missing rewards (NaN) give 0. It is the kernel's arithmetic without its
    guards, for the four times an update that a trainer asks. `columns` are ids [N] by label;
    `batch`, where given, keeps seeds apart.
    """
    labels = [columns[name] for name in ("batch", *by) if name in columns]
    group, n = np.zeros(len(rewards), dtype=np.int64), 1
    for label in labels:
        size = int(label.max(initial=0)) + 1
        group, n = group * size + label, n * size
    there = np.isfinite(rewards)
    values, ids = (rewards, group) if there.all() else (rewards[there], group[there])
    some = np.zeros(n)
    some[ids] = values  # any value of the group; distances from it keep the digits
    apart = values - some[ids]
    apart -= segment_mean(apart, ids, n)[ids]
    deviation = np.sqrt(segment_mean(apart**2, ids, n))
    constant = deviation <= ROUNDING * np.finfo(np.float64).eps * abs(some)
    scaled = np.where(constant[ids], 0.0, apart / np.where(constant, 1.0, deviation)[ids])
    if len(scaled) == len(rewards):
        return scaled
    out = np.zeros(len(rewards))
    out[there] = scaled
    return out


def signal_power(gradients: NDArray[Any]) -> Floats:
    """Returns the signal's power [..., A]: M times the mean inner product of two micro-batches.

    It is the power in the whole batch's gradient, in the unit of one micro-batch's noise, from
    gradients [..., M, A, D] of M >= 2 micro-batches.
    """
    values = np.asarray(gradients, dtype=np.float64)
    total = values.sum(axis=-3)
    lengths = np.einsum("...mad,...mad->...a", values, values)
    return signal_of(np.einsum("...ad,...ad->...a", total, total), lengths, values.shape[-3])


def signal_of(whole: Floats, lengths: Floats, count: int) -> Floats:
    """Returns the same from squared lengths: of the sum, and summed over `count` micro-batches."""
    return (whole - lengths) / (count - 1)


def competing_noise(noise: Floats, together: bool) -> Floats:
    """Returns [..., A] the noise that each agent's signal competes with, from each agent's own.

    Noise meets where agents share parameters, or a step size that does not adapt to each
    (`together`).
    """
    return np.maximum(noise, noise.mean(axis=-1, keepdims=True)) if together else noise


def bonus_noise(noise: Floats, mean_square: Floats, entropy: float) -> Floats:
    """Returns [..., A] the noise that an entropy bonus of weight `entropy` adds.

    `noise` is that of advantages with this mean square, which is NaN or 0 where there are none.
    """
    known = np.where(mean_square > 0, mean_square, 1.0)
    return np.where(mean_square > 0, noise * (BONUS * entropy) ** 2 / known, 0.0)


def stacked(updates: Sequence[Evidence]) -> Evidence:
    """Returns the evidence of updates one after another, each [S, V, A], as [S, T, V, A]."""
    parts = {n: np.stack([getattr(one, n) for one in updates], axis=1) for n in SAVED_NAMES}
    return Evidence(**parts, known=updates[0].known)


def joined_trainings(trainings: Sequence[Evidence]) -> Evidence:
    """Returns the evidence of trainings of the same scheme, each [S, T, V, A], as one."""
    parts = {n: np.concatenate([getattr(one, n) for one in trainings]) for n in SAVED_NAMES}
    return Evidence(**parts, known=trainings[0].known)


def to_numbers(evidence: Evidence, k: int) -> dict[str, list[float]]:
    """Returns one update's evidence [V, A] of agent k as lists [V], for a row of a series."""
    return {
        key: getattr(evidence, name)[:, k].tolist()
        for name, key in SAVED_NAMES.items()
        if evidence.known or name != "power"
    }


def from_numbers(rows: Sequence[Sequence[Sequence[Mapping[str, Number]]]], agents: int) -> Evidence:
    """Returns the evidence [S, T, V, A] of rows `[S][T][A]`; NaN if nothing was measured."""
    measured = [n.get("kept.signal") for one in rows for row in one for n in row]
    candidates = max((len(one) for one in measured if isinstance(one, list) and one), default=1)
    known = any("kept.power" in n for one in rows for row in one for n in row)
    unknown = [np.nan] * candidates

    def part(name: str) -> Floats:
        key = SAVED_NAMES[name]
        values = [[[n.get(key) or unknown for n in row] for row in one] for one in rows]
        shape = (len(rows), len(rows[0]) if rows else 0, agents, candidates)
        return np.swapaxes(np.array(values, dtype=np.float64).reshape(shape), -1, -2)

    signal, noise, competing = part("signal"), part("noise"), part("competing")
    return Evidence(signal, noise, competing, part("power") if known else signal, known)
