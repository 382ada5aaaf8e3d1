"""What repetition sustains, correlation, and learners; by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.games import (
    critical_discount,
    feasible_rational,
    game_catalogue,
    make_game,
    minmax,
    read_game,
)
from counterpoint.games.analysis import analyze_game
from counterpoint.games.correlated import correlated_equilibrium
from counterpoint.games.game import bimatrix
from counterpoint.games.learners import Learning, alike, cross_play, learn_teams
from counterpoint.games.repeated import (
    Repeated,
    convex_hull,
    learn_repeated,
    price_of_anarchy,
    values,
)


def test_the_prisoners_dilemma_by_hand():
    game = make_game("prisoners_dilemma")
    sustained = critical_discount(game)
    assert sustained.discount == 0.5  # (5 - 3) / (5 - 1)
    assert sustained.payoffs == (3, 3)
    assert minmax(game).tolist() == [1, 1]
    told = price_of_anarchy(game)
    assert (told["optimum"], told["anarchy"], told["stability"]) == (6, 3, 3)
    # the line from (0, 5) to (3, 3) meets 1 at 5 - 2/3
    corners = [(float(a), float(b)) for a, b in feasible_rational(game)]
    assert np.allclose(sorted(corners), [(1, 1), (1, 13 / 3), (3, 3), (13 / 3, 1)])


def test_a_profile_that_no_patience_sustains_and_one_that_needs_none():
    game = make_game("prisoners_dilemma")
    assert critical_discount(game, (0, 1)).discount is None  # the first gets less than 1 for ever
    assert critical_discount(game, (1, 1)).discount == 0
    assert critical_discount(make_game("stag_hunt")).discount == 0


def test_mixed_punishment():
    # matching pennies: nobody can be held below 0, though each pure punishment gives 1
    assert minmax(bimatrix([[1, -1], [-1, 1]], [[-1, 1], [1, -1]])) == pytest.approx([0, 0])
    assert minmax(make_game("battle_of_the_sexes")) == pytest.approx([2 / 3, 2 / 3])


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_the_feasible_and_rational_set_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    game = bimatrix(rng.integers(-5, 6, (3, 3)), rng.integers(-5, 6, (3, 3)))
    corners = np.array([(float(a), float(b)) for a, b in feasible_rational(game)])
    least = minmax(game)
    points = game.payoffs.reshape(-1, 2)
    drawn = rng.dirichlet(np.full(len(points), 0.3), 400) @ points
    for point in drawn:
        rational = (point >= least - 1e-5).all()
        assert inside(corners, point) == rational or (np.abs(point - least) < 1e-4).any()
    assert all((corner >= least - 1e-4).all() for corner in corners)


def inside(corners, point):
    if len(corners) < 3:
        return (
            False
            if not len(corners)
            else bool(
                min(np.abs(point - c).max() for c in corners) < 1e-3 or on_line(corners, point)
            )
        )
    middle = corners.mean(axis=0)
    order = np.argsort(np.arctan2(*(corners - middle).T[::-1]))
    ring = corners[order]
    edge = np.roll(ring, -1, axis=0) - ring
    side = edge[:, 0] * (point - ring)[:, 1] - edge[:, 1] * (point - ring)[:, 0]
    return bool((side >= -1e-6).all())


def on_line(corners, point):
    if len(corners) < 2:
        return False
    a, b = corners[:2]
    side = (b - a)[0] * (point - a)[1] - (b - a)[1] * (point - a)[0]
    return abs(side) < 1e-6 and 0 <= (point - a) @ (b - a) <= (b - a) @ (b - a)


def test_a_hull_by_hand():
    assert convex_hull([(0, 0), (2, 0), (1, 1), (0, 2), (2, 2), (1, 0)]) == [
        (0, 0), (2, 0), (2, 2), (0, 2),
    ]  # fmt: skip


def test_correlation_in_chicken():
    game = make_game("chicken")
    chances, total = correlated_equilibrium(game)
    # the traffic light of Aumann with mutual swerving: no equilibrium without a device pays as much
    assert total > 5
    assert chances[1, 1] == pytest.approx(0)
    coarse = correlated_equilibrium(game, "coarse")[1]
    assert coarse >= total - 1e-9
    worst = correlated_equilibrium(game, best=False)[1]
    assert worst <= 4 + 1e-9
    with pytest.raises(SettingError, match="correlated or coarse"):
        correlated_equilibrium(game, "fine")


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_nash_equilibria_lie_between_the_correlated_extremes(seed):
    from counterpoint.games import equilibria

    rng = np.random.default_rng(seed)
    game = bimatrix(rng.integers(0, 9, (3, 2)), rng.integers(0, 9, (3, 2)))
    low = correlated_equilibrium(game, best=False)[1]
    high = correlated_equilibrium(game)[1]
    for one in equilibria(game):
        assert low - 1e-6 <= float(sum(one.payoffs)) <= high + 1e-6


def test_payoffs_too_far_apart_for_a_linear_program_are_said():
    result = analyze_game(bimatrix([[3, 0], [10**30, 1]], [[3, 5], [0, 1.5]]))
    # the only one pays 1 and 1.5: a solver that overlooks the gain of 1 beside 10^30 says 0 and 5
    assert "orders of magnitude apart" in result.why["correlated_best"]
    assert [one.payoffs for one in result.equilibria] == [[1, 1.5]]
    near = analyze_game(bimatrix([[3, 0], [10**5, 1]], [[3, 5], [0, 1.5]]))
    assert near.sums["correlated_best"] == pytest.approx(2.5)


def test_values_with_a_memory_of_one_round_by_simulation():
    game = np.array(make_game("prisoners_dilemma").payoffs)
    rng = np.random.default_rng(0)
    first, second = rng.random(5), rng.random(5)
    exact = values(game, first, second, 0.9)
    total, runs, length = np.zeros(2), 20_000, 100
    state = None
    for t in range(length):
        if state is None:
            a, b = rng.random(runs) > first[0], rng.random(runs) > second[0]
        else:
            a = rng.random(runs) > first[1 + 2 * state[0] + state[1]]
            b = rng.random(runs) > second[1 + 2 * state[1] + state[0]]
        state = (a.astype(int), b.astype(int))
        total += 0.1 * 0.9**t * game[state].mean(axis=0)
    assert exact == pytest.approx(total, abs=0.03)


def test_tit_for_tat_and_always_defect_by_hand():
    game = np.array(make_game("prisoners_dilemma").payoffs)
    tit, defect = np.array([1.0, 1, 0, 1, 0]), np.zeros(5)
    assert values(game, tit, tit, 0.9) == pytest.approx([3, 3])
    # 0 and 5 in the first round, 1 for ever after
    assert values(game, tit, defect, 0.9) == pytest.approx([0.9, 0.1 * 5 + 0.9])


def test_how_pairs_begin_decides_where_they_end():
    game = make_game("prisoners_dilemma")
    random = learn_repeated(game, Repeated(updates=200), 40)
    grim = learn_repeated(game, Repeated(updates=200, start="grim"), 40)
    assert (random.first.mean(axis=1) < 0.1).mean() > 0.8
    assert (grim.first.mean(axis=1) > 0.9).mean() > 0.8
    assert grim.punishes.mean() > 0.6
    assert not random.punishes.any()
    with pytest.raises(SettingError, match="2 x 2"):
        learn_repeated(make_game("climbing"), Repeated(), 2)


def test_teams_that_agree_with_themselves_and_not_with_strangers():
    game = make_game("lever", {"levers": 5})
    plain = learn_teams(game, Learning(updates=200), 12)
    own, cross = cross_play(game, plain)
    assert own > 0.95
    assert cross < 0.6
    told = learn_teams(game, Learning(updates=200, remedy="convention"), 12)
    assert cross_play(game, told)[1] > 0.95
    other = learn_teams(game, Learning(updates=200, remedy="other_play"), 12)
    assert cross_play(game, other)[1] > 0.8


def test_actions_that_are_alike():
    assert alike(make_game("lever", {"levers": 4})) == ((0, 1, 2), (3,))
    assert alike(make_game("climbing")) == ((0,), (1,), (2,))
    assert alike(make_game("penalty")) == ((0, 2), (1,))


def test_a_shared_signal_lets_both_take_turns():
    game = make_game("battle_of_the_sexes")
    told = learn_teams(game, Learning(updates=300, remedy="device", start=2.0), 30)
    assert told.strategies[0].shape == (30, 2, 2)
    assert told.payoffs.sum(axis=1).mean() > 2.6  # 3 at every signal, whichever it is


def test_learning_is_the_same_again_and_teams_do_not_depend_on_company():
    game = make_game("stag_hunt")
    few, many = (
        learn_teams(game, Learning(updates=50), 3),
        learn_teams(game, Learning(updates=50), 6),
    )
    for a, b in zip(few.strategies, many.strategies, strict=True):
        assert np.allclose(a, b[:3])


def test_paid_as_a_team_nobody_defects():
    game = make_game("prisoners_dilemma")
    own = learn_teams(game, Learning(updates=200), 20)
    team = learn_teams(game, Learning(updates=200, paid="team"), 20)
    assert own.payoffs.mean() < 1.1
    assert team.payoffs.mean() > 2.9


def test_games_by_name_and_from_files(tmp_path):
    for name in game_catalogue():
        assert make_game(name).count >= 2
    assert make_game("public_goods", {"players": "4"}).count == 4
    path = tmp_path / "g.json"
    path.write_text(
        '{"payoffs": [[[3, 3], [0, 5]], [[5, 0], [1, 1]]], "actions": [["c", "d"], ["c", "d"]]}'
    )
    assert read_game(path).actions == (("c", "d"), ("c", "d"))
    with pytest.raises(UnknownNameError, match="did you mean stag_hunt"):
        make_game("stag_hunts")
    with pytest.raises(UnknownNameError, match="wanted one of levers"):
        make_game("lever", {"players": 3})
    with pytest.raises(SettingError, match="whole number"):
        make_game("lever", {"levers": "2.5"})
    for text in ("[]", "{", '{"payoffs": [1, [2]]}', '{"payoffs": [[[1, 1]]], "colour": 1}'):
        path.write_text(text)
        with pytest.raises(SettingError):
            read_game(path)
