"""Which agents play against which: the setting, and what random play shows."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.worlds import find_world
from counterpoint.worlds.sequential.sides import (
    RandomPlay,
    guess_sides,
    random_play,
    sides_from,
    without_number,
)

TAG = ("adversary_0", "adversary_1", "agent_0")
ROLES = ("adversary", "adversary", "agent")


@pytest.mark.parametrize(
    ("text", "names", "of"),
    [
        ("agents", TAG, [0, 1, 2]),
        ("roles", ("adversary", "agent_0"), [0, 0, 1]),
        ("adversary/agent", ("adversary", "agent_0"), [0, 0, 1]),
        ("agent / adversary_1+adversary", ("adversary", "agent_0"), [0, 0, 1]),
        ("adversary_0+agent_0/adversary_1", ("adversary_0+agent_0", "adversary_1"), [0, 1, 0]),
    ],
)
def test_a_setting_names_sides_by_agents_and_roles(text, names, of):
    sides = sides_from(text, TAG, ROLES)
    assert (sides.names, sides.of.tolist()) == (names, of)
    again = sides_from(sides.text(TAG), TAG, ROLES)
    assert (again.names, again.of.tolist()) == (names, of)
    assert list(sides.by_name(TAG)) == list(names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adversary", "without agent_0"),
        ("adversary+agent", "one side"),
        ("adversary/agent+adversary_0", "adversary_0 on two sides"),
        ("adversary/prey", "with 'prey'; wanted names out of adversary_0, adversary_1"),
        ("", "with ''"),
    ],
)
def test_what_does_not_put_every_agent_on_one_of_two_sides_is_refused(text, message):
    with pytest.raises(SettingError, match=message):
        sides_from(text, TAG, ROLES)


def test_one_team_has_no_sides():
    assert sides_from("none", TAG, ROLES) is None


def test_returns_are_summed_over_the_agents_of_a_side():
    sides = sides_from("roles", TAG, ROLES)
    assert sides.returns(np.array([[1.0, 2.0, 4.0]])).tolist() == [[3.0, 4.0]]


def guessed(returns, agents=("a", "b", "c"), turns=False):
    played = RandomPlay(np.array(returns), np.array(returns), 3.0, turns)
    return guess_sides(played, agents, tuple(map(without_number, agents)))


def test_what_adds_up_to_nothing_is_played_for_and_equal_returns_are_one_side():
    guess = guessed([[2.0, -1, -1], [-2, 1, 1], [0, 0, 0]])
    assert guess.sides.by_name(("a", "b", "c")) == {"a": ["a"], "b+c": ["b", "c"]}
    assert guess.decided
    assert not guessed([[2.0, -1, -1], [-3, 1.5, 1.5], [0, 0, 0], [1, -0.5, -0.5]]).decided
    assert guessed([[2.0, -1, -1], [-2, 0, 2]]).sides.count == 3


def test_one_team_and_mixed_motives_are_no_sides():
    assert guessed([[1.0, 1, 1], [2, 2, 2]]) == (None, "", False)
    assert guessed([[1.0, 0, 1], [2, 3, 0], [0, 0, 0]]) == (None, "", False)
    opposed = guessed([[1.0, 0, 3], [0, 1, 3], [1, 0, 2]])
    assert opposed.sides is None
    assert "a and b are opposed" in opposed.reason


def test_a_game_of_turns_that_pays_nothing_is_mentioned():
    assert guessed([[0.0, 0, 0]]).reason == ""
    assert "none was paid" in guessed([[0.0, 0, 0]], turns=True).reason


def test_an_adversary_plays_against_the_others_by_its_name():
    guess = guessed([[1.0, 0.5, 3], [0, 1, 3], [1, 0, 2]], ("agent_0", "agent_1", "Adversary_0"))
    assert guess.sides.names == ("agent", "Adversary_0")
    assert not guess.decided


@pytest.mark.parametrize("name", ["spread", "speaker_listener", "foraging"])
def test_the_teams_that_ship_have_no_sides(name):
    world = find_world(name).make(copies=8)
    assert guess_sides(random_play(world), world.agents, world.roles) == (None, "", False)


def test_a_zero_sum_game_has_two_and_an_equal_interest_one_has_none():
    world = find_world("repeated_game").make({"game": "matching_pennies"}, copies=8)
    guess = guess_sides(random_play(world), world.agents, world.roles)
    assert guess.sides.names == ("player_0", "player_1")
    played = random_play(find_world("repeated_game").make({"rounds": "2"}, copies=8))
    assert played.steps == 2
    assert not played.turns
