"""Which rows can be told apart, and what is said of those that cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.errors import LabelError

LAST = Scheme(center_by=("agent",), center="none", scale="none", rollout_reward="last")
OTHERS = Scheme(center="leave_one_out", scale="none")
TO_GO = replace(LAST, rollout_reward="to_go")
SUM = replace(LAST, rollout_reward="sum")


def labels(**columns: Any) -> dict[str, list]:
    """Two rollouts, written down one after the other and then once more."""
    return {"rollout": [0, 1, 0, 1], "agent": ["a"] * 4, **columns}


@pytest.mark.parametrize("scheme", [LAST, TO_GO, SUM, OTHERS, catalogue()["grpo"]])
@pytest.mark.parametrize("missing", [False, True])
def test_schemes_that_take_rollouts_together_refuse_them(scheme: Scheme, missing: bool) -> None:
    rewards = [1.0, 0.0, 2.0, 0.0, *([np.nan] if missing else [])]
    rows = {"rollout": [0, 1, 0, 1, 2][: len(rewards)], "agent": ["a"] * len(rewards)}
    with pytest.raises(LabelError, match="got 2 rows"):
        advantages(rewards, rows, scheme)


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(center_by=("agent",)), LAST])
def test_schemes_of_single_rows_do_not_and_equal_rows_pass(scheme: Scheme) -> None:
    rewards = [1.0, 0.0, 1.0, 0.0] if scheme is LAST else [1.0, 0.0, 2.0, 0.0]
    assert advantages(rewards, labels(), scheme).tally.rows == 4


def test_one_reward_that_differs_condemns_no_equal_ones() -> None:
    """Agents differ within a rollout, as they may; what each has twice is the same."""
    rows = {"rollout": [0, 0, 0, 0], "agent": ["a", "b", "a", "b"]}
    got = advantages([5.0, -3.0, 5.0, -3.0], rows, replace(LAST, rollout_reward="sum"))
    np.testing.assert_array_equal(got.values, [10, -6, 10, -6])


@pytest.mark.parametrize("who", ["agent", "role"])
def test_turns_that_stand_side_by_side_need_no_number(who: str) -> None:
    rows = {"rollout": [0, 0, 1, 1], who: ["a"] * 4}
    got = advantages([1.0, 2.0, 3.0, 4.0], rows, replace(LAST, center_by=(), scale_by=None))
    np.testing.assert_array_equal(got.values, [2, 2, 4, 4])
    mixed = {"rollout": [0, 1, 0, 1, 2], who: ["a"] * 5}
    with pytest.raises(LabelError, match="got 4 rows"):
        advantages([1.0, 2.0, 3.0, 4.0, 5.0], mixed, replace(LAST, center_by=(), scale_by=None))


def test_only_the_rollouts_that_are_torn_apart_are_refused() -> None:
    """Rollouts 0 and 2 stand together, 1 does not: its two rows are named, nobody else's."""
    rows = {"prompt": ["q"] * 6, "rollout": [0, 0, 1, 2, 2, 1], "agent": ["a"] * 6}
    with pytest.raises(LabelError) as refused:
        advantages([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], rows, LAST)
    assert str(refused.value) == (
        "got 2 rows that share their labels (prompt q, rollout 1, agent a) with a row of another "
        "reward; wanted rollouts that are numbered apart (a prompt that is drawn twice is two "
        "prompts, or has rollouts of its own), or labels['turn'] where they are turns of one "
        "rollout"
    )


def test_rows_torn_apart_with_one_reward_are_not_counted() -> None:
    """Rollout 0 has 1 and 1, rollout 1 has 3 and 4: two rows conflict, not four."""
    with pytest.raises(LabelError, match="got 2 rows"):
        advantages([1.0, 3.0, 1.0, 4.0], labels(), LAST)


@pytest.mark.parametrize("component", [0, 1])
@pytest.mark.parametrize("gap", [False, True])
def test_one_component_is_enough(component: int, gap: bool) -> None:
    rewards = np.ones((5, 2))
    rewards[2, component] = 2.0
    rewards[4] = np.nan if gap else 1.0
    rows = {"rollout": [0, 1, 0, 1, 2], "agent": ["a"] * 5}
    with pytest.raises(LabelError, match="got 2 rows"):
        advantages(rewards, rows, LAST)


def test_a_missing_reward_is_no_other_reward() -> None:
    """Each row states the component that it knows; only what both state can conflict."""
    got = advantages([[1.0, None], [5.0, 0.0], [None, 7.0], [5.0, 0.0]], labels(), SUM)
    np.testing.assert_array_equal(got.values, [8, 10, 8, 10])


@pytest.mark.parametrize("ulps", [7, 8, 9, 20])
@pytest.mark.parametrize("sign", [1, -1])
def test_rounding_is_no_other_reward(ulps: int, sign: int) -> None:
    """An ulp below 1 is half of machine epsilon, above it a whole one: up to 8 are rounding."""
    top = 1.0 + ulps * np.finfo(float).eps
    rewards = [sign * 1.0, 0.0, sign * top, 0.0]
    if ulps > 8:
        with pytest.raises(LabelError, match="got 2 rows"):
            advantages(rewards, labels(), LAST)
    else:
        np.testing.assert_allclose(
            advantages(rewards, labels(), LAST).values, np.abs(rewards) * sign
        )


def test_batches_and_contexts_tell_rows_apart() -> None:
    for name in ("batch", "prompt", "context", "role"):
        rows = labels(**{name: [0, 0, 1, 1]})
        scheme = replace(catalogue()["grpo"], scale="none", center="none")
        if name in ("batch", "prompt"):
            got = advantages([1.0, 0.0, 2.0, 0.0], rows, scheme)
            np.testing.assert_array_equal(got.values, [1, 0, 2, 0])
        else:  # one agent in one rollout, told apart: the last row is the rollout's worth
            got = advantages([1.0, 0.0, 2.0, 0.0], rows, scheme)
            np.testing.assert_array_equal(got.values, [2, 0, 2, 0])
