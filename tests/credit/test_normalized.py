"""One column, centered and divided, by hand: guards, policies and what is counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from counterpoint.credit import Credit, Mix, Scheme, advantages

OWN = Scheme(center_by=("agent",))
BARE = Scheme(center="none", scale="none")
LEFT = Scheme(center_by=("prompt",), center="leave_one_out")


def run(rewards: list, scheme: Any, agent: str = "", **labels: Any) -> Credit:
    if agent:
        labels["agent"] = list(agent)
    labels.setdefault("rollout", range(len(rewards)))
    return advantages(rewards, labels, scheme)


def test_ranks_take_the_place_of_rewards() -> None:
    """5, 1, 1, 9 have the ranks 3, 1.5, 1.5 and 4, with the mean 2.5."""
    ranks = Scheme(transform="rank", scale="none")
    assert run([5.0, 1.0, 1.0, 9.0], ranks).values.tolist() == [0.5, -1, -1, 1.5]
    assert run([5.0, 1.0, 1.0, 9.0], replace(ranks, center="none")).values.tolist() == [
        3, 1.5, 1.5, 4
    ]  # fmt: skip


@pytest.mark.parametrize("by", [("prompt",), ("agent",)])
def test_an_uncentered_rollout_counts_with_its_mean(by: tuple) -> None:
    """By prompt its rows are taken together first, by agent they are not: 1, 3 is 2 both times."""
    mean = replace(BARE, center_by=by, scale_by=by, weighting="trajectory")
    got = run([1.0, 3.0, 5.0], mean, "aaa", rollout=[0, 0, 1])
    assert got.values.tolist() == [2, 2, 5]
    assert got.tally.disagreeing == 1


def test_a_missing_row_of_a_rollout_does_not_disagree() -> None:
    whole = replace(OWN, weighting="trajectory", scale="none")
    got = run([1.0, None, 5.0], whole, "aaa", rollout=[0, 0, 1])
    assert got.values.tolist() == [-2, 0, 2]
    assert got.tally.disagreeing == 0


def test_each_component_may_disagree_in_another_rollout() -> None:
    each = Scheme(components="normalize_first", weighting="trajectory", scale="none")
    rewards = [[1.0, 0.0], [3.0, 0.0], [0.0, 5.0], [0.0, 7.0], [0.0, 0.0]]
    got = run(rewards, each, "ababa", rollout=[0, 0, 1, 1, 2])
    assert got.tally.disagreeing == 2


def test_the_deviation_of_raw_values_is_that_of_rollouts_means() -> None:
    """Means 2, 0 | 4, 2: centered 1, -1 | 1, -1; all four deviate by sqrt(2) from 2."""
    raw = Scheme(center_by=("prompt",), scale_by=(), scale_of="raw", weighting="trajectory")
    got = run([1.0, 3.0, 0.0, 4.0, 2.0], raw, prompt=[0, 0, 0, 1, 1], rollout=[0, 0, 1, 0, 1],
              turn=[0, 1, 0, 0, 0])  # fmt: skip
    np.testing.assert_allclose(got.values, np.array([1, 1, -1, 1, -1]) / 2**0.5, rtol=1e-14)


@pytest.mark.parametrize(
    ("scheme", "values"),
    [
        (OWN, [0, -1, 1]),
        (replace(OWN, singleton="raw"), [7, -1, 1]),
        # no center, and a scale of its own groups: 3, 5 has deviation 1 and 7 has none
        (Scheme(center="none", scale_by=("agent",)), [0, 3, 5]),
        (Scheme(center="none", scale_by=("agent",), singleton="raw"), [7, 3, 5]),
    ],
)
def test_a_group_of_one_row(scheme: Scheme, values: list) -> None:
    got = run([7.0, 3.0, 5.0], scheme, "abb")
    assert got.values.tolist() == values
    assert (got.tally.singletons, got.tally.constants) == (1, 0)


def test_a_rollout_without_another_has_nothing_to_be_compared_with() -> None:
    """Prompt 0 has one rollout of two rows; in prompt 1 each is compared with the other."""
    labels = {"prompt": [0, 0, 1, 1], "rollout": [0, 0, 0, 1], "turn": [0, 1, 0, 0]}
    for singleton, first in (("zero", [0, 0]), ("raw", [7, 9])):
        got = run([7.0, 9.0, 2.0, 5.0], replace(LEFT, scale="none", singleton=singleton), **labels)
        assert got.values.tolist() == [*first, -3, 3]
        assert (got.tally.groups, got.tally.singletons, got.tally.constants) == (2, 1, 0)


def test_a_mean_that_is_not_positive_divides_nothing_and_is_counted_once() -> None:
    """Agent a has the mean -2 over two rows, b has one row, c has 1, 3: -1/2 and 1/2."""
    got = run([-1.0, -3.0, -1.0, 1.0, 3.0], replace(OWN, scale="mean"), "aabcc")
    assert got.values.tolist() == [0, 0, 0, -0.5, 0.5]
    assert (got.tally.singletons, got.tally.constants) == (1, 1)
    unscaled = replace(OWN, scale="mean", constant="unscaled")
    assert run([-1.0, -3.0], unscaled, "aa").values.tolist() == [1, -1]
    labels = {"prompt": [0, 0], "rollout": [0, 0], "turn": [0, 1]}
    left = run([-1.0, -3.0], replace(LEFT, scale="mean"), **labels)
    assert (left.tally.singletons, left.tally.constants) == (1, 0)


def test_every_smaller_divisor_is_raised_to_the_floor() -> None:
    """One row and 1, 1 have no deviation, 0, 4 has 2, and 0, 1 has 0.5."""
    got = run([7.0, 1.0, 1.0, 0.0, 4.0, 0.0, 1.0], replace(OWN, floor=1.0), "abbccdd")
    assert got.values.tolist() == [0, 0, 0, -1, 1, -0.5, 0.5]
    assert got.tally.floored == 3


PAIRS = [0.0, 2.0, 10.0, 14.0, None]
"""Agents a and b: means 1 and 12, variances 1 and 4; together 6.5 and 32.75."""


@pytest.mark.parametrize(
    ("fields", "a", "b", "pooled"),
    [
        ({}, 1, 4, 0),
        ({"min_count": 3}, 32.75, 32.75, 2),
        ({"min_count": 2}, 1, 4, 0),
        ({"shrink": 2.0}, (2 * 1 + 2 * 32.75) / 4, (2 * 4 + 2 * 32.75) / 4, 0),
        ({"ddof": 1}, 2, 8, 0),
    ],
)
def test_guards_take_the_deviation_of_the_batch(
    fields: dict, a: float, b: float, pooled: int
) -> None:
    got = run(PAIRS, replace(OWN, **fields), "aabbc")
    expected = [-1 / a**0.5, 1 / a**0.5, -2 / b**0.5, 2 / b**0.5, 0]
    np.testing.assert_allclose(got.values, expected, rtol=1e-14)
    assert got.tally.pooled == pooled


def test_limits_count_what_lies_beyond_them_alone() -> None:
    clipped = run([2.0, 3.0, -5.0, -2.0], replace(BARE, clip=2.0))
    assert clipped.values.tolist() == [2, 2, -2, -2]
    assert clipped.tally.clipped == 2
    raised = replace(OWN, scale="none", baseline_floor=2.0)
    got = run([1.0, 3.0, 0.0, 2.0], raised, "aabb")  # means 2 and 1
    assert got.values.tolist() == [-1, 1, -2, 0]
    assert got.tally.raised == 2


def test_a_mix_counts_missing_rows_once() -> None:
    got = run([[1.0, 2.0], [None, 5.0], [None, None]], Mix(((1.0, BARE), (2.0, BARE))))
    assert got.values.tolist() == [9, 15, 0]
    assert (got.tally.missing, got.tally.left_out, got.tally.rows) == (2, 1, 3)
    assert got.state is None
    assert run([1.0], BARE).state is None
