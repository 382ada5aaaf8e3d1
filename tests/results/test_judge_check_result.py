"""A saved check of a judge is read and drawn, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mutations import is_shown, mutations, saved

from counterpoint.cli.main import main
from counterpoint.report.next_steps import next_steps
from counterpoint.report.pages.judge_check import judge_check_headline
from counterpoint.results import JudgeCheckResult, encode, read_result


def test_a_saved_check_encodes_to_an_equal_document() -> None:
    document = saved("judge_check")
    assert json.loads(encode(read_result(document))) == {
        **document, "config": {}, "settings": {}, "unseen": None, "void": 0, "lost": 0,
        "why_lost": "",
    }  # fmt: skip


def test_a_check_has_types() -> None:
    check = read_result(saved("judge_check"))
    assert isinstance(check, JudgeCheckResult)
    measures = {measure.name: measure for measure in check.measures}
    assert check.judge["judge"] == "programmatic"
    assert (check.groups, check.calls, check.unreadable) == (6, 30, 8)
    assert measures["accuracy"].found
    assert measures["drift"].low is None


def test_a_check_is_read_or_refused_in_one_line() -> None:
    shown = [is_shown(changed) for changed in mutations(saved("judge_check"))]
    assert 0 < sum(shown) < len(shown)


def test_a_page_says_whether_it_is_right_and_what_it_prefers(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(saved("judge_check")))
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "The judge puts 72% of pairs in the right order; no bias was found." in page
    assert "Is it right?" in page
    assert "What does it prefer?" in page


def test_a_bias_is_named_by_its_direction() -> None:
    document = saved("judge_check")
    assert headline(document) == (
        "The judge puts 72% of pairs in the right order; no bias was found."
    )
    document["measures"][2] |= {"value": 0.3, "low": 0.2, "high": 0.4, "found": True}
    assert headline(document).endswith("it prefers the last text.")
    document["measures"][3] |= {"value": 0.3, "low": 0.2, "high": 0.4, "found": True}
    assert headline(document).endswith("it has 2 biases.")
    document["measures"][0] |= {"value": 0.52, "low": 0.4, "high": 0.6, "found": False}
    assert headline(document) == (
        "The judge is indistinguishable from chance (52% of pairs); it has 2 biases."
    )
    document["measures"][0] |= {"value": 0.2, "low": 0.1, "high": 0.3, "found": True}
    assert headline(document).startswith("The judge is below chance (20% of pairs)")
    document["measures"][0] |= {"value": None, "low": None, "high": None, "found": False}
    assert headline(document).startswith("The accuracy of the judge is not known")


def headline(document: dict[str, Any]) -> str:
    check = read_result(document)
    assert isinstance(check, JudgeCheckResult)
    return judge_check_headline(check)


def test_the_next_step_ranks_in_as_many_orders_as_are_needed() -> None:
    config = {"file": "l.jsonl", "judge": "openai", "settings": {"base_url": "http://127.0.0.1/v1"}}
    document = {**saved("judge_check"), "config": config}
    (step,) = next_steps(read_result(document))
    assert step.line == (
        "counterpoint rank groups.jsonl --judge openai --set base_url=http://127.0.0.1/v1 "
        "--orders 8"
    )
    assert next_steps(read_result({**document, "orders": None})) == []
