"""What a Shapley result says beside its values: errors, intervals, samples and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.credit import shapley
from counterpoint.errors import RewardError


def first_two(masks: np.ndarray) -> np.ndarray:
    """1 where agents 0 and 1 are both there: in an order, the later of them adds it."""
    return (masks[:, 0] & masks[:, 1]).astype(float)


def test_an_exact_value_has_no_error_and_no_samples() -> None:
    got = shapley([0.0, 1.0, 2.0, 5.0], 2)
    assert got.values.tolist() == [2, 3]  # (1 + 3) / 2 and (2 + 4) / 2
    assert got.standard_error.tolist() == [0, 0]
    assert got.samples == 0


def test_the_error_of_a_sample_is_that_of_its_mean() -> None:
    """A share p of n orders pays 1 and the others 0: the variance of their mean, with n - 1 in the
    sample variance, is p (1 - p) / (n - 1)."""
    orders = 40
    got = shapley(first_two, 11, rng=np.random.default_rng(3), orders=orders, antithetic=False)
    p = got.values[0]
    assert 0 < p < 1
    error = (p * (1 - p) / (orders - 1)) ** 0.5
    np.testing.assert_allclose(got.standard_error[:2], [error, error], rtol=1e-12)
    np.testing.assert_allclose(got.low[:2], [p - 1.959964 * error, 1 - p - 1.959964 * error])
    np.testing.assert_allclose(got.high[:2], [p + 1.959964 * error, 1 - p + 1.959964 * error])
    assert got.standard_error[2:].tolist() == [0] * 9


def test_a_coalition_without_a_value_is_refused() -> None:
    with pytest.raises(RewardError) as refused:
        shapley([0.0, np.nan, 1.0, 1.0], 2)
    assert str(refused.value) == (
        "got a coalition with a missing or infinite value; wanted finite numbers, because every "
        "coalition enters the share of every agent"
    )
