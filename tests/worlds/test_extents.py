"""How large the numbers of foreign observations can be."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="foreign worlds need pettingzoo")
spaces = pytest.importorskip("gymnasium.spaces", reason="foreign worlds need gymnasium")

from counterpoint.worlds import find_world  # noqa: E402
from counterpoint.worlds.foreign.spaces import Observations  # noqa: E402
from counterpoint.worlds.sequential.world import Extent  # noqa: E402

CHOICE, NARROW, WIDE = Extent
BOX = spaces.Box(np.array([-1, 0, -11]), np.array([1, 1000, 10]), dtype=np.float64)


@pytest.mark.parametrize(
    ("space", "wanted"),
    [
        (spaces.Box(-np.inf, np.inf, (2,)), [WIDE, WIDE]),
        (spaces.Box(-10, 10, (1, 2)), [NARROW, NARROW]),
        (BOX, [NARROW, WIDE, WIDE]),
        (spaces.Discrete(3, start=1), [CHOICE] * 3),
        (spaces.MultiDiscrete([2, 3]), [CHOICE] * 5),
        (spaces.MultiBinary(2), [CHOICE] * 2),
        (
            spaces.Dict({"observation": BOX, "action_mask": spaces.Box(0, 1, (4,), np.int8)}),
            [NARROW, WIDE, WIDE],
        ),
        (spaces.Box(0, 255, (2,), np.uint8), [NARROW, NARROW]),  # scaled to [0, 1]
        (spaces.Tuple((BOX, spaces.Discrete(2))), [NARROW, WIDE, WIDE, CHOICE, CHOICE]),
    ],
)
def test_extents_are_those_of_the_space(space, wanted):
    assert Observations(space, "a").extents.tolist() == wanted


def test_a_foreign_world_has_them_for_each_agent():
    pytest.importorskip("mpe2")
    world = find_world("mpe2:simple_speaker_listener_v4").make()
    assert world.extents.shape == (2, max(world.seen_sizes))
    for row, size in zip(world.extents, world.seen_sizes, strict=True):
        assert (row[:size] == WIDE).all()
        assert (row[size:] == CHOICE).all()  # nothing stands there
    world.close()
