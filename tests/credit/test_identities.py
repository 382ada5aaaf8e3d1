"""Which rows can be told apart, and what is said of those that cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.errors import LabelError

LAST = Scheme(center_by=("agent",), center="none", scale="none", rollout_reward="last")
OTHERS = Scheme(center="leave_one_out", scale="none")
TO_GO = replace(LAST, rollout_reward="to_go")
SUM = replace(LAST, rollout_reward="sum")
MEAN = replace(LAST, rollout_reward="mean", weighting="trajectory")


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


HALVES = [[1.0, None], [None, 7.0]]
"""Two rows of one key, each of which states another component: 1 and 7 as sums."""
ONE_EACH = {"rollout": [0, 0], "agent": ["a", "a"], "turn": [3, 3]}


def refused(rewards: Any, scheme: Scheme, rows: dict[str, list] = ONE_EACH) -> bool:
    try:
        advantages(rewards, rows, scheme)
    except LabelError:
        return True
    return False


@pytest.mark.parametrize("components", ["sum_first", "normalize_first"])
@pytest.mark.parametrize("missing", ["leave_out", "as_zero"])
def test_a_missing_component_adds_nothing_to_a_sum(components: str, missing: str) -> None:
    """Each row states the component that it knows; only what both state can conflict."""
    scheme = replace(SUM, center="mean", components=components, missing=missing)
    got = advantages([HALVES[0], [5.0, 0.0], HALVES[1], [5.0, 0.0]], labels(), scheme)
    np.testing.assert_array_equal(got.values, [-1, 1, -1, 1])  # 8 and 10 less 9
    assert refused([[1.0, 2.0], [1.0, 3.0]], scheme)


@pytest.mark.parametrize("scheme", [LAST, MEAN, TO_GO])
def test_sums_of_different_components_are_different_rewards(scheme: Scheme) -> None:
    """1 and 7: the last would be either, the mean 4, the rest from the first row 8 and 7 or 1."""
    assert refused(HALVES, scheme)
    assert refused(HALVES[::-1], scheme)
    assert not refused([[1.0, 2.0], [2.0, 1.0]], scheme)  # 3 and 3


def test_components_by_themselves_pass_over_a_missing_one() -> None:
    """The last known value of each component is 1 and 7, in either order; their means are half."""
    apart = replace(LAST, center="mean", components="normalize_first")
    rows = {"rollout": [0, 0, 1, 1], "agent": ["a"] * 4, "turn": [3] * 4}
    for halves in (HALVES, HALVES[::-1]):
        got = advantages([*halves, [0.0, 0.0], [0.0, 0.0]], rows, apart)
        np.testing.assert_array_equal(got.values, [4, 4, -4, -4])
    assert refused([[1.0, 2.0], [2.0, 1.0]], apart)
    assert refused(HALVES, replace(apart, missing="as_zero"))  # 1 and 0, 0 and 7


@pytest.mark.parametrize(("scheme", "wanted"), [(LAST, [7, 7]), (SUM, [7, 7]), (MEAN, [7, 0])])
def test_a_row_without_a_reward_is_no_other_reward(scheme: Scheme, wanted: list) -> None:
    rewards = np.array([7.0, np.nan])
    np.testing.assert_array_equal(advantages(rewards, ONE_EACH, scheme).values, wanted)
    np.testing.assert_array_equal(advantages(rewards[::-1], ONE_EACH, scheme).values,
                                  wanted[:: -1 if scheme is MEAN else 1])  # fmt: skip


def test_the_rest_from_a_row_on_depends_on_where_a_missing_reward_stands() -> None:
    """(None, 7) would be 7 and 7; (7, None) would be 7 and nothing: so it must be told which."""
    assert refused([None, 7.0], TO_GO)
    assert refused([7.0, None], TO_GO)
    assert not refused([None, None], TO_GO)
    assert not refused([None, 7.0], TO_GO, {**ONE_EACH, "turn": [3, 4]})


ENTRIES = st.sampled_from([None, 0.0, 1.0, 2.0, 7.0])
TEAMS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), ENTRIES, ENTRIES), min_size=2, max_size=6
)
"""Rollout, turn and two components of each row."""
WHOLE = st.builds(
    Scheme,
    scale=st.just("none"),
    weighting=st.just("trajectory"),
    rollout_reward=st.sampled_from(["mean", "last", "sum"]),
    components=st.sampled_from(["sum_first", "normalize_first"]),
    missing=st.sampled_from(["leave_out", "as_zero"]),
)
ROWS = WHOLE.map(lambda whole: replace(whole, weighting="step"))
REST = ROWS.map(lambda rows: replace(rows, rollout_reward="to_go", gamma=0.5))


def credited(team: list, scheme: Scheme) -> list | None:
    """The advantages with their keys, sorted; None where the rows are refused."""
    rollout, turn, *rewards = zip(*team, strict=True)
    names = {"rollout": rollout, "turn": turn, "agent": ["a"] * len(team)}
    try:
        values = advantages(list(zip(*rewards, strict=True)), names, scheme).values
    except LabelError:
        return None
    return sorted(zip(rollout, turn, (values.round(9) + 0.0).tolist(), strict=True))


@given(TEAMS, st.one_of(WHOLE, ROWS, REST), st.permutations(range(6)))
def test_what_is_accepted_does_not_depend_on_the_order_of_the_rows(
    team: list, scheme: Scheme, order: list[int]
) -> None:
    """Rows of one key count as the same, in whatever order they are written down."""
    mixed = [team[i] for i in order if i < len(team)]
    assert credited(mixed, scheme) == credited(team, scheme)


@given(TEAMS, WHOLE.filter(lambda scheme: scheme.rollout_reward != "mean"))
def test_rows_and_rollouts_refuse_the_same(team: list, whole: Scheme) -> None:
    """The shorter path of whole rollouts decides as the path of single rows."""
    rows = replace(whole, weighting="step")
    assert (credited(team, whole) is None) == (credited(team, rows) is None)


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
