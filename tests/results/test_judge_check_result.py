"""A saved check of a judge is read, or refused in one line; it has no page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mutations import is_shown, mutations, saved

from counterpoint.cli.main import main
from counterpoint.results import JudgeCheckResult, encode, read_result


def test_a_saved_check_encodes_to_an_equal_document() -> None:
    document = saved("judge_check")
    assert json.loads(encode(read_result(document))) == document


def test_a_check_has_types() -> None:
    check = read_result(saved("judge_check"))
    assert isinstance(check, JudgeCheckResult)
    measures = {measure.name: measure for measure in check.measures}
    assert check.judge["judge"] == "programmatic"
    assert (check.groups, check.calls, check.unreadable) == (6, 30, 8)
    assert measures["accuracy"].found
    assert measures["drift"].low is None


def test_a_check_is_read_or_refused_in_one_line() -> None:
    shown = [is_shown(changed, read_result) for changed in mutations(saved("judge_check"))]
    assert 0 < sum(shown) < len(shown)


def test_a_check_has_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").write_text(json.dumps(saved("judge_check")))
    assert main(["report", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "counterpoint: got a document of schema 'counterpoint.judge/1', which has no page\n"
    )
    assert not (tmp_path / "report.html").exists()
