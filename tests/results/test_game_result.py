"""A saved game is read, drawn, and refused in one line if a part of it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mutations import is_shown, mutations, saved, with_value, without

from counterpoint.cli.main import main
from counterpoint.errors import LogError
from counterpoint.report import render
from counterpoint.results import GameResult, encode, read_result

KINDS = ("game", "game_learned")


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_game_encodes_to_an_equal_document(kind: str) -> None:
    document = saved(kind)
    equilibria = [{**one, "exact_payoffs": []} for one in document["equilibria"]]
    absent = {"learned": None, "exact_payoffs": None}  # parts that documents of before lack
    assert json.loads(encode(read_result(document))) == {
        **absent, **document, "equilibria": equilibria,
    }  # fmt: skip


def test_a_game_has_types() -> None:
    game = read_result(saved("game_learned"))
    assert isinstance(game, GameResult)
    assert game.equilibria[0].strategies == [[0.0, 1.0], [0.0, 1.0]]
    assert game.sustained is not None
    assert (game.sustained.profile, game.sustained.discount) == ((0, 0), 0.5)
    assert game.learned is not None
    assert game.learned.arms["grpo"].payoff.n == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_or_one_line_comes_of_every_change_of_one_value(kind: str) -> None:
    document = saved(kind)
    assert is_shown(document)
    shown = [is_shown(changed) for changed in mutations(document)]
    assert 0 < sum(shown) < len(shown)


def test_the_message_has_the_path_of_what_is_wrong() -> None:
    with pytest.raises(LogError, match=r"missing required field `exact` - at `\$.equilibria\[0\]`"):
        render(without(saved("game"), ("equilibria", 0, "exact")))
    with pytest.raises(LogError, match=r"at `\$.sustained.profile`"):
        render(with_value(saved("game"), ("sustained", "profile"), [0, 9]))


def test_what_may_be_absent_is_drawn_as_nothing() -> None:
    for name in ("why", "sums", "minmax", "config", "sustained"):
        assert "<html" in render(without(saved("game"), (name,)))


def test_the_command_line_says_one_line_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.json"
    for name in ("players", "actions"):
        file.write_text(json.dumps(without(saved("game"), (name,))), "utf-8")
        assert main(["report", str(file)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert len(printed.err.splitlines()) == 1
        assert f"missing required field `{name}`" in printed.err
    file.write_text(json.dumps(without(saved("game"), ("why",))), "utf-8")
    assert main(["report", str(file)]) == 0
