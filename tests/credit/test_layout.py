"""Which statistics a scheme needs, and which rows and rollouts they are of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from counterpoint.credit import Scheme
from counterpoint.credit.groups import GroupLayout
from counterpoint.credit.labels import Labels
from counterpoint.credit.segments import NUMPY, Arrays
from counterpoint.errors import SchemeError

PROMPT = Scheme(center_by=("prompt",))
APART = Scheme(center_by=("prompt",), scale_by=())
RUNNING = Scheme(center="running_mean", scale="none", memory="ema")
LABELS = {"prompt": [0, 0, 1, 3, 3], "rollout": [0, 0, 0, 0, 1], "agent": list("ababa")}
"""Prompt 0 has one rollout of two rows, 1 has one row, 2 has none and 3 has two rollouts."""


def layout(scheme: Scheme, arrays: Arrays = NUMPY, **fields: Any) -> GroupLayout:
    return GroupLayout(Labels(LABELS, 5, NUMPY), scheme, arrays, 2.0**-52, **fields)


@pytest.mark.parametrize(
    ("scheme", "center", "scale"),
    [
        (Scheme(), True, True),
        (Scheme(center="none"), True, True),  # the scale has the same groups
        (replace(APART, center="none"), False, True),
        (Scheme(center="none", scale="none"), False, False),
        (Scheme(center="none", scale="none", transform="rank"), True, False),
        (Scheme(scale="none"), True, False),
        (Scheme(center="leave_one_out", scale="none"), True, False),
        (Scheme(scale="mean"), True, False),
        (Scheme(center="none", scale="mean"), False, False),
        (RUNNING, False, False),
        (replace(RUNNING, scale="running_std"), False, False),
        (replace(RUNNING, scale="std"), True, True),
    ],
)
def test_which_levels_need_more_than_one_sample(scheme: Scheme, center: bool, scale: bool) -> None:
    found = layout(scheme)
    assert (found.needs_samples("center"), found.needs_samples("scale")) == (center, scale)


@pytest.mark.parametrize(
    ("scheme", "center", "scale"),
    [
        (PROMPT, [0, 1, 0, 0], [0, 1, 0, 0]),
        (replace(PROMPT, weighting="trajectory"), [1, 1, 0, 0], [1, 1, 0, 0]),
        # leaving one's rollout out needs another rollout; a deviation needs another row
        (replace(PROMPT, center="leave_one_out"), [1, 1, 0, 0], [0, 1, 0, 0]),
        (replace(PROMPT, center="none", scale="none"), [0, 0, 0, 0], [0, 0, 0, 0]),
        (replace(PROMPT, scale="mean"), [0, 1, 0, 0], [0, 0, 0, 0]),
    ],
)
def test_groups_of_one_sample(scheme: Scheme, center: list, scale: list) -> None:
    """What is said of prompt 2, which has no row, does not matter."""
    found, rows = layout(scheme), np.array([True, True, False, True])
    for level, expected in (("center", center), ("scale", scale)):
        single = found.are_singletons(found.samples(level, None), level)
        assert single[rows].tolist() == np.array(expected, dtype=bool)[rows].tolist()


def test_without_need_nothing_is_a_singleton_not_even_an_empty_group() -> None:
    found = layout(replace(PROMPT, center="none", scale="none"))
    assert not found.are_singletons(found.samples("center", None), "center").any()


@pytest.mark.parametrize(
    ("scheme", "center", "scale"),
    [
        (PROMPT, False, False),
        (replace(PROMPT, weighting="trajectory"), True, True),
        (replace(PROMPT, shrink=1.0), True, True),
        (replace(PROMPT, min_count=2), True, True),
        (replace(APART, shrink=1.0), False, True),
        (replace(APART, min_count=2), False, True),
        (replace(APART, center="leave_one_out"), True, False),
    ],
)
def test_rollouts_are_looked_up_where_something_counts_them(
    scheme: Scheme, center: bool, scale: bool
) -> None:
    found = layout(scheme)
    assert (found.samples("center", None).rollout is not None) == center
    assert (found.samples("scale", None).rollout is not None) == scale
    assert found.samples("whole", None).by_rollout is (scheme.weighting == "trajectory")


@pytest.mark.parametrize(
    ("by", "rollouts"),
    [((), 4), (("agent",), 5), (("prompt",), 4), (("prompt", "agent"), 5)],
)
def test_a_rollout_is_one_within_its_group_and_prompt(by: tuple, rollouts: int) -> None:
    """Rows 0 and 1 are one rollout of two agents; prompts number their rollouts alike."""
    found = layout(Scheme(center_by=by, weighting="trajectory")).samples("center", None)
    assert len(set(found.rollout.tolist())) == rollouts


def test_samples_are_made_once_and_shared_where_groups_are_the_same() -> None:
    found = layout(PROMPT)
    ok = np.array([True, False, True, True, True])
    fewer = found.samples("scale", ok)
    assert fewer.total.tolist() == [1, 1, 0, 2, 0]
    assert found.samples("center", None) is found.samples("scale", None)
    assert found.samples("center", None).total.tolist() == [2, 1, 0, 2]
    assert found.samples("whole", None) is found.samples("whole", None)
    assert layout(APART).samples("scale", None).total.tolist() == [5]


def test_rows_are_counted_as_the_caller_has_them() -> None:
    mask = np.array([True, False, True, False, False])
    assert layout(PROMPT).count_rows(mask) == 2
    assert layout(PROMPT, given_rows=np.array([3, 1, 4, 1, 5])).count_rows(mask) == 7


def test_groups_and_keys_by_level() -> None:
    found = layout(APART)
    assert [found.by(level) for level in ("center", "scale", "whole")] == [("prompt",), (), ()]
    assert not found.same
    assert layout(PROMPT).same
    assert found.keys("center") == [(0,), (1,), None, (3,)]
    assert found.keys("whole") == [()]


@pytest.mark.parametrize("unknown", ["rewards", "labels"])
def test_memory_needs_values_that_are_known(unknown: str) -> None:
    table = Labels(LABELS, 5, NUMPY)
    table.traced = unknown == "labels"
    arrays = replace(NUMPY, traced=unknown == "rewards")
    with pytest.raises(SchemeError) as refused:
        GroupLayout(table, RUNNING, arrays, 2.0**-52)
    assert str(refused.value) == (
        "got memory='ema' inside jax.jit; wanted memory='batch' there: call schemes with running "
        "statistics outside of jit"
    )
