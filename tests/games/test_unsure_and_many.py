"""Bayesian games, mixed equilibria of more than two, basins, cheap talk, and another's oracle."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyspiel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.cli.main import main
from counterpoint.errors import SettingError
from counterpoint.games import Game, equilibria, make_game, read_game
from counterpoint.games.analysis import analyze_game, basins, learn_game
from counterpoint.games.bayesian import BayesianGame
from counterpoint.games.game import bimatrix
from counterpoint.games.learners import Learning, cross_play, learn_teams
from counterpoint.games.repeated import Repeated, learn_repeated
from counterpoint.games.search import search_mixed


def test_the_unsure_battle_by_hand():
    game = make_game("unsure_battle")
    assert game.actions[0] == ("opera", "football")
    assert len(game.actions[1]) == 4
    # opera against (meet: opera, avoid: football): half of (2, 1) and half of (0, 2)
    assert game.payoffs[0, 1].tolist() == [1.0, 1.5]
    pure = [one for one in equilibria(game) if one.pure]
    assert [one.payoffs for one in pure] == [(1, Fraction(3, 2))]
    sure = make_game("unsure_battle", {"chance": 0.999999})
    assert sure.payoffs[1, 3, 0] == pytest.approx(1.0, abs=1e-5)


def test_a_bayesian_game_with_one_type_each_is_the_game():
    plain = make_game("stag_hunt")
    told = BayesianGame(np.ones((1, 1)), plain.payoffs[None, None], actions=plain.actions)
    assert np.array_equal(told.normal_form().payoffs, plain.payoffs)
    assert told.normal_form().actions == plain.actions


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_what_a_plan_pays_is_what_is_expected_before_types_are_drawn(seed):
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.ones(4)).reshape(2, 2)
    payoffs = rng.integers(-5, 6, (2, 2, 2, 3, 2)).astype(float)
    game = BayesianGame(prior, payoffs)
    form = game.normal_form()
    assert form.sizes == (4, 9)
    first, second = rng.integers(4), rng.integers(9)
    own, other = game.strategies(0)[first], game.strategies(1)[second]
    wanted = sum(prior[s, t] * payoffs[s, t, own[s], other[t]] for s in (0, 1) for t in (0, 1))
    assert form.payoffs[first, second] == pytest.approx(wanted, abs=1e-9)


def test_bayesian_games_that_are_none(tmp_path):
    for prior, payoffs, why in (
        (np.ones((1, 2)), np.zeros((1, 2, 2, 2, 2)), "adds up to 2"),
        (np.ones((1, 1)), np.zeros((2, 1, 2, 2, 2)), "shape"),
        (np.ones((1, 1)), np.full((1, 1, 2, 2, 2), np.nan), "finite"),
        (np.full((6, 6), 1 / 36), np.zeros((6, 6, 5, 5, 2)), "profiles of strategies"),
        ([[1], [2, 3]], np.zeros((1, 1, 2, 2, 2)), "shape"),
    ):
        with pytest.raises(SettingError, match=why):
            BayesianGame(prior, payoffs)
    file = tmp_path / "b.json"
    file.write_text('{"prior": [[1.0]], "payoffs": [[[[[1, 2]]]]], "types": [["a"], ["b"]]}')
    assert read_game(file).payoffs.tolist() == [[[1.0, 2.0]]]
    file.write_text('{"prior": [[0.5]], "payoffs": [[[[[1, 2]]]]]}')
    with pytest.raises(SettingError, match=r"adds up to 0\.5"):
        read_game(file)


def test_bayesian_games_are_exact_with_a_prior_of_thirds():
    """In sixths, and so, times 6, in whole numbers."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        payoffs = rng.integers(-2, 3, (3, 1, 2, 2, 2)).astype(float)
        game = BayesianGame(np.array([[4], [1], [1]]) / 6, payoffs)
        form = game.normal_form()
        for row, plan in enumerate(game.strategies(0)):
            for column in range(2):
                wanted = sum(w * payoffs[t, 0, plan[t], column] for t, w in enumerate((4, 1, 1)))
                assert [6 * value for value in form.exact[row, column]] == wanted.tolist()
    dilemma = np.array([[[[[3, 3], [0, 5]], [[5, 0], [1, 1]]]]] * 2)
    tiny = BayesianGame(np.ones((2, 1)) / 2, dilemma * 1e-13)
    (found,) = equilibria(tiny.normal_form())
    assert found.pure


