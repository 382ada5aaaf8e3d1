"""What is a reward and what is not, and what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.errors import CounterpointError, RewardError, SchemeError

BARE = Scheme(center="none", scale="none")


@pytest.mark.parametrize(
    "rewards",
    [
        [1, 0, 2],
        (1.0, 0.0, 2.0),
        [[1], [0], [2]],
        np.array([1, 0, 2], dtype=np.uint8),
        np.array([1, 0, 2], dtype=object),
        np.array([1, 0, 2], dtype=np.float16),
        np.ma.array([1, 0, 2]),
    ],
)
def test_numbers_of_any_kind_enter_as_they_are(rewards: Any) -> None:
    got = advantages(rewards, {}, BARE)
    np.testing.assert_array_equal(got.values, [1, 0, 2])
    assert got.values.dtype == np.float64
    assert got.tally.missing == 0


@pytest.mark.parametrize(
    "rewards",
    [
        [1, None, 2],
        [1.0, float("nan"), 2.0],
        np.array([1, np.nan, 2], dtype=object),
        np.ma.array([1, 5, 2], mask=[False, True, False]),
    ],
)
def test_what_is_missing(rewards: Any) -> None:
    got = advantages(rewards, {}, BARE)
    np.testing.assert_array_equal(got.values, [1, 0, 2])
    assert (got.tally.missing, got.tally.left_out) == (1, 1)


@pytest.mark.parametrize(
    ("rewards", "scheme", "said"),
    [
        (3.0, BARE, "got rewards of shape (); wanted [N], or [N, K] for K components"),
        (
            np.zeros((2, 3, 1)),
            BARE,
            "got rewards of shape (2, 3, 1); wanted [N], or [N, K] for K components",
        ),
        (
            np.zeros((2, 0)),
            BARE,
            "got rewards of shape (2, 0); wanted [N], or [N, K] for K components",
        ),
        (["a"], BARE, "got rewards of type <U1; wanted real numbers"),
        ([1j], BARE, "got rewards of type complex128; wanted real numbers"),
        (
            [-np.inf, 1.0, np.inf, None],
            BARE,
            "got 2 rewards that are infinite or beyond 1e+140, whose weighted squares cannot be "
            "summed; wanted finite numbers, and NaN or None where a reward is missing",
        ),
        (
            [1e139, 1.0],
            Scheme(weights=(-100.0,)),
            "got 1 rewards that are infinite or beyond 1e+138, whose weighted squares cannot be "
            "summed; wanted finite numbers, and NaN or None where a reward is missing",
        ),
        (
            [[1.0, 2.0, 3.0]],
            Scheme(weights=(1.0, 2.0)),
            "got 2 weights for 3 reward components; wanted one weight a component",
        ),
        (
            [[1.0, 2.0]],
            Scheme(conditions=((1, 2, 0.5),)),
            "got a condition on components 1 and 2, counted from 0, for 2 reward components",
        ),
        (
            [[1.0, 2.0]],
            Scheme(conditions=((2, 0, 0.5),)),
            "got a condition on components 2 and 0, counted from 0, for 2 reward components",
        ),
    ],
)
def test_what_is_no_reward_is_said(rewards: Any, scheme: Scheme, said: str) -> None:
    with pytest.raises(CounterpointError) as refused:
        advantages(rewards, {}, scheme)
    assert str(refused.value) == said


@pytest.mark.parametrize("rewards", [[[1.0], [1.0, 2.0]], [None, "a"], [{}], [10**400, None]])
def test_what_is_no_array_of_numbers(rewards: Any) -> None:
    with pytest.raises(RewardError) as refused:
        advantages(rewards, {}, BARE)
    assert str(refused.value).startswith("got rewards that are no array of numbers (")
    assert str(refused.value).endswith("); wanted [N] or [N, K]")


def test_large_rewards_are_fine_up_to_the_limit() -> None:
    np.testing.assert_array_equal(advantages([1e140, -1e140], {}, BARE).values, [1e140, -1e140])
    halved = Scheme(center="none", scale="none", weights=(0.5,))  # no limit is raised
    with pytest.raises(RewardError, match=r"beyond 1e\+140"):
        advantages([1.5e140], {}, halved)


def test_conditions_gate_the_rewards_as_given() -> None:
    """Component 1 counts from .5 of component 0 on, and is missing where that is missing."""
    gate = Scheme(center="none", scale="none", conditions=((1, 0, 0.5),))
    rewards = [[0.5, 8.0], [0.25, 8.0], [-1.0, 8.0], [None, 8.0], [1.0, None], [None, None]]
    done = advantages(rewards, {}, gate)
    np.testing.assert_array_equal(done.values, [8.5, 0.25, -1, 0, 1, 0])
    assert (done.tally.missing, done.tally.left_out) == (3, 2)
    last = Scheme(center="none", scale="none", conditions=((0, 1, 10.0),))
    np.testing.assert_array_equal(advantages(rewards[:3], {}, last).values, [8, 8, 8])


def test_components_are_weighed_one_by_one() -> None:
    rewards = [[1.0, 10.0, 100.0], [2.0, None, 300.0]]
    weighed = Scheme(center="none", scale="none", weights=(2.0, -1.0, 0.5))
    np.testing.assert_array_equal(advantages(rewards, {}, weighed).values, [42, 154])
    skipped = Scheme(center="none", scale="none", weights=(0.0, 0.0, 0.5))
    np.testing.assert_array_equal(advantages(rewards, {}, skipped).values, [50, 150])


def test_success_rates_that_are_none_are_counted() -> None:
    labels = {"prompt": [0, 0, 1, 1, 2, 2], "rollout": [0, 1] * 3}
    with pytest.raises(RewardError) as refused:
        advantages([1.0, 2.0, 0.0, 1.0, -1.0, 0.0], labels, catalogue()["mgpo"])
    assert str(refused.value) == (
        "got 2 groups with a mean reward outside of 0 to 1; wanted success rates, which "
        "group_weight='entropy' is defined for"
    )


@pytest.mark.parametrize("scheme", [None, "grpo", {}])
def test_what_is_no_scheme_is_said(scheme: Any) -> None:
    with pytest.raises(SchemeError) as refused:
        advantages([1.0], {}, scheme)
    assert str(refused.value) == (
        f"got scheme {scheme!r}; wanted a Scheme, e.g. catalogue()['grpo']"
    )
