"""One order of many, against arithmetic by hand and brute force."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.judge.aggregate import (
    AGGREGATES,
    PRIOR_SD,
    borda,
    bradley_terry,
    kendall_tau_b,
    plackett_luce,
    tied_sets,
)


def log_posterior_bt(v, rankings):
    total = -float(v @ v) / (2 * PRIOR_SD**2)
    for ranking in rankings:
        for place, tied in enumerate(ranking):
            for i in tied:
                for later in ranking[place + 1 :]:
                    total -= sum(math.log1p(math.exp(v[j] - v[i])) for j in later)
                for j in tied:
                    if j != i:
                        total -= 0.5 * math.log1p(math.exp(v[j] - v[i]))
    return total


def log_posterior_pl(v, rankings):
    total = -float(v @ v) / (2 * PRIOR_SD**2)
    for ranking in rankings:
        for place, tied in enumerate(ranking):
            left = [i for later in ranking[place:] for i in later]
            if len(left) > 1:
                total += sum(v[i] - math.log(sum(math.exp(v[j]) for j in left)) for i in tied)
    return total


def test_two_items_by_hand():
    # i wins 3 of 4: at the mode 3 - 4 p = d / (2 sd^2) with d = v_0 - v_1 and p = 1 / (1 + e^-d);
    # v_0 = d / 2 = -v_1, and the prior pulls each by v / sd^2.
    found = bradley_terry([[[0], [1]]] * 3 + [[[1], [0]]], 2)
    d = found.value[0] - found.value[1]
    assert 3 - 4 / (1 + math.exp(-d)) == pytest.approx(d / 2 / PRIOR_SD**2, abs=1e-8)
    assert 0.9 < d < math.log(3)  # the prior's pull is weak
    assert tied_sets(found.value) == [[0], [1]]


def test_borda_by_hand():
    # 0 beats 2 of 2, then 1.5 of 2 is shared: shares 1, .75 -> .875 - .5
    found = borda([[[0], [1], [2]], [[0, 1], [2]]], 3)
    np.testing.assert_allclose(found.value, [0.375, 0.125, -0.5])
    assert np.isnan(borda([[[0], [1]]], 2).low).all()


def test_ties_and_strangers_stay_in_the_middle():
    for name in ("bradley_terry", "plackett_luce"):
        found = AGGREGATES[name]([[[0, 1]]], 3)
        np.testing.assert_allclose(found.value, 0, atol=1e-9)
        wide = found.high - found.low
        assert wide[2] > 2 * wide[0] / 1.5
    assert bradley_terry([], 0).value.shape == (0,)
    assert plackett_luce([], 1).value.tolist() == [0.0]


@pytest.mark.parametrize(
    ("aggregate", "height"), [(bradley_terry, log_posterior_bt), (plackett_luce, log_posterior_pl)]
)
def test_nothing_near_is_likelier(aggregate, height):
    rankings = [[[0], [1, 2], [3]], [[1], [0], [3]], [[3], [2]], [[0, 1, 2, 3]]]
    # the reported values are centred; the prior makes the mode itself centred
    v = aggregate(rankings, 4).value
    best = height(v, rankings)
    for step in product((-1e-3, 0, 1e-3), repeat=4):
        assert height(v + np.array(step), rankings) <= best + 1e-9


RANKINGS = st.lists(
    st.permutations(range(4)).flatmap(
        lambda order: st.integers(2, 4).map(lambda k: [[i] for i in order[:k]])
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(RANKINGS, st.permutations(range(4)))
def test_names_do_not_matter(rankings, names):
    renamed = [[[names[i] for i in tied] for tied in ranking] for ranking in rankings]
    for aggregate in AGGREGATES.values():
        ours, theirs = aggregate(rankings, 4), aggregate(renamed, 4)
        np.testing.assert_allclose(theirs.value[list(names)], ours.value, atol=1e-7)


@settings(max_examples=100, deadline=None)
@given(RANKINGS)
def test_backwards_is_the_opposite_for_pairs_and_shares(rankings):
    turned = [ranking[::-1] for ranking in rankings]
    for aggregate in (bradley_terry, borda):
        np.testing.assert_allclose(
            aggregate(turned, 4).value, -aggregate(rankings, 4).value, atol=1e-7
        )


@settings(max_examples=50, deadline=None)
@given(RANKINGS)
def test_of_pairs_plackett_and_luce_say_what_bradley_and_terry_say(rankings):
    pairs = [ranking[:2] for ranking in rankings]
    ours, theirs = plackett_luce(pairs, 4), bradley_terry(pairs, 4)
    np.testing.assert_allclose(ours.value, theirs.value, atol=1e-7)
    np.testing.assert_allclose(ours.covariance, theirs.covariance, atol=1e-7)


def test_who_always_wins_stays_finite():
    found = bradley_terry([[[0], [1]]] * 1000, 2)
    assert np.isfinite(found.value).all()
    assert found.value[0] > 2


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng, truth, hits = np.random.default_rng(0), np.array([0.8, 0.0, -0.8]), 0
    for _ in range(200):
        pairs = []
        for i, j in [(0, 1), (1, 2), (0, 2)] * 12:
            first = rng.random() < 1 / (1 + math.exp(truth[j] - truth[i]))
            pairs.append([[i], [j]] if first else [[j], [i]])
        found = bradley_terry(pairs, 3)
        hits += int(((found.low <= truth) & (truth <= found.high)).sum())
    assert 0.92 <= hits / 600 <= 0.99


def test_kendall_by_hand():
    assert kendall_tau_b([[0], [1], [2]], [[0], [1], [2]]) == 1
    assert kendall_tau_b([[0], [1], [2]], [[2], [1], [0]]) == -1
    # pairs 01, 02, 12: a has all three, b ties 01: (2 - 0) / sqrt(3 * 2)
    assert kendall_tau_b([[0], [1], [2]], [[0, 1], [2]]) == pytest.approx(2 / math.sqrt(6))
    assert kendall_tau_b([[0, 1, 2]], [[0, 1, 2]]) == 1
    assert kendall_tau_b([[0, 1, 2]], [[0], [1], [2]]) == 0


def test_order_of_equal_values_is_a_tie():
    assert tied_sets(np.array([0.5, -1.0, 0.5, 0.0])) == [[0, 2], [3], [1]]
