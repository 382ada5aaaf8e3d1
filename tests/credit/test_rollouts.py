"""One row a rollout: where the kernel may take it, and what each rollout then counts as."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.credit.labels import Labels
from counterpoint.credit.rewards import Rewards
from counterpoint.credit.rollouts import Rollouts

GRPO = catalogue()["grpo"]
LABELS = {"prompt": [0] * 5, "rollout": [0, 0, 0, 1, 1], "agent": list("abcab"), "turn": range(5)}
"""Rollout 0 has three rows, rollout 1 has two."""
PLAIN, GAP = [1.0, 6.0, 8.0, 8.0, 3.0], [1.0, None, 8.0, 8.0, 3.0]


def rollouts(scheme: Scheme, rewards: Any = PLAIN) -> Rollouts | None:
    read = Rewards.read(rewards, scheme)
    return Rollouts.of(read, Labels(LABELS, read.rows, read.arrays), scheme)


WHITE = replace(GRPO, whiten="batch")


@pytest.mark.parametrize(
    ("scheme", "rewards", "taken"),
    [
        (GRPO, PLAIN, True),
        (Scheme(weighting="trajectory"), PLAIN, True),
        (replace(GRPO, scale_by=()), PLAIN, True),
        (replace(GRPO, weighting="step"), PLAIN, False),
        (replace(GRPO, center_by=("agent",), scale_by=()), PLAIN, False),
        (replace(GRPO, center_by=(), scale_by=("turn",)), PLAIN, False),
        (WHITE, PLAIN, True),
        (replace(WHITE, whiten_weighting="trajectory"), PLAIN, True),
        (replace(WHITE, whiten_weighting="step"), PLAIN, False),
        # a missing row, a missing component of a row, and one that counts as 0
        (GRPO, GAP, False),
        (GRPO, [[r, 1.0] for r in GAP], True),
        (replace(GRPO, missing="as_zero"), GAP, True),
        (replace(GRPO, components="normalize_first"), [[r, 1.0] for r in GAP], False),
        (replace(GRPO, components="normalize_first"), [[r, 1.0] for r in PLAIN], True),
    ],
)
def test_rollouts_are_taken_where_groups_hold_whole_ones(
    scheme: Scheme, rewards: Any, taken: bool
) -> None:
    assert (rollouts(scheme, rewards) is not None) == taken


def test_each_rollout_is_one_row_with_its_labels() -> None:
    whole = replace(WHITE, whiten_weighting="trajectory", floor=0.5)
    found = rollouts(whole)
    assert found.scheme == replace(whole, weighting="step", whiten_weighting=None)
    assert {n: c.tolist() for n, c in found.labels.columns.items()} == {
        "prompt": [0, 0], "rollout": [0, 1], "turn": [0, 3]
    }  # fmt: skip
    assert (found.rollout.tolist(), found.first.tolist()) == ([0, 0, 0, 1, 1], [0, 3])
    assert found.rows.tolist() == [3, 2]
    assert np.array([5.0, 7.0])[found.rollout].tolist() == [5, 5, 5, 7, 7]


def test_the_mean_of_rows_is_the_first_and_what_is_to_be_added() -> None:
    """1, 6, 8: mean 1 + 4, from 4 below to 3 above; 8, 3: mean 8 - 2.5, 2.5 to either side.

    6, 8, 1: mean 6 - 1, from 4 below to 3 above; 2, 4, 9: mean 2 + 3, from 3 below to 4 above.
    """
    for three, rest, span in [(PLAIN[:3], 4, 4), ([6.0, 8.0, 1.0], -1, 4), ([2.0, 4.0, 9.0], 3, 4)]:
        rewards = [*three, 8.0, 3.0]
        (given,) = Rewards.read(rewards, GRPO).columns()
        got = rollouts(GRPO, rewards).column(given)
        assert got.values.tolist() == [rewards[0], 8]
        assert got.rest.tolist() == [rest, -2.5]
        assert got.span.tolist() == [span, 2.5]
        assert (got.ok, got.size, got.weight) == (None, None, 1.0)


def test_rollouts_whose_rows_agree_have_nothing_to_add() -> None:
    weighed = replace(GRPO, weights=(2.0, -1.0))
    rewards = [[1.0, 3.0]] * 3 + [[4.0, 0.5]] * 2
    (given,) = Rewards.read(rewards, weighed).columns()
    got = rollouts(weighed, rewards).column(given)
    assert got.values.tolist() == [-1, 7.5]
    assert got.size.tolist() == [5, 8.5]  # 2 + 3 and 8 + .5
    assert (got.rest, got.span) == (None, None)


def test_rollouts_of_different_length_count_once_with_their_mean() -> None:
    """Means 5, 1 and 0 (of 4, 6; of 1, 1, 1; of 0): the mean is 2."""
    labels = {"rollout": [0, 0, 1, 1, 1, 2], "agent": list("abaaba")}
    center = Scheme(weighting="trajectory", scale="none")
    got = advantages([4.0, 6.0, 1.0, 1.0, 1.0, 0.0], labels, center)
    assert got.values.tolist() == [3, 3, -1, -1, -1, -2]
    assert got.tally.disagreeing == 1


def test_a_raised_baseline_is_counted_by_row() -> None:
    """Prompt 0 has the mean 1 over five rows, which is raised to 2; prompt 1 has the mean 4."""
    labels = {"prompt": [0] * 5 + [1] * 2, "rollout": [0, 0, 0, 1, 1, 0, 1]}
    raised = replace(GRPO, baseline_floor=2.0, scale="none")
    got = advantages([0.0] * 3 + [2.0] * 2 + [0.0, 8.0], labels, raised)
    assert got.values.tolist() == [-2] * 3 + [0] * 2 + [-4, 4]
    assert got.tally.raised == 5
