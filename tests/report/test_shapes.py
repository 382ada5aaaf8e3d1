"""A saved result with a part missing or of another type gives a page, or one line: never a trace.

Every key of a saved game is dropped once, and gets a value of every other type; list items too.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from report_samples import comparison, training

from counterpoint.cli.main import main
from counterpoint.errors import CounterpointError, LogError
from counterpoint.games.analysis import analyze_game, learn_game
from counterpoint.games.catalogue import make_game
from counterpoint.report import render
from counterpoint.results import document_of

sys.path.insert(0, str(Path(__file__).parents[1] / "results"))
from mutations import OTHERS, places, with_value, without

KINDS = ("game", "learned")


@cache
def saved(kind: str) -> dict[str, Any]:
    """A saved result, as its JSON file has it."""
    game = make_game("prisoners_dilemma", {})
    made: Any = {
        "game": lambda: document_of(analyze_game(game)),
        "learned": lambda: document_of(
            replace(
                analyze_game(game),
                learned=learn_game(game, ("grpo",), seeds=3, settings={"updates": 3}),
            )
        ),
    }[kind]
    return json.loads(json.dumps(made()))


def drawn_or_refused(document: dict[str, Any]) -> None:
    said = ""
    try:
        said = render(document)
    except CounterpointError as error:  # the command line prints it and exits with 2
        said = str(error)
    assert "<html" in said or "\n" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_document_is_drawn(kind: str) -> None:
    assert "<html" in render(saved(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_each_key_dropped_gives_a_page_or_one_line(kind: str) -> None:
    document = saved(kind)
    for at in list(places(document)):
        if at[0] != "schema":
            drawn_or_refused(without(document, at))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_each_value_of_another_type_gives_a_page_or_one_line(data: st.DataObject) -> None:
    document = saved(data.draw(st.sampled_from(KINDS)))
    at = data.draw(st.sampled_from([p for p in places(document) if p[0] != "schema"]))
    drawn_or_refused(with_value(document, at, data.draw(st.sampled_from(OTHERS))))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_same_of_comparisons_and_trainings(data: st.DataObject) -> None:
    made = {"comparison": comparison(6, 3), "training": training(4)}
    document = made[data.draw(st.sampled_from(sorted(made)))]
    at = data.draw(st.sampled_from([p for p in places(document) if p[0] != "schema"]))
    if data.draw(st.booleans()):
        drawn_or_refused(without(document, at))
    else:
        drawn_or_refused(with_value(document, at, data.draw(st.sampled_from(OTHERS))))


def test_the_message_has_the_path_of_what_is_wrong() -> None:
    with pytest.raises(LogError, match=r"missing required field `exact` - at `\$.equilibria\[0\]`"):
        render(without(saved("game"), ("equilibria", 0, "exact")))
    with pytest.raises(LogError, match=r"at `\$.sustained.profile`"):
        render(with_value(saved("game"), ("sustained", "profile"), [0, 9]))


def test_what_may_be_absent_is_drawn_as_nothing() -> None:
    for name in ("why", "sums", "minmax", "config", "sustained"):
        assert "<html" in render(without(with_value(saved("game"), (name,), None), (name,)))


def test_the_command_line_says_one_line_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps(without(saved("game"), ("players",))), "utf-8")
    assert main(["report", str(file)]) == 2
    file.write_text(json.dumps(without(saved("game"), ("actions",))), "utf-8")
    assert main(["report", str(file)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    first, second = said.err.splitlines()
    assert "without 'players'" in first
    assert "missing required field `actions`" in second
    file.write_text(json.dumps(without(saved("game"), ("why",))), "utf-8")
    assert main(["report", str(file)]) == 0
