"""Probability of improvement: counting by hand, the score equation, coverage."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import StatisticsError
from counterpoint.stats import probability_of_improvement, wilson_interval

SCORES = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=9)


def test_pairs_by_hand() -> None:
    # a win, a tie, a loss, a win: 2.5 of 4
    got = probability_of_improvement([2.0, 1.0, 0.0, 9.0], [1.0, 1.0, 1.0, 1.0], paired=True)
    wilson = wilson_interval(2.5, 4)
    assert (got.value, got.n) == (0.625, 4)
    assert (got.low, got.high) == pytest.approx((wilson.low, wilson.high), rel=1e-12)


def test_all_against_all_by_hand() -> None:
    # 2 beats 1 and 0, ties 2: 2.5 of 3; 0 ties 0: .5 of 3. Together 3 of 6.
    got = probability_of_improvement([2.0, 0.0], [1.0, 2.0, 0.0], paired=False)
    assert (got.value, got.n) == (0.5, 2)
    assert probability_of_improvement([1.0, 2.0, 0.0], [2.0], paired=False).n == 1


@settings(deadline=None)
@given(SCORES, SCORES)
def test_the_value_equals_counting(x: list[float], y: list[float]) -> None:
    got = probability_of_improvement(x, y, paired=False)
    wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in x for b in y)
    assert got.value == pytest.approx(wins / (len(x) * len(y)), abs=1e-12)
    assert -1e-12 <= got.low <= got.value <= got.high <= 1 + 1e-12


@settings(deadline=None)
@given(SCORES, SCORES)
def test_losing_is_the_mirror_of_winning(x: list[float], y: list[float]) -> None:
    there = probability_of_improvement(x, y, paired=False)
    back = probability_of_improvement(y, x, paired=False)
    assert (back.value, back.low, back.high) == pytest.approx(
        (1 - there.value, 1 - there.high, 1 - there.low), abs=1e-9
    )


def test_only_the_order_of_scores_matters() -> None:
    x, y = np.array([0.1, 0.7, 0.3]), np.array([0.2, 0.5, 0.4])
    for paired in (True, False):
        plain = probability_of_improvement(x, y, paired=paired)
        assert probability_of_improvement(np.exp(9 * x), np.exp(9 * y), paired=paired) == plain


def test_always_winning_leaves_room_for_doubt() -> None:
    got = probability_of_improvement([2.0, 3.0, 4.0], [1.0, 1.0, 1.0], paired=True)
    assert (got.value, got.high) == (1.0, 1.0)
    assert got.low == pytest.approx(0.4385, abs=5e-5)  # 3 / (3 + 1.96^2)
    apart = probability_of_improvement([2.0, 3.0, 4.0], [1.0, 1.0, 1.0], paired=False)
    assert (apart.value, apart.high) == (1.0, 1.0)
    assert 0.3 < apart.low < 0.8
    never = probability_of_improvement([1.0, 1.0, 1.0], [2.0, 3.0, 4.0], paired=False)
    assert (never.value, never.low) == (0.0, 0.0)


@pytest.mark.parametrize("level", [0.95, 0.8])
@pytest.mark.parametrize(("m", "n"), [(4, 4), (3, 8), (12, 5)])
def test_unpaired_ends_solve_the_score_equation(m: int, n: int, level: float) -> None:
    generator = np.random.default_rng(m)
    x, y = generator.normal(size=m) + 0.3, generator.normal(size=n)
    got = probability_of_improvement(x, y, paired=False, level=level)
    for end in (got.low, got.high):
        # Hanley and McNeil 1982: Q1 = P(two x beat one y), Q2 = P(one x beats two y)
        q1, q2, others = end / (2 - end), 2 * end**2 / (1 + end), (m + n) / 2 - 1
        variance = (end * (1 - end) + others * (q1 - end**2) + others * (q2 - end**2)) / (m * n)
        z = abs(got.value - end) / variance**0.5
        assert 2 * NormalDist().cdf(z) - 1 == pytest.approx(level, abs=1e-9)
    assert got.low < got.value < got.high


def test_95_percent_unless_said() -> None:
    x, y = [1.0, 5.0, 3.0], [2.0, 2.0, 2.0]
    for paired in (True, False):
        usual = probability_of_improvement(x, y, paired=paired)
        assert usual == probability_of_improvement(x, y, paired=paired, level=0.95)
        assert usual != probability_of_improvement(x, y, paired=paired, level=0.9)


@pytest.mark.parametrize("paired", [True, False])
def test_tasks_are_averaged_and_their_intervals_combined(paired: bool) -> None:
    x = np.array([[1.0, 1.0], [2.0, 7.0], [0.0, 3.0], [5.0, 4.0]])
    y = np.array([[0.5, 2.0], [1.0, 8.0], [0.2, 1.0], [1.5, 6.0]])
    one, two = (
        probability_of_improvement(x[:, task], y[:, task], paired=paired) for task in (0, 1)
    )
    both = probability_of_improvement(x, y, paired=paired)
    assert both.value == pytest.approx((one.value + two.value) / 2)
    below = np.hypot(one.value - one.low, two.value - two.low) / 2
    above = np.hypot(one.high - one.value, two.high - two.value) / 2
    assert (both.low, both.high) == pytest.approx((both.value - below, both.value + above))
    assert both.n == 4


@pytest.mark.few(2)
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("truth", [0.5, 0.75, 0.9])
def test_coverage_in_a_simulation(paired: bool, truth: float) -> None:
    # 10 runs each, normal scores, 500 experiments: the standard error of a rate of .95 is .01.
    generator = np.random.default_rng(1)
    shift = NormalDist().inv_cdf(truth) * 2**0.5
    covered = 0
    for _ in range(500):
        x, y = generator.normal(size=(2, 10))
        got = probability_of_improvement(x + shift, y, paired=paired)
        covered += got.low <= truth <= got.high
    assert covered / 500 >= 0.92


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(StatisticsError, match="got pairs of shapes"):
        probability_of_improvement([1.0, 2.0], [1.0], paired=True)
    with pytest.raises(StatisticsError, match="wanted the same tasks"):
        probability_of_improvement([[1.0, 2.0]], [[1.0]], paired=False)
    with pytest.raises(StatisticsError, match="got x with 1 of 1 values NaN"):
        probability_of_improvement([np.nan], [1.0], paired=True)
    with pytest.raises(StatisticsError, match=r"got y of shape \(0,\); wanted \[S\] or \[S, tasks"):
        probability_of_improvement([1.0], [], paired=False)
    with pytest.raises(StatisticsError, match=r"got x of shape \(\); wanted \[S\] or \[S, tasks\]"):
        probability_of_improvement(1.0, 2.0, paired=False)
    for paired in (True, False):
        with pytest.raises(StatisticsError, match="got level=2"):
            probability_of_improvement([1.0], [1.0], paired=paired, level=2.0)
