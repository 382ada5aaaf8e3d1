"""How many equilibria there are, and what is said where that is not known."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from counterpoint.cli.main import main
from counterpoint.games import Game, equilibria, lemke_howson, nash_equilibria, pure_equilibria
from counterpoint.games.analysis import analyze_game
from counterpoint.games.equilibria import _polytopes, is_degenerate, is_equilibrium
from counterpoint.games.game import bimatrix
from counterpoint.games.pivots import Dictionary, vertices
from counterpoint.games.search import has_ties, search_mixed
from counterpoint.report import render
from counterpoint.results import document_of

pytestmark = pytest.mark.fault("R42")

NINE = {  # McKelvey and McLennan, Handbook of Computational Economics 1 (1996), section 3
    (0, 0, 0): (9, 8, 12), (1, 1, 0): (9, 8, 2), (1, 0, 1): (3, 4, 6), (0, 1, 1): (3, 4, 6),
}  # fmt: skip


def game_of_nine() -> Game:
    payoffs = np.zeros((2, 2, 2, 3))
    for profile, paid in NINE.items():
        payoffs[profile] = paid
    return Game(payoffs)


@pytest.mark.parametrize("seed", range(4))
def test_three_players_have_all_nine(seed: int) -> None:
    found = search_mixed(game_of_nine(), seed)
    # each of the four profiles that pay is an equilibrium: who leaves it alone gets 0
    assert sum(one.pure for one in found) == 4
    # three in which one player does not mix, and two in which all mix
    assert sum(max(map(max, one.strategies)) == 1 and not one.pure for one in found) == 3
    assert len(found) == 9
    assert not has_ties(game_of_nine(), found)


def test_an_even_number_is_never_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    import counterpoint.games.analysis as room

    eight = search_mixed(game_of_nine())[:-1]
    monkeypatch.setattr(room, "search_mixed", lambda game: eight)
    told = analyze_game(game_of_nine())
    assert len(told.equilibria) == 8
    assert "8 is an even number: at least one is missing" in told.why["equilibria"]
    assert told.degenerate is None
    monkeypatch.undo()
    whole = analyze_game(game_of_nine())
    assert "equilibria" not in whole.why


def test_the_search_goes_on_while_the_number_is_even(monkeypatch: pytest.MonkeyPatch) -> None:
    import counterpoint.games.search as room

    monkeypatch.setattr(room, "STARTS", 1)
    one_round = set()
    for seed in range(12):
        monkeypatch.setattr(room, "ROUNDS", 1)
        one_round.add(len(room.search_mixed(game_of_nine(), seed)))
        monkeypatch.setattr(room, "ROUNDS", 40)
        assert len(room.search_mixed(game_of_nine(), seed)) % 2 == 1
    assert 8 in one_round


def test_ties_of_three_players_are_seen() -> None:
    flat = Game(np.zeros((2, 2, 2, 3)))
    assert has_ties(flat, pure_equilibria(flat))
    told = analyze_game(flat)
    assert told.degenerate is True
    assert "equilibria" not in told.why
    # a difference of one in a billion is no tie
    near = np.zeros((2, 2, 2, 3))
    near[..., 0], near[..., 1], near[..., 2] = np.ix_([0, 1], [0, 1], [0, 1])
    near[0, ..., 0] = -(10**9)
    assert not has_ties(Game(near), pure_equilibria(Game(near)))


@pytest.mark.fault("R39")
def test_integers_beyond_floating_point_are_not_alike() -> None:
    big = 2**53
    # prisoner's dilemma, moved: 3, 0, 5, 1 above 2^53 + 1
    a = [[big + 4, big + 1], [big + 6, big + 2]]
    b = [[big + 4, big + 6], [big + 1, big + 2]]
    (one,) = equilibria(bimatrix(a, b))
    assert one.strategies == ((0, 1), (0, 1))
    assert one.payoffs == (big + 2, big + 2)
    # two actions that differ by one
    game = bimatrix([[big], [big + 1]], [[0], [0]])
    assert [e.payoffs for e in pure_equilibria(game)] == [(big + 1, 0)]
    assert not is_degenerate(game)
    assert game.is_rounded
    # the same in an array of integers
    assert Game(np.array([[[big, 0]], [[big + 1, 0]]])).exact[1, 0][0] == big + 1
    # matching pennies around 10^30 keep their mix
    high = 10**30
    tables = [[[s * v + high for v in row] for row in ((1, -1), (-1, 1))] for s in (1, -1)]
    (mixed,) = equilibria(bimatrix(*tables))
    assert mixed.strategies == ((Fraction(1, 2),) * 2,) * 2


def test_thirds_are_exact() -> None:
    # stag or hare: stag pays 1 with stag, hare 1/3; in floating point as well the mix is a third
    a = [[1, 0], ["1/3", "1/3"]]
    b = [[1, "1/3"], [0, "1/3"]]
    (mixed,) = [one for one in equilibria(bimatrix(a, b)) if not one.pure]
    assert mixed.strategies == ((Fraction(1, 3), Fraction(2, 3)),) * 2
    assert mixed.payoffs == (Fraction(1, 3),) * 2


def test_vertices_of_a_square_by_hand() -> None:
    # x <= 1 and y <= 1 become x + y/2 <= 1 and x/2 + y <= 1, times two
    matrix = np.empty((2, 2), dtype=object)
    matrix[:] = [[2, 1], [1, 2]]
    found = vertices(matrix, 10)
    # bits: rows 0 and 1, then x = 0 and y = 0; corners (0,0), (1/2,0), (0,1/2), (1/3,1/3)
    assert set(found) == {0b1100, 0b1001, 0b0110, 0b0011}
    assert found[0b0011][0] == found[0b0011][1]
    with pytest.raises(Exception, match="more than 3 bases"):
        vertices(matrix, 3)


def test_a_pivot_and_back_is_where_it_began() -> None:
    matrix = np.empty((2, 2), dtype=object)
    matrix[:] = [[3, 1], [1, 2]]
    here = Dictionary(matrix)
    here.pivot(here.leaving(0), 0)
    assert (here.point(), here.denominator) == ([1, 0], 3)
    here.pivot(0, 0)
    assert here.table.tolist() == [[3, 1, 1], [1, 2, 1]]
    assert here.denominator == 1


@pytest.mark.parametrize("size", [2, 5, 9])
def test_coordination_has_two_to_the_n_less_one(size: int) -> None:
    # each set of actions is one equilibrium's
    assert len(nash_equilibria(np.eye(size), np.eye(size))) == 2**size - 1


def test_twelve_by_twelve_is_checked_and_fourteen_by_fourteen_says_that_it_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    # a dominant action for each keeps the number of vertices small
    tables = rng.integers(-50, 50, (2, 12, 12))
    tables[0, 0], tables[1, :, 0] = 60, 60
    told = analyze_game(bimatrix(*tables))
    assert told.degenerate is False  # the best response to anything is the dominant action
    assert told.equilibria_are == "all extreme ones"
    big = rng.integers(-50, 50, (2, 14, 14))
    game = bimatrix(*big)
    told = analyze_game(game)
    assert told.degenerate is None
    assert told.equilibria_are == "the pure ones, and one by Lemke-Howson"
    assert "155,040 vertices" in told.why["equilibria"]
    assert told.equilibria
    assert "not checked" in render(document_of(told))
    file = tmp_path / "big.json"
    file.write_text(json.dumps({"A": big[0].tolist(), "B": big[1].tolist()}))
    assert main(["game", str(file)]) == 0
    assert "Whether the game is degenerate was not checked." in capsys.readouterr().out
    assert main(["game", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["degenerate"] is None


def test_lemke_howson_finds_one_of_all() -> None:
    rng = np.random.default_rng(3)
    for number in range(60):
        rows, columns = rng.integers(1, 6, 2)
        high = 2 if number % 2 else 30  # every other game is degenerate
        game = bimatrix(*rng.integers(-high, high + 1, (2, rows, columns)))
        one = lemke_howson(game)
        assert one.exact
        assert is_equilibrium(game, one.strategies)
        if not is_degenerate(game):
            assert one.strategies in {other.strategies for other in equilibria(game)}


def test_ties_make_no_path_run_in_a_circle() -> None:
    for game in (
        bimatrix(np.zeros((7, 5)), np.zeros((7, 5))),
        bimatrix(np.ones((9, 9)), np.eye(9)),
        bimatrix(np.kron(np.eye(4), np.ones((3, 3))), np.kron(np.ones((3, 3)), np.eye(4))),
    ):
        assert is_equilibrium(game, lemke_howson(game).strategies)


def test_lemke_howson_in_floating_point_is_verified_and_says_so() -> None:
    rng = np.random.default_rng(1)
    game = bimatrix(*rng.integers(-100, 101, (2, 60, 60)))
    one = lemke_howson(game)
    assert not one.exact
    assert float(game.gain(one.floats()).max()) < 1e-6
    assert all(sum(own) == 1 for own in one.strategies)
    ties = bimatrix(rng.integers(0, 2, (50, 70)), rng.integers(0, 2, (50, 70)))
    assert float(ties.gain(lemke_howson(ties).floats()).max()) < 1e-8
    # 30 x 30 in integers
    exact = bimatrix(*rng.integers(-100, 101, (2, 30, 30)))
    found = lemke_howson(exact)
    assert found.exact
    assert is_equilibrium(exact, found.strategies)
    with pytest.raises(ValueError, match="Lemke-Howson is for two"):
        lemke_howson(game_of_nine())


def test_the_page_says_what_lies_between() -> None:
    between = analyze_game(bimatrix([[1, 1], [1, 1]], [[1, 0], [1, 0]]))
    assert "there are more between them" in render(document_of(between))
    # degenerate, and with no equilibrium beside the one: the second row ties where nobody plays
    alone = analyze_game(bimatrix([[2, 1], [1, 1]], [[1, 0], [1, 0]]))
    assert alone.degenerate is True
    assert len(alone.equilibria) == 1
    shown = render(document_of(alone))
    assert "The game is degenerate." in shown
    assert "more between" not in shown


def test_a_game_with_a_huge_common_denominator_falls_back_to_floating_point() -> None:
    primes = [p for p in range(2, 5000) if all(p % q for q in range(2, int(p**0.5) + 1))]
    values = [[f"{k + 1}/{primes[-1 - 20 * k - j]}" for j in range(20)] for k in range(20)]
    game = bimatrix(values, [row[::-1] for row in values])
    one = lemke_howson(game)
    assert not one.exact
    assert float(game.gain(one.floats()).max()) < 1e-8
    with pytest.raises(ValueError, match=r"wanted at most|common denominator"):
        _polytopes(game)


@pytest.mark.slow
def test_pygambit_lists_the_same_extreme_equilibria() -> None:
    gambit = pytest.importorskip("pygambit")
    rng = np.random.default_rng(5)
    for number in range(60):
        rows, columns = rng.integers(2, 6, 2)
        high = 1 if number % 2 else 20
        game = bimatrix(*rng.integers(-high, high + 1, (2, rows, columns)))
        arrays = [game.payoffs[..., p].astype(int).astype(object) for p in (0, 1)]
        theirs = gambit.Game.from_arrays(*arrays)
        solved = gambit.nash.enummixed_solve(theirs, rational=True).equilibria
        listed = {
            tuple(tuple(Fraction(str(one[s])) for s in p.strategies) for p in theirs.players)
            for one in solved
        }
        assert listed == {one.strategies for one in equilibria(game)}
