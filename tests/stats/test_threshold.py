"""Time to threshold: runs that never arrive are counted, and the median knows of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import StatisticsError
from counterpoint.stats import time_to_threshold

CURVES = [
    [0.0, 0.9, 0.5, 0.9],  # reaches at 1, dips, is back at 3
    [0.0, 0.0, 0.9, 1.0],  # reaches at 2 and stays
    [0.9, 0.0, 0.0, 0.0],  # reaches at 0 and never comes back
    [0.0, 0.1, 0.2, 0.3],  # never
]


def test_the_first_update_at_the_level_by_hand() -> None:
    got = time_to_threshold(CURVES, 0.9)
    np.testing.assert_array_equal(got.updates, [1, 2, 0, np.inf])
    assert (got.not_reached, got.last, got.median.n) == (1, 3, 4)
    assert got.median.value == 1  # 0 and 1 are there: half of four


def test_staying_is_stricter() -> None:
    got = time_to_threshold(CURVES, 0.9, stay=True)
    np.testing.assert_array_equal(got.updates, [3, 2, np.inf, np.inf])
    assert (got.not_reached, got.median.value) == (2, 3)


def test_the_words_count_who_never_arrived() -> None:
    assert str(time_to_threshold(CURVES, 0.9)) == "median update 1, not reached by 1 of 4"
    never = time_to_threshold(CURVES, 0.99)
    assert never.median.value == math.inf
    assert str(never) == "later than update 3, not reached by 3 of 4"
    odd = time_to_threshold([*CURVES, [0.0, 0.0, 0.0, 1.0]], 0.9)
    assert str(odd) == "median update 2, not reached by 1 of 5"  # 0 1 2 3 never


def test_dropping_the_censored_runs_would_flatter_the_worse_scheme() -> None:
    fast_or_never = np.array([[0, 1, 1, 1, 1]] * 4 + [[0, 0, 0, 0, 0]] * 6)
    slow_but_sure = np.array([[0, 0, 0, 1, 1]] * 10)
    worse, better = time_to_threshold(fast_or_never, 1), time_to_threshold(slow_but_sure, 1)
    assert worse.median.value == math.inf > better.median.value == 3


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [
        # P(Bin(5) < 1) = 1/32 = .031 > .025: even the extremes are too narrow
        (5, 0, math.inf),
        (6, 1, 6),  # 1/64 = .016: smallest and largest
        (8, 1, 8),  # P(< 2) = 9/256 = .035 > .025
        (9, 2, 8),  # P(< 2) = 10/512 = .0195
        (10, 2, 9),  # P(< 2) = 11/1024 = .011, P(< 3) = 56/1024 = .055
        (20, 6, 15),  # P(< 6) = .0207, P(< 7) = .0577
        (50, 18, 33),  # P(< 18) = .0164, P(< 19) = .0325
    ],
)
def test_the_interval_is_made_of_order_statistics(n: int, low: float, high: float) -> None:
    arrives = np.arange(1, n + 1)  # run i arrives at update i
    curves = np.arange(n + 1) >= arrives[:, None]
    got = time_to_threshold(curves, 1)
    assert (got.median.low, got.median.high) == (low, high)
    assert got.median.value == (n + 1) // 2


def test_the_level_sets_the_order_statistics() -> None:
    curves = np.arange(11) >= np.arange(1, 11)[:, None]
    # P(Bin(10) < 4) = 176/1024 = .172 <= .2, P(< 5) = .377; exactly at the border it still counts
    loose = time_to_threshold(curves, 1, level=0.6)
    assert (loose.median.low, loose.median.high) == (4, 7)
    border = time_to_threshold(curves, 1, level=1 - 2 * 56 / 1024)
    assert (border.median.low, border.median.high) == (3, 8)


def test_the_interval_knows_of_the_censored() -> None:
    curves = np.arange(8) >= np.arange(1, 11)[:, None]  # runs 8, 9 and 10 do not arrive
    got = time_to_threshold(curves, 1)
    assert (got.median.value, got.median.low, got.median.high) == (5, 2, math.inf)


def test_coverage_in_a_simulation() -> None:
    # Arrival is uniform on 0..99; with 10 runs (2nd, 9th) covers 1 - 2 * 11/1024 = .979 of the time
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(500):
        arrives = generator.integers(100, size=10)
        median = time_to_threshold(np.arange(100) >= arrives[:, None], 1).median
        covered += median.low <= 49.5 <= median.high
    assert 0.96 <= covered / 500 <= 0.995


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=1, max_size=9),
    st.integers(0, 5),
    st.booleans(),
)
def test_equals_looking_for_it(curves: list[list[int]], threshold: int, stay: bool) -> None:
    def first(curve: list[int]) -> float:
        for t, value in enumerate(curve):
            if all(later >= threshold for later in (curve[t:] if stay else [value])):
                return t
        return math.inf

    got = time_to_threshold(curves, threshold, stay=stay)
    assert got.updates.tolist() == [first(curve) for curve in curves]
    assert got.not_reached == sum(math.isinf(first(curve)) for curve in curves)
    there = sum(update <= got.median.value for update in got.updates)
    assert 2 * there >= len(curves)
    assert got.median.low <= got.median.value <= got.median.high


def test_what_is_not_a_curve_or_a_level_is_refused() -> None:
    with pytest.raises(StatisticsError, match=r"got threshold=nan; wanted a finite number"):
        time_to_threshold(CURVES, math.nan)
    with pytest.raises(StatisticsError, match=r"got curves of shape \(2,\); wanted \[S, T\]"):
        time_to_threshold([0.0, 1.0], 0.5)
    with pytest.raises(StatisticsError, match="1 of 2 values NaN"):
        time_to_threshold([[0.0, math.nan]], 0.5)
    with pytest.raises(StatisticsError, match="got level=0"):
        time_to_threshold(CURVES, 0.9, level=0.0)
