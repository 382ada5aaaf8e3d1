"""A saved ranking is read and drawn, or refused in one line."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import msgspec
import pytest
from mutations import is_shown, mutations, saved, with_value

from counterpoint.cli.main import main
from counterpoint.errors import LogError
from counterpoint.judge import Verdict
from counterpoint.judge.rank import ranked_group
from counterpoint.report.next_steps import next_steps
from counterpoint.results import RankingResult, encode, read_result


def test_a_saved_ranking_encodes_to_an_equal_document() -> None:
    document = saved("ranking")
    assert json.loads(encode(read_result(document))) == {
        **document, "config": {}, "unseen": None, "lost": 0, "why_lost": "",
    }  # fmt: skip


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
    shown = [is_shown(changed) for changed in mutations(saved("ranking"))]
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


def test_a_page_shows_which_groups_have_rewards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reliabilities .5 and 1 have the mean .75; the third group is void."""
    (tmp_path / "results.json").write_text(json.dumps(saved("ranking")))
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "2 of 3 groups have rewards; their mean reliability is 0.75." in page
    assert "void: one run alone cannot be ranked" in page
    assert "r2 &gt; r0 = r1" in page
    bars = re.search(r"<desc[^>]*>groups\. ([^<]*)</desc>", page)
    assert bars is not None
    assert bars[1] == (
        "reliability 0.8 to 1 1; reliability 0.6 to 0.8 0; reliability 0.4 to 0.6 1; "
        "reliability 0.2 to 0.4 0; reliability 0 to 0.2 0; void: no rewards 1."
    )


def test_what_follows_a_ranking_depends_on_its_void_groups() -> None:
    config = {"file": "my groups.jsonl", "judge": "openai", "settings": {"model": "m", "orders": 2}}
    document = {**saved("ranking"), "config": config}
    (step,) = next_steps(read_result(document))
    assert step.line == (
        "counterpoint judge check labelled.jsonl --judge openai --set model=m orders=2"
    )
    for i in (0, 2):
        document = with_value(document, ("groups", i, "ranking"), [])
    (step,) = next_steps(read_result({**document, "void": 3}))
    assert step.line == (
        "counterpoint rank 'my groups.jsonl' --judge openai --set model=m orders=2 --orders 4"
    )
    assert next_steps(read_result(saved("ranking"))) == []
