"""The cause of an agent's collapse, by name, and its remedy.

Each cause is a factor by which it divides the agent's gradient signal-to-noise (in power), so
that their thresholds can be compared: a factor of 4 is paid back by 4 times the rollouts. Start
at `name_causes`. `bench/calibrate.py` measures how often each threshold is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import StatisticsError

CAUSES = ("", "DEAD", "DROWNED", "DILUTED", "OFFSET", "SPIKY", "LAZY")
"""Cause names by the index that `name_causes` returns; index 0 is none."""

CAUSE_WORDS = {
    "DEAD": "dead groups",
    "DROWNED": "variance mismatch",
    "OFFSET": "baseline offset",
    "SPIKY": "advantage spikes",
    "DILUTED": "credit noise",
    "LAZY": "no exploration",
}
"""Each cause in the words of the field."""

REMEDIES: dict[str, str] = {
    "DEAD": "Its own reward does not vary in most of its groups, so most decisions carry no "
    "signal. Take more rollouts a prompt, give partial credit or rewards for components, or drop "
    "prompts that are always or never solved. Smaller groups (per prompt and agent) make this "
    "worse; larger ones help only where the agent's own reward varies in them.",
    "DROWNED": "It shares a scale with rewards that vary far more than its own, so its advantages "
    "are close to 0. Normalize per agent (or per prompt), and consider the cost: equal scales "
    "give quiet agents a part of the loud agents' step.",
    "DILUTED": "Its own choices explain little of its reward, under every normalization. Give it a "
    "reward component of its own, a difference reward, or a counterfactual baseline.",
    "OFFSET": "Its rewards lie far from the mean that is subtracted, so every one of its samples "
    "is pushed the same way. Subtract a per-agent mean (or one per prompt and agent); the scale "
    "may stay shared.",
    "SPIKY": "Single advantages are out of proportion to the rewards, because the running "
    "statistics lag behind the rewards. Use statistics of the batch, a faster memory, or a floor "
    "on the scale.",
    "LAZY": "It always does the same thing, so it explores nothing that could be reinforced. "
    "Raise the entropy bonus or restart its policy; no normalization changes this.",
}
"""What to do about each cause. It is often not decoupling."""


@dataclass(frozen=True)
class Thresholds:
    """From where on a number is a cause."""

    dead_rate: float
    """DEAD from this share of decisions without advantage: a factor 1 / (1 - rate) of samples."""
    inflation: float
    """OFFSET from this `inflation`, which is the factor itself."""
    drowning: float
    """DROWNED where the mean of all agents' own variances is this many times the agent's: in
    shared parameters, the factor by which the others' noise exceeds its own."""
    spike_rate: float = 0.001
    """SPIKY from this share of decisions with a spike; normal rewards give less than 10^-6."""
    influence: float = 0.125
    """DILUTED below this share of reward variance explained by the agent's own choice: a factor
    8, as for one of 8 equal contributors."""
    entropy_nats: float = 0.05
    """LAZY below this policy entropy: about 1 decision in 100 differs from the usual one."""


EXPLAINS = Thresholds(dead_rate=0.75, inflation=4.0, drowning=10.0)
"""For agents whose gradient is known to have collapsed: what is large enough to explain it. All
three are factors that ten times the rollouts would pay back."""

LEAST_DROWNING = 4.0
"""A variance mismatch of this factor alone makes an agent lose so much signal that it counts as
collapsed; it is the cause where nothing else explains the loss."""

SUFFICES = Thresholds(dead_rate=0.75, inflation=8.0, drowning=50.0)
"""For rewards alone: what is large enough to cause a collapse. In the regions world with shared
parameters, an inflation of 8 and a drowning of 50 are where loud rewards x3 lead, at a loss of .06
accuracy (x2: .04, x4: .11); they name 98% and 95% of the runs that lose more than .15. Separate
parameters with Adam bear about five times as much, which rewards cannot show."""


