"""Headlines and sentences of decisions: at most 15 words, over every shape of comparison."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import comparison
from rich.console import Console

from counterpoint.report import render
from counterpoint.report.pages.comparison.decision_words import (
    comparison_headline,
    comparison_verdict,
    decision_sentences,
    levels,
    listed,
)
from counterpoint.report.terminal.parts import comparison_parts
from counterpoint.report.toolkit.frame import MOST_WORDS
from counterpoint.results import ComparisonResult, read_result
from counterpoint.results.comparison import (
    AgentResult,
    Band,
    Curves,
    Difference,
    References,
    SchemeResult,
)
from counterpoint.results.parts import SeedMean

NAMES = ("mappo_pooled", "mappo_per_agent", "grpo_rows,floor=0.05", "counterfactual")
values = st.one_of(st.just(0.0), st.floats(-2e3, 2e3), st.sampled_from((0.9951, 0.9952, 1e-12)))
numbers = st.one_of(st.none(), values)
causes = st.sampled_from((None, "DEAD", "OFFSET", "DROWNED", "DILUTED", "SPIKY", "LAZY"))


UNTRAINED = Curves(update=[], returns=Band(iqm=[], low=None, high=None))


def compared(
    schemes: dict[str, SchemeResult], differences: dict[str, Difference], seeds: int
) -> ComparisonResult:
    """A comparison with these numbers and nothing beside them."""
    return ComparisonResult(
        world="a world",
        kind="exact",
        axis="update",
        references=References(),
        config={},
        seeds=list(range(seeds)),
        agents=list(next(iter(schemes.values())).agents),
        schemes=schemes,
        differences=differences,
        control=None,
    )


@st.composite
def results(draw: st.DrawFn) -> ComparisonResult:
    """A comparison of one to four arms, over 1 to 2,000 seeds, of teams of 1 to 12."""
    names = NAMES[: draw(st.integers(1, 4))]
    team = [f"agent_{i}" for i in range(draw(st.integers(1, 12)))]
    schemes = {
        name: SchemeResult(
            kind="baseline" if name == "counterfactual" else "scheme",
            returns=SeedMean(iqm=draw(numbers), low=None, high=None),
            agents={agent: AgentResult(cause=draw(causes)) for agent in team},
            curves=UNTRAINED,
        )
        for name in names
    }
    differences = {name: draw(difference()) for name in names[1:]}
    return compared(schemes, differences, draw(st.sampled_from((1, 2, 4, 5, 10, 32, 2000))))


@st.composite
def difference(draw: st.DrawFn) -> Difference:
    middle, half = draw(values), abs(draw(values)) / 10
    ends = draw(st.booleans())
    return Difference(
        versus="mappo_pooled",
        iqm=middle,
        low=middle - half if ends else None,
        high=middle + half if ends else None,
        p=draw(st.one_of(st.none(), st.floats(0, 1), st.just(1e-6))),
        mean=draw(st.sampled_from((middle, None))),
        deviation=draw(st.one_of(st.none(), st.floats(0, 1e3))),
    )


def read(document: dict[str, Any]) -> ComparisonResult:
    result = read_result(document)
    assert isinstance(result, ComparisonResult)
    return result


@settings(max_examples=300)
@given(results())
def test_a_headline_is_one_short_sentence_about_the_decision(result: ComparisonResult) -> None:
    said = comparison_headline(result)
    assert len(said.split()) <= MOST_WORDS, said
    assert said.endswith(".")
    assert "None" not in said
    assert "–" not in said or any(s.returns.iqm is None for s in result.schemes.values())
    if result.decision.recommended:
        assert result.decision.recommended in said
    else:
        assert "use " not in said
        assert "keep " not in said


@settings(max_examples=200)
@given(results())
def test_the_sentences_hold_the_numbers_of_the_rule(result: ComparisonResult) -> None:
    decision, said = result.decision, " ".join(decision_sentences(result))
    for name in decision.standings:
        assert name in said or decision.seeds < 5
    if decision.arm:
        assert f"0.05 / {decision.compared} = " in said
        assert "at least 5 seeds" in said
    advised = [word in said for word in ("Use ", "Keep ")]
    assert any(advised) == (decision.recommended is not None)


def test_the_page_and_the_terminal_say_the_same_headline(capsys: Any) -> None:
    document = comparison(6, 4)
    said = comparison_headline(read(document))
    assert said in render(document)
    Console(width=200).print(*comparison_parts(read(document)), sep="\n")
    assert capsys.readouterr().out.startswith(said)


def test_the_decision_does_not_depend_on_a_saved_verdict() -> None:
    document = comparison(6, 4)
    new, verdict = read(document), document["verdict"]
    verdict.update(recommended="mappo_pooled", effect="hurts")
    verdict["decision"].update(verdict="keep", recommended="mappo_pooled", seeds_needed=3)
    assert read(document).decision == new.decision
    assert comparison_verdict(read(document)).why == verdict["why"]
    del verdict["decision"]  # its prose followed another rule
    assert comparison_verdict(read(document)).why == " ".join(decision_sentences(new))


def test_returns_that_differ_are_shown_apart() -> None:
    document = comparison(6, 4)
    document["schemes"]["grpo"]["return"]["iqm"] = 0.99512
    document["schemes"]["mappo_pooled"]["return"]["iqm"] = 0.99508
    schemes = read(document).schemes
    assert levels(schemes["grpo"], schemes["mappo_pooled"]) == ("0.99512", "0.99508")


def test_names_are_listed() -> None:
    assert (listed(["a"]), listed(["a", "b", "c"])) == ("a", "a, b and c")


def result_of(document: dict[str, Any], causes: dict[str, list[str | None]]) -> ComparisonResult:
    for name, found in causes.items():
        agents = document["schemes"][name]["agents"]
        for agent, cause in zip(agents.values(), found, strict=True):
            agent["cause"] = cause
    return read(document)


def test_only_causes_that_a_scheme_makes_count_as_stopped() -> None:
    document = comparison(6, 4)
    document["differences"] = {"mappo_per_agent": document["differences"]["mappo_per_agent"]}
    noisy = {"mappo_pooled": ["DILUTED", "LAZY", None, None]}
    assert comparison_headline(result_of(document, noisy)) == (
        "mappo_per_agent returns 0.89 against 0.74 for mappo_pooled: use mappo_per_agent."
    )
    everyone = {"mappo_pooled": ["DROWNED"] * 4, "mappo_per_agent": ["DILUTED", None, None, None]}
    assert comparison_headline(result_of(document, everyone)).startswith(
        "All four agents lose their signal"
    )
