"""Labels: what counts as the same one, and what is refused."""

import numpy as np
import pytest

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.errors import LabelError, RewardError, SchemeError, StateError

OWN = catalogue()["happo_per_agent"]
FOUR = [0.0, 2.0, 10.0, 30.0]


def values(agent):
    return advantages(FOUR, {"agent": agent}, OWN).values.tolist()


@pytest.mark.parametrize(
    "agent",
    [
        [0, 0, 1, 1],
        ["a", "a", "b", "b"],
        ["1", "1", 1, 1],
        [2**63, 2**63, 2**63 + 1, 2**63 + 1],
        [-1, -1, 2**63, 2**63],
        np.array([2**64 - 1, 2**64 - 1, 0, 0], dtype=np.uint64),
        np.array(["2020-01-01", "2020-01-01", "2021-01-01", "2021-01-01"], dtype="M8[D]"),
        (True, True, False, False),
        np.array([0.5, 0.5, 1.5, 1.5]),
    ],
)
def test_two_agents_are_two(agent):
    """0, 2: mean 1, deviation 1; 10, 30: mean 20, deviation 10."""
    assert values(agent) == [-1, 1, -1, 1]


@pytest.mark.parametrize(
    "agent",
    [
        ["a", "a", None, "b"],
        ["a", "a", float("nan"), "b"],
        np.array([0.0, np.nan, 1.0, 1.0]),
        np.array(["2020", "NaT", "2021", "2021"], dtype="M8[Y]"),
        np.array([1j, 1j, 2j, 2j]),
        [[0], [0], [1], [1]],
        [[0], [0, 1], [1], [1]],
        [0, 0, 1],
    ],
)
def test_what_is_no_label_is_refused(agent):
    with pytest.raises(LabelError, match="agent"):
        values(agent)


def test_the_default_turn_is_counted_in_each_batch_alone():
    """Rollout ids that come back in the next batch start at turn 0 again."""
    scheme = catalogue()["at_grpo"]
    labels = {
        "prompt": [0] * 6,
        "rollout": [0, 0, 1, 0, 1, 2],
        "agent": ["a"] * 6,
        "batch": [0, 1, 1, 2, 2, 2],
    }
    rewards = [5.0, 0.0, 1.0, 0.0, 1.0, 2.0]
    together = advantages(rewards, labels, scheme).values
    for batch in range(3):
        rows = np.flatnonzero(np.array(labels["batch"]) == batch)
        alone = {name: np.array(column)[rows] for name, column in labels.items()}
        np.testing.assert_array_equal(
            together[rows], advantages(np.array(rewards)[rows], alone, scheme).values
        )
    assert together[1] == -1


def test_masked_rewards_are_missing():
    rewards = np.ma.array([100.0, 1.0, 3.0], mask=[True, False, False])
    done = advantages(rewards, {"agent": [0, 0, 0]}, OWN)
    assert done.values.tolist() == [0, -1, 1]
    assert done.tally.missing == 1


def test_weights_that_would_overflow_are_refused_and_tiny_rewards_are_flat():
    labels = {"agent": [0] * 4}
    with pytest.raises(RewardError, match="beyond"):
        advantages(FOUR, labels, Scheme(weights=(1e160,)))
    white = Scheme(center_by=("agent",), scale="none", whiten="batch")
    assert advantages(np.array(FOUR) * 1e-200, labels, white).values.tolist() == [0] * 4


@pytest.mark.parametrize(
    "fields",
    [
        {"floor": "a"},
        {"floor": True},
        {"decay": None},
        {"weights": 3},
        {"weights": ("a",)},
        {"min_count": None},
    ],
)
def test_fields_of_a_wrong_type_are_refused(fields):
    with pytest.raises(SchemeError, match=next(iter(fields))):
        Scheme(**fields)


def test_a_scheme_or_state_of_another_kind_is_refused():
    with pytest.raises(SchemeError, match="grpo"):
        advantages(FOUR, {}, "grpo")
    with pytest.raises(LabelError, match="center_by=None"):
        Scheme(center_by=None)
    with pytest.raises(StateError, match="dict"):
        advantages(FOUR, {"agent": [0] * 4}, OWN, state={})
