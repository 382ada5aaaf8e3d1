"""The door: what is refused, and that the message says what was got and what was wanted."""

import re

import numpy as np
import pytest

from counterpoint.errors import CounterpointError, StatisticsError
from counterpoint.stats.checks import (
    confidence,
    finite_array,
    resampling,
    same_shape,
    same_tasks,
    score_array,
)


def refused(message: str):
    return pytest.raises(StatisticsError, match=re.escape(message))


def test_the_error_is_ours_and_a_value_error() -> None:
    with pytest.raises(ValueError, match="got x"):
        finite_array("x", [], "[n]")
    with pytest.raises(CounterpointError):
        finite_array("x", [], "[n]")


def test_finite_returns_float64_of_the_same_values() -> None:
    array = finite_array("x", [1, 2, 3], "[n]")
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, [1.0, 2.0, 3.0])


def test_either_of_two_shapes_is_welcome() -> None:
    assert finite_array("x", [1.0], "[S]", "[S, tasks]").shape == (1,)
    assert finite_array("x", [[1.0, 2.0]], "[S]", "[S, tasks]").shape == (1, 2)


def test_the_number_of_axes_is_checked() -> None:
    with refused("got curves of shape (2,); wanted [S, T]"):
        finite_array("curves", [1.0, 2.0], "[S, T]")
    with refused("got x of shape (1, 1, 1); wanted [S] or [S, tasks]"):
        finite_array("x", [[[1.0]]], "[S]", "[S, tasks]")
    with refused("got x of shape (); wanted [n]"):
        finite_array("x", 1.0, "[n]")


def test_scores_are_of_runs_with_or_without_tasks() -> None:
    assert score_array("x", [1.0]).shape == (1,)
    assert score_array("x", [[1.0, 2.0]]).shape == (1, 2)
    with refused("got x of shape (); wanted [S] or [S, tasks]"):
        score_array("x", 1.0)
    with refused("got x of shape (1,); wanted [S] or [S, tasks] with at least 2"):
        score_array("x", [1.0], least=2)


def test_too_few_and_empty_are_refused_with_a_way_out() -> None:
    with refused(
        "got x of shape (1,); wanted [n] with at least 2 on the first axis and no empty axis: "
        "run more seeds, or leave this statistic out"
    ):
        finite_array("x", [1.0], "[n]", least=2)
    assert finite_array("x", [1.0, 2.0], "[n]", least=2).shape == (2,)
    with refused("got x of shape (0,); wanted [n] with at least 1"):
        finite_array("x", [], "[n]")
    with refused("got x of shape (3, 0); wanted [S, T] with at least 1"):
        finite_array("x", np.ones((3, 0)), "[S, T]")


def test_missing_and_infinite_values_are_counted() -> None:
    with refused(
        "got x with 2 of 3 values NaN or infinite; wanted finite numbers: decide what a missing "
        "run means before asking for statistics"
    ):
        finite_array("x", [np.nan, 1.0, -np.inf], "[n]")
    with refused("got x with 1 of 2 values NaN"):
        finite_array("x", [None, 1.0], "[n]")


@pytest.mark.parametrize("values", [["many"], [[1.0], [1.0, 2.0]], [object()]])
def test_what_is_not_numbers_is_refused(values: object) -> None:
    with pytest.raises(
        StatisticsError,
        match=r"^got x that are not numbers \(.+\); wanted an array \[n\] or \[n, m\] of floats$",
    ):
        finite_array("x", values, "[n]", "[n, m]")


def test_pairs_need_the_same_shape() -> None:
    same_shape(np.ones((3, 2)), np.zeros((3, 2)))
    with refused(
        "got pairs of shapes (2,) and (3,); wanted the same shape, row s of both being the same "
        "seed"
    ):
        same_shape(np.ones(2), np.ones(3))


def test_samples_need_the_same_tasks() -> None:
    same_tasks(np.ones((3, 2)), np.ones((5, 2)))
    same_tasks(np.ones(3), np.ones(5))
    with refused("got samples of shapes (3, 2) and (3, 1); wanted the same tasks in both"):
        same_tasks(np.ones((3, 2)), np.ones((3, 1)))


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_level_is_strictly_between_0_and_1(level: float) -> None:
    with refused(f"got level={level}; wanted a share strictly between 0 and 1"):
        confidence(level)
    assert confidence(0.9) == 0.9


def test_chance_is_a_generator_asked_at_least_once() -> None:
    resampling(np.random.default_rng(0), 1)
    with refused("got rng of type int; wanted a generator: np.random.default_rng(seed)"):
        resampling(7, 100)  # type: ignore[arg-type]
    with refused("got resamples=0; wanted at least 1 (2000 is usual)"):
        resampling(np.random.default_rng(0), 0)
