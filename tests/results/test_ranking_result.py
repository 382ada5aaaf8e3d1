"""A saved ranking is read, or refused in one line; it has no page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import pytest
from mutations import is_shown, mutations, saved, with_value

from counterpoint.cli.main import main
from counterpoint.errors import LogError
from counterpoint.judge import Verdict
from counterpoint.judge.rank import ranked_group
from counterpoint.results import RankingResult, encode, read_result


def test_a_saved_ranking_encodes_to_an_equal_document() -> None:
    document = saved("ranking")
    assert json.loads(encode(read_result(document))) == document


def test_a_ranking_has_types() -> None:
    ranking = read_result(saved("ranking"))
    assert isinstance(ranking, RankingResult)
    first, void, _ = ranking.groups
    assert first.ranking == [["r2"], ["r0", "r1"]]
    assert first.agents["r0"] == {"a": 1, "b": -1}
    assert void.void == "one run alone cannot be ranked"
    assert void.ranking == []
    assert ranking.void == 1


def test_a_ranking_is_read_or_refused_in_one_line() -> None:
    shown = [is_shown(changed, read_result) for changed in mutations(saved("ranking"))]
    assert 0 < sum(shown) < len(shown)


def test_a_group_is_ranked_or_void() -> None:
    document = with_value(saved("ranking"), ("groups", 1, "ranking"), [["r0"]])
    with pytest.raises(LogError, match=r"none in a void group - at `\$.groups\[1\].ranking`"):
        read_result(document)


def test_numbers_that_are_not_finite_are_null() -> None:
    verdict = Verdict("g", (("a",),), rewards={"a": 1.0}, strengths={"a": (1.0, -math.inf, 2.0)})
    group = msgspec.to_builtins(ranked_group(verdict))
    assert group["strengths"] == {"a": {"value": 1.0, "low": None, "high": 2.0}}
    assert "void" not in group
    assert "agents" not in group
    assert group["reliability"] is None


def test_a_ranking_has_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").write_text(json.dumps(saved("ranking")))
    assert main(["report", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "counterpoint: got a document of schema 'counterpoint.rank/1', which has no page\n"
    )
