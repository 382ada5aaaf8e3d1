"""Saved populations are read, encoded again without a change, drawn, and held to their shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mutations import is_shown, mutations, saved, with_value, without

from counterpoint.errors import LogError
from counterpoint.report import render
from counterpoint.report.terminal.parts import population_parts
from counterpoint.results import PopulationResult, encode, read_result

NAMES = ("population", "population_duel", "population_alone")


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_population_is_read_and_encoded_again(name: str) -> None:
    document = saved(name)
    result = read_result(document)
    assert isinstance(result, PopulationResult)
    new = {} if name != "population_alone" else {"against_single": None}
    assert json.loads(encode(result)) == {**document, **new}


def test_a_page_shows_the_champions_twice_and_who_meets_whom() -> None:
    page = render(saved("population"))
    assert "best_of_4 overtakes the single learner at 190 updates [25, ?]" in page
    assert "The same as a table" in page
    assert "Who meets whom" in page
    duel = render(saved("population_duel"))
    assert "league_2 is ahead of the single learner at every budget" in duel
    assert "best_of_2: mean payoff of each member (row) against each member (column)" in duel
    assert "−0.474" in duel
    assert "At 100 updates best_of_4 is best: 2.850" in render(saved("population_alone"))


def test_the_terminal_has_the_verdict_two_tables_and_how_members_meet() -> None:
    result = read_result(saved("population"))
    assert isinstance(result, PopulationResult)
    verdict, arms, budgets, *lines = population_parts(result)
    assert str(verdict).startswith("At 400 updates best_of_4 is best: 6.881 [4.578, 9.290]")
    assert budgets.titles == ["Budget", "single", "best_of_4", "pbt_4"]
    assert [str(row[0]) for row in arms.rows] == ["single", "best_of_4", "pbt_4"]
    assert str(arms.rows[1][2]) == "+1.573 (−0.663 to +3.808)"
    assert str(lines[0]) == "best_of_4: members with themselves 4.627, with others 1.827"
    duel = read_result(saved("population_duel"))
    assert isinstance(duel, PopulationResult)
    elo = [str(part) for part in population_parts(duel) if "Elo" in str(part)]
    assert elo[1] == "league_2: Elo of members, the main first: +12, −12"


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("arms",), {}, r"at least one arm - at `\$.arms`"),
        (("arms", "best_of_4", "curve"), [], r"at least one point - at `\$.arms.best_of_4.curve`"),
        (("arms", "pbt_4", "against"), [[1.0], []], r"a square - at `\$.arms.pbt_4.against`"),
        (("arms", "pbt_4", "elo"), [1.0], r"one for each member of `against`"),
        (("crossover", "budget"), None, r"a number - at `\$.crossover.budget`"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(at: Any, value: Any, message: str) -> None:
    with pytest.raises(LogError, match=message):
        render(with_value(saved("population"), at, value))


def test_what_may_be_absent_is_drawn_as_nothing() -> None:
    for key in ("optimum", "unit", "exact", "crossover", "against_single", "config", "version"):
        assert "<html" in render(without(saved("population"), (key,)))


@pytest.mark.parametrize("name", ["population", "population_duel"])
def test_every_single_change_gives_a_page_or_one_line(name: str) -> None:
    assert {is_shown(document) for document in mutations(saved(name))} == {True, False}
