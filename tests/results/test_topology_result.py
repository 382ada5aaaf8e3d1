"""A saved comparison of topologies and a saved search are read, drawn, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mutations import is_shown, mutations, saved, with_value

from counterpoint.cli.main import main
from counterpoint.errors import LogError
from counterpoint.report import render
from counterpoint.results import TopologyResult, TopologySearchResult, encode, read_result

KINDS = ("topology", "topology_no_shares")


@pytest.mark.parametrize("kind", [*KINDS, "topology_search"])
def test_a_saved_result_encodes_to_an_equal_document(kind: str) -> None:
    document = saved(kind)
    added = {"topology": {"why_no_shares": None}, "topology_search": {"version": ""}}
    assert json.loads(encode(read_result(document))) == document | added.get(kind, {})


def test_a_result_has_types() -> None:
    result = read_result(saved("topology"))
    assert isinstance(result, TopologyResult)
    assert result.scores["tree"].shape.topology.edges == ((1, 0), (2, 0), (3, 1))
    assert result.scores["tree"].value == 0.53125
    search = read_result(saved("topology_search"))
    assert isinstance(search, TopologySearchResult)
    assert search.winner.order == [[0]]
    assert search.fresh.n == 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_or_one_line_comes_of_every_change_of_one_value(kind: str) -> None:
    document = saved(kind)
    assert is_shown(document)
    shown = [is_shown(changed) for changed in mutations(document)]
    assert 0 < sum(shown) < len(shown)


def test_a_search_is_read_or_refused_in_one_line() -> None:
    document = saved("topology_search")
    shown = [is_shown(changed, read_result) for changed in mutations(document)]
    assert 0 < sum(shown) < len(shown)


def test_a_search_has_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").write_text(json.dumps(saved("topology_search")))
    assert main(["report", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "counterpoint: got a document of schema 'counterpoint.topology_search/1', which has no "
        "page\n"
    )
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("at", "value", "path"),
    [
        (("scores",), {}, r"at least one topology - at `\$.scores`"),
        (("scores", "tree", "order_scores"), [], r"\$.scores.tree.order_scores"),
        (("scores", "tree", "by_prompt"), {}, r"one for each of naive, facts - at"),
        (("scores", "tree", "gap"), {}, r"\$.scores.tree.gap"),
        (("shares",), None, r"\$.why_no_shares"),
        (("shares",), {}, r"\$.shares"),
        (("gap",), {}, r"mean, best_member, oracle, single_agent - at `\$.gap`"),
        (("scores", "tree", "shape", "topology", "decider"), None, "decider=None"),
        (("scores", "tree", "shape", "topology", "edges", 0), [0, 9], r"edge \(0, 9\)"),
        (("scores", "tree", "shape", "topology", "decides"), "x", r"topology.decides"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_together_are_named(
    at: tuple[str | int, ...], value: object, path: str
) -> None:
    with pytest.raises(LogError, match=path):
        render(with_value(saved("topology"), at, value))
