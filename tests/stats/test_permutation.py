"""Permutation tests: exact p-values against enumeration in fractions, and calibration."""

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import StatisticsError
from counterpoint.stats import Permutation, permutation_test, sign_flip_test, significance

VALUES = st.lists(st.integers(-9, 9), min_size=1, max_size=5)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def splits(x: list[int], y: list[int]) -> Fraction:
    """The p-value by the definition, without rounding."""
    pooled, n = x + y, len(x)

    def distance(first: tuple[int, ...]) -> Fraction:
        mean = Fraction(sum(pooled[i] for i in first), n)
        rest = [value for i, value in enumerate(pooled) if i not in first]
        return abs(mean - Fraction(sum(rest), len(rest)))

    every = [distance(first) for first in combinations(range(len(pooled)), n)]
    return Fraction(sum(d >= every[0] for d in every), len(every))


def test_two_samples_by_hand() -> None:
    # {1, 2} against {3, 4}: of 6 splits only this one and its mirror are 2 apart
    got = permutation_test([1.0, 2.0], [3.0, 4.0], rng=rng())
    assert got == Permutation(effect=-2.0, p=2 / 6, arrangements=6, exact=True)


def test_signs_by_hand() -> None:
    # 1 2 3: |sum| = 6 for two of eight patterns; -1 2 3: |sum| >= 4 for four of them
    assert sign_flip_test([1.0, 2.0, 3.0], rng=rng()) == Permutation(2.0, 2 / 8, 8, exact=True)
    got = sign_flip_test([-1.0, 2.0, 3.0], rng=rng())
    assert (got.effect, got.p) == (pytest.approx(4 / 3), 4 / 8)


@given(VALUES, VALUES, st.sampled_from([1.0, 0.1, -1e6 / 3]), st.sampled_from([0.0, 1e5]))
@settings(deadline=None)
def test_two_samples_equal_enumeration_in_fractions(
    x: list[int], y: list[int], unit: float, offset: float
) -> None:
    # The unit makes equal sums round differently: ties must still be ties.
    first, second = np.array(x) * unit + offset, np.array(y) * unit + offset
    got = permutation_test(first, second, rng=rng())
    assert got.p == float(splits(x, y))
    assert got.exact


@given(VALUES, st.sampled_from([1.0, 0.1, 1e6 / 3]))
@settings(deadline=None)
def test_signs_equal_enumeration_in_fractions(differences: list[int], unit: float) -> None:
    every = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    got = sign_flip_test(np.array(differences) * unit, rng=rng())
    assert got.p == sum(d >= every[0] for d in every) / len(every)
    assert (got.exact, got.arrangements) == (True, len(every))


def test_nothing_but_equal_values_is_no_evidence() -> None:
    assert permutation_test([0.1] * 4, [0.1] * 5, rng=rng()).p == 1.0
    assert permutation_test([0.1] * 40, [0.1] * 50, rng=rng(), resamples=99).p == 1.0
    assert sign_flip_test([0.0] * 4, rng=rng()).p == 1.0
    assert sign_flip_test([0.0] * 40, rng=rng(), resamples=99).p == 1.0


def test_exact_up_to_as_many_arrangements_as_resamples() -> None:
    x, y = np.arange(3.0), np.arange(3.0) + 9  # 20 splits
    assert permutation_test(x, y, rng=rng(), resamples=20).exact
    sampled = permutation_test(x, y, rng=rng(), resamples=19)
    assert (sampled.exact, sampled.arrangements) == (False, 19)
    assert sign_flip_test(x + 1, rng=rng(), resamples=8).exact
    flipped = sign_flip_test(x + 1, rng=rng(), resamples=7)
    assert (flipped.exact, flipped.arrangements) == (False, 7)


def test_9999_resamples_unless_said() -> None:
    assert sign_flip_test(np.arange(13.0), rng=rng()).arrangements == 2**13
    assert sign_flip_test(np.arange(14.0), rng=rng()).arrangements == 9_999
    assert permutation_test(np.arange(9.0), np.arange(9.0), rng=rng()).arrangements == 9_999


def test_a_sampled_p_value_counts_the_observed_arrangement() -> None:
    # No random split of 60 is as far apart: (0 + 1) / (99 + 1), never 0.
    x = np.arange(30.0)
    got = permutation_test(x, x + 1000, rng=rng(), resamples=99)
    assert (got.p, got.effect) == (0.01, -1000.0)
    flipped = sign_flip_test(x + 1000, rng=rng(), resamples=99)
    assert (flipped.p, flipped.effect) == (0.01, 1014.5)