@pytest.mark.parametrize("text", [
    '{"payoffs": [[[1, 1]]], "players": 5}', '{"payoffs": [[[1, 1]]], "actions": 5}',
    '{"payoffs": [[[1, 1]]], "players": "ab"}', '{"payoffs": [[[1e308, -1e308]]]}',
    '{"payoffs": [[[1, 1]]], "name": "\\ud800"}',
    '{"payoffs": [[[1, 1]]], "actions": [["\\u001b[31m"], ["b"]]}',
    '{"prior": [[1]], "payoffs": [[[[[1, 1]]]]], "types": 5}',
    '{"prior": [[1]], "payoffs": [[[[[1, 1]]]]], "actions": true}',
    '{"prior": [[1%s]], "payoffs": [[[[[1, 1]]]]]}' % ("0" * 400),
])  # fmt: skip
def test_hostile_files_are_refused_in_a_line(text, tmp_path, capsys):
    file = tmp_path / "g.json"
    file.write_text(text)
    assert main(["game", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") <= 3


def test_a_game_without_choices_and_one_that_is_too_wide(tmp_path, capsys):
    file = tmp_path / "g.json"
    file.write_text('{"payoffs": [[[1, 1]]]}')
    assert main(["game", str(file), "--json"]) == 0
    assert '"optimum": 2.0' in capsys.readouterr().out
    with pytest.raises(SettingError, match="90,601 vertices"):
        equilibria(bimatrix(np.zeros((2, 600)), np.zeros((2, 600))))


def test_who_takes_turns_is_at_both_and_gains_nothing():
    learned = learn_game(
        make_game("battle_of_the_sexes"),
        ("mappo_per_agent",),
        ("device",),
        20,
        Learning(updates=300),
    )
    arm = learned.arms["mappo_per_agent, device"]
    assert arm.deviation_gain.value < 0.01
    assert "0+2" in arm.equilibria
    assert "none" not in arm.equilibria


def test_numbers_of_equilibria_are_those_that_are_told():
    payoff = np.diag(np.arange(1.0, 8.0))
    game = bimatrix(payoff, payoff)
    listed = analyze_game(game).equilibria
    learned = learn_game(game, ("mappo_per_agent",), ("none",), 6, Learning(updates=200))
    for key in learned.arms["mappo_per_agent"].equilibria:
        assert max(listed[int(key)].strategies[0]) == 1.0  # teams land at pure ones
    three = np.zeros((2, 2, 2, 3))
    three[..., 0] = (np.eye(2) * 2 - 1)[:, :, None]
    three[..., 1], three[..., 2] = -three[..., 0], np.array([1.0, 0.0])
    mixed = learn_game(Game(three), ("mappo_per_agent",), ("none",), 3,
                       Learning(updates=1, start=0.0, lr=0.0))  # fmt: skip
    assert len(analyze_game(Game(three)).equilibria) == 1
    assert set(mixed.arms) == {"mappo_per_agent"}


def test_partners_of_a_population_keep_their_running_statistics(monkeypatch):
    import counterpoint.games.learners as room

    states, plain = [], room.advantages

    def noted(*told, state=None):
        states.append(state)
        return plain(*told, state=state)

    monkeypatch.setattr(room, "advantages", noted)
    learn_teams(make_game("stag_hunt"), Learning(scheme="group_reward_decoupled", updates=5,
                                           remedy="population"), 2)  # fmt: skip
    assert [state is None for state in states] == [True] * 2 + [False] * 8


def test_three_who_want_the_same_by_hand():
    same = (np.indices((2, 2, 2)).sum(axis=0) % 3) == 0
    found = search_mixed(Game(np.stack([same.astype(float)] * 3, axis=-1)))
    half = (Fraction(1, 2), Fraction(1, 2))
    assert [one.strategies for one in found if not one.pure] == [(half,) * 3]
    assert all(one.exact for one in found)
    assert len(found) == 3


def test_public_goods_has_the_equilibrium_that_theory_names():
    (found,) = search_mixed(make_game("public_goods"))
    assert found.pure
    assert found.payoffs == (0, 0, 0)


def test_games_of_three_have_an_odd_number_and_nobody_gains():
    rng = np.random.default_rng(1)
    for _ in range(8):
        game = Game(rng.normal(size=(2, 2, 2, 3)).round(3))
        found = search_mixed(game)
        assert len(found) % 2 == 1
        for one in found:
            assert game.gain(one.floats()).max() < 1e-6
    with pytest.raises(SettingError, match="choices of played actions"):
        search_mixed(Game(np.zeros((4, 4, 4, 3))))


def test_the_search_finds_what_is_exact_of_two():
    for name in ("chicken", "stag_hunt", "battle_of_the_sexes"):
        game = make_game(name)
        third = np.repeat(game.payoffs[:, :, None], 1, axis=2)
        padded = Game(np.concatenate([third, np.zeros((2, 2, 1, 1))], axis=-1))
        own = {one.strategies for one in equilibria(game)}
        assert {one.strategies[:2] for one in search_mixed(padded)} == own


def test_document_of_a_game_of_three():
    game = analyze_game(make_game("public_goods"))
    assert game.equilibria_are == "all pure ones, mixed ones by search"
    assert all(one.is_exact for one in game.equilibria)


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_deviation_gains_are_those_of_open_spiel(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-9, 10, (2, 3, 4)).astype(float)
    x, y = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4))
    theirs = pyspiel.convert_to_turn_based(
        pyspiel.create_matrix_game("t", "t", list("abc"), list("abcd"), a, b)
    )
    begin = theirs.new_initial_state()
    policy = pyspiel.TabularPolicy({
        begin.information_state_string(0): list(enumerate(x.tolist())),
        begin.child(0).information_state_string(1): list(enumerate(y.tolist())),
    })  # fmt: skip
    gains = bimatrix(a, b).gain([x, y])
    assert gains.sum() == pytest.approx(pyspiel.nash_conv(theirs, policy), abs=1e-9)


