"""Files of games: JSON with exact numbers, Gambit's `.nfg` and `.efg`, and what is refused."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path

import pytest

from counterpoint.cli.main import main
from counterpoint.errors import SettingError
from counterpoint.games import Game, equilibria, read_game

DILEMMA = 'NFG 1 R "Dilemma" { "Row" "Column" } { 2 2 }\n\n3 3 5 0 0 5 1 1\n'
OUTCOMES = """NFG 1 R "Stag hunt" { "A" "B" }
{ { "stag" "hare" } { "stag" "hare" } }
"both or none"
{
{ "both" 4, 4 }
{ "first hunts a hare" 3, 0 }
{ "hares" 3 3 }
}
1 2 0 3
"""
# one card of two; the holder bets or passes, the other sees the bet and not the card
CARD = """EFG 2 R "One card" { "Holder" "Other" }
"a comment"
c "" 1 "deal" { "high" 1/2 "low" 1/2 } 0
p "" 1 1 "high" { "bet" "pass" } 0
p "" 2 1 "seen a bet" { "call" "fold" } 0
t "" 1 "wins two" { 2, -2 }
t "" 2 "wins one" { 1 -1 }
t "" 2
p "" 1 2 "low" { "bet" "pass" } 0
p "" 2 1 0
t "" 3 "loses two" { -2, 2 }
t "" 2 "wins one"
t "" 4 "loses one" { -1, 1 }
"""
# three decisions in turn; taking ends it
CENTIPEDE = """EFG 2 R "Centipede" { "A" "B" }
p "" 1 1 "first" { "take" "go" } 0
t "" 1 "" { 1, 0 }
p "" 2 1 "second" { "take" "go" } 0
t "" 2 "" { 0, 2 }
p "" 1 2 "third" { "take" "go" } 0
t "" 3 "" { 3, 1 }
t "" 4 "" { 2, 4 }
"""
FORGETS = """EFG 2 R "" { "A" "B" }
p "" 1 1 "first" { "l" "r" } 0
p "" 1 2 "second" { "l" "r" } 0
t "" 1 "" { 1 0 }
t "" 2 "" { 0 1 }
p "" 1 2 "second" { "l" "r" } 0
t "" 1
t "" 2
"""


def written(tmp_path: Path, name: str, text: str) -> Path:
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return file


def test_an_nfg_file_with_payoffs_has_the_first_player_fastest(tmp_path: Path) -> None:
    game = read_game(written(tmp_path, "d.nfg", DILEMMA))
    # (1, 1), (2, 1), (1, 2), (2, 2): the second profile is the row player's second strategy
    assert game.payoffs.tolist() == [[[3, 3], [0, 5]], [[5, 0], [1, 1]]]
    assert (game.name, game.players) == ("Dilemma", ("Row", "Column"))
    assert game.actions == (("1", "2"),) * 2
    text = 'NFG 1 D "" { "a" "b" "c" } { 2 1 3 } 0 0 1 0 0 2 0 0 3 0 0 4 0 0 5 0 0 6'
    wide = read_game(written(tmp_path, "wide.nfg", text))
    assert wide.payoffs[..., 2].tolist() == [[[1, 3, 5]], [[2, 4, 6]]]
    assert wide.name == "wide"


def test_an_nfg_file_with_outcomes_pays_nothing_at_outcome_0(tmp_path: Path) -> None:
    game = read_game(written(tmp_path, "s.nfg", OUTCOMES))
    assert game.payoffs.tolist() == [[[4, 4], [0, 0]], [[3, 0], [3, 3]]]
    assert game.actions[0] == ("stag", "hare")


def test_a_tree_with_chance_and_hidden_cards_by_hand(tmp_path: Path) -> None:
    game = read_game(written(tmp_path, "card.efg", CARD))
    assert game.actions[0] == ("high: bet, low: bet", "high: bet, low: pass",
                               "high: pass, low: bet", "high: pass, low: pass")  # fmt: skip
    assert game.actions[1] == ("call", "fold")
    # always bet: a call pays (2 - 2) / 2 = 0, a fold 1
    # bet high: a call pays (2 - 1) / 2 = 1/2, a fold (1 - 1) / 2 = 0
    # bet low: a call pays (1 - 2) / 2 = -1/2, a fold 1; never bet: (1 - 1) / 2 = 0
    half = Fraction(1, 2)
    wanted = [[0, 1], [half, 0], [-half, 1], [0, 0]]
    assert [[game.exact[i, j][0] for j in (0, 1)] for i in range(4)] == wanted
    assert all(sum(paid) == 0 for paid in game.exact.values())
    # against call with chance q: always bet pays 1 - q, bet high q / 2, so that q = 2/3
    (one,) = equilibria(game)
    holder, other = one.strategies
    assert holder == (Fraction(1, 3), Fraction(2, 3), 0, 0)
    assert other == (Fraction(2, 3), Fraction(1, 3))
    assert one.payoffs == (Fraction(1, 3), -Fraction(1, 3))


def test_strategies_that_differ_where_play_never_comes_are_one(tmp_path: Path) -> None:
    game = read_game(written(tmp_path, "c.efg", CENTIPEDE))
    assert game.actions == (
        ("first: take", "first: go, third: take", "first: go, third: go"), ("take", "go"),
    )  # fmt: skip
    assert game.payoffs.tolist() == [
        [[1, 0], [1, 0]], [[0, 2], [3, 1]], [[0, 2], [2, 4]],
    ]  # fmt: skip


def test_payoffs_on_the_way_add_up_and_a_player_may_have_no_choice(tmp_path: Path) -> None:
    text = 'EFG 2 R "" { "A" "B" }\np "" 1 1 "" { "x" "y" } 1 "fee" { -1 5 }\n'
    text += 't "" 0\nt "" 2 "" { 4 0 }'
    game = read_game(written(tmp_path, "fee.efg", text))
    assert game.payoffs.tolist() == [[[-1, 5]], [[3, 5]]]
    assert game.actions == (("x", "y"), ("no choice",))


def test_who_forgets_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="A does not remember at information set second"):
        read_game(written(tmp_path, "f.efg", FORGETS))


def test_a_tree_that_is_too_large_is_refused_before_it_is_built(tmp_path: Path) -> None:
    # 40 sets of two actions after chance: 2^40 strategies
    actions = " ".join(f'"{k}" 1/40' for k in range(40))
    moves = "".join(f'p "" 1 {k} "" {{ "a" "b" }} 0\nt "" 0\nt "" 0\n' for k in range(40))
    text = f'EFG 2 R "" {{ "A" }}\nc "" 1 "" {{ {actions} }} 0\n{moves}'
    with pytest.raises(SettingError, match="very many strategies"):
        read_game(written(tmp_path, "big.efg", text))


def test_a_long_tree_needs_no_recursion(tmp_path: Path) -> None:
    turns = "".join(f'p "" 1 {k} "" {{ "stop" "go" }} 0\nt "" 0\n' for k in range(1000))
    text = f'EFG 2 R "" {{ "A" }}\n{turns}t "" 1 "" {{ 1 }}\n'
    game = read_game(written(tmp_path, "long.efg", text))
    assert game.sizes == (1001,)
    assert game.payoffs[:, 0].nonzero()[0].tolist() == [1000]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.nfg", DILEMMA.replace("1 1\n", "1"), "line 3, column 14: got the end of the file"),
        ("a.nfg", DILEMMA + "7", "line 4, column 1: got '7'; wanted the end of the file"),
        ("a.nfg", DILEMMA.replace("3 3", "3 x"), "line 3, column 3: got 'x'"),
        ("a.nfg", DILEMMA.replace("3 3", "3 1/0"), "got '1/0'"),
        ("a.nfg", DILEMMA.replace("3 3", "3 1e999999999"), "got '1e999999999'"),
        ("a.nfg", DILEMMA.replace("{ 2 2 }", "{ 2 0 }"), "a number of strategies, 1 to"),
        ("a.nfg", DILEMMA.replace("{ 2 2 }", "{ 2 }"), "the strategies of 2 players"),
        ("a.nfg", DILEMMA.replace("{ 2 2 }", "{ 900 900 }"), "810,000 profiles"),
        ("a.nfg", DILEMMA.replace("NFG 1", "NFG 2"), "line 1, column 5: got '2'; wanted 1"),
        ("a.nfg", OUTCOMES.replace("1 2 0 3", "1 2 0 4"), "the outcome of profile 4, 0 to 3"),
        ("a.nfg", "", "got the end of the file; wanted NFG"),
        ("a.efg", CARD.replace("1/2 }", "1/3 }"), "chances that add up to 1, not 0.833333333"),
        ("a.efg", CARD.replace('t "" 4 "loses one" { -1, 1 }\n', ""), "end of the file"),
        ("a.efg", CARD + 't "" 1', "the end of the file after the last node"),
        ("a.efg", CARD.replace('t "" 2 "wins one"\n', 't "" 9\n'), "the payoffs of outcome 9"),
        ("a.efg", CARD.replace('t "" 2 "wins one"\n', 't "" 1 "" { 1 1 }\n'), "as before"),
        ("a.efg", CARD.replace('p "" 2 1 0', 'p "" 2 5 0'), "the actions of information set 5"),
        ("a.efg", CARD.replace('p "" 2 1 0', 'p "" 2 1 "" { "a" "b" } 0'), "set 1 as before"),
        ("a.efg", CARD.replace('p "" 2 1 0', 'p "" 3 1 0'), "a player, 1 to 2"),
        ("a.json", '{"A": [[1, 2]], "B": [[1], [2]]}', "two of one shape"),
        ("a.json", '{"A": [[1, 2]]}', 'either "payoffs", or "A" and "B"'),
        ("a.json", '{"A": [[1]], "B": [[1]], "payoffs": [[[1, 1]]]}', "either"),
        ("a.json", '{"A": [[1]], "B": [["x"]]}', "in B[0][0]: got 'x'"),
        ("a.json", '{"payoffs": [[[1, 1], [1]]]}', "payoffs[0][1] is a list of 1"),
        ("a.json", '{"payoffs": [[[1, 1], [1, null]]]}', "in payoffs[0][1][1]: got nothing"),
        ("a.json", '{"payoffs": [[[1, true]]]}', "got true; wanted a number"),
        ("a.json", '{"payoffs": [[[1, NaN]]]}', "got 'NaN'"),
        ("a.json", '{"payoffs": [[[1, 1e400]]]}', "beyond 1e+100"),
        ("a.json", '{"payoffs": [[[1, 1]]], "payoffs": [[[2, 2]]]}', "'payoffs' twice"),
        ("a.json", '{"payoffs": [[[1, 1]]', "line 1 column 22"),
        ("a.json", '{"payoffs": [[[1, 1]]], "players": ["\\u001b[31m", "b"]}', "printable text"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_one_line_with_the_place(
    name: str, text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["game", str(written(tmp_path, name, text))]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert told in printed.err
    assert printed.err.count("\n") == 1


def test_numbers_are_what_was_written(tmp_path: Path) -> None:
    text = '{"payoffs": [[["1/3", 9007199254740993], [0.1, 9007199254740992]]]}'
    game = read_game(written(tmp_path, "n.json", text))
    assert game.exact[0, 0] == (Fraction(1, 3), 2**53 + 1)
    assert game.exact[0, 1] == (Fraction(1, 10), 2**53)
    text = '{"payoffs": [[[12345678901234567890123456789, 1e-30]]]}'
    game = read_game(written(tmp_path, "n.json", text))
    assert game.exact[0, 0] == (12345678901234567890123456789, Fraction(1, 10**30))


def test_actions_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "game.json"
    document = {"payoffs": [[[1, 1], [2, 2]], [[3, 3], [4, 4]]], "players": ["x", "x"]}
    path.write_text(json.dumps(document | {"actions": [["a", "a"], ["b", "c"]]}))
    game = read_game(path)
    assert game.players == ("x #1", "x #2")
    assert game.actions == (("a #1", "a #2"), ("b", "c"))
    path.write_text(
        'NFG 1 R "" { "" "" } { { "a" "a" "a #1" } { "" "b" } } 1 2 3 4 5 6 7 8 9 0 1 2'
    )
    game = read_game(path)
    assert game.players == ("#1", "#2")
    assert game.actions == (("a #1", "a #2", "a #1 #3"), ("", "b"))


def test_types_may_have_chances_in_thirds(tmp_path: Path) -> None:
    text = '{"prior": [["1/3", "2/3"]], "payoffs": [[[[[3, "1/7"]]], [[[0, 0]]]]]}'
    game = read_game(written(tmp_path, "b.json", text))
    assert game.exact[0, 0] == (1, Fraction(1, 21))


def test_two_matrices_and_big_integers_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    big = 2**53
    # the second row pays one more, which floating point cannot see
    document = {"A": [[big, big], [big + 1, big + 1]], "B": [["1/3", "1/7"], ["2/3", 0.5]]}
    file = written(tmp_path, "m.json", json.dumps(document))
    assert main(["game", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (one,) = told["equilibria"]
    assert one["strategies"] == [[0, 1], [1, 0]]
    assert one["exact_payoffs"] == ["9007199254740993", "2/3"]
    assert told["degenerate"] is False
    assert told["exact_payoffs"][0][0] == ["9007199254740992", "1/3"]
    assert main(["game", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "2/3 = 0.6667" in shown
    assert "The game is not degenerate." in shown


def test_gambit_files_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("d.nfg", DILEMMA), ("s.nfg", OUTCOMES), ("c.efg", CARD)):
        assert main(["game", str(written(tmp_path, name, text)), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["equilibria"]
    # what begins like a Gambit file is read as one, whatever its name
    assert read_game(written(tmp_path, "plain.txt", DILEMMA)).name == "Dilemma"


def mutated(text: str, rng: random.Random) -> str:
    """A text with a piece removed, doubled, exchanged, or replaced by something odd."""
    pieces = list(text) if rng.random() < 0.5 else text.split(" ")
    joint = "" if len(pieces) == len(text) else " "
    for _ in range(rng.randint(1, 4)):
        at, other = rng.randrange(len(pieces)), rng.randrange(len(pieces))
        change = rng.randrange(5)
        if change == 0 and len(pieces) > 1:
            del pieces[at]
        elif change == 1:
            pieces.insert(at, pieces[other])
        elif change == 2:
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif change == 3:
            pieces[at] = rng.choice(ODD)
        else:
            pieces = pieces[: max(1, at)] if rng.random() < 0.2 else pieces
    return joint.join(pieces)


ODD = ['"', "{", "}", ",", "-1", "0", "1/0", "1e99", "1e999999999", "NaN", "99999999999999999999",
       "p", "t", "c", "\\", "\x00", "\x1b[31m", "é", "[", "]", "null", "true", '""',
       ":", "-", "1/3", "0x10", "[[]]", "9" * 500, "{}", "\n", "R"]  # fmt: skip
SEEDS = (
    ("f.nfg", DILEMMA), ("f.nfg", OUTCOMES), ("f.efg", CARD), ("f.efg", CENTIPEDE),
    ("f.json", '{"payoffs": [[[3, 3], [0, "1/3"]], [[5.5, 0], [1e2, 1]]], "players": ["a", "b"]}'),
    ("f.json", '{"A": [[3, 0], [5, 1]], "B": [[3, 5], [0, 1]], "actions": [["x", "y"], ["z"]]}'),
    ("f.json", '{"A": [[3, 0]], "B": [[3, 5]], "actions": [["x"], ["z", "w"]]}'),
    ("f.json", '{"prior": [["1/3", "2/3"]], "payoffs": [[[[[3, 1]]], [[[0, 0]]]]], "types": null}'),
)  # fmt: skip


def read_or_refused(path: Path) -> str:
    """Returns the one line of the refusal, or nothing."""
    try:
        assert isinstance(read_game(path), Game)
    except SettingError as error:
        return str(error)
    return ""


def fuzzed(count: int, tmp_path: Path) -> tuple[int, int]:
    """Reads mutated files; returns how many are games, and how many are refused."""
    rng, told = random.Random(0), []
    for number in range(count):
        name, text = SEEDS[number % len(SEEDS)]
        changed = mutated(text, rng)
        told.append(read_or_refused(written(tmp_path, name, changed)))
        assert "\n" not in told[-1], changed
    return told.count(""), count - told.count("")


def test_mutated_files_are_games_or_refused(tmp_path: Path) -> None:
    games, refused = fuzzed(700, tmp_path)
    assert games + refused == 700
    assert games > 50
    assert refused > 300


@pytest.mark.slow
def test_ten_thousand_mutated_files_are_games_or_refused(tmp_path: Path) -> None:
    games, refused = fuzzed(10_000, tmp_path)
    assert games + refused == 10_000