def name_causes(evidence: Mapping[str, ArrayLike]) -> NDArray[np.int8]:
    """Returns the cause of each agent's collapse, as an index into `CAUSES`.

    In order: DEAD (no signal arrives), LAZY (no choice to reinforce), the larger of OFFSET and
    DROWNED, SPIKY, DILUTED, where nothing that normalization does explains it, and last, in agents
    that are known to have collapsed, a smaller DROWNED (`LEAST_DROWNING`). Evidence that is absent
    or NaN supports no cause.

    Args:
        evidence: arrays [..., A] that broadcast against each other, any of: `dead_rate`,
            `inflation`, `signal_share`, `participation` (weighs the agents' variances in
            DROWNED), `norm_inflation` (with `signal_share`, the inflation as a ratio of averages
            over groups, which is then used: single groups can be extreme by chance),
            `spike_rate`, `influence`, `entropy` (nats), and `collapsed` (bool): where given, only
            collapsed agents get a cause, by `EXPLAINS`; else any agent may, by `SUFFICES`.

    Returns:
        int8 [..., A].

    Raises:
        StatisticsError: no evidence, or shapes that do not broadcast.
    """
    given = {name: np.asarray(values, dtype=np.float64) for name, values in evidence.items()}
    try:
        shape = np.broadcast_shapes(*(values.shape for values in given.values()))
    except ValueError as error:
        shapes = {name: values.shape for name, values in given.items()}
        raise StatisticsError(f"got evidence of shapes {shapes}; wanted [..., A] each") from error
    if not shape:
        raise StatisticsError("got no evidence for any agent; wanted arrays [..., A]")
    e = {name: np.broadcast_to(values, shape) for name, values in given.items()}
    unknown = np.full(shape, np.nan)
    limit = EXPLAINS if "collapsed" in e else SUFFICES
    share, inflation = e.get("signal_share", unknown), e.get("inflation", unknown)
    if "norm_inflation" in e:  # a ratio of averages: single groups can be extreme by chance
        inflation = e["norm_inflation"] / np.where(share > 0, share, np.nan)
    offset = inflation - 1.0
    mismatch = drowning(share, e.get("participation"))
    offset = np.where(offset >= limit.inflation - 1.0, offset, 0.0)
    drown = np.where((mismatch >= limit.drowning) & np.isfinite(mismatch), mismatch, 0.0)
    rules = (
        ("DEAD", e.get("dead_rate", unknown) >= limit.dead_rate),
        ("LAZY", e.get("entropy", unknown) <= limit.entropy_nats),
        ("DROWNED", drown > offset),
        ("OFFSET", offset > 0),
        ("SPIKY", e.get("spike_rate", unknown) >= limit.spike_rate),
        ("DILUTED", e.get("influence", unknown) < limit.influence),
        ("DROWNED", ("collapsed" in e) & (mismatch >= LEAST_DROWNING) & np.isfinite(mismatch)),
    )
    concerned = e.get("collapsed", np.ones(shape)) == 1
    causes = np.zeros(shape, dtype=np.int8)
    for name, holds in reversed(rules):
        causes[holds & concerned] = CAUSES.index(name)
    return causes


def drowning(signal_share: Floats, participation: Floats | None = None) -> Floats:
    """Returns the mean of the agents' own variances over agent k's: W / sigma_k^2.

    The pooled variance is W + B: W within agents, B between their means. Dividing by sigma_k^2
    leaves the effect of the others' *noise* on agent k; the offsets B belong to OFFSET.

    Args:
        signal_share: [..., A] sigma_k^2 / sigma^2; NaN for agents without samples.
        participation: [..., A] weight of each agent in the mean, or None for equal weights.

    Returns:
        [..., A]; inf where sigma_k = 0 beside others that vary, NaN where it is undefined.
    """
    weight = np.ones_like(signal_share) if participation is None else np.asarray(participation)
    weight = np.where(np.isnan(signal_share) | np.isnan(weight), 0.0, weight)
    share = np.where(weight > 0, signal_share, 0.0)
    total = weight.sum(axis=-1, keepdims=True)
    within = (weight * share).sum(axis=-1, keepdims=True) / np.where(total > 0, total, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.isnan(signal_share), np.nan, within / signal_share)
