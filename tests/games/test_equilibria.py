"""Equilibria: by hand, exactly, and beside nashpy."""

from __future__ import annotations

import warnings
from fractions import Fraction

import nashpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import SettingError
from counterpoint.games import Game, equilibria, make_game, nash_equilibria, pure_equilibria
from counterpoint.games.equilibria import is_degenerate, is_equilibrium
from counterpoint.games.game import bimatrix


def test_chicken_by_hand():
    # against half and half: swerve (3 + 1) / 2 = 2, drive on (4 + 0) / 2 = 2
    found = equilibria(make_game("chicken"))
    half = (Fraction(1, 2), Fraction(1, 2))
    assert [one.strategies for one in found if not one.pure] == [(half, half)]
    assert [one.payoffs for one in found if one.pure] == [(1, 4), (4, 1)]


def test_matching_pennies_and_rock_paper_scissors():
    (pennies,) = nash_equilibria([[1, -1], [-1, 1]], [[-1, 1], [1, -1]])
    assert [s.tolist() for s in pennies] == [[0.5, 0.5]] * 2
    rock = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    (found,) = equilibria(bimatrix(rock, -rock))
    assert found.strategies == ((Fraction(1, 3),) * 3,) * 2
    assert found.payoffs == (0, 0)


def test_decimals_mean_what_they_say():
    # .1 and .2 are a tenth and two tenths: the mix is 1/3 exactly
    (mixed,) = [e for e in equilibria(bimatrix([[0.2, 0], [0, 0.1]], [[0.2, 0], [0, 0.1]]))
                if not e.pure]  # fmt: skip
    assert mixed.strategies[0] == (Fraction(1, 3), Fraction(2, 3))


def test_a_degenerate_game_is_named_and_its_extreme_equilibria_are_found():
    game = bimatrix([[1, 1], [1, 1]], [[1, 0], [1, 0]])  # rows do not care, columns take the first
    assert is_degenerate(game)
    found = equilibria(game)
    assert {one.strategies[0] for one in found} == {(1, 0), (0, 1)}
    assert not is_degenerate(make_game("stag_hunt"))


def random_game(rng, most=4):
    rows, columns = rng.integers(2, most + 1, size=2)
    return bimatrix(rng.integers(-9, 10, size=(rows, columns)),
                    rng.integers(-9, 10, size=(rows, columns)))  # fmt: skip


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_every_equilibrium_is_one_exactly_and_generic_games_have_an_odd_number(seed):
    game = random_game(np.random.default_rng(seed))
    found = equilibria(game)
    assert found
    assert all(is_equilibrium(game, one.strategies) for one in found)
    assert all(float(game.gain(one.floats()).max()) < 1e-9 for one in found)
    assert len({one.strategies for one in found}) == len(found)
    if not is_degenerate(game):
        assert len(found) % 2 == 1
    pure = {one.strategies for one in pure_equilibria(game)}
    assert pure == {one.strategies for one in found if one.pure}


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(-9, 9))
@settings(max_examples=20, deadline=None)
def test_units_of_payoffs_change_no_equilibrium(seed, scale, shift):
    game = random_game(np.random.default_rng(seed), 3)
    moved = Game(game.payoffs * [scale, 1] + [shift, 0])
    assert [e.strategies for e in equilibria(game)] == [e.strategies for e in equilibria(moved)]


def compared(count, most, seed):
    """Random games of reals: how many equilibria we and nashpy's vertex enumeration find."""
    rng = np.random.default_rng(seed)
    only_ours, only_theirs, even = [], [], 0
    for number in range(count):
        rows, columns = rng.integers(2, most + 1, size=2)
        a, b = rng.random((rows, columns)).round(4), rng.random((rows, columns)).round(4)
        game = bimatrix(a, b)
        ours = equilibria(game)
        assert all(is_equilibrium(game, one.strategies) for one in ours)
        even += len(ours) % 2 == 0 and not is_degenerate(game)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = list(nashpy.Game(a, b).vertex_enumeration())
        mine = [np.concatenate(one.floats()) for one in ours]
        other = [np.concatenate(pair) for pair in theirs]
        if any(min((np.abs(m - o).max() for o in other), default=1) > 1e-6 for m in mine):
            only_ours.append(number)
        if any(min((np.abs(m - o).max() for m in mine), default=1) > 1e-6 for o in other):
            only_theirs.append(number)
    return only_ours, only_theirs, even


def test_nashpy_agrees():
    only_ours, only_theirs, even = compared(25, 4, 0)
    assert (only_theirs, even) == ([], 0)
    assert len(only_ours) <= 3  # what vertex enumeration in floating point misses


@pytest.mark.slow
def test_two_hundred_random_games_up_to_six_by_six():
    only_ours, only_theirs, even = compared(200, 6, 1)
    assert (only_theirs, even) == ([], 0)
    assert len(only_ours) <= 40  # what vertex enumeration in floating point misses


def test_pure_equilibria_of_many_players():
    assert [e.payoffs for e in equilibria(make_game("public_goods", {"players": 5}))] == [(0,) * 5]
    generous = make_game("public_goods", {"players": 3, "factor": 4})
    assert [e.payoffs for e in equilibria(generous)] == [(3, 3, 3)]


@pytest.mark.parametrize(
    ("payoffs", "told"),
    [
        ([[1, 2], [3, 4]], "shape"), ([[[1, float("nan")]]], "not finite"), ("x", "shape"),
        ([[[1, 2], [3]]], "no table"), (np.zeros((0, 2, 2)), "shape"),
        (np.zeros((1000, 1000, 2)), "1,000,000 profiles"),
    ],
)  # fmt: skip
def test_bad_games_are_refused(payoffs, told):
    with pytest.raises(SettingError, match=told):
        Game(payoffs)


def test_matrices_that_do_not_fit():
    with pytest.raises(SettingError, match="two of one shape"):
        nash_equilibria([[1, 2]], [[1], [2]])
    with pytest.raises(SettingError, match="155,040 vertices"):
        nash_equilibria(np.eye(14), np.eye(14))
