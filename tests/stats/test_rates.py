"""Wilson intervals and performance profiles: published values, the equation, exact coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import StatisticsError
from counterpoint.stats import performance_profile, wilson_interval

Z = 1.959963984540054  # the normal quantile at .975


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # the examples of Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_published_values(successes: int, n: int, low: float, high: float) -> None:
    got = wilson_interval(successes, n)
    assert (got.low, got.high) == pytest.approx((low, high), abs=5e-5)
    assert (got.value, got.n) == (successes / n, n)


def test_no_success_and_no_failure_are_exact_at_their_end() -> None:
    for n in range(1, 200):
        none, every = wilson_interval(0, n), wilson_interval(n, n)
        assert (none.value, none.low, every.value, every.high) == (0.0, 0.0, 1.0, 1.0)
        assert none.high == pytest.approx(Z**2 / (n + Z**2), rel=1e-12)
        assert every.low == pytest.approx(n / (n + Z**2), rel=1e-12)


@settings(deadline=None)
@given(st.integers(1, 500), st.floats(0.01, 0.99), st.floats(0.5, 0.999))
def test_the_ends_solve_the_score_equation(n: int, share: float, level: float) -> None:
    # (p - end)^2 = z^2 end (1 - end) / n
    got = wilson_interval(share * n, n, level=level)
    z2 = (got.value - got.low) ** 2 * n / (got.low * (1 - got.low))
    assert (got.value - got.high) ** 2 * n / (got.high * (1 - got.high)) == pytest.approx(z2)
    assert math.erf(math.sqrt(z2 / 2)) == pytest.approx(level)
    assert 0 < got.low < got.value < got.high < 1


@settings(deadline=None)
@given(st.integers(1, 300), st.data())
def test_failures_are_the_mirror_of_successes(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    there, back = wilson_interval(k, n), wilson_interval(n - k, n)
    assert (1 - back.high, 1 - back.low) == pytest.approx((there.low, there.high), abs=1e-12)


def test_mean_coverage_by_enumeration() -> None:
    for n in (10, 30):
        ends = [wilson_interval(k, n) for k in range(n + 1)]
        rates = np.linspace(0.005, 0.995, 199)
        covered = [
            sum(
                math.comb(n, k) * p**k * (1 - p) ** (n - k)
                for k, end in enumerate(ends)
                if end.low <= p <= end.high
            )
            for p in rates
        ]
        assert 0.945 <= np.mean(covered) <= 0.965  # right on average,
        assert 0.83 <= np.min(covered) <= 0.90  # and known to dip near 0 and 1


@pytest.mark.parametrize(
    ("successes", "n", "message"),
    [
        (0, 0, r"got n=0 trials; wanted at least 1: a rate of nothing is unknown"),
        (5, 4, r"got 5 successes in 4 trials; wanted 0 to 4"),
        (-1, 4, r"got -1 successes in 4 trials"),
        (math.nan, 4, r"got nan successes in 4 trials"),
    ],
)
def test_impossible_counts_are_refused(successes: float, n: int, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        wilson_interval(successes, n)


def test_an_impossible_level_is_refused() -> None:
    with pytest.raises(StatisticsError, match="got level=1"):
        wilson_interval(1, 2, level=1.0)
    with pytest.raises(StatisticsError, match="got level=0"):
        performance_profile([1.0], [0.0], level=0.0)


def test_a_profile_counts_the_runs_strictly_above() -> None:
    band = performance_profile([[0.5, 1.0], [0.5, 2.0]], [0.5, 0.0, 1.5, 2.0])
    np.testing.assert_array_equal(band.value, [0.5, 1.0, 0.25, 0.0])
    assert band.n == 2


def test_the_band_of_a_profile_is_wilson_s_over_all_runs_of_all_tasks() -> None:
    band = performance_profile([[0.5, 1.0, 3.0], [0.5, 2.0, 4.0]], [0.7, 9.0], level=0.9)
    four, none = wilson_interval(4, 6, level=0.9), wilson_interval(0, 6, level=0.9)
    np.testing.assert_allclose(band.low, [four.low, none.low])
    np.testing.assert_allclose(band.high, [four.high, none.high])
    usual = performance_profile([0.5, 1.0], [0.7])
    assert usual.low[0] == wilson_interval(1, 2).low


@settings(deadline=None)
@given(
    st.lists(st.integers(-20, 20), min_size=1, max_size=15),
    st.lists(st.integers(-20, 20), min_size=1, max_size=8),
)
def test_a_profile_falls_with_tau_and_equals_counting(scores: list[int], taus: list[int]) -> None:
    taus = sorted(taus)
    band = performance_profile(scores, taus)
    counted = [sum(score > tau for score in scores) / len(scores) for tau in taus]
    np.testing.assert_array_equal(band.value, counted)
    assert np.all(np.diff(band.value) <= 0)
    assert np.all((band.low <= band.value) & (band.value <= band.high))


def test_a_profile_of_nothing_is_refused() -> None:
    with pytest.raises(StatisticsError, match="got samples of shape"):
        performance_profile([], [0.0])
    with pytest.raises(StatisticsError, match=r"got samples of shape \(\); wanted \[S\] or \[S, t"):
        performance_profile(1.0, [0.0])
    with pytest.raises(StatisticsError, match=r"got taus with 1 of 1 values NaN"):
        performance_profile([1.0], [np.nan])
    with pytest.raises(StatisticsError, match=r"got taus of shape \(\); wanted \[T\]"):
        performance_profile([1.0], 0.0)
