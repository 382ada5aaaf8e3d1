"""Does credit go with an agent's own outcome: worked by hand, planted, and silent where unknown."""

import numpy as np
import pytest

from counterpoint.diagnose import credit_correlations
from counterpoint.errors import StatisticsError

AGENT = np.array([0, 0, 0, 0, 1, 1, 1, 1])
TURN = np.array([0, 0, 1, 1, 0, 0, 1, 1])


def test_by_hand():
    """Within each turn, credit +-1 and own +-2 of the same sign for agent 0; of none for 1."""
    credit = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    own = np.array([12.0, 8.0, 102.0, 98.0, 12.0, 8.0, 98.0, 102.0])
    np.testing.assert_allclose(credit_correlations(credit, own, AGENT, TURN, 2), [1.0, 0.0])


def test_late_steps_having_less_to_come_is_no_credit():
    credit = np.array([5.0, 5.0, 1.0, 1.0] * 2)
    own = np.array([9.0, 9.0, 2.0, 2.0] * 2)
    assert np.isnan(credit_correlations(credit, own, AGENT, TURN, 2)).all()


def test_it_abstains_where_nothing_varies_or_nobody_decided():
    own = np.arange(8.0)
    found = credit_correlations(np.zeros(8), own, AGENT, TURN, 3)
    assert np.isnan(found).all()
    assert np.isnan(credit_correlations(own[:2], own[:2], AGENT[:2], TURN[:2], 1)).all()


def test_a_planted_credit_is_found_and_noise_is_not():
    rng = np.random.default_rng(0)
    own, agent = rng.normal(size=4000), np.repeat([0, 1], 2000)
    turn = np.tile(np.arange(10), 400)
    credit = np.where(agent == 0, own + rng.normal(size=4000), rng.normal(size=4000))
    told, silent = credit_correlations(credit, own, agent, turn, 2)
    assert told == pytest.approx(1 / np.sqrt(2), abs=0.05)
    assert abs(silent) < 0.07


def test_it_does_not_change_with_units_and_offsets():
    rng = np.random.default_rng(1)
    credit, own = rng.normal(size=(2, 8))
    found = credit_correlations(credit, own, AGENT, TURN, 2)
    other = credit_correlations(3 * credit + 2, 7 * own - 5, AGENT, TURN, 2)
    np.testing.assert_allclose(other, found)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(StatisticsError, match="four of one"):
        credit_correlations(np.zeros(3), np.zeros(4), np.zeros(3, int), np.zeros(3, int), 1)
