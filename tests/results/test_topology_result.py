"""A saved comparison of topologies and a saved search are read, drawn, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mutations import is_shown, mutations, saved, with_value

from counterpoint.cli.main import main
from counterpoint.errors import LogError
from counterpoint.report import render
from counterpoint.report.next_steps import next_steps
from counterpoint.report.pages.search import farthest
from counterpoint.results import TopologyResult, TopologySearchResult, encode, read_result

KINDS = ("topology", "topology_no_shares")


@pytest.mark.parametrize("kind", [*KINDS, "topology_search", "topology_search_cells"])
def test_a_saved_result_encodes_to_an_equal_document(kind: str) -> None:
    document = saved(kind)
    lost = {"lost": 0, "why_lost": ""}
    added: dict[str, Any] = {
        "topology": {"why_no_shares": None},
        "topology_search": {"version": "", "cells": [], "scale": "", "config": {}},
    }
    if kind == "topology_search":
        document["winner"]["shape"] = None
    assert json.loads(encode(read_result(document))) == document | lost | added.get(kind, {})


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


def test_a_search_is_drawn_or_refused_in_one_line() -> None:
    document = saved("topology_search_cells")
    shown = [is_shown(changed) for changed in mutations(document)]
    assert 0 < sum(shown) < len(shown)


@pytest.mark.parametrize("kind", ["topology_search", "topology_search_cells"])
def test_a_search_has_a_page(kind: str, tmp_path: Path) -> None:
    """The earlier version saved neither the candidates nor the shape of the winner."""
    (tmp_path / "results.json").write_text(json.dumps(saved(kind)))
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    chosen = {"topology_search": "solo with prompt naive: 0.62",
              "topology_search_cells": "star with prompt optimal: 0.68"}[kind]  # fmt: skip
    assert f"The search chose {chosen} on fresh items." in page
    assert ("Score by topology" in page) == ("cells" in saved(kind))
    assert ("The winner</h2>" in page) == ("cells" in saved(kind))


def test_a_search_lists_its_candidates_by_how_far_they_came() -> None:
    search = read_result(saved("topology_search_cells"))
    assert isinstance(search, TopologySearchResult)
    first, *others = search.cells
    assert (first.topology, first.prompt) == (search.winner.topology, search.winner.prompt)
    assert first.rounds == len(search.rounds)
    assert [cell.rounds for cell in others] == sorted((c.rounds for c in others), reverse=True)
    assert len(farthest(search)) == len({cell.topology for cell in search.cells})
    (step,) = next_steps(search)
    assert step.line == (
        "counterpoint topology hidden_profile --topologies solo,star --prompts optimal --set bits=6"
    )


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
