"""Which rows count in which group, and the moments of their values, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.credit.groups import Samples, group_moments, midranks
from counterpoint.credit.labels import Groups
from counterpoint.credit.segments import NUMPY

GROUPS = Groups(np.array([0, 0, 1, 1, 1]), 2)
ROLLOUTS = Groups(np.array([0, 0, 1, 1, 2]), 3)
OK = np.array([True, False, True, True, True])
DOUBLE = 2.0**-52


@pytest.mark.parametrize(("whole", "weight"), [(True, [1, 0, 0.5, 0.5, 1]), (False, OK * 1.0)])
def test_rows_that_do_not_count_are_a_group_of_their_own(whole: bool, weight: list) -> None:
    s = Samples.of(GROUPS, ROLLOUTS, OK, whole, NUMPY)
    assert (s.ids.tolist(), s.n) == ([0, 2, 1, 1, 1], 3)
    assert (s.rollout.tolist(), s.n_rollouts) == ([0, 3, 1, 1, 2], 4)
    assert s.rollout_rows.tolist() == [1, 1, 2, 2, 1]
    assert s.weight.tolist() == list(weight)
    assert s.total.tolist() == [1, 2 if whole else 3, 0]
    assert s.rollout_count(NUMPY).tolist() == [1, 2, 0]
    assert s.rollout_sum(np.arange(5.0), NUMPY).tolist() == [0, 1, 5, 5, 4]
    assert s.by_rollout is whole


def test_rows_by_themselves_have_no_rollouts() -> None:
    s = Samples.of(GROUPS, None, None, False, NUMPY)
    assert (s.ids.tolist(), s.n, s.total.tolist()) == ([0, 0, 1, 1, 1], 2, [2, 3])
    assert (s.rollout, s.rollout_rows, s.n_rollouts) == (None, None, 0)


def test_moments_by_row_and_of_an_empty_group() -> None:
    """1, 3: mean 2, variance 1; 4, 4, 10: mean 6, variance (4 + 4 + 16) / 3 = 8; no row: 0."""
    s = Samples.of(Groups(GROUPS.ids, 3), None, None, False, NUMPY)
    m = group_moments(np.array([3.0, 1.0, 4.0, 10.0, 4.0]), None, s, NUMPY, DOUBLE)
    assert m.low.tolist() == [1, 4, 0]
    assert m.mean.tolist() == [1, 2, 0]
    assert m.above.tolist() == [2, 0, 0, 6, 0]
    assert m.deviation.tolist() == [1, -1, -2, 4, -2]
    assert m.var.tolist() == [1, 8, 0]
    assert m.constant.tolist() == [False, False, True]
    assert m.tolerance.tolist() == [24 * DOUBLE, 80 * DOUBLE, 0]  # 8 ulps of 3 and of 10


def test_moments_by_rollout() -> None:
    """Rollouts 2 (of 3, 1); 7 (of 4, 10) and 4: mean 5.5, variance 2.25."""
    s = Samples.of(GROUPS, ROLLOUTS, None, True, NUMPY)
    m = group_moments(np.array([3.0, 1.0, 4.0, 10.0, 4.0]), None, s, NUMPY, DOUBLE)
    assert (m.low + m.mean).tolist() == [2, 5.5]
    assert m.deviation.tolist() == [0, 0, 1.5, 1.5, -1.5]
    assert m.var.tolist() == [0, 2.25]
    assert m.constant.tolist() == [True, False]


def test_what_is_to_be_added_keeps_its_digits() -> None:
    """1e16 + .25 and 1e16 + .75 are one double; apart they have the mean .5 and variance 1/16."""
    s = Samples.of(Groups(np.zeros(2, dtype=int), 1), None, None, False, NUMPY)
    rest = np.array([0.25, 0.75])
    m = group_moments(np.full(2, 1e16), np.zeros(2), s, NUMPY, DOUBLE, rest)
    assert (m.low.tolist(), m.mean.tolist(), m.var.tolist()) == ([1e16], [0.5], [0.0625])
    assert m.deviation.tolist() == [-0.25, 0.25]


@pytest.mark.parametrize(("size", "constant"), [(None, False), ([1.0, 1e3], True)])
def test_differences_are_rounding_beside_the_terms_that_were_summed(
    size: list | None, constant: bool
) -> None:
    """9 ulps of 1 are a difference of values near 1, and rounding of terms near 1,000."""
    s = Samples.of(Groups(np.zeros(2, dtype=int), 1), None, None, False, NUMPY)
    values = np.array([1.0, 1.0 + 9 * DOUBLE])
    m = group_moments(values, None if size is None else np.array(size), s, NUMPY, DOUBLE)
    assert m.constant.tolist() == [constant]
    assert (m.var > 0).tolist() == [not constant]
    assert (m.mean > 0).tolist() == [not constant]  # a constant group has its smallest as mean


def test_rollouts_with_one_mean_are_constant_whatever_their_rows_are() -> None:
    """1, 3 and 2, 2 both have the mean 2; the third group has no row."""
    groups, rollouts = Groups(np.zeros(4, dtype=int), 2), Groups(np.array([0, 0, 1, 1]), 2)
    s = Samples.of(groups, rollouts, None, True, NUMPY)
    m = group_moments(np.array([1.0, 3.0, 2.0, 2.0]), None, s, NUMPY, DOUBLE)
    assert m.constant.tolist() == [True, True]
    assert (m.low + m.mean).tolist() == [2, 0]
    assert m.tolerance.tolist() == [16 * DOUBLE, 0]


@pytest.mark.parametrize(
    ("values", "largest"), [([-10.0, -4.0], 10), ([-4.0, 10.0], 10), ([0.0, 0.0], 0)]
)
def test_what_is_rounding_follows_the_largest_magnitude(values: list, largest: float) -> None:
    s = Samples.of(Groups(np.zeros(2, dtype=int), 2), None, None, False, NUMPY)
    m = group_moments(np.array(values), None, s, NUMPY, DOUBLE)
    assert m.tolerance.tolist() == [8 * DOUBLE * largest, 0]
    assert m.constant.tolist() == [largest == 0, True]
    sized = group_moments(np.array(values), np.array([2.0, 3.0]), s, NUMPY, DOUBLE)
    assert sized.tolerance.tolist() == [24 * DOUBLE, 0]


def test_ranks_start_from_one_in_each_group_and_ties_share_theirs() -> None:
    """Group 0 has 5, 3, 3 and 9: places 3, 1.5, 1.5 and 4; group 1 has 8 and 7: 2 and 1."""
    s = Samples.of(Groups(np.array([1, 0, 0, 1, 0, 0]), 2), None, None, False, NUMPY)
    values = np.array([8.0, 5.0, 3.0, 7.0, 3.0, 9.0])
    assert midranks(values, np.zeros(2), s, NUMPY).tolist() == [2, 3, 1.5, 1, 1.5, 4]
    near = midranks(values, np.array([0.0, 1.0]), s, NUMPY)  # 8 and 7 are tied
    assert near.tolist() == [1.5, 3, 1.5, 1.5, 1.5, 4]


def test_a_rollout_has_one_rank_whatever_its_rows() -> None:
    """In group 0 a rollout of two rows is below one of one row; in group 1 it is the other way."""
    groups, rollouts = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 2, 2, 3])
    s = Samples.of(Groups(groups, 2), Groups(rollouts, 4), None, True, NUMPY)
    values = np.array([4.0, 4.0, 6.0, 9.0, 9.0, 1.0])
    assert midranks(values, np.zeros(2), s, NUMPY).tolist() == [1, 1, 2, 2, 2, 1]
