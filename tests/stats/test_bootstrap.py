"""Bootstrap intervals: enumeration as oracle, strata and pairs as planted cases, coverage."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from counterpoint.errors import StatisticsError
from counterpoint.stats import (
    bootstrap,
    bootstrap_band,
    bootstrap_interval,
    interquartile_mean,
    paired_difference,
)

SCORES = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=12)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values.mean(axis=-1))


def counts_up(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Not a statistic: resample number 0, 1, 2, ... so that the percentiles are known."""
    return np.arange(len(values), dtype=float) if values.ndim == 2 else np.asarray(0.5)


def test_the_interval_is_what_enumerating_all_resamples_gives() -> None:
    scores = [0.0, 1.0, 3.0, 9.0]
    every = [np.mean(rows) for rows in product(scores, repeat=4)]  # 256 resamples
    got = bootstrap_interval(scores, rng=rng(), statistic=mean, resamples=40_000)
    # The quantiles fall inside steps of the distribution: 40,000 draws hit the same steps.
    assert (got.low, got.high) == tuple(np.quantile(every, [0.025, 0.975]))
    assert (got.value, got.n) == (3.25, 4)


def test_the_percentiles_leave_half_of_the_rest_on_each_side() -> None:
    got = bootstrap_interval([1.0, 2.0], rng=rng(), statistic=counts_up, resamples=1001)
    assert (got.value, got.n) == (0.5, 2)
    assert (got.low, got.high) == pytest.approx((25, 975))
    got = bootstrap_interval([1.0, 2.0], rng=rng(), statistic=counts_up, resamples=1001, level=0.8)
    assert (got.low, got.high) == pytest.approx((100, 900))


def test_2000_resamples_at_95_percent_unless_said() -> None:
    got = bootstrap_interval([1.0, 2.0], rng=rng(), statistic=counts_up)
    assert (got.low, got.high) == pytest.approx((0.025 * 1999, 0.975 * 1999))
    both = paired_difference([1.0, 2.0], [0.0, 0.0], rng=rng(), statistic=counts_up)
    assert (both.low, both.high) == (0.0, 0.0)
    asked: list[int] = []

    def watched(values: NDArray[np.float64]) -> NDArray[np.float64]:
        asked.append(len(values))
        return mean(values)

    paired_difference([1.0, 2.0], [0.0, 0.0], rng=rng(), statistic=watched)
    assert asked[:2] == [2000, 2000]


def test_the_statistic_is_the_interquartile_mean_unless_said() -> None:
    scores = [0.0, 10.0, 20.0, 99.0]
    assert bootstrap_interval(scores, rng=rng()).value == 15.0
    assert paired_difference(scores, [0.0, 1.0, 1.0, 9.0], rng=rng()).value == 14.0
    assert bootstrap_band(np.transpose([scores]), rng=rng()).value.tolist() == [15.0]


def test_a_task_is_a_stratum_that_no_resample_forgets() -> None:
    # Each task is constant. Resampling all four values together would give 0 to 10.
    got = bootstrap_interval([[0.0, 10.0], [0.0, 10.0]], rng=rng(), statistic=mean)
    assert (got.value, got.low, got.high, got.n) == (5.0, 5.0, 5.0, 2)


def test_tasks_are_resampled_independently_of_each_other() -> None:
    # Independent draws reach mean 0 in 1 of 16 resamples, whole rows in 1 of 4.
    got = bootstrap_interval([[0.0, 0.0], [1.0, 1.0]], rng=rng(), statistic=mean, level=0.8)
    assert (got.low, got.high) == (0.25, 0.75)


def test_runs_of_a_task_stay_in_that_task() -> None:
    # Three tasks of other orders of magnitude: a resample is a run of each, in any combination.
    samples = np.array([[1.0, 20.0, 300.0], [2.0, 30.0, 500.0]])
    seen: set[float] = set()

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        seen.update(np.atleast_1d(values.sum(axis=-1)).tolist())
        return np.asarray(values.sum(axis=-1))

    bootstrap_interval(samples, rng=rng(), statistic=total, resamples=2000)
    sums = [[sum(pair) for pair in product(column, repeat=2)] for column in samples.T]
    assert seen == {a + b + c for a, b, c in product(*sums)}


