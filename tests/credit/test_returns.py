"""What a row counts as: returns that stand on every row, in the last one, or in parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from array_kinds import KINDS, credit_of
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from random_teams import uneven, with_gaps

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.errors import LabelError

RAW = Scheme(center="none", scale="none")
SEEDS = st.integers(0, 2**32 - 1)
LAW = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)


def three_episodes(pay: str) -> tuple[np.ndarray, dict[str, list]]:
    """Episodes of 3, 2 and 4 turns with returns 1, 1, 0, written down in one of three habits."""
    rollout, last = [0] * 3 + [1] * 2 + [2] * 4, [2, 4, 8]
    returns = np.array([1.0, 1.0, 0.0])
    rewards = np.zeros(9)
    if pay == "every row":
        rewards = returns[rollout]
    elif pay == "last row":
        rewards[last] = returns
    else:
        rewards = returns[rollout] / np.array([3, 2, 4])[rollout]
    return rewards, {"prompt": [0] * 9, "rollout": rollout, "agent": ["a"] * 9}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("pay", "how"), [("every row", "last"), ("last row", "last"), ("last row", "sum"),
                     ("in parts", "sum"), ("every row", "mean")]
)  # fmt: skip
def test_z_scores_of_the_returns(kind: str, pay: str, how: str) -> None:
    """Returns 1 1 0: mean 2/3, deviation sqrt(2)/3: 1/sqrt(2), 1/sqrt(2), -sqrt(2)."""
    rewards, labels = three_episodes(pay)
    grpo = replace(catalogue()["grpo"], rollout_reward=how)
    got = credit_of(kind, rewards, labels, grpo).values
    np.testing.assert_allclose(got[[0, 3, 5]], [0.5**0.5, 0.5**0.5, -(2**0.5)], rtol=1e-12)


def test_a_winner_is_never_pushed_down_because_it_took_longer() -> None:
    """The mean of rows would be the return over the length; that is what `disagreeing` counts."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        turns = rng.integers(1, 6, 8)
        won = rng.integers(0, 2, 8)
        rollout = np.repeat(np.arange(8), turns)
        rewards = np.zeros(len(rollout))
        rewards[np.cumsum(turns) - 1] = won
        labels = {"prompt": 0 * rollout, "rollout": rollout, "agent": 0 * rollout}
        done = advantages(rewards, labels, catalogue()["grpo"])
        assert (done.values[won[rollout] == 1] >= 0).all()
        assert done.tally.disagreeing == ((turns > 1) & (won == 1)).sum()


@pytest.mark.parametrize("kind", KINDS)
def test_to_go_by_hand(kind: str) -> None:
    """Rewards 1 2 4 with gamma 1/2: 1 + (2 + 4/2)/2 = 3, 2 + 4/2 = 4, 4; another agent apart."""
    labels = {"rollout": [0, 0, 0, 0, 1], "agent": [0, 1, 0, 0, 0], "turn": [0, 0, 1, 2, 0]}
    scheme = replace(RAW, rollout_reward="to_go", gamma=0.5)
    got = credit_of(kind, np.array([1.0, 7.0, 2.0, 4.0, 5.0]), labels, scheme).values
    np.testing.assert_allclose(got, [3, 7, 4, 4, 5])


def test_rows_are_ordered_by_turn_where_it_is_given() -> None:
    labels = {"rollout": [0] * 3, "agent": ["a"] * 3, "turn": [2, 0, 1]}
    last = replace(RAW, rollout_reward="last")
    np.testing.assert_array_equal(advantages([5.0, 1.0, 2.0], labels, last).values, [5, 5, 5])
    del labels["turn"]
    np.testing.assert_array_equal(advantages([5.0, 1.0, 2.0], labels, last).values, [2, 2, 2])


def test_missing_rewards_add_nothing_and_the_last_that_is_there_counts() -> None:
    nan = np.nan
    labels = {"rollout": [0, 0, 0, 1, 1], "agent": ["a"] * 5}
    rewards = [1.0, nan, 4.0, 3.0, nan]
    for how, wanted in (("sum", [5, 5, 5, 3, 3]), ("last", [4, 4, 4, 3, 3]),
                        ("to_go", [5, 4, 4, 3, 0])):  # fmt: skip
        done = advantages(rewards, labels, replace(RAW, rollout_reward=how))
        np.testing.assert_array_equal(done.values, wanted)
        assert done.tally.missing == 2
        assert done.tally.left_out == (how == "to_go")  # from the last row on there is nothing


