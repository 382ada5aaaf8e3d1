"""What holds for the page of every kind: its first screen, its words, and the way to them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_kinds import documents
from report_reading import Page as Read
from report_samples import comparison, diagnosis, training

from counterpoint.report import render
from counterpoint.report.glossary import CONDITIONS, GLOSSARY, word_of, words_in
from counterpoint.report.next_steps import STEPS
from counterpoint.report.page import PAGES
from counterpoint.report.toolkit.frame import MOST_WORDS, Page
from counterpoint.report.toolkit.safe_text import safe
from counterpoint.results import read_result
from counterpoint.results.saved import KINDS

DOCUMENTS = documents()
UNPICTURED = {"claims", "diagnosis_faults", "folder", "topology_search"}
"""Results in which nothing can be drawn, and the lists of a folder and of claims: each claim has a
picture of its own further down."""


def page_of(document: dict[str, Any]) -> Page:
    result = read_result(safe(document))
    return PAGES[type(result)](result)


def words(sentence: str) -> int:
    return len(sentence.split())


def test_every_kind_of_result_has_a_page_and_next_steps() -> None:
    assert set(PAGES) == set(KINDS.values()) == set(STEPS)
    assert {document["schema"] for document in DOCUMENTS.values()} == set(KINDS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_first_screen_is_a_short_finding_a_picture_and_three_facts(name: str) -> None:
    page = page_of(DOCUMENTS[name])
    assert 0 < words(page.verdict.sentence) <= MOST_WORDS
    assert not re.search(r"\[[−+\d]", page.verdict.sentence)  # intervals stand in the facts
    assert len(page.verdict.facts) == 3
    assert all(fact.title and fact.value for fact in page.verdict.facts)
    pictured = bool(page.picture and page.contents[page.picture])
    assert pictured == (name not in UNPICTURED)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_leads_somewhere_and_every_table_can_be_downloaded(name: str) -> None:
    read = Read(render(DOCUMENTS[name]))
    ids = [str(a["id"]) for _, a in read.elements if "id" in a]
    inner = {str(a["href"])[1:] for a in read.all("a") if str(a.get("href")).startswith("#")}
    assert read.problems == []
    assert len(ids) == len(set(ids))
    assert inner <= {*ids}
    assert not {"iframe", "form", "img"} & {tag for tag, _ in read.elements}
    sorts = any(a.get("class") == "sortable" for a in read.all("table"))
    assert read.all("script") == ([{}] if sorts else [])  # its own one, without an address


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_page_explains_its_own_words(name: str) -> None:
    """Every code of a cause or a condition that it shows stands among its words."""
    read = Read(render(DOCUMENTS[name]))
    codes = {c for c in (*CONDITIONS, "DEAD", "OFFSET", "DROWNED", "LAZY") if c in read.text}
    ids = {str(a["id"]) for _, a in read.elements if "id" in a}
    assert {f"word-{code.lower()}" for code in codes} <= ids


@given(
    shares=st.lists(st.floats(0, 1), min_size=5, max_size=5),
    spread=st.floats(0, 0.5),
)
def test_topology_headlines_stay_short(shares: list[float], spread: float) -> None:
    document = {**DOCUMENTS["topology"]}
    document["shares"] = {
        name: {"value": v, "low": v - spread, "high": v + spread, "chance": 0.1}
        for name, v in zip(document["shares"], shares, strict=True)
    }
    assert words(page_of(document).verdict.sentence) <= MOST_WORDS


@given(causes=st.lists(st.sampled_from(("DEAD", "OFFSET", "DROWNED", "LAZY", None)),
                       min_size=2, max_size=2),
       conditions=st.lists(st.sampled_from(tuple(CONDITIONS)), unique=True),
       verdict=st.sampled_from(("matters", "no-op")),
       recommended=st.sampled_from(("grpo", None)))  # fmt: skip
def test_diagnosis_headlines_stay_short(
    causes: list[str | None], conditions: list[str], verdict: str, recommended: str | None
) -> None:
    document = diagnosis(4)
    for agent, cause in zip(document["agents"].values(), causes, strict=True):
        agent["cause"] = cause
    document["decoupling"] |= {"verdict": verdict, "conditions": conditions}
    document["recommended"] = recommended
    assert words(page_of(document).verdict.sentence) <= MOST_WORDS


@given(gaps=st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 5)), min_size=2, max_size=2),
       budget=st.integers(1, 10**7))  # fmt: skip
def test_a_population_is_named_only_if_it_is_significantly_better(
    gaps: list[tuple[float, float]], budget: int
) -> None:
    document = {**DOCUMENTS["population"], "budget": budget}
    document["against_single"] = {
        name: {"value": value, "low": value - half, "high": value + half, "n": 4}
        for name, (value, half) in zip(("best_of_4", "pbt_4"), gaps, strict=True)
    }
    sentence = page_of(document).verdict.sentence
    assert words(sentence) <= MOST_WORDS
    for name, (value, half) in zip(("best_of_4", "pbt_4"), gaps, strict=True):
        if name in sentence:
            assert value - half > 0


@given(names=st.lists(st.text("abc_", min_size=1, max_size=30), min_size=1, max_size=40))
def test_audit_headlines_stay_short(names: list[str]) -> None:
    document = {**DOCUMENTS["audit"]}
    one = next(f for f in document["findings"] if f["verdict"] == "found")
    document["findings"] = [{**one, "name": name} for name in names]
    assert words(page_of(document).verdict.sentence) <= MOST_WORDS


@given(seeds=st.integers(1, 12), collapsed=st.integers(0, 4), gain=st.floats(-0.5, 0.5),
       half=st.floats(0, 0.4), p=st.floats(0, 1))  # fmt: skip
def test_comparison_headlines_stay_short(
    seeds: int, collapsed: int, gain: float, half: float, p: float
) -> None:
    document = comparison(seeds, 3)
    for difference in document["differences"].values():
        difference.update(iqm=gain, low=gain - half, high=gain + half, mean=gain, p=p)
    for agent in list(document["schemes"]["mappo_pooled"]["agents"].values())[:collapsed]:
        agent["cause"] = "DROWNED"
    assert words(page_of(document).verdict.sentence) <= MOST_WORDS


@given(status=st.sampled_from(("finished", "running", "stopped", "killed")),
       returned=st.one_of(st.none(), st.floats(-1e9, 1e9)), step=st.integers(0, 10**9))  # fmt: skip
def test_training_headlines_stay_short(status: str, returned: float | None, step: int) -> None:
    document = {**training(3, status), "return": returned, "step": step}
    assert words(page_of(document).verdict.sentence) <= MOST_WORDS


def test_the_glossary_has_each_term_once() -> None:
    terms = [word.term for group in GLOSSARY.values() for word in group]
    assert len(terms) == len(set(terms))
    assert all(word.meaning.endswith(".") for group in GLOSSARY.values() for word in group)


def test_words_are_found_in_a_text() -> None:
    """Plurals and abbreviations count; codes only in capitals; what is defined needs no entry."""

    def used(text: str, *defined: str) -> list[str]:
        return [word.term for word in words_in(text, defined)]

    assert used("Two rollouts of a PROMPT.") == ["Prompt", "Rollout"]
    assert used("the IQM and an iqm") == ["Interquartile mean"]
    assert used("OFFSET, but dead ends") == ["OFFSET"]
    assert used("C3 and C33") == ["C3"]
    assert used("an agent’s signal share", "Signal share") == ["Agent"]
    assert used("nothing of it, reagents") == []
    assert word_of("offset") is None
    found = word_of("Canary")
    assert found is not None
    assert "judge" in found.meaning
