"""The interquartile mean: the arithmetic by hand, against an oracle, and what it must not see."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import StatisticsError
from counterpoint.stats import interquartile_mean, interquartile_means

SCORES = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=25)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([7.0], 7.0),
        ([1.0, 4.0], 2.5),
        ([0.0, 1.0, 5.0], 1.5),  # (.25*0 + 1 + .25*5) / 1.5 = 2.25 / 1.5
        ([0.0, 10.0, 20.0, 99.0], 15.0),  # one cut at each end
        ([99.0, 0.0, 1.0, 3.0, -99.0], 1.3),  # (.75*0 + 1 + .75*3) / 2.5 = 3.25 / 2.5
        ([0.0, 2.0, 4.0, 7.0, 9.0, 50.0], 5.5),  # (.5*2 + 4 + 7 + .5*9) / 3 = 16.5 / 3
        ([0.0, 4.0, 5.0, 6.0, 7.0, 14.0, 90.0], 45 / 7),  # (.25*4 + 5+6+7 + .25*14) / 3.5
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0, 99.0], 4.5),  # two cut at each end
    ],
)
def test_fractional_trimming_by_hand(values: list[float], wanted: float) -> None:
    assert interquartile_mean(values) == pytest.approx(wanted, rel=1e-15)


def test_runs_and_tasks_are_pooled() -> None:
    # 0 10 20 99 in any arrangement: (10 + 20) / 2
    assert interquartile_mean([[99.0, 10.0], [0.0, 20.0]]) == 15.0


def test_each_row_of_a_batch_is_its_own() -> None:
    rows = np.array([[[4.0, 1.0, 2.0, 3.0]], [[0.0, 0.0, 8.0, 8.0]]])
    np.testing.assert_array_equal(interquartile_means(rows), [[2.5], [4.0]])


@settings(deadline=None)
@given(SCORES)
def test_equals_whole_trimming_of_each_value_taken_four_times(values: list[float]) -> None:
    # 4m values can be trimmed by m at each end with no fraction left over.
    m = len(values)
    oracle = np.mean(np.sort(np.repeat(values, 4))[m : 3 * m])
    assert interquartile_mean(values) == pytest.approx(oracle, rel=1e-12, abs=1e-12)


@settings(deadline=None)
@given(SCORES, st.integers(-1000, 1000), st.sampled_from([-8.0, -1.0, 0.25, 4.0]))
def test_shift_scale_and_sign_go_through(values: list[float], shift: int, scale: float) -> None:
    moved = interquartile_mean(scale * np.array(values) + shift)
    wanted = scale * interquartile_mean(values) + shift
    assert moved == pytest.approx(wanted, rel=1e-12, abs=1e-9)


@settings(deadline=None)
@given(SCORES, st.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(values: list[float], random) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert interquartile_mean(shuffled) == interquartile_mean(values)


def test_a_quarter_of_broken_runs_at_each_end_is_not_seen() -> None:
    healthy = [-1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    broken = [-1e9, -1e6, 2.0, 3.0, 4.0, 5.0, 1e9, 1e12]
    assert interquartile_mean(broken) == interquartile_mean(healthy) == 3.5


def test_equal_runs_give_exactly_their_value() -> None:
    for n in range(1, 20):
        assert interquartile_mean([0.5] * n) == 0.5
    for value in np.random.default_rng(0).normal(size=200):
        assert interquartile_mean([value]) == value


def test_the_caller_keeps_the_samples_in_order() -> None:
    samples = np.array([3.0, 1.0, 2.0])
    interquartile_mean(samples)
    np.testing.assert_array_equal(samples, [3.0, 1.0, 2.0])


@pytest.mark.parametrize("bad", [[], [np.nan, 1.0], [[[1.0]]], 3.0, ["many"]])
def test_what_is_not_samples_is_refused(bad: object) -> None:
    with pytest.raises(StatisticsError, match=r"got samples .*wanted"):
        interquartile_mean(bad)
