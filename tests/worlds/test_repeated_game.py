"""Games as worlds of many steps: who sees what, who is paid what."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.worlds import find_world


def test_a_round_by_hand():
    world = find_world("repeated_game").make({"rounds": 3}, copies=2, seed=0)
    view = world.reset()
    assert view.seen[0].tolist() == [[1, 0, 0, 0, 0]] * 2
    step = world.step(np.array([[0, 1], [1, 1]]))  # cooperate, defect; defect, defect
    assert step.own.tolist() == [[0, 5], [1, 1]]
    # a first round no longer; own action first, then the other's
    assert step.view.seen[0].tolist() == [[0, 1, 0, 0, 1], [0, 0, 1, 1, 0]]
    assert not step.ended.any()
    world.step(np.zeros((2, 2), dtype=int))
    last = world.step(np.zeros((2, 2), dtype=int))
    assert last.ended.all()
    assert not last.terminated.any()
    assert last.view.seen[0, 0].tolist() == [1, 0, 0, 0, 0]
    assert last.last.seen[0, 0].tolist() == [0, 1, 0, 1, 0]


def test_players_of_different_actions_and_more_than_two():
    world = find_world("repeated_game").make({"game": "unsure_battle", "rounds": 2}, copies=3)
    assert [can.size for can in world.actions] == [2, 4]
    three = find_world("repeated_game").make({"game": "public_goods"}, copies=1)
    three.reset()
    step = three.step(np.array([[0, 1, 1]]))
    assert step.own[0] == pytest.approx([1.6 / 3 - 1, 1.6 / 3, 1.6 / 3])
    assert step.view.seen[0, 1].tolist() == [0, 0, 1, 1, 0, 0, 1]  # own, the first, the third


def test_names_and_numbers_that_are_wrong():
    with pytest.raises(UnknownNameError, match="stag_hunt"):
        find_world("repeated_game").make({"game": "stag_hunts"})
    with pytest.raises(SettingError, match="rounds"):
        find_world("repeated_game").make({"rounds": 0})
