"""Paired differences of scores between 0 and 1: an interval that holds for ties, and a decision.

Start with `paired_decision`. Two ways of work on the same tasks often score the same, and a
bootstrap of such differences has no width. `bounded_difference` is the interval of Agresti and Min:
it adds half a task to each of the four outcomes of a pair, so that ties alone are never certainty.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from counterpoint.arrays import Floats
from counterpoint.errors import StatisticsError
from counterpoint.stats.checks import confidence, finite_array
from counterpoint.stats.decision import POWER
from counterpoint.stats.estimate import Estimate
from counterpoint.stats.significance import sign_flip_test

Outcome = Literal["better", "not worse", "worse", "cannot tell"]
ADDED = 2
"""Tasks that the interval adds: half a task where the first wins, half where it loses, and one
tie."""
ADDED_SQUARES = 1.0
"""Sum of the squared differences of the added tasks."""
MOST_NEEDED = 1_000_000
"""A larger number of tasks is no plan: none is named."""


@dataclass(frozen=True)
class PairedDecision:
    """What paired scores decide."""

    decision: Outcome
    """`better` and `worse` are statistically significant; `not worse` excludes a loss as large as
    the margin."""
    difference: Estimate
    """The mean difference with its interval; n is the number of tasks."""
    p: float
    """Two-sided p-value of the sign-flip test that there is no difference."""
    more: int | None
    """About how many more tasks would decide, as `more_tasks` says; None where it is decided, or
    where that would take more than a million tasks."""


def bounded_difference(differences: ArrayLike, level: float = 0.95) -> Estimate:
    """Returns the mean of paired differences of scores from 0 to 1, with its interval.

    Args:
        differences: [n] first score less second score of each task, from -1 to 1.
        level: the share that the interval aims to cover.

    Returns:
        The mean difference; the interval lies within [-1, 1].

    Raises:
        StatisticsError: There is no difference, or one is outside [-1, 1].

    Source: Agresti and Min, Statistics in Medicine 24 (2005) 729-740, "Wald +2"; for scores between
    0 and 1 the variance is the one of the same formula.
    """
    confidence(level)
    values = _bounded(differences)
    mean = float(values.mean())
    low, high = _ends(mean, float((values**2).mean()), len(values), level)
    return Estimate(mean, min(low, mean), max(high, mean), len(values))


def paired_decision(
    differences: ArrayLike, *, margin: float, rng: np.random.Generator, level: float = 0.95
) -> PairedDecision:
    """Decides whether the first of two ways of work is better than the second on the same tasks.

    It is better or worse if the whole interval is on that side of 0 and the sign-flip test agrees.
    It is not worse if the whole interval is above `-margin`.

    Args:
        differences: [n] first score less second score of each task, from -1 to 1.
        margin: the largest loss that does not matter, in the unit of the scores.
        rng: advanced where the test draws signs at random.
        level: the share that the interval aims to cover; the test has the complementary level.

    Raises:
        StatisticsError: as `bounded_difference`, or the margin is not from 0 to 1.
    """
    if not 0 <= margin <= 1:
        raise StatisticsError(f"got a margin of {margin}; wanted a number from 0 to 1")
    values = _bounded(differences)
    interval = bounded_difference(values, level)
    p = sign_flip_test(values, rng=rng).p if np.any(values) else 1.0
    is_significant = p <= 1 - level
    decision: Outcome = "cannot tell"
    if interval.low > 0 and is_significant:
        decision = "better"
    elif interval.high < 0 and is_significant:
        decision = "worse"
    elif interval.low > -margin:
        decision = "not worse"
    more = None
    if decision == "cannot tell":
        more = more_tasks(
            values, lambda low, high, tested: low > -margin or (tested and high < 0), level
        )
    return PairedDecision(decision, interval, p, more)


def more_tasks(
    differences: ArrayLike, decides: Callable[[float, float, bool], bool], level: float = 0.95
) -> int | None:
    """Returns about how many more tasks decide with probability `POWER`.

    It assumes that the mean, the variance and the share of ties of the new tasks are those of the
    tasks so far, which stay in the table.

    Args:
        differences: [n] first score less second score of each task, from -1 to 1.
        decides: whether an interval decides, by its lower end, its upper end, and whether enough
            tasks are untied for a significant sign-flip test.
        level: the share that the interval aims to cover.

    Returns:
        None where that would take more than a million tasks.

    Raises:
        StatisticsError: as `bounded_difference`.
    """
    confidence(level)
    values = _bounded(differences)
    n, mean, square = len(values), float(values.mean()), float((values**2).mean())
    untied = float(np.mean(values != 0))
    fewest = math.log2(2 / (1 - level))  # untied tasks: 2 / 2^n is the smallest p of the test
    chance = NormalDist().inv_cdf(POWER) * math.sqrt(max(square - mean**2, 0.0))

    def is_enough(more: int) -> bool:
        low, high = _ends(mean, square, n + more, level)
        reach = chance * math.sqrt(more) / (n + more)  # of the mean, by which tasks are new
        return decides(low - reach, high + reach, (n + more) * untied >= fewest)

    few, many = 0, 1
    while not is_enough(many):
        few, many = many, 2 * many
        if few > MOST_NEEDED:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if is_enough(middle) else (middle, many)
    return many


def _ends(mean: float, square: float, n: int, level: float) -> tuple[float, float]:
    """Returns the interval of n differences with this mean and this mean square."""
    center = mean * n / (n + ADDED)
    variance = max((square * n + ADDED_SQUARES) / (n + ADDED) - center**2, 0.0)
    half = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(variance / (n + ADDED))
    return max(-1.0, center - half), min(1.0, center + half)


def _bounded(differences: ArrayLike) -> Floats:
    values = finite_array("differences", differences, "[n]", least=1)
    if values.ndim != 1 or np.any(np.abs(values) > 1 + 1e-12):
        raise StatisticsError("got differences outside [-1, 1]; wanted [n] differences of scores")
    return values