def test_basins_of_the_stag_hunt_end_where_the_boundary_says():
    game = make_game("stag_hunt")
    known = equilibria(game)
    found = basins(game, known)
    stag = next(i for i, one in enumerate(known) if one.payoffs == (4, 4))
    hare = next(i for i, one in enumerate(known) if one.pure and i != stag)
    # both above three quarters of stag: stag; both below: hare
    starts, ends = np.array(found.starts), np.array(found.ends)
    high, low = starts > 0.76, starts < 0.74
    assert (ends[np.ix_(high, high)] == stag).all()
    assert (ends[np.ix_(low, low)] == hare).all()
    assert 0.1 < found.shares[str(stag)] < 0.3
    defect = basins(make_game("prisoners_dilemma"), equilibria(make_game("prisoners_dilemma")))
    assert defect.shares == {"0": 1.0}
    with pytest.raises(SettingError, match="2 x 2"):
        basins(make_game("climbing"), [])


def test_talk_helps_partners_and_not_strangers():
    game = make_game("stag_hunt")
    silent = learn_teams(game, Learning(updates=300), 40)
    talking = learn_teams(game, Learning(updates=300, remedy="cheap_talk"), 40)
    assert talking.words is not None
    assert np.allclose([own.sum(axis=1) for own in talking.words], 1)
    assert np.allclose(talking.weights.sum(axis=1), 1)
    assert talking.payoffs.mean() > silent.payoffs.mean() + 0.15
    own, strangers = cross_play(game, talking)
    assert own == pytest.approx(talking.payoffs.mean(), abs=1e-9)
    assert strangers < own - 0.3
    with pytest.raises(SettingError, match="signals; wanted"):
        learn_teams(make_game("public_goods", {"players": 5}),
              Learning(remedy="cheap_talk", signals=10), 2)  # fmt: skip


def test_who_foresees_how_the_other_learns_defects_less():
    game = make_game("prisoners_dilemma")
    naive = learn_repeated(game, Repeated(updates=100), 10).first.mean(axis=1)
    shaping = learn_repeated(game, Repeated(updates=100, shaping=3.0), 10).first.mean(axis=1)
    assert (naive < 0.1).mean() > 0.8
    assert (shaping < 0.1).mean() < 0.3
    with pytest.raises(SettingError, match="2 x 2"):
        learn_game(make_game("climbing"), remedies=("shaping",))


@pytest.mark.slow
def test_shaping_stands_beside_what_it_remedies():
    learned = learn_game(make_game("prisoners_dilemma"), ("mappo_per_agent",),
                         ("none", "shaping"), 8, Learning(updates=50))  # fmt: skip
    assert set(learned.arms) == {"mappo_per_agent"}
    assert {"random", "random, shaping"} <= set(learned.repeated)


def test_the_page_draws_basins(tmp_path, capsys):
    assert main(["game", "stag_hunt", "--learn", "--seeds", "4", "updates=20", "--schemes",
                 "mappo_per_agent", "--out", str(tmp_path)]) == 0  # fmt: skip
    assert "basins" in capsys.readouterr().out
    assert "Basins" in (tmp_path / "report.html").read_text()