def test_pairs_are_resampled_together() -> None:
    luck = np.array([0.0, 100.0, -50.0, 7.0, 31.0])
    got = paired_difference(luck + 1, luck, rng=rng(), statistic=mean)
    assert (got.value, got.low, got.high) == pytest.approx((1, 1, 1))
    unpaired = bootstrap_interval(luck, rng=rng(), statistic=mean)
    assert unpaired.high - unpaired.low > 50  # what pairing has cancelled
    assert got.n == 5


def test_pairs_are_resampled_together_in_every_task() -> None:
    luck = rng(3).normal(size=(6, 3)) * 100
    got = paired_difference(luck, luck - [1.0, 2.0, 3.0], rng=rng(), statistic=mean)
    assert (got.value, got.low, got.high) == pytest.approx((2, 2, 2))
    assert got.n == 6


def test_equal_samples_differ_by_exactly_nothing() -> None:
    scores = rng(1).normal(size=10)
    got = paired_difference(scores, scores.copy(), rng=rng())
    assert (got.value, got.low, got.high) == (0.0, 0.0, 0.0)


@given(SCORES)
@settings(max_examples=50, deadline=None)
def test_swapping_x_and_y_swaps_and_negates_the_ends(scores: list[float]) -> None:
    other = scores[::-1]
    there = paired_difference(scores, other, rng=rng(), resamples=100)
    back = paired_difference(other, scores, rng=rng(), resamples=100)
    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low), abs=1e-9
    )


@given(SCORES, st.sampled_from([0.25, 2.0, 16.0]), st.integers(-100, 100))
@settings(max_examples=50, deadline=None)
def test_shift_and_scale_go_through(scores: list[float], scale: float, shift: int) -> None:
    plain = bootstrap_interval(scores, rng=rng(), resamples=100)
    moved = bootstrap_interval(scale * np.array(scores) + shift, rng=rng(), resamples=100)
    assert (moved.value, moved.low, moved.high) == pytest.approx(
        tuple(scale * end + shift for end in (plain.value, plain.low, plain.high)), abs=1e-9
    )


def test_the_same_seed_gives_the_same_interval_and_the_generator_moves_on() -> None:
    scores = rng(1).normal(size=10)
    generator = rng(5)
    first = bootstrap_interval(scores, rng=generator)
    assert bootstrap_interval(scores, rng=rng(5)) == first
    assert bootstrap_interval(scores, rng=generator) != first
    assert paired_difference(scores, scores**2, rng=rng(5)) == paired_difference(
        scores, scores**2, rng=rng(5)
    )


def test_a_band_has_the_intervals_of_its_points() -> None:
    curves = np.array([[0.0, 5.0, 1.0], [1.0, 5.0, 2.0], [3.0, 5.0, 4.0], [9.0, 5.0, 10.0]])
    band = bootstrap_band(curves, rng=rng(), statistic=mean, resamples=40_000)
    np.testing.assert_allclose(band.value, [3.25, 5.0, 4.25])
    alone = bootstrap_interval(curves[:, 0], rng=rng(), statistic=mean, resamples=40_000)
    np.testing.assert_allclose(band.low, [alone.low, 5.0, alone.low + 1])  # the same runs
    np.testing.assert_allclose(band.high, [alone.high, 5.0, alone.high + 1])
    assert band.n == 4


def test_a_band_takes_the_level_it_is_given() -> None:
    curves = rng(0).normal(size=(8, 3))
    wide = bootstrap_band(curves, rng=rng(), level=0.99)
    usual = bootstrap_band(curves, rng=rng())
    assert np.all(wide.low < usual.low)
    assert np.all(wide.high > usual.high)
    said = bootstrap_band(curves, rng=rng(), level=0.95, resamples=2000)
    np.testing.assert_array_equal(usual.low, said.low)


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_small_chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    curves = rng(0).normal(size=(5, 9))
    band = bootstrap_band(curves, rng=rng(), resamples=50)
    whole = bootstrap_interval(curves, rng=rng(), resamples=50)
    monkeypatch.setattr(bootstrap, "_VALUES_PER_CHUNK", chunk)
    chunked = bootstrap_band(curves, rng=rng(), resamples=50)
    np.testing.assert_array_equal(chunked.low, band.low)
    np.testing.assert_array_equal(chunked.high, band.high)
    assert bootstrap_interval(curves, rng=rng(), resamples=50) == whole


