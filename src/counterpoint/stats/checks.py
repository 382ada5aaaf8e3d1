"""Checks of samples, levels and generators, made once by every public function of this room.

Each raises a `StatisticsError` that says what was got and what was wanted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from counterpoint.arrays import Floats
from counterpoint.errors import StatisticsError


def finite_array(name: str, values: ArrayLike, *shapes: str, least: int = 1) -> Floats:
    """Returns `values` as float64, if they are finite and of one of the wanted shapes.

    `name` is what the caller calls the values, `shapes` are texts such as "[S, tasks]" whose axes
    are counted, and `least` is the shortest first axis.
    """
    wanted = " or ".join(shapes)
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(
            f"got {name} that are not numbers ({error}); wanted an array {wanted} of floats"
        ) from error
    if array.ndim not in {shape.count(",") + 1 for shape in shapes}:
        raise StatisticsError(f"got {name} of shape {array.shape}; wanted {wanted}")
    if array.size == 0 or len(array) < least:
        raise StatisticsError(
            f"got {name} of shape {array.shape}; wanted {wanted} with at least {least} on the "
            "first axis and no empty axis: run more seeds, or leave this statistic out"
        )
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise StatisticsError(
            f"got {name} with {bad} of {array.size} values NaN or infinite; wanted finite numbers: "
            "decide what a missing run means before asking for statistics"
        )
    return array


def score_array(name: str, values: ArrayLike, least: int = 1) -> Floats:
    """Returns `values` as finite float64 of S runs, [S] or [S, tasks]."""
    return finite_array(name, values, "[S]", "[S, tasks]", least=least)


def same_shape(x: Floats, y: Floats) -> None:
    """Checks that every value of a pair has a partner."""
    if x.shape != y.shape:
        raise StatisticsError(
            f"got pairs of shapes {x.shape} and {y.shape}; wanted the same shape, row s of both "
            "being the same seed"
        )


def same_tasks(x: Floats, y: Floats) -> None:
    """Checks that two samples are on the same number of tasks."""
    if x.shape[1:] != y.shape[1:]:
        raise StatisticsError(
            f"got samples of shapes {x.shape} and {y.shape}; wanted the same tasks in both"
        )


def confidence(level: float) -> float:
    """Returns `level`, if it is a share strictly between 0 and 1."""
    if not 0 < level < 1:
        raise StatisticsError(f"got level={level}; wanted a share strictly between 0 and 1")
    return level


def resampling(rng: np.random.Generator, resamples: int) -> None:
    """Checks that the generator is one of NumPy, and that there is a resample."""
    if not isinstance(rng, np.random.Generator):
        raise StatisticsError(
            f"got rng of type {type(rng).__name__}; wanted a generator: np.random.default_rng(seed)"
        )
    if resamples < 1:
        raise StatisticsError(f"got resamples={resamples}; wanted at least 1 (2000 is usual)")
