"""Shares of variance: the sum of squares of each factor of a design, over their total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import StatisticsError
from counterpoint.stats.estimate import Estimate

SOURCES = ("topology", "prompt", "order", "interaction", "residual")
"""The sources of variance: a topology; a prompt; an order within its topology; the two interactions
topology x prompt and order x prompt; and what is left, which is seeds."""


@dataclass(frozen=True)
class Share:
    """One share of the total sum of squares."""

    share: Estimate
    """The share, 0 to 1, with an interval over seeds."""
    chance: float
    """The mean share if scores are shuffled over the cells of each seed: its value without any
    effect."""


def variance_shares(
    scores: Sequence[Floats],
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
    shuffles: int = 200,
    level: float = 0.95,
) -> dict[str, Share]:
    """Returns the share of each of `SOURCES`; the shares add up to 1.

    Topology x prompt is a balanced two-way design of the means over orders; orders are a factor
    within each topology that has several, and weigh as much together as the single order of
    another. With one order each that is a two-way analysis of variance, and a share is eta squared.

    Args:
        scores: `[T][P, O_t, S]` for each topology: prompts, orders of that topology, seeds.
        rng: resampling of seeds, and shuffling.
        resamples: of the seeds.
        shuffles: for what chance gives.
        level: of the intervals.

    Raises:
        StatisticsError: shapes that do not fit, fewer than two seeds, or scores that never vary.

    Source: Fisher, Statistical Methods for Research Workers (1925); nesting as in Scheffé, The
    Analysis of Variance (1959), chapter 5.
    """
    values = [np.asarray(one, dtype=np.float64) for one in scores]
    if not values or any(one.ndim != 3 or 0 in one.shape for one in values):
        raise StatisticsError("got no scores; wanted [prompts, orders, seeds] of each topology")
    if len({(one.shape[0], one.shape[2]) for one in values}) > 1:
        raise StatisticsError(
            "got topologies with other prompts or seeds; wanted a balanced design"
        )
    if not all(np.isfinite(one).all() for one in values):
        raise StatisticsError("got a score that is not finite; wanted finite scores")
    seeds = values[0].shape[2]
    if seeds < 2:
        raise StatisticsError(f"got {seeds} seed; wanted at least 2")
    observed = _shares(values)
    if observed is None:
        raise StatisticsError("got scores that never vary; wanted some that do")
    drawn = [_shares([one[:, :, pick] for one in values])
             for pick in rng.integers(seeds, size=(resamples, seeds))]  # fmt: skip
    boots = np.array([one for one in drawn if one is not None])
    shuffled = [_shares(_shuffled(values, rng)) for _ in range(shuffles)]
    chance = np.mean([one for one in shuffled if one is not None], axis=0)
    low, high = np.quantile(boots, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {
        name: Share(
            Estimate(float(observed[i]), float(low[i]), float(high[i]), seeds), float(chance[i])
        )
        for i, name in enumerate(SOURCES)
    }


def _shares(values: Sequence[Floats]) -> Floats | None:
    """Returns [5] the shares, or None where nothing varies."""
    means = np.stack([one.mean(axis=1) for one in values])  # [T, P, S]
    grand, cells = means.mean(), means.mean(axis=2)
    count = means.shape
    by_topology, by_prompt = cells.mean(axis=1), cells.mean(axis=0)
    total = ((means - grand) ** 2).sum()
    order = crossed = 0.0
    for one in values:
        # Orders of one topology weigh as much together as the single order of another.
        total += ((one - one.mean(axis=1, keepdims=True)) ** 2).mean(axis=1).sum()
        cell = one.mean(axis=2)  # [P, O]
        seated, prompted = cell.mean(axis=0), cell.mean(axis=1)
        order += count[1] * count[2] * ((seated - cell.mean()) ** 2).mean()
        mixed = cell - seated - prompted[:, None] + cell.mean()
        crossed += count[2] * (mixed**2).mean(axis=1).sum()
    if total <= 1e-24 * max(1.0, grand**2) * means.size:
        return None
    topology = count[1] * count[2] * ((by_topology - grand) ** 2).sum()
    prompt = count[0] * count[2] * ((by_prompt - grand) ** 2).sum()
    mixed = cells - by_topology[:, None] - by_prompt + grand
    interaction = count[2] * (mixed**2).sum() + crossed
    explained = np.array([topology, prompt, order, interaction]) / total
    return np.append(explained, max(0.0, 1 - explained.sum()))


def _shuffled(values: Sequence[Floats], rng: np.random.Generator) -> list[Floats]:
    """Returns the same scores, anywhere within their seed."""
    shapes = [one.shape for one in values]
    flat = np.concatenate([one.reshape(-1, shapes[0][2]) for one in values])
    mixed = rng.permuted(flat, axis=0)
    ends = np.cumsum([p * o for p, o, _ in shapes])[:-1]
    parts = np.split(mixed, ends)
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
