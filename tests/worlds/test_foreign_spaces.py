"""Observations and actions of all kinds of spaces: by hand, and never silently wrong."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="foreign worlds need pettingzoo")
pytest.importorskip("gymnasium", reason="foreign worlds need gymnasium")

from gymnasium import spaces

from counterpoint.errors import WorldError
from counterpoint.worlds.foreign.spaces import Observations, choices_or_numbers, scaling
from counterpoint.worlds.sequential.world import SeenPart

pytestmark = pytest.mark.fault("R41")


def numbers(space, seen, actions=3):
    """An observation as numbers, and the mask that came with it."""
    one, legal = Observations(space, "ann"), np.zeros(actions, dtype=bool)
    row = np.full(one.size, 7.0, dtype=np.float32)
    one.writer(row, legal)(seen)
    return row.tolist(), legal.tolist()


def box(low, high, dtype, *shape):
    return spaces.Box(low, high, shape, dtype)


@pytest.mark.parametrize(
    ("space", "seen", "row"),
    [
        (spaces.Discrete(3, start=-1), -1, [1, 0, 0]),
        (spaces.Discrete(3, start=5), np.int64(7), [0, 0, 1]),
        (spaces.MultiDiscrete([2, 3], start=[1, -1]), np.array([2, -1]), [0, 1, 1, 0, 0]),
        (spaces.MultiDiscrete([[2], [2]]), np.array([[1], [0]]), [0, 1, 1, 0]),
        (spaces.MultiBinary([2, 2]), np.array([[1, 0], [0, 1]]), [1, 0, 0, 1]),
        (box(-9, 9, np.float64, 2), [4.5, -9], [4.5, -9]),  # real numbers stay
        (box(0, 255, np.uint8, 3), np.array([0, 51, 255]), [0, 0.2, 1]),
        (box(1, 5, np.int64, 2), np.array([1, 4]), [0, 0.75]),
        (box(-4, 4, np.int32, 2), np.array([-4, 2]), [-1, 0.5]),
        (box(-1, 3, np.int8, 2), np.array([-1, 3]), [-1, 1]),
        (spaces.Box(np.array([0, -2]), np.array([10, 2]), dtype=np.int16),
         np.array([5, 1]), [0.5, 0.5]),
        (box(0, 1, np.int8, 2), np.array([1, 0]), [1, 0]),
        (spaces.Box(0, 1, (2,), bool), np.array([True, False]), [1, 0]),
        (box(-(2**63), 2**63 - 1, np.int64, 1), np.array([12]), [12]),  # no bounds
        (box(-128, 127, np.int8, 1), np.array([3]), [3]),
        (box(0, 2**32 - 1, np.uint32, 1), np.array([3]), [3]),
        (spaces.Tuple((spaces.Discrete(2), box(-1, 1, np.float32, 1))), (1, [0.25]), [0, 1, 0.25]),
    ],
    ids=str,
)  # fmt: skip
def test_observations_as_numbers(space, seen, row):
    got, _ = numbers(space, seen)
    np.testing.assert_allclose(got, row, rtol=1e-6)


def test_dicts_keep_the_names_and_shapes_of_their_parts():
    space = spaces.Dict({
        "a": spaces.Dict({"pos": box(-1, 1, np.float32, 2), "kind": spaces.Discrete(2, start=1)}),
        "photo": box(0, 255, np.uint8, 4, 5, 3),
        "b": spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(2))),
        "action_mask": spaces.MultiBinary(3),
    })  # fmt: skip
    one = Observations(space, "ann")
    assert one.parts == (
        SeenPart("a.kind", (2,), 0), SeenPart("a.pos", (2,), 2), SeenPart("b.0", (3,), 4),
        SeenPart("b.1", (2,), 7), SeenPart("photo", (4, 5, 3), 9, image=True),
    )  # fmt: skip
    assert one.size == 69
    seen = {
        "a": {"pos": [0.5, -0.5], "kind": 2}, "b": (0, [1, 0]),
        "photo": np.full((4, 5, 3), 255), "action_mask": np.array([0, 1, 1]),
    }  # fmt: skip
    row, legal = numbers(space, seen)
    assert row == [0, 1, 0.5, -0.5, 1, 0, 0, 1, 0, *[1] * 60]
    assert legal == [False, True, True]
    plain = Observations(box(0, 255, np.uint8, 8, 8, 3), "ann")
    assert plain.parts == (SeenPart("", (8, 8, 3), 0, image=True),)


@pytest.mark.parametrize("keys", [("observation",), ("obs",), ("observation", "more")], ids=str)
def test_a_mask_is_taken_out_whatever_stands_beside_it(keys):
    inner = {key: box(0, 1, np.float32, 1) for key in keys}
    space = spaces.Dict({**inner, "action_mask": box(0, 1, np.int8, 3)})
    row, legal = numbers(space, {**dict.fromkeys(keys, (0.5,)), "action_mask": [1, 0, 1]})
    assert row == [0.5] * len(keys)
    assert legal == [True, False, True]
    deep = spaces.Dict({"seen": space})
    seen = {**dict.fromkeys(keys, (0.5,)), "action_mask": [0, 0, 1]}
    row, legal = numbers(deep, {"seen": seen})
    assert legal == [False, False, True]


@pytest.mark.parametrize(
    ("space", "seen", "complaint"),
    [
        (spaces.Discrete(3), -1, r"observation -1 of ann; wanted Discrete\(3\)"),
        (spaces.Discrete(3, start=1), 0, "observation 0 of ann"),
        (spaces.MultiDiscrete([2, 2]), [1, 2], r"observation \[1, 2\] of ann"),
        (spaces.Discrete(3), 0.5, "observation 0.5 of ann"),
        (spaces.MultiDiscrete([2, 2]), [1], r"observation \[1\] of ann"),
        (box(0, 1, np.float32, 3), np.float32(0.5), r"of shape \(\) of ann; wanted shape \(3,\)"),
        (box(0, 1, np.float32, 2, 2), np.zeros(2), r"of shape \(2,\) of ann"),
        (spaces.Dict({"a": spaces.Discrete(2)}), {"b": 1}, "observation of ann without 'a'"),
        (spaces.Dict({"a": spaces.Discrete(2)}), {"a": 9}, "observation 9 of ann under 'a'"),
        (spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2))), (1,), "without '1'"),
        (spaces.Dict({"a": spaces.Discrete(2), "action_mask": spaces.MultiBinary(3)}),
         {"a": 1, "action_mask": [1]}, r"a mask of shape \(1,\) for ann, which has 3 actions"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_in_its_space_is_refused(space, seen, complaint):
    with pytest.raises(WorldError, match=complaint):
        numbers(space, seen)


@pytest.mark.parametrize(
    ("space", "complaint"),
    [
        (
            spaces.Dict({"a": spaces.Tuple((spaces.Text(3),))}),
            r"Text.* under 'a.0'; wanted numbers",
        ),
        (spaces.Sequence(spaces.Discrete(2)), "Sequence.*leave it out with a wrapper"),
        (spaces.Dict({"action_mask": spaces.MultiBinary(3)}), "which have no numbers"),
    ],
    ids=str,
)
def test_what_cannot_be_numbers_is_refused_where_it_stands(space, complaint):
    with pytest.raises(WorldError, match=complaint):
        Observations(space, "ann")


def test_a_vector_in_other_brackets_is_read_row_by_row():
    assert numbers(box(0, 1, np.float64, 2), [[0.25, 0.5]])[0] == [0.25, 0.5]


@pytest.mark.parametrize(
    ("space", "actions"),
    [
        (spaces.Discrete(3), None),
        (spaces.Discrete(2, start=4), [4, 5]),
        (spaces.MultiDiscrete([2, 2], start=[1, -1]), [[1, -1], [1, 0], [2, -1], [2, 0]]),
        (spaces.MultiBinary(2), [[0, 0], [0, 1], [1, 0], [1, 1]]),
        (spaces.Tuple((spaces.Discrete(2, start=1), spaces.Discrete(2))),
         [(1, 0), (1, 1), (2, 0), (2, 1)]),
        (spaces.Dict({"b": spaces.Discrete(1, start=9), "a": spaces.Discrete(2)}),
         [{"a": 0, "b": 9}, {"a": 1, "b": 9}]),
    ],
    ids=str,
)  # fmt: skip
def test_every_choice_is_one_of_its_space(space, actions):
    can, convert = choices_or_numbers(space, "ann")
    if actions is None:
        assert convert is None
        return
    got = [convert(choice) for choice in range(can.size)]
    assert all(map(space.contains, got))
    plain = [one.tolist() if isinstance(one, np.ndarray) else one for one in got]
    assert plain == actions


def test_an_environment_may_change_the_action_that_it_gets():
    _, convert = choices_or_numbers(spaces.MultiDiscrete([2, 2]), "ann")
    convert(3)[:] = 0
    assert convert(3).tolist() == [1, 1]


def test_numbers_for_integers_are_rounded():
    can, convert = choices_or_numbers(box(0, 3, np.int64, 2), "ann")
    assert (can.low, can.high) == ((0, 0), (3, 3))
    assert convert(np.array([2.6, 0.4, 9.0])).tolist() == [3, 0]
    assert box(0, 3, np.int64, 2).contains(convert(np.array([3.0, 0.0])))


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-np.inf, 1, (1,)), spaces.Text(3), spaces.Dict({"a": spaces.Box(0, 1, (1,))}),
    ],
    ids=str,
)  # fmt: skip
def test_actions_without_an_end_are_refused(space):
    with pytest.raises(WorldError, match=r"actions of ann in .*wanted choices.* finite bounds"):
        choices_or_numbers(space, "ann")


def test_nothing_is_scaled_where_integers_are_as_they_should_be():
    assert scaling(box(0, 1, np.int8, 2)) is None
    assert scaling(box(-1, 1, np.int8, 2)) is None
    assert scaling(box(0, 9, np.float32, 2)) is None