def test_sampled_p_values_agree_with_exact_ones() -> None:
    x, y = np.array([1.0, 4.0, 2.0, 8.0]), np.array([3.0, 9.0, 7.0, 6.0, 5.0])
    exact = permutation_test(x, y, rng=rng())  # 126 splits
    assert exact.exact
    # Repeating nothing: the same values, sampled by asking for fewer than there are, often.
    estimates = [permutation_test(x, y, rng=rng(s), resamples=125).p for s in range(80)]
    assert np.mean(estimates) == pytest.approx(exact.p, abs=0.015)  # 80 * 125 draws: +-.005
    differences = np.array([1.0, -2.0, 3.0, 4.0, -1.0, 5.0])
    truth = sign_flip_test(differences, rng=rng()).p
    estimates = [sign_flip_test(differences, rng=rng(s), resamples=63).p for s in range(160)]
    assert np.mean(estimates) == pytest.approx(truth, abs=0.02)


def test_calibrated_under_the_null_and_awake_off_it() -> None:
    generator = rng(3)
    null = [permutation_test(*generator.normal(size=(2, 5)), rng=rng()).p for _ in range(400)]
    assert np.mean(np.array(null) <= 0.05) <= 0.08  # .05 + 3 standard errors
    signs = [sign_flip_test(generator.normal(size=8), rng=rng()).p for _ in range(400)]
    assert np.mean(np.array(signs) <= 0.05) <= 0.08
    shifted = [sign_flip_test(generator.normal(size=10) + 2, rng=rng()).p for _ in range(50)]
    assert np.mean(np.array(shifted) <= 0.05) >= 0.9


@settings(deadline=None)
@given(VALUES, VALUES)
def test_swapping_the_samples_swaps_the_sign_alone(x: list[int], y: list[int]) -> None:
    there, back = permutation_test(x, y, rng=rng()), permutation_test(y, x, rng=rng())
    assert (back.effect, back.p) == (-there.effect, there.p)


def test_the_generator_decides_and_is_left_alone_where_exact() -> None:
    x, y = rng(1).normal(size=(2, 30))
    for test in (lambda g: permutation_test(x, y, rng=g), lambda g: sign_flip_test(x, rng=g)):
        generator = rng(7)
        first = test(generator)
        assert test(rng(7)) == first
        assert test(generator) != first
    generator = rng(7)
    before = generator.bit_generator.state
    permutation_test(x[:3], y[:3], rng=generator)
    sign_flip_test(x[:3], rng=generator)
    assert generator.bit_generator.state == before


@pytest.mark.parametrize("chunk", [1, 100, 1000])
def test_small_chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rng(1).normal(size=(2, 20))
    whole = permutation_test(x, y, rng=rng(), resamples=200)
    signs = sign_flip_test(x, rng=rng(), resamples=200)
    monkeypatch.setattr(significance, "_VALUES_PER_CHUNK", chunk)
    assert permutation_test(x, y, rng=rng(), resamples=200) == whole
    assert sign_flip_test(x, rng=rng(), resamples=200).arrangements == signs.arrangements


def test_chunks_add_up_to_as_many_arrangements_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "_VALUES_PER_CHUNK", 7 * 40)  # 99 = 14 * 7 + 1
    equal = np.ones(20)
    assert permutation_test(equal, equal, rng=rng(), resamples=99).p == 1.0  # each is as far
    assert sign_flip_test(np.zeros(40), rng=rng(), resamples=99).p == 1.0


def test_what_is_not_samples_is_refused_by_name() -> None:
    with pytest.raises(StatisticsError, match=r"got x of shape \(0,\); wanted \[n\]"):
        permutation_test([], [1.0], rng=rng())
    with pytest.raises(StatisticsError, match=r"got y of shape \(1, 1\); wanted \[m\]"):
        permutation_test([1.0], [[1.0]], rng=rng())
    with pytest.raises(StatisticsError, match=r"got differences of shape \(\); wanted \[n\]"):
        sign_flip_test(1.0, rng=rng())
    for call in (
        lambda **setting: permutation_test([1.0], [2.0], **setting),
        lambda **setting: sign_flip_test([1.0], **setting),
    ):
        with pytest.raises(StatisticsError, match="got resamples=0"):
            call(rng=rng(), resamples=0)
        with pytest.raises(StatisticsError, match="got rng of type NoneType"):
            call(rng=None)
