"""Saved populations are read, encoded again without a change, drawn, and held to their shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mutations import is_shown, mutations, saved, with_value, without

from counterpoint.errors import LogError
from counterpoint.report import render
from counterpoint.report.next_steps import next_steps
from counterpoint.report.pages.population import population_headline
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
    assert "no population is significantly better than one learner" in page
    assert "updates, 95% interval [25, ?]" in page
    assert "From there on best_of_4 is ahead by its mean." in page
    assert "The same as a table" in page
    assert "Who meets whom" in page
    duel = render(saved("population_duel"))
    assert "league_2 is ahead by its mean at every budget" in duel
    assert "best_of_2: mean payoff of each member (row) against each member (column)" in duel
    assert "−0.474" in duel
    alone = render(saved("population_alone"))
    assert "At 100 updates the champion of best_of_4 scores 2.85." in alone


def headline(document: dict[str, Any]) -> str:
    result = read_result(document)
    assert isinstance(result, PopulationResult)
    return population_headline(result)


def test_a_population_is_named_as_better_only_if_it_is_significantly_so() -> None:
    """The gaps are +1.573 [-.663, 3.808] and another that holds 0."""
    document = saved("population")
    assert headline(document).endswith("no population is significantly better than one learner.")
    better = with_value(document, ("against_single", "pbt_4", "low"), 0.01)
    assert headline(better) == "At 400 updates pbt_4 is better than one learner."
    for name in ("best_of_4", "pbt_4"):
        document = with_value(document, ("against_single", name, "high"), -0.01)
    assert headline(document) == "At 400 updates every population is worse than one learner."


def test_the_next_step_of_an_undecided_population_is_more_repeats() -> None:
    (step,) = next_steps(read_result(saved("population")))
    repeats = 4 * saved("population")["repeats"]
    assert step.line.startswith(
        f"counterpoint population climbing --members 1,4 --budget 400 --repeats {repeats}"
    )
    better = with_value(saved("population"), ("against_single", "pbt_4", "low"), 0.01)
    assert next_steps(read_result(better)) == []


def test_the_terminal_has_the_verdict_two_tables_and_how_members_meet() -> None:
    result = read_result(saved("population"))
    assert isinstance(result, PopulationResult)
    verdict, _, _, _, arms, budgets, *lines = population_parts(result)
    assert str(verdict.text) == (
        "At 400 updates no population is significantly better than one learner."
    )
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


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["population", "population_duel"])
def test_every_single_change_gives_a_page_or_one_line(name: str) -> None:
    assert {is_shown(document) for document in mutations(saved(name))} == {True, False}
