"""Headlines and sentences of decisions: at most 15 words, over every shape of comparison."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from report_samples import comparison

from counterpoint.report import comparison_table, render
from counterpoint.report.pages.comparison.decision_words import (
    MOST_WORDS,
    decision_sentences,
    headline,
    levels,
    listed,
)
from counterpoint.report.pages.comparison.result import Comparison, read_comparison

NAMES = ("mappo_pooled", "happo_per_agent", "grpo_rows,floor=0.05", "counterfactual")
values = st.one_of(st.just(0.0), st.floats(-2e3, 2e3), st.sampled_from((0.9951, 0.9952, 1e-12)))
numbers = st.one_of(st.none(), values)
causes = st.sampled_from((None, "DEAD", "OFFSET", "DROWNED", "DILUTED", "SPIKY", "LAZY"))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A comparison of one to four arms, over 1 to 2,000 seeds, of teams of 1 to 12."""
    names = NAMES[: draw(st.integers(1, 4))]
    team = [f"agent_{i}" for i in range(draw(st.integers(1, 12)))]
    schemes = {
        name: {
            "kind": "baseline" if name == "counterfactual" else "scheme",
            "return": {"iqm": draw(numbers)},
            "agents": {agent: {"cause": draw(causes)} for agent in team},
        }
        for name in names
    }
    differences = {name: draw(difference()) for name in names[1:]}
    seeds = list(range(draw(st.sampled_from((1, 2, 4, 5, 10, 32, 2000)))))
    return {"schemes": schemes, "differences": differences, "seeds": seeds}


@st.composite
def difference(draw: st.DrawFn) -> dict[str, Any]:
    middle, half = draw(values), abs(draw(values)) / 10
    ends = draw(st.booleans())
    return {
        "versus": "mappo_pooled",
        "iqm": middle,
        "low": middle - half if ends else None,
        "high": middle + half if ends else None,
        "p": draw(st.one_of(st.none(), st.floats(0, 1), st.just(1e-6))),
        "mean": draw(st.sampled_from((middle, None))),
        "deviation": draw(st.one_of(st.none(), st.floats(0, 1e3))),
    }


@settings(max_examples=300)
@given(documents())
@example({"schemes": {}, "differences": {}, "seeds": []})
def test_a_headline_is_one_short_sentence_about_the_decision(document: dict[str, Any]) -> None:
    result = read_comparison(document)
    said = headline(result)
    assert len(said.split()) <= MOST_WORDS, said
    assert said.endswith(".")
    assert "None" not in said
    assert "–" not in said or any(s.returns.value is None for s in result.schemes.values())
    if result.decision.recommended:
        assert result.decision.recommended in said
    else:
        assert "use " not in said
        assert "keep " not in said


@settings(max_examples=200)
@given(documents())
def test_the_sentences_hold_the_numbers_of_the_rule(document: dict[str, Any]) -> None:
    result = read_comparison(document)
    decision, said = result.decision, " ".join(decision_sentences(result))
    for name in decision.standings:
        assert name in said or decision.seeds < 5
    if decision.arm:
        assert f"0.05 / {decision.compared} = " in said
        assert "at least 5 seeds" in said
    advised = [word in said for word in ("Use ", "Keep ")]
    assert any(advised) == (decision.recommended is not None)


def test_the_page_and_the_terminal_say_the_same_headline(capsys: Any) -> None:
    from rich.console import Console

    document = comparison(6, 4)
    said = headline(read_comparison(document))
    assert said in render(document)
    Console(width=200).print(comparison_table(document))
    assert capsys.readouterr().out.startswith(said)


def test_the_decision_does_not_depend_on_a_saved_verdict() -> None:
    document = comparison(6, 4)
    new = read_comparison(document)
    document["verdict"].update(recommended="mappo_pooled", effect="hurts", decision={"arm": 3})
    assert asdict(read_comparison(document).decision) == asdict(new.decision)
    del document["verdict"]["decision"]
    assert read_comparison(document).why == ""  # its prose followed another rule


def test_returns_that_differ_are_shown_apart() -> None:
    document = comparison(6, 4)
    document["schemes"]["grpo"]["return"]["iqm"] = 0.99512
    document["schemes"]["mappo_pooled"]["return"]["iqm"] = 0.99508
    schemes = read_comparison(document).schemes
    assert levels(schemes["grpo"], schemes["mappo_pooled"]) == ("0.99512", "0.99508")


def test_names_are_listed() -> None:
    assert (listed(["a"]), listed(["a", "b", "c"])) == ("a", "a, b and c")


def result_of(document: dict[str, Any], causes: dict[str, list[str | None]]) -> Comparison:
    for name, found in causes.items():
        agents = document["schemes"][name]["agents"]
        for agent, cause in zip(agents.values(), found, strict=True):
            agent["cause"] = cause
    return read_comparison(document)


def test_only_causes_that_a_scheme_makes_count_as_stopped() -> None:
    document = comparison(6, 4)
    document["differences"] = {"happo_per_agent": document["differences"]["happo_per_agent"]}
    noisy = {"mappo_pooled": ["DILUTED", "LAZY", None, None]}
    assert headline(result_of(document, noisy)) == (
        "happo_per_agent returns 0.89 against 0.74 for mappo_pooled: use happo_per_agent."
    )
    everyone = {"mappo_pooled": ["DROWNED"] * 4, "happo_per_agent": ["DILUTED", None, None, None]}
    assert headline(result_of(document, everyone)).startswith("All four agents stop learning")
