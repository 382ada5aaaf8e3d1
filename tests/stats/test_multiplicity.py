"""q-values: the example of the paper, the definition, and the rate that they control."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import StatisticsError
from counterpoint.stats import benjamini_hochberg

P = st.lists(st.floats(0, 1), min_size=1, max_size=20)
# Benjamini and Hochberg 1995, section 4.2: 15 hypotheses, of which .05 rejects the first four.
PAPER = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
    *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
]


def test_by_hand() -> None:
    # sorted .01 .02 .03 .5: times 4/i = .04 .04 .04 .5; in the order given
    np.testing.assert_allclose(benjamini_hochberg([0.5, 0.03, 0.01, 0.02]), [0.5, 0.04, 0.04, 0.04])
    # .04 * 2 = .08, but .05 * 1 is smaller and the order must hold
    np.testing.assert_allclose(benjamini_hochberg([0.04, 0.05]), [0.05, 0.05])
    assert benjamini_hochberg([0.3]).tolist() == [0.3]
    assert benjamini_hochberg([0.0, 1.0]).tolist() == [0.0, 1.0]


def test_the_example_of_the_paper() -> None:
    q = benjamini_hochberg(PAPER)
    assert np.flatnonzero(q <= 0.05).tolist() == [0, 1, 2, 3]
    assert q[3] == pytest.approx(0.0095 * 15 / 4)


@settings(deadline=None)
@given(P)
def test_equals_the_definition(p: list[float]) -> None:
    ordered, m = sorted(p), len(p)
    wanted = [
        min(ordered[j] * (m / (j + 1)) for j in range(m) if ordered[j] >= value) for value in p
    ]
    np.testing.assert_allclose(benjamini_hochberg(p), wanted, rtol=1e-15)


@settings(deadline=None)
@given(P, st.randoms(use_true_random=False))
def test_permuted_tests_keep_their_q(p: list[float], random) -> None:
    order = list(range(len(p)))
    random.shuffle(order)
    np.testing.assert_array_equal(
        benjamini_hochberg(np.array(p)[order]), benjamini_hochberg(p)[order]
    )


@settings(deadline=None)
@given(P)
def test_between_p_and_one_in_the_same_order(p: list[float]) -> None:
    q = benjamini_hochberg(p)
    assert np.all((q >= p) & (q <= 1))
    assert np.all(np.diff(q[np.argsort(p)]) >= 0)


def test_the_false_discovery_rate_is_kept() -> None:
    # 30 true nulls and 10 effects, 400 times; without q-values nearly half of .05 would be false.
    generator = np.random.default_rng(0)
    false, naive = [], []
    for _ in range(400):
        p = np.concatenate([generator.random(30), generator.random(10) * 0.01])
        q = benjamini_hochberg(p)
        false.append(np.mean(np.flatnonzero(q <= 0.1) < 30) if np.any(q <= 0.1) else 0.0)
        naive.append(np.mean(np.flatnonzero(p <= 0.1) < 30))
    assert 0.05 <= np.mean(false) <= 0.1  # expected .1 * 30/40 = .075
    assert np.mean(naive) > 0.2


@pytest.mark.parametrize("bad", [[-0.1, 0.5], [0.5, 1.1]])
def test_what_is_no_probability_is_refused(bad: list[float]) -> None:
    with pytest.raises(
        StatisticsError, match=rf"got p-values from {bad[0]} to {bad[1]}; wanted probabilities in"
    ):
        benjamini_hochberg(bad)


def test_no_tests_or_missing_p_values_are_refused() -> None:
    with pytest.raises(StatisticsError, match=r"got p-values of shape \(0,\); wanted \[m\]"):
        benjamini_hochberg([])
    with pytest.raises(StatisticsError, match="got p-values with 1 of 2 values NaN"):
        benjamini_hochberg([0.5, np.nan])
