"""Running moments by hand: what counts as movement, what is cold, and what older files say."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.credit import RunningState, Scheme, advantages
from counterpoint.credit.memory import Moments, SchemeState

MEAN = Scheme(center_by=("agent",), center="running_mean", scale="none", memory="ema")
SPREAD = Scheme(center_by=("agent",), center="none", scale="running_std", memory="ema")
DOUBLE = 2.0**-52


def test_the_state_before_the_first_call_has_no_group() -> None:
    empty = SchemeState.empty(MEAN, 2)
    assert len(empty.center) == len(empty.scale) == 2
    for part in (empty.center[0], empty.scale[1]):
        assert part.index == {}
        assert {len(a) for a in (part.count, part.mean, part.var, part.known)} == {0}


@pytest.mark.parametrize(
    ("tolerance", "known", "moves"), [(DOUBLE, 1, False), (2 * DOUBLE, 1, False), (0.0, 2, True)]
)
def test_a_mean_moves_beyond_rounding(tolerance: float, known: int, moves: bool) -> None:
    """From 1 to the next double: one step of rounding, or the first difference that was seen."""

    def call(old: Moments, mean: float) -> Moments:
        one = np.ones(1)
        return old.after([("a",)], 2 * one, mean * one, 0 * one, tolerance * one, MEAN)

    found = call(call(SchemeState.empty(MEAN, 1).center[0], 1.0), 1.0 + DOUBLE)
    assert found.count.tolist() == [2]
    assert found.known.tolist() == [known]
    assert (found.var[0] > 0) == moves


def test_groups_of_one_row_are_cold_too() -> None:
    labels = {"agent": ["a", "b", "b"]}
    first = advantages([1.0, 3.0, 5.0], labels, MEAN)
    assert first.tally.cold == 2
    assert advantages([1.0, 3.0, 5.0], labels, MEAN, state=first.state).tally.cold == 0


def test_a_group_in_which_nothing_ever_differed_needs_no_variance() -> None:
    """It is cold when it is new, and again when it differs for the first time."""
    labels, state, cold = {"agent": ["a", "a"]}, None, []
    for rewards in ([1.0, 1.0], [1.0, 1.0], [0.0, 2.0], [0.0, 2.0]):
        got = advantages(rewards, labels, SPREAD, state=state)
        state = got.state
        cold.append(got.tally.cold)
    assert cold == [1, 0, 1, 0]


def written(**fields: list) -> dict:
    moments = {"keys": [["a"], ["b"]], "count": [3, 4], "mean": [0, 7], "var": [0, 0.5], **fields}
    return {
        "schema": "counterpoint.running_state/1",
        "memory": "ema",
        "center_by": ["agent"],
        "scale_by": ["agent"],
        "center": [moments],
        "scale": [moments],
    }


def test_a_state_from_before_variances_were_counted_is_read() -> None:
    """A variance that is known has all calls; one that is not has one at most."""
    (moments,) = RunningState.from_dict(written()).center
    assert moments.known.tolist() == [1, 4]
    (fresh,) = RunningState.from_dict(written(count=[0.5, 4], mean=[7, 7])).center
    assert fresh.known.tolist() == [0.5, 4]


def test_a_state_is_read_as_it_was_written() -> None:
    (moments,) = RunningState.from_dict(written(known=[2, 2], var=[1, 2])).center
    assert moments.index == {("a",): 0, ("b",): 1}
    for array, expected in (
        (moments.count, [3, 4]), (moments.mean, [0, 7]), (moments.var, [1, 2]),
        (moments.known, [2, 2]),
    ):  # fmt: skip
        assert array.dtype == np.float64
        assert array.tolist() == expected