@LAW
@given(SEEDS, SEEDS, st.sampled_from(["sum", "last", "to_go"]), st.booleans())
def test_against_a_loop(structure: int, values: int, how: str, gaps: bool) -> None:
    team = uneven(structure)
    r = np.random.default_rng(values).normal(size=len(team))
    r = with_gaps(values, r, 0.3) if gaps else r
    got = advantages(r, team.labels, replace(RAW, rollout_reward=how)).values
    for who in range(team.speakers.max() + 1):
        rows = np.flatnonzero(team.speakers == who)
        rows = rows[np.argsort(team.labels["turn"][rows], kind="stable")]
        paid = r[rows]
        for place, row in enumerate(rows):
            rest = paid[place:] if how == "to_go" else paid
            rest = rest[~np.isnan(rest)]
            wanted = 0.0 if not len(rest) else rest[-1] if how == "last" else rest.sum()
            np.testing.assert_allclose(got[row], wanted, atol=1e-12)


class TestRowsThatCannotBeToldApart:
    def test_the_same_prompt_twice_is_refused(self) -> None:
        labels = {"prompt": ["q"] * 8, "rollout": [0, 1, 2, 3] * 2}
        with pytest.raises(LabelError, match="numbered apart"):
            advantages([1, 0, 0, 0, 0, 1, 1, 1], labels, catalogue()["grpo"])

    def test_numbered_apart_it_is_answered(self) -> None:
        """Rewards 1 0 0 0 0 1 1 1: mean and deviation 1/2."""
        labels = {"prompt": ["q"] * 8, "rollout": range(8)}
        got = advantages([1, 0, 0, 0, 0, 1, 1, 1], labels, catalogue()["grpo"])
        np.testing.assert_array_equal(got.values, [1, -1, -1, -1, -1, 1, 1, 1])

    def test_no_prompt_and_no_turn(self) -> None:
        with pytest.raises(LabelError, match=r"rollout 0\)"):
            advantages([1, 0, 0, 0, 10, 9, 10, 10], {"rollout": [0, 1, 2, 3] * 2},
                       catalogue()["grpo"])  # fmt: skip

    def test_interleaved_rows_of_an_agent_need_their_turn(self) -> None:
        labels = {"rollout": [0, 1, 0, 1], "agent": ["a"] * 4}
        with pytest.raises(LabelError, match="turn"):
            advantages([0.0, 0.0, 1.0, 0.5], labels, catalogue()["grpo"])
        labels["turn"] = [0, 0, 1, 1]
        got = advantages([0.0, 0.0, 1.0, 0.5], labels, catalogue()["grpo"])
        np.testing.assert_allclose(got.values, [1, -1, 1, -1])

    def test_a_turn_twice_is_refused_whatever_stands_where(self) -> None:
        labels = {"rollout": [0, 0, 1], "agent": ["a"] * 3, "turn": [0, 0, 0]}
        with pytest.raises(LabelError, match="turn 0"):
            advantages([0.0, 1.0, 0.5], labels, catalogue()["grpo"])

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("missing", [False, True])
    def test_rows_of_the_same_reward_and_schemes_of_rows_pass(self, kind, missing) -> None:
        labels = {"prompt": [0] * 8, "rollout": [0, 1, 2, 3] * 2}
        twice = np.array([1.0, 0, 0, 1] * 2)
        if missing:
            twice[4:] = np.nan
        got = credit_of(kind, twice, labels, catalogue()["grpo"]).values
        np.testing.assert_allclose(got, [1, -1, -1, 1] * 2)
        rows = {**labels, "agent": [0] * 8}
        other = np.array([1.0, 0, 0, 0, 0, 1, 1, 1])
        got = credit_of(kind, other, rows, catalogue()["agent_wise"]).values
        np.testing.assert_allclose(got, [1, -1, -1, -1, -1, 1, 1, 1])

    def test_agents_with_rewards_of_their_own_are_told_apart_by_name(self) -> None:
        labels = {"rollout": [0, 0, 1, 1], "agent": ["a", "b", "a", "b"]}
        got = advantages([5.0, 0.0, 6.0, 1.0], labels, catalogue()["grpo"])
        np.testing.assert_array_equal(got.values, [-1, -1, 1, 1])
