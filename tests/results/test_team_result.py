"""A saved team is read, drawn, shown in a terminal, and refused in one line."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from mutations import is_shown, mutations, saved

from counterpoint.report.terminal.layout import FittedTable
from counterpoint.report.terminal.parts import misses, team_parts
from counterpoint.results import TeamResult, encode, read_result
from counterpoint.results.team import LargeTasks, Throughput, UnfinishedTask, Unreported


def team() -> TeamResult:
    result = read_result(saved("team"))
    assert isinstance(result, TeamResult)
    return result


def shown(result: TeamResult) -> tuple[list[str], dict[str, str]]:
    """The sentences of a terminal, and the rows of its table by their names."""
    parts = team_parts(result)
    table = next(part for part in parts if isinstance(part, FittedTable))
    names, values = (list(map(str, column)) for column in zip(*table.rows, strict=True))
    sentences = [str(part) for part in parts if part is not table]
    return sentences, dict(zip(names, values, strict=True))


def test_a_saved_team_encodes_to_an_equal_document() -> None:
    assert json.loads(encode(team())) == saved("team")
    assert team().budget.runs == 5
    assert team().history[0].files == ["f1.txt"]


def test_a_page_or_one_line_comes_of_every_change_of_one_value() -> None:
    document = saved("team")
    assert is_shown(document)
    drawn = [is_shown(changed) for changed in mutations(document)]
    assert 0 < sum(drawn) < len(drawn)


def test_a_terminal_shows_the_finding_its_numbers_and_what_is_left() -> None:
    sentences, rows = shown(team())
    assert sentences == [
        "2 of 3 tasks are done: 3 attempts in a row failed the same way.",
        "not done: t3 (3 attempts): try 3",
    ]
    assert rows["team"] == "demo: flat_locks, 2 workers"
    assert rows["reason"] == "try 3"
    assert rows["attempts"] == "5 in all; 3 failed attempts"
    assert rows["tokens"] == rows["dollars"] == "not reported"  # by any of the 5
    assert rows["waiting for locks"] == "3% of the workers' time"
    assert "large tasks" not in rows


def test_what_is_not_known_is_no_number() -> None:
    result = replace(
        team(), verdict="", failed=0, tokens=1234, dollars=0.5,
        unknown=Unreported(tokens=0, dollars=2), throughput=Throughput(), wasted=None,
        large=LargeTasks(tasks=2, done=1),
        unfinished=[UnfinishedTask(task="[red]", reason="not tried")],
    )  # fmt: skip
    sentences, rows = shown(result)
    assert sentences == [
        "2 of 3 tasks are done so far.",
        "not done: [red] (0 attempts): not tried",
    ]
    assert "reason" not in rows
    assert rows["attempts"] == "5 in all; none failed"
    assert rows["tokens"] == "1,234"
    assert rows["dollars"] == "0.50; 2 of 5 attempts did not report"
    assert rows["wasted"] == "not known"
    assert rows["large tasks"] == "1 of 2 are done"
    assert rows["throughput"] == "– tasks for 1,000 tries, – a minute"


@pytest.mark.parametrize(
    ("counts", "words"),
    [((1, 2, 1), "1 failed attempt, 2 conflicts, 1 lost attempt"), ((0, 1, 0), "1 conflict"),
     ((0, 0, 0), "")],
)  # fmt: skip
def test_misses_in_words(counts: tuple[int, int, int], words: str) -> None:
    assert misses(*counts) == words
