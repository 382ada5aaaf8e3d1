"""Labels to groups: equal values are one group, in any kind of column; what state remembers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from counterpoint.credit import PerRole, RunningState, Scheme, advantages, catalogue
from counterpoint.credit.labels import Labels, factorize
from counterpoint.credit.segments import NUMPY, arrays_of, segment_max, segment_min, segment_sum
from counterpoint.errors import LabelError, StateError

OWN = catalogue()["group_reward_decoupled"]


def column(kind: str, rng: np.random.Generator) -> np.ndarray:
    n = int(rng.integers(1, 60))
    few = rng.integers(0, 9, n)
    if kind == "numbers":
        return few - 4
    if kind == "far numbers":
        return (few * 10**15 - 2**62).astype(np.int64)
    if kind == "unsigned":
        return np.uint64(2**64 - 1) - few.astype(np.uint64)
    if kind == "bits":
        return few > 3
    if kind == "floats":
        return few / 7
    if kind == "objects":
        return np.array([["a", 1, 1.5, "1", (2,), True, "b", 7, "c"][i] for i in few], dtype=object)
    words = ["", "a", "b", "ab", "ba", "abc", "\U0001f40d", "abcdefgh", "abcdefgi"]
    if kind == "long text":
        words = ["".join(map(chr, rng.integers(33, 50_000, 12))) for _ in range(9)]
    return np.array([words[i] for i in few])


@pytest.mark.parametrize(
    "kind",
    ["numbers", "far numbers", "unsigned", "bits", "floats", "objects", "text", "long text"],
)
def test_equal_values_have_one_id_and_others_another(kind: str) -> None:
    for seed in range(40):
        values = column(kind, np.random.default_rng(seed))
        ids, n = factorize(values)
        assert ids.dtype == np.int64
        assert ids.shape == values.shape
        assert ids.min() >= 0
        assert ids.max() < n
        pairs = {(v, i) for v, i in zip(values.tolist(), ids.tolist(), strict=True)}
        assert len(pairs) == len(set(values.tolist())) == len(set(ids.tolist()))


@pytest.mark.parametrize("kind", ["text", "long text", "far numbers", "floats", "objects"])
def test_there_are_not_many_more_ids_than_values(kind: str) -> None:
    """Memory follows the rows, whatever range the values have."""
    for seed in range(10):
        values = column(kind, np.random.default_rng(seed))
        assert factorize(values)[1] <= 2 * len(values) + 1024


@pytest.mark.parametrize(
    ("low", "ids", "n"), [(2**63 - 3, [0, 2, 0], 3), (2**63 - 1, [0, 1, 0], 2)]
)
def test_integers_at_the_end_of_their_range(low: int, ids: list[int], n: int) -> None:
    found, count = factorize(np.array([low, low + 2, low], dtype=np.uint64))
    assert (found.tolist(), count) == (ids, n)


def test_combinations_of_labels_are_groups_too() -> None:
    """Many values of each label: more combinations than rows, and as many groups as there are."""
    rng = np.random.default_rng(0)
    prompt, context = rng.integers(0, 700, 400), rng.integers(0, 700, 400)
    prompt[200:], context[200:] = prompt[:200], context[:200]
    rewards = np.repeat([0.0, 1.0], 200)
    scheme = Scheme(center_by=("prompt", "context"))
    labels = {"prompt": prompt, "context": context, "rollout": range(400)}
    done = advantages(rewards, labels, scheme)
    assert done.tally.groups == len(set(zip(prompt.tolist(), context.tolist(), strict=True)))
    np.testing.assert_array_equal(np.sign(done.values), np.repeat([-1, 1], 200))


def test_rows_without_turn_are_numbered_within_their_agent_and_rollout() -> None:
    n = 50  # long enough that a sort that is not stable would show
    labels = {"rollout": np.tile([0, 1], n), "agent": ["a"] * (2 * n)}
    table = Labels(labels, 2 * n, NUMPY)
    np.testing.assert_array_equal(table.groups(("turn",)).ids, np.repeat(range(n), 2))


def test_rollouts_have_numbers_without_gaps_and_a_first_row() -> None:
    labels = {"prompt": [5, 5, 9, 5], "rollout": [3, 3, 3, 7], "agent": list("abab")}
    ids, first = Labels(labels, 4, NUMPY).rollouts()
    assert len(first) == 3
    assert sorted(first.tolist()) == [0, 2, 3]
    np.testing.assert_array_equal(ids[first], range(3))
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("labels", "by", "keys"),
    [
        ({"agent": ["b", "a", "b"]}, ("agent",), {("a",), ("b",)}),
        (
            {"agent": ["b", "a", "b"], "batch": [1, 1, 2]},
            ("agent",),
            {(1, "a"), (1, "b"), (2, "b")},
        ),
        ({"agent": ["b", "a"]}, ("role", "context"), {("a",), ("b",)}),
        ({"agent": [0, 1], "context": ["x", "y"]}, ("role", "context"), {(0, "x"), (1, "y")}),
        ({"agent": ["a", "a"], "rollout": [0, 0]}, ("turn",), {(0,), (1,)}),
        ({"agent": ["a", "a"]}, (), {()}),
    ],
)
def test_memory_is_kept_by_the_values_of_labels(labels: dict, by: tuple, keys: set) -> None:
    """As plain Python values, `batch` first; labels that nobody gave are left out."""
    scheme = Scheme(center_by=by, center="running_mean", scale="none", memory="ema")
    rows = len(labels["agent"])
    state = advantages(np.arange(rows, dtype=float), labels, scheme).state
    assert set(state.center[0].index) == keys
    assert all(type(v) in (int, str) for key in state.center[0].index for v in key)
    assert RunningState.from_dict(state.to_dict()).to_dict() == state.to_dict()


@pytest.mark.parametrize(
    "agent",
    [
        [1, "1", 1, "1"],
        [2**63, -1, 2**63, -1],
        [1.5, "1.5", 1.5, "1.5"],
        [2**60, 2**60 + 1, 2**60, 2**60 + 1],
        [2**60, 2**60 + 1, 2**60, 0.5],
        (None.__class__, "x", None.__class__, "x"),
    ],
)
def test_values_of_several_types_stay_apart(agent: Any) -> None:
    own = catalogue()["mappo_per_agent"]
    done = advantages([0.0, 10.0, 2.0, 30.0], {"agent": agent}, own)
    assert done.values[[0, 2]].tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (["a", None, None], "got missing values in label 'agent' (2); wanted none"),
        ([1.0, np.nan, 2.0], "got missing values in label 'agent' (1); wanted none"),
        (
            np.array(["2020", "NaT", "NaT"], dtype="M8[Y]"),
            "got missing values in label 'agent' (2); wanted none",
        ),
        ([1, "x", float("nan")], "got missing values in label 'agent' (1); wanted none"),
    ],
)
def test_missing_labels_are_counted(agent: Any, said: str) -> None:
    with pytest.raises(LabelError) as refused:
        advantages([1.0, 2.0, 3.0], {"agent": agent}, OWN)
    assert str(refused.value) == said


def test_ragged_labels_are_no_column() -> None:
    with pytest.raises(LabelError, match=r"^got label 'agent' that is no flat column \(.+\)$"):
        advantages([1.0, 2.0], {"agent": [[1], [1, 2]]}, OWN)


def test_unhashable_labels_are_no_plain_values() -> None:
    agent = np.array([None, None])
    agent[:] = [[1], [2]]
    with pytest.raises(LabelError, match=r"^got a label that is no plain value \(.+\)$"):
        advantages([1.0, 2.0], {"agent": agent}, OWN)


def test_sums_of_whole_numbers_are_floats() -> None:
    ids = np.array([0, 2, 0])
    for values in (np.array([3, -1, 2]), np.array([True, True, False])):
        for of in (segment_sum, segment_min, segment_max):
            assert of(values.astype(np.int64), ids, 4).dtype == np.float64
            assert len(of(values.astype(np.int64), ids, 4)) == 4
    assert segment_sum(np.zeros(0), np.zeros(0, dtype=int), 2).tolist() == [0, 0]


def test_anything_unknown_is_numpys() -> None:
    for rewards in ([1.0], (1.0,), np.ones(1), 3, "x"):
        assert arrays_of(rewards) is NUMPY


@pytest.mark.parametrize(
    ("dtype", "epsilon"),
    [("f8", 2**-52), ("f4", 2**-23), ("f2", 2**-23), ("i4", 2**-52), ("u1", 2**-52), ("?", 2**-52)],
)
def test_the_arithmetic_that_made_rewards(dtype: str, epsilon: float) -> None:
    """Sixteen bits are storage; whole numbers were added up in doubles."""
    assert NUMPY.epsilon(np.zeros(1, dtype=dtype)) == epsilon


@pytest.mark.parametrize("state", [{}, 3, "x"])
def test_what_is_no_state_is_said(state: Any) -> None:
    with pytest.raises(StateError) as refused:
        advantages([1.0], {"agent": [0]}, OWN, state=state)
    assert str(refused.value) == (
        f"got state of type {type(state).__name__}; wanted a RunningState or None"
    )


class OnDevice:
    """A column that lives elsewhere: it must be detached and brought here to be read."""

    def __init__(self, values: list, steps: tuple[str, ...] = ()) -> None:
        self.values, self.steps = values, steps

    def detach(self) -> OnDevice:
        return OnDevice(self.values, (*self.steps, "detached"))

    def cpu(self) -> np.ndarray:
        assert self.steps == ("detached",)
        return np.array(self.values)


def test_labels_are_fetched_from_where_they_live() -> None:
    labels = {"prompt": OnDevice([0, 0, 1, 1]), "role": OnDevice([7, 7, 8, 8])}
    got = advantages([0.0, 2.0, 10.0, 30.0], labels, catalogue()["grpo_rows"])
    assert got.values.tolist() == [-1, 1, -1, 1]
    roles = PerRole({7: catalogue()["grpo_rows"], 8: catalogue()["center"]})
    got = advantages([0.0, 2.0, 10.0, 30.0], labels, roles)
    assert got.values.tolist() == [-1, 1, -10, 10]


def test_roles_take_rewards_in_the_arithmetic_that_made_them() -> None:
    """.7 in float32 and its neighbour are equal there; in float64 they would differ."""
    r = np.array([0.7, np.nextafter(np.float32(0.7), np.float32(1))], dtype=np.float32)
    got = advantages(r, {"agent": [0, 0]}, PerRole((), default=Scheme()))
    assert got.values.tolist() == [0, 0]
    assert got.tally.constants == 1


def test_whole_numbers_beyond_a_double_stay_apart() -> None:
    """Beside -1, NumPy would read 2^63 and 2^63 + 1 as one float."""
    agent = [2**63, 2**63 + 1, 2**63, 2**63 + 1, -1]
    got = advantages([0.0, 10.0, 2.0, 30.0, 5.0], {"agent": agent}, catalogue()["mappo_per_agent"])
    assert got.values.tolist() == [-1, -1, 1, 1, 0]


def test_roles_tell_agents_apart_where_nobody_else_does() -> None:
    last = Scheme(center="none", scale="none", rollout_reward="last")
    got = advantages([1.0, 2.0, 3.0], {"rollout": [0, 0, 0], "role": ["p", "w", "w"]}, last)
    assert got.values.tolist() == [1, 3, 3]