def test_memory_is_bounded_however_many_resamples() -> None:
    largest = 0

    def watched(values: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal largest
        largest = max(largest, values.size)
        return mean(values)

    bootstrap_interval(np.ones((100, 30)), rng=rng(), statistic=watched, resamples=3000)
    assert largest <= 4_000_000
    bootstrap_band(np.ones((100, 40)), rng=rng(), statistic=watched, resamples=3000)
    assert largest <= 4_000_000


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("n", "claimed"), [(3, 0.74), (5, 0.90), (10, 0.93), (20, 0.94), (50, 0.94)]
)
@pytest.mark.parametrize("scores", ["normal", "exponential"])
def test_coverage_is_what_the_documentation_says(n: int, claimed: float, scores: str) -> None:
    # 4,000 experiments side by side, each a column. The standard error of a rate of .93 is .004.
    truth = {"normal": 0.0, "exponential": 0.7384}[scores]  # of the exponential: see below
    samples = getattr(rng(n), scores)(size=(n, 4000))
    band = bootstrap_band(samples, rng=rng(), resamples=400)
    covered = np.mean((band.low <= truth) & (band.high >= truth))
    assert abs(covered - claimed) <= 0.02


def test_the_interquartile_mean_of_the_exponential_distribution() -> None:
    # 2 * integral of -log(1 - u) over u in [1/4, 3/4] = 2 [v - v log v] from v = 1/4 to 3/4
    upper, lower = 0.75 - 0.75 * np.log(0.75), 0.25 - 0.25 * np.log(0.25)
    assert 2 * (upper - lower) == pytest.approx(0.7384, abs=5e-5)
    assert interquartile_mean(rng().exponential(size=400_000)) == pytest.approx(0.7384, abs=0.006)


def test_one_run_has_no_interval() -> None:
    for call in (
        lambda: bootstrap_interval([1.0], rng=rng()),
        lambda: paired_difference([1.0], [2.0], rng=rng()),
        lambda: paired_difference([1.0, 2.0], [2.0], rng=rng()),
        lambda: bootstrap_band([[1.0, 2.0]], rng=rng()),
    ):
        with pytest.raises(StatisticsError, match="at least 2 on the first axis"):
            call()


def test_what_is_not_runs_is_refused_by_name() -> None:
    with pytest.raises(StatisticsError, match=r"got samples of shape \(1, 1, 1\); wanted \[S\] or"):
        bootstrap_interval([[[1.0]]], rng=rng())
    with pytest.raises(StatisticsError, match=r"got x of shape \(1,\); wanted .* at least 2"):
        paired_difference([1.0], [1.0, 2.0], rng=rng())
    with pytest.raises(StatisticsError, match="got x with 1 of 2"):
        paired_difference([1.0, np.nan], [1.0, 2.0], rng=rng())
    with pytest.raises(StatisticsError, match="got y with 1 of 2"):
        paired_difference([1.0, 2.0], [1.0, np.inf], rng=rng())
    with pytest.raises(StatisticsError, match="got pairs of shapes"):
        paired_difference([1.0, 2.0], [1.0, 2.0, 3.0], rng=rng())
    with pytest.raises(StatisticsError, match=r"got curves of shape \(2,\); wanted \[S, T\]"):
        bootstrap_band([1.0, 2.0], rng=rng())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"level": 95}, "got level=95"),
        ({"resamples": 0}, "got resamples=0"),
        ({"rng": 7}, "got rng of type int"),
        (
            {"statistic": np.mean, "resamples": 5},
            r"^got shape \(\) from the statistic for values of shape \((5|1, 5), 2\); wanted "
            r"\((5,|1, 5)\): reduce the last axis, as with `axis=-1`$",
        ),
    ],
)
def test_settings_are_checked_before_chance_is_spent(setting: dict, message: str) -> None:
    generator = rng()
    before = generator.bit_generator.state
    for call in (
        lambda **given: bootstrap_interval([1.0, 2.0], **given),
        lambda **given: paired_difference([1.0, 2.0], [0.0, 1.0], **given),
        lambda **given: bootstrap_band([[1.0], [2.0]], **given),
    ):
        with pytest.raises(StatisticsError, match=message):
            call(**{"rng": generator, **setting})
    if "statistic" not in setting:
        assert generator.bit_generator.state == before


def test_the_interval_holds_for_skewed_scores_with_tasks() -> None:
    scores = rng(2).exponential(size=(10, 4)) * [1.0, 2.0, 5.0, 9.0]
    got = bootstrap_interval(scores, rng=rng())
    assert got.low < got.value < got.high
    assert got.value == interquartile_mean(scores)
