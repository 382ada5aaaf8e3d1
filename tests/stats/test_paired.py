"""Paired differences of scores: coverage, ties, decisions, and how many tasks would decide."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.errors import StatisticsError
from counterpoint.stats import bounded_difference, paired_decision


def decide(values, margin=0.05):
    return paired_decision(values, margin=margin, rng=np.random.default_rng(0))


def test_the_interval_of_five_wins_by_hand():
    # 5 wins and the two added tasks: mean 5/7, mean square (5 + 1)/7, variance 6/7 - 25/49
    got = bounded_difference([1, 1, 1, 1, 1])
    half = 1.959964 * math.sqrt((6 / 7 - 25 / 49) / 7)
    assert got.value == 1
    assert got.low == pytest.approx(5 / 7 - half, abs=1e-6)
    assert got.high == 1


@pytest.mark.parametrize(("n", "decision"), [(10, "cannot tell"), (60, "not worse")])
def test_ties_alone_are_no_certainty(n, decision):
    got = decide(np.zeros(n))
    assert got.decision == decision
    assert got.p == 1
    if decision == "cannot tell":
        assert decide(np.zeros(n + got.more)).decision == "not worse"
        assert decide(np.zeros(n + got.more - 1)).decision == "cannot tell"


def test_clear_wins_and_losses_are_decided_and_five_are_too_few():
    assert decide(np.ones(5)).decision == "not worse"  # p is 1/16
    assert decide(np.ones(8)).decision == "better"
    assert decide(-np.ones(8)).decision == "worse"


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.floats(0, 0.5))
def test_a_decision_never_contradicts_its_interval(values, margin):
    got = decide(values, margin)
    low, high = got.difference.low, got.difference.high
    assert -1 <= low <= got.difference.value <= high <= 1
    held = {"better": low > 0 and got.p <= 0.05, "worse": high < 0 and got.p <= 0.05,
            "not worse": low > -margin, "cannot tell": low <= -margin or high >= 0}  # fmt: skip
    assert held[got.decision]
    assert (got.more is None) or (got.decision == "cannot tell" and got.more >= 1)
    mirrored = decide([-v for v in values], margin)
    assert (got.decision == "better") == (mirrored.decision == "worse")


@pytest.mark.parametrize("n", [10, 20, 50])
@pytest.mark.parametrize("rates", [(0.02, 0.02), (0.2, 0.1), (0.45, 0.05)])
def test_the_interval_covers_at_least_93_percent(n, rates):
    wins, losses = rates
    rng = np.random.default_rng(n)
    drawn = rng.choice([1.0, -1.0, 0.0], p=[wins, losses, 1 - wins - losses], size=(2000, n))
    ends = [bounded_difference(row) for row in drawn]
    covered = np.mean([each.low <= wins - losses <= each.high for each in ends])
    assert covered >= 0.93


@pytest.mark.parametrize("values", [[], [1.5], [float("nan")], [[0.1, 0.2]]])
def test_what_is_no_difference_of_scores_is_refused(values):
    with pytest.raises(StatisticsError):
        bounded_difference(values)


def test_a_margin_is_a_share():
    with pytest.raises(StatisticsError, match="margin"):
        decide([0.1, 0.2], margin=2)
