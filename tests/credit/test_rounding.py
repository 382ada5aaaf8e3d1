"""What large terms leave when they cancel is rounding, wherever they were summed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from counterpoint.credit import Scheme, advantages, catalogue

LARGE = [1e8, -1e8 + 0.1]
"""They add up to .0999999940: an ulp of 1e8 is 1.5e-8, and .1 itself is no double."""
SMALL = [0.1, 0.0]
LABELS = {"prompt": [0] * 4, "rollout": range(4), "agent": [0, 0, 1, 1]}
SCHEMES = [
    catalogue()["grpo_rows"],
    catalogue()["grpo"],
    catalogue()["rloo"],
    catalogue()["rank"],
    catalogue()["lite_ppo"],
    Scheme(scale_by=("agent",)),
    Scheme(center_by=("agent",), scale_by=(), scale_of="raw"),
    Scheme(center="none", scale_by=("prompt",), weighting="trajectory"),
    Scheme(center="none", scale="none", whiten="batch"),
]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_components_that_cancel(scheme: Scheme) -> None:
    done = advantages([LARGE, SMALL, SMALL, LARGE], LABELS, scheme)
    if scheme.center == "none" and scheme.whiten == "none":
        assert done.tally.constants == 1  # its deviation is none, its values are dropped
    np.testing.assert_array_equal(done.values, 0.0)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_sums_of_small_terms_differ(scheme: Scheme) -> None:
    sums = [sum(LARGE), 0.1, 0.1, sum(LARGE)]
    done = advantages(sums, LABELS, scheme)
    assert np.ptp(done.values) > 0


@pytest.mark.parametrize("how", ["sum", "to_go", "last"])
@pytest.mark.parametrize("gap", [False, True])
def test_returns_that_cancel(how: str, gap: bool) -> None:
    """One episode is paid 1e8 and -1e8 + .1, another .1 and 0; `last` has the second component."""
    rewards = [[LARGE[0], 0.0], [LARGE[1], 0.0], [0.1, 0.0], [0.0, 0.0]]
    if how == "last":
        rewards = [[5.0, 0.0], LARGE, [7.0, 0.0], SMALL]
    labels = {"prompt": [0] * 4, "rollout": [0, 0, 1, 1], "agent": [0] * 4, "turn": [0, 1, 0, 1]}
    if gap:
        rewards, labels = [*rewards, [np.nan, np.nan]], {k: [*v, 9] for k, v in labels.items()}
    scheme = Scheme(center_by=("prompt", "turn"), rollout_reward=how)
    done = advantages(rewards, labels, scheme)
    np.testing.assert_array_equal(done.values[[0, 2]], 0.0)
    far = replace(scheme, center_by=("agent",), scale_by=None)
    if how != "to_go":
        np.testing.assert_array_equal(advantages(rewards, labels, far).values, 0.0)


def test_rewards_of_one_size_are_told_apart_beside_others() -> None:
    """The rounding of a group is that of its own rewards, not of the batch's."""
    labels = {"agent": [0, 0, 1, 1]}
    got = advantages([1e-9, 3e-9, 1e9, 3e9], labels, catalogue()["mappo_per_agent"])
    np.testing.assert_allclose(got.values, [-1, 1, -1, 1])


def test_a_rollout_whose_rows_differ_by_rounding_agrees() -> None:
    """.6 and its neighbour in one rollout are one reward; .6 and .7 are two."""
    labels = {"prompt": [0] * 4, "rollout": [0, 0, 1, 1], "agent": ["a", "b"] * 2}
    grpo = catalogue()["grpo"]
    near = [0.6, np.nextafter(0.6, 1), 0.9, 0.9]
    assert advantages(near, labels, grpo).tally.disagreeing == 0
    assert advantages([0.6, 0.7, 0.9, 0.9], labels, grpo).tally.disagreeing == 1
    parts = [LARGE, SMALL, [0.9, 0.0], [0.9, 0.0]]
    assert advantages(parts, labels, grpo).tally.disagreeing == 0


def test_a_long_rollout_is_ordered_as_it_was_written() -> None:
    """Without `turn`, rows are turns in their order: the last of 100 is the hundredth."""
    n = 100
    labels = {"rollout": np.repeat([0, 1], n), "agent": ["a"] * (2 * n)}
    rewards = np.arange(2.0 * n)
    bare = Scheme(center="none", scale="none", rollout_reward="last")
    np.testing.assert_array_equal(
        advantages(rewards, labels, bare).values, np.repeat([n - 1, 2 * n - 1], n)
    )
    rest = replace(bare, rollout_reward="to_go")
    wanted = [sum(range(k, n)) for k in range(n)] + [sum(range(k, 2 * n)) for k in range(n, 2 * n)]
    np.testing.assert_allclose(advantages(rewards, labels, rest).values, wanted, rtol=1e-12)
