"""Components to one advantage a row, by hand: weights by deviation, agreement, the last pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from counterpoint.credit import PerRole, Scheme, advantages

EACH = Scheme(components="normalize_first")
FOUR = [[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]]
"""z-scores -1, -1, 1, 1 and -1, 1, -1, 1."""


@pytest.mark.parametrize(
    ("weights", "first"),
    [(None, 3 / 5), ((2.0, 1.0), 1 / 3), ((1.0, -1.0), -1.0), ((0.0, 5.0), 1.0)],
)
def test_components_weigh_by_their_deviation(weights: tuple | None, first: float) -> None:
    """0, 2 has deviation 1 and 8, 0 has 4: weights 1/5 and 4/5 of the z-scores -1, 1 and 1, -1.

    With weights 2 and 1 they are 2/6 and 4/6; with 1 and -1, 1/5 and -4/5; with 0 and 5, 1.
    """
    scheme = replace(EACH, weigh_by="deviation", weights=weights)
    got = advantages([[0.0, 8.0], [2.0, 0.0]], {}, scheme)
    np.testing.assert_allclose(got.values, [first, -first], rtol=1e-14)


def test_a_group_in_which_no_component_deviates_has_no_weights() -> None:
    scheme = replace(EACH, weigh_by="deviation")
    got = advantages([[1.0, 5.0], [1.0, 5.0]], {}, scheme)
    assert got.values.tolist() == [0, 0]


@pytest.mark.parametrize("least", [0.25, 0.5, 1.0])
def test_rows_with_components_of_both_signs_are_dropped(least: float) -> None:
    """Rows 1 and 2 have the terms -1 and 1; half of the group is left, and so of its advantages."""
    got = advantages(FOUR, {}, replace(EACH, agreement=least))
    assert got.values.tolist() == [-1, 0, 0, 1]
    assert got.tally.conflicting == 2


@pytest.mark.parametrize(("least", "kept"), [(0.4, True), (0.5, True), (0.6, False)])
def test_a_row_agrees_from_its_share_on(least: float, kept: bool) -> None:
    """Terms 3 and -1 of rows 1 and 2: |3 - 1| is half of 3 + 1."""
    got = advantages(FOUR, {}, replace(EACH, weights=(3.0, 1.0), agreement=least))
    assert got.values.tolist() == ([-4, -2, 2, 4] if kept else [-2, 0, 0, 2])
    assert got.tally.conflicting == (0 if kept else 2)


def test_a_missing_row_neither_agrees_nor_is_dropped() -> None:
    got = advantages([*FOUR, [None, None]], {}, replace(EACH, agreement=0.5))
    assert got.values.tolist() == [-1, 0, 0, 1, 0]
    assert (got.tally.conflicting, got.tally.left_out) == (2, 1)


WHITE = Scheme(center="none", scale="none", whiten="batch")


@pytest.mark.parametrize(
    ("rewards", "fields", "values"),
    [
        ([0.0, 2.0], {}, [-1, 1]),
        ([0.0, 2.0], {"epsilon": 1.0}, [-0.5, 0.5]),  # deviation 1, and 1 more
        ([0.0, 2.0, None], {}, [-1, 1, 0]),
        ([0.0, 2.0, None], {"missing": "as_zero"}, [-(0.5**0.5), 2**0.5, -(0.5**0.5)]),
        # squares 9 + 1 + 1 + 9 = 20: variance 5, and 20/3 with n - 1
        ([-3.0, -1.0, 1.0, 3.0], {}, np.array([-3, -1, 1, 3]) / 5**0.5),
        ([-3.0, -1.0, 1.0, 3.0], {"ddof": 1}, np.array([-3, -1, 1, 3]) / (20 / 3) ** 0.5),
        ([0.0, 2.0], {"ddof": 1}, [-(0.5**0.5), 0.5**0.5]),
        ([7.0], {}, [0]),
        ([7.0], {"ddof": 1}, [0]),
        ([7.0, 7.0], {"epsilon": 1.0}, [0, 0]),
    ],
)
def test_the_last_pass(rewards: list, fields: dict, values: list) -> None:
    got = advantages(rewards, {}, replace(WHITE, **fields))
    np.testing.assert_allclose(got.values, values, rtol=1e-14)
    assert got.tally.flat == int(not any(values))


def test_no_row_is_no_flat_batch() -> None:
    assert advantages([None, None], {}, WHITE).tally.flat == 0


def test_the_last_pass_may_count_rollouts_where_groups_count_rows() -> None:
    """By rollout the batch is 0 (of 0, 0, 0) and 4: mean 2, deviation 2."""
    labels = {"rollout": [0, 0, 0, 1], "agent": list("abca")}
    whole = replace(WHITE, whiten_weighting="trajectory")
    assert advantages([0.0, 0.0, 0.0, 4.0], labels, whole).values.tolist() == [-1, -1, -1, 1]
    rows = advantages([0.0, 0.0, 0.0, 4.0], labels, WHITE).values  # mean 1, variance 3
    np.testing.assert_allclose(rows, np.array([-1, -1, -1, 3]) / 3**0.5, rtol=1e-14)


def test_roles_without_a_default_keep_state_if_one_of_them_does() -> None:
    running = Scheme(center="running_mean", scale="none", memory="ema")
    assert PerRole({"a": Scheme(), "b": running}).keeps_state
    assert not PerRole({"a": Scheme()}).keeps_state
    assert PerRole({"a": Scheme()}, default=running).keeps_state
