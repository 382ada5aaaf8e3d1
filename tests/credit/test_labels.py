"""Labels: what counts as the same one, and what is refused."""

import numpy as np
import pytest

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.credit.labels import factorize
from counterpoint.credit.segments import segment_max, segment_min, segment_sum
from counterpoint.errors import LabelError, RewardError, SchemeError, StateError

OWN = catalogue()["mappo_per_agent"]
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


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            {"agents": [0]},
            "got labels ['agents']; wanted labels out of prompt, rollout, agent, role, turn, "
            "context, batch",
        ),
        (
            {"agent": [0, 1]},
            "got label 'agent' of shape (2,) for 1 rows of rewards; wanted shape (1,)",
        ),
        (
            {"prompt": [0]},
            "got labels ['prompt']; wanted 'agent' too, which this scheme needs: pass "
            "labels['agent'] with one value for each of the 1 rows",
        ),
        ({"agent": [None]}, "got missing values in label 'agent' (1); wanted none"),
        (
            {"agent": np.array([1j])},
            "got label 'agent' of type complex128; wanted numbers or text",
        ),
    ],
)
def test_refusals_of_labels_say_what_was_got_and_what_was_wanted(labels, said):
    with pytest.raises(LabelError) as refused:
        advantages([1.0], labels, OWN)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("rewards", "said"),
    [
        (
            np.zeros((1, 1, 1)),
            "got rewards of shape (1, 1, 1); wanted [N], or [N, K] for K components",
        ),
        (np.zeros((1, 0)), "got rewards of shape (1, 0); wanted [N], or [N, K] for K components"),
        (["x"], "got rewards of type <U1; wanted real numbers"),
        (
            [float("inf")],
            "got 1 rewards that are infinite or beyond 1e+140, whose weighted squares cannot be "
            "summed; wanted finite numbers, and NaN or None where a reward is missing",
        ),
    ],
)
def test_refusals_of_rewards_say_what_was_got_and_what_was_wanted(rewards, said):
    with pytest.raises(RewardError) as refused:
        advantages(rewards, {"agent": [0]}, OWN)
    assert str(refused.value) == said


def test_weights_must_be_one_a_component():
    with pytest.raises(SchemeError) as refused:
        advantages([[1.0, 2.0]], {}, Scheme(weights=(1.0,)))
    assert str(refused.value) == (
        "got 1 weights for 2 reward components; wanted one weight a component"
    )


def test_a_label_that_cannot_be_hashed_is_refused():
    with pytest.raises(LabelError, match="no plain value"):
        values(np.array([[1], [1, 2], [3], [4]], dtype=object))


@pytest.mark.parametrize(
    ("column", "ids", "n"),
    [
        (np.array([5, 7, 5]), [0, 2, 0], 3),
        (np.array([0, 10**6, 0]), [0, 1, 0], 2),
        (np.array([0, 1029, 0]), [0, 1029, 0], 1030),
        (np.array([0, 1030, 0]), [0, 1, 0], 2),
        (np.array(["b", "a", "b"]), [1, 0, 1], 2),
        (np.array(["ab", "aa", "b"]), [1, 0, 2], 3),
        (np.array(["x", 1, "x"], dtype=object), [0, 1, 0], 2),
        (np.array([0.5, -1.0, 0.5]), [1, 0, 1], 2),
        (np.array([], dtype=np.int64), [], 0),
    ],
)
def test_ids_by_hand(column, ids, n):
    found, count = factorize(column)
    assert found.tolist() == ids
    assert count == n


def test_segments_by_hand():
    values, ids = np.array([3.0, -1.0, 2.0]), np.array([0, 2, 0])
    assert segment_sum(values, ids, 3).tolist() == [5, 0, -1]
    assert segment_min(values, ids, 3).tolist() == [2, np.inf, -1]
    assert segment_max(values, ids, 3).tolist() == [3, -np.inf, -1]


def test_rollouts_whose_rows_disagree_are_counted_once():
    """Rollout 0 says 1 and 3 (mean 2), rollout 1 says 0 twice: z-scores 1 and -1."""
    labels = {"rollout": [0, 0, 1, 1], "agent": ["a", "b", "a", "b"]}
    for scheme in (catalogue()["grpo"], Scheme(center_by=("context",), weighting="trajectory")):
        done = advantages([1.0, 3.0, 0.0, 0.0], labels, scheme)
        assert done.values.tolist() == [1, 1, -1, -1]
        assert done.tally.disagreeing == 1
        assert advantages([1.0, 1.0, 0.0, 0.0], labels, scheme).tally.disagreeing == 0


def test_one_row_in_a_scale_group_is_a_singleton():
    """Agent b has one row: its own mean leaves 0, and its own scale is none."""
    scheme = Scheme(scale_by=("agent",))
    done = advantages([1.0, 3.0, 8.0], {"agent": ["a", "a", "b"]}, scheme)
    assert done.values.tolist() == [-3, -1, 0]
    assert done.tally.singletons == 1


@pytest.mark.parametrize("labels", [None, 3])
def test_labels_that_are_no_mapping_are_refused(labels):
    with pytest.raises(LabelError, match="wanted a column for each label"):
        advantages(FOUR, labels, OWN)
