"""`counterpoint game`, as somebody types it."""

import json

import pytest

from counterpoint.cli.main import main


def test_json_holds_the_interface(capsys):
    assert main(["game", "prisoners_dilemma", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["minmax"] == [1, 1]
    assert told["equilibria"][0]["strategies"] == [[0, 1], [0, 1]]
    assert told["equilibria"][0]["payoffs"] == [1, 1]
    assert told["critical_discount"] == 0.5
    assert [3.0, 3.0] in told["feasible_rational"]
    assert told["price_of_anarchy"] == 3
    assert told["learned"] is None


def test_words_a_page_and_learners(tmp_path, capsys):
    asked = ["game", "stag_hunt", "--learn", "--seeds", "10", "updates=60", "--out",
             str(tmp_path / "out"), "--schemes", "mappo_per_agent"]  # fmt: skip
    assert main(asked) == 0
    shown = capsys.readouterr().out
    assert "3 equilibria, 2 of them pure." in shown
    assert "3/4 stag, 1/4 hare" in shown
    assert "mappo_per_agent" in shown
    assert "tit_for_tat" in shown
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Where learners end" in page
    assert main(["report", str(tmp_path / "out"), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_text() == page


def test_players_beyond_two(capsys):
    assert main(["game", "public_goods", "players=4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["feasible_rational"] is None
    assert "two players" in told["why"]["feasible_rational"]
    assert told["equilibria_are"] == "all pure ones, mixed ones by search"


def test_games_are_listed(capsys):
    assert main(["games", "--json"]) == 0
    assert "prisoners_dilemma" in json.loads(capsys.readouterr().out)
    assert main(["game"]) == 0
    assert "climbing" in capsys.readouterr().out
    assert main(["game", "--learn"]) == 2
    assert "options and no game" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["prisoner"], "did you mean prisoners_dilemma"), (["none.json"], "could not read"),
        (["lever", "updates=5"], "without --learn"),
            (["lever", "--remedies", "cheap_talk"], "without --learn"),
            (["stag_hunt", "--learn", "--seeds", "2", "paid=both"], "one of own, team"),
            (["stag_hunt", "--learn", "--seeds", "1000000000"], "2 to 10000"),
        (["stag_hunt", "--learn", "--seeds", "1"], "from 2 to 10000"),
        (["stag_hunt", "--learn", "--remedies", "luck"], "wanted one of none"),
        (["stag_hunt", "--learn", "--schemes", "luck"], "luck"),
        (["stag_hunt", "--learn", "--schemes", ","], "got --schemes ',', which is empty"),
        (["lever", "levers=1000000"], "wanted 2 to 400"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(words, told, capsys):
    assert main(["game", *words]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_a_game_with_many_profiles_is_refused(tmp_path, capsys):
    path = tmp_path / "big.json"
    path.write_text(json.dumps({"payoffs": [[[0, 0]] * 500] * 500}))
    assert main(["game", str(path)]) == 2
    assert "250,000 profiles" in capsys.readouterr().err


def test_an_integer_longer_than_python_reads_is_one_line(tmp_path, capsys):
    path = tmp_path / "long.json"
    path.write_text(f'{{"A": [[{"9" * 5000}, 0], [0, 1]], "B": [[1, 0], [0, 1]]}}')
    assert main(["game", str(path)]) == 2
    assert "got a number of 5,000 characters" in capsys.readouterr().err


@pytest.mark.parametrize("much", ["4/10000", "1e99"])
def test_learners_of_any_scale_are_shown_as_it_is(much, tmp_path, capsys):
    path, none = tmp_path / "game.json", [["0", much], [much, "0"]]
    path.write_text(json.dumps({"A": none, "B": none}))
    asked = ["game", str(path), "--learn", "--seeds", "2", "updates=5",
             "restarts=1", "--remedies", "shaping"]  # fmt: skip
    assert main([*asked, "--schemes", "mappo_per_agent"]) == 0
    shown = capsys.readouterr()
    assert {line.split(":")[0] for line in shown.err.splitlines()} <= {"learning game"}
    assert "0.000" not in shown.out.split()
    assert max(map(len, shown.out.replace("─", "").split())) < 60
