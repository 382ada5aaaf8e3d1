import numpy as np
import pytest

from counterpoint.diagnose import collapsed
from counterpoint.errors import StatisticsError

FLAT, TOLD = -0.1, 0.1


def timeline(*cosine_low):
    return np.array(cosine_low)[:, None]


def everywhere(cosine_low):
    return np.ones(cosine_low.shape, dtype=bool)


def test_a_run_as_long_as_the_window_counts_from_its_first_update():
    low = timeline(TOLD, FLAT, FLAT, FLAT, TOLD, FLAT, FLAT)
    found = collapsed(low, everywhere(low), 3)
    assert found[:, 0].tolist() == [False, True, True, True, False, False, False]


def test_an_agent_that_has_finished_learning_has_not_collapsed():
    low = timeline(FLAT, FLAT, FLAT)
    assert not collapsed(low, np.zeros((3, 1), dtype=bool), 2).any()
    assert collapsed(low, np.array([[True], [True], [False]]), 2)[:, 0].tolist() == [1, 1, 0]


def test_an_unmeasured_update_breaks_the_run():
    low = timeline(FLAT, np.nan, FLAT, FLAT)
    assert collapsed(low, everywhere(low), 2)[:, 0].tolist() == [False, False, True, True]


def test_agents_and_seeds_are_independent():
    low = np.full((2, 4, 3), TOLD)
    low[1, :, 2] = FLAT
    found = collapsed(low, everywhere(low), 4)
    assert found[1, :, 2].all()
    assert found.sum() == 4


def test_window_of_one_and_window_longer_than_the_run():
    low = timeline(FLAT, TOLD)
    assert collapsed(low, everywhere(low), 1)[:, 0].tolist() == [True, False]
    assert not collapsed(low, everywhere(low), 3).any()


def test_bad_arguments_are_refused():
    low = timeline(FLAT, FLAT)
    with pytest.raises(StatisticsError, match="window of 0"):
        collapsed(low, everywhere(low), 0)
    with pytest.raises(StatisticsError, match="wanted both"):
        collapsed(low, np.ones((3, 1), dtype=bool), 1)
