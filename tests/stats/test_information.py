"""Mutual information by hand, and its null: what persists in an episode is one observation."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.errors import StatisticsError
from counterpoint.stats.information import classes_of, largest_information, mutual_information


@pytest.mark.parametrize(
    ("x", "y", "bits"),
    [
        ([0, 1, 2, 0, 1, 2], [2, 0, 1, 2, 0, 1], np.log2(3)),  # one to one
        ([0, 0, 1, 1], [0, 1, 0, 1], 0.0),  # every pair once
        ([0, 0, 0], [0, 1, 2], 0.0),  # nothing is seen
        # p(0, 0) = 1/2, p(1, 0) = p(1, 1) = 1/4: H(x) + H(y) - H(x, y) = 1 + .8113 - 1.5
        ([0, 0, 1, 1], [0, 0, 0, 1], 0.3113),
    ],
)
def test_worked_by_hand(x, y, bits):
    assert mutual_information(x, y) == pytest.approx(bits, abs=5e-5)
    assert mutual_information(y, x) == pytest.approx(bits, abs=5e-5)


def test_few_rows_are_classes_and_many_numbers_are_quarters():
    rows = np.array([[0.1, 5.0], [0.2, 5.0], [0.1, 5.0]])
    assert [column.tolist() for column in classes_of(rows)] == [[0, 1, 0]]
    assert classes_of(np.ones((9, 3))) == []
    assert classes_of(np.ones((9, 0))) == []
    rng = np.random.default_rng(0)
    choice, wide = rng.integers(3, size=400), rng.normal(size=400)
    columns = classes_of(np.stack([choice, wide, np.full(400, 2.0)], axis=1))
    assert [np.unique(column).size for column in columns] == [3, 4]
    assert np.array_equal(columns[0], choice)
    assert np.bincount(columns[1]).tolist() == [100] * 4


def episodes(tells: bool, seed: int, count: int = 40, steps: int = 25):
    """A goal and a word for each episode, one of three; the word is the goal's, or another's."""
    rng = np.random.default_rng(seed)
    goal = rng.integers(3, size=count).repeat(steps)
    word = goal if tells else rng.integers(3, size=count).repeat(steps)
    return [goal], word, np.arange(count).repeat(steps)


def test_words_that_tell_are_found_and_words_of_chance_are_not():
    rng = np.random.default_rng(1)
    told = largest_information(*episodes(True, 0), rng)
    assert told.bits > 1.5
    assert 0 < told.chance < 0.3
    mistaken = 0
    for seed in range(40):
        by_chance = largest_information(*episodes(False, seed), rng, permutations=100)
        mistaken += by_chance.bits > by_chance.chance
    assert mistaken <= 6  # 5% of 40 are 2; more than 6 have a probability of 0.003


def test_a_null_of_single_decisions_would_be_far_too_small():
    columns, words, blocks = episodes(False, 3)
    rng = np.random.default_rng(0)
    alone = largest_information(columns, words, np.arange(len(words)), rng)
    assert alone.chance < largest_information(columns, words, blocks, rng).chance / 5


def test_nothing_seen_tells_nothing_and_nothing_at_all_is_refused():
    rng = np.random.default_rng(0)
    assert largest_information([], np.array([0, 1]), np.array([0, 1]), rng) == (0.0, 0.0)
    with pytest.raises(StatisticsError, match="no observations"):
        largest_information([], np.zeros(0, int), np.zeros(0, int), rng)
    with pytest.raises(StatisticsError, match="one shape"):
        mutual_information([0, 1], [0])
