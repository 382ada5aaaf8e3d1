"""Student's t against its printed table, and its level at few seeds."""

import math

import numpy as np
import pytest

from counterpoint.errors import StatisticsError
from counterpoint.stats import paired_t_test
from counterpoint.stats.significance import student_t_tails


@pytest.mark.parametrize(
    ("t", "freedom", "p"),
    [
        (12.7062047, 1, 0.05),
        (4.30265273, 2, 0.05),
        (2.26215716, 9, 0.05),
        (3.24983554, 9, 0.01),
        (2.04227246, 30, 0.05),
        (1.98397152, 100, 0.05),
        (0.0, 5, 1.0),
    ],
)
def test_the_printed_table(t, freedom, p):
    assert student_t_tails(t, freedom) == pytest.approx(p, rel=1e-7)
    assert student_t_tails(-t, freedom) == pytest.approx(p, rel=1e-7)


def test_one_degree_of_freedom_is_cauchy():
    """P(|T| >= t) = 1 - 2 atan(t) / pi."""
    assert student_t_tails(3.0, 1) == pytest.approx(1 - 2 * math.atan(3.0) / math.pi, rel=1e-12)


def test_by_hand():
    """Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt(3) = 3.4641 at 2 degrees of freedom.

    There P(|T| >= t) = 1 - t / sqrt(2 + t^2).
    """
    t = 2 * math.sqrt(3)
    assert paired_t_test([1.0, 2.0, 3.0]) == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-10)


def test_constant_differences():
    assert paired_t_test([0.0, 0.0]) == 1.0
    assert paired_t_test([0.5, 0.5, 0.5]) == 0.0


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_its_level_holds_at_few_seeds(seeds):
    rng = np.random.default_rng(seeds)
    wrong = sum(paired_t_test(rng.normal(size=seeds)) < 0.05 for _ in range(4000))
    assert 0.05 * 4000 - 60 < wrong < 0.05 * 4000 + 60  # 4.4 standard deviations


def test_refused():
    with pytest.raises(StatisticsError, match="2"):
        paired_t_test([1.0])
    with pytest.raises(StatisticsError, match="0 degrees"):
        student_t_tails(1.0, 0)
