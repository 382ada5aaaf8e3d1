"""A saved comparison is read, encodes to the same document, and is drawn or refused in one line."""

from __future__ import annotations

import json

import pytest
from mutations import is_shown, mutations, saved, with_value, without

from counterpoint.errors import LogError
from counterpoint.report import render
from counterpoint.results import ComparisonResult, encode, read_result
from counterpoint.results.comparison import (
    AgentResult,
    Band,
    Contest,
    Curves,
    Difference,
    PairedDifference,
    References,
    SchemeResult,
)
from counterpoint.results.parts import SeedMean
from counterpoint.stats.decision import Contrast

KINDS = ("comparison", "comparison_steps", "comparison_text")
"""In an exact world, in a sequential environment and in a text environment."""
ADDED = {
    "credit_correlation", "doubts", "gained", "influence", "messages", "optimal", "reference",
    "scale", "silent",
}  # fmt: skip
"""Parts that not every kind of world has: null where they are not known, and absent before."""


def read(name: str) -> ComparisonResult:
    result = read_result(saved(name))
    assert isinstance(result, ComparisonResult)
    return result


def without_added(value: object) -> object:
    """The same without nulls and empty lists under the keys that files did not have before."""
    if isinstance(value, list):
        return [without_added(item) for item in value]
    if isinstance(value, dict):
        return {
            key: without_added(item)
            for key, item in value.items()
            if not (key in ADDED and item in (None, []))
        }
    return value


@pytest.mark.parametrize("name", KINDS)
def test_a_saved_comparison_is_read_and_encodes_to_the_same_document(name: str) -> None:
    result, encoded = read(name), json.loads(encode(read(name)))
    assert without_added(encoded) == without_added(saved(name))
    assert read_result(encoded) == result
    assert "<html" in render(result)
    assert render(encoded) == render(saved(name))
    assert result.verdict.decision == result.decision


def test_a_comparison_of_an_earlier_version_is_read() -> None:
    """It has `price`, and no `axis`, `kind`, `decision`, `normalized` or `signal_kept`."""
    document, result = saved("comparison_price"), read("comparison_price")
    assert (result.kind, result.axis, result.verdict.decision) == ("exact", "update", None)
    scheme = result.schemes["happo_per_agent"]
    assert scheme.weighted_return is not None
    assert scheme.weighted_return.iqm == document["schemes"]["happo_per_agent"]["price"]["iqm"]
    weighted = result.differences["happo_per_agent"].weighted_return
    assert weighted is not None
    assert weighted.iqm == document["differences"]["happo_per_agent"]["price"]["iqm"]
    assert scheme.agents["stable_0"].signal_kept == SeedMean(iqm=None, low=None, high=None)
    assert document["verdict"]["why"] not in render(document)  # it followed another rule


@pytest.mark.few(2)
@pytest.mark.parametrize("name", [*KINDS, "comparison_price"])
def test_some_mutations_give_a_page_or_one_line(name: str) -> None:
    shown = [is_shown(document) for document in mutations(saved(name), every=29)]
    assert any(shown)
    assert not all(shown)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*KINDS, "comparison_price"])
def test_every_mutation_gives_a_page_or_one_line(name: str) -> None:
    assert {is_shown(document) for document in mutations(saved(name), every=1)} == {True, False}


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("schemes", "mappo_pooled", "curves", "update"), [0], r"1 values, one a point"),
        (("schemes", "mappo_pooled", "curves", "step"), [0, 1, 2], r"update or step, one of them"),
        (("schemes", "mappo_pooled", "curves", "agents"), {"x": None}, r"`\$.schemes\[...\]"),
        (("schemes", "mappo_pooled", "agents"), {}, r"names of the scheme's agents"),
        (("agents",), ["stable_0"], r"one for each of \$.agents - at `\$.schemes.mappo_pooled"),
        (("differences", "happo_per_agent", "versus"), "x", r"a name of \$.schemes - at `\$.diff"),
        (("differences",), {"x": None}, r"Expected `object`, got `null` - at `\$.differences"),
        (("verdict", "decision", "verdict"), "maybe", r"'maybe' - at `\$.verdict.decision"),
        (("kind",), "tiny", r"'tiny' - at `\$.kind`"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_its_path(
    at: tuple[str, ...], value: object, message: str
) -> None:
    with pytest.raises(LogError, match=message):
        render(with_value(saved("comparison"), at, value))


def test_a_missing_part_is_refused_with_its_path() -> None:
    with pytest.raises(LogError, match=r"missing required field `return` - at `\$.schemes\[...\]`"):
        render(without(saved("comparison"), ("schemes", "mappo_pooled", "return")))


def scheme(iqm: float | None, kind: str = "scheme") -> SchemeResult:
    mean = SeedMean(iqm=iqm, low=None, high=None)
    curves = Curves(step=[8], returns=Band(iqm=[iqm], low=None, high=None))
    return SchemeResult(kind=kind, returns=mean, agents={"a": AgentResult()}, curves=curves)


def against(reference: str, iqm: float) -> Difference:
    """Far enough from 0 to be significant, and ahead in three of four seeds."""
    ends = {"low": iqm - 0.125, "high": iqm + 0.125, "p": 1e-6, "mean": iqm, "deviation": 0.5}
    cost = PairedDifference(iqm=-iqm, low=-iqm - 0.5, high=-iqm + 0.5)
    return Difference(versus=reference, iqm=iqm, **ends, p_improvement=0.75, weighted_return=cost)


def compared(
    schemes: dict[str, SchemeResult], differences: dict[str, Difference]
) -> ComparisonResult:
    return ComparisonResult(
        world="a world",
        kind="steps",
        axis="step",
        references=References(),
        config={},
        seeds=list(range(8)),
        agents=["a"],
        schemes=schemes,
        differences=differences,
        control=None,
    )


def test_what_follows_from_the_numbers() -> None:
    schemes = {"x": scheme(0.5), "y": scheme(0.75), "z": scheme(None), "w": scheme(1, "baseline")}
    differences = {"y": against("x", 0.25), "w": against("x", 0.5)}
    result = compared(schemes, differences)
    assert list(result.ranked) == ["w", "y", "x", "z"]
    assert result.versus == "x"
    assert (result.decision.verdict, result.decision.recommended) == ("use", "y")
    assert result.decision.largest == "w"
    contest = result.contest
    assert isinstance(contest, Contest)
    assert (contest.ours, contest.theirs, contest.p_improvement) == ("y", "x", 0.75)
    assert contest.returns == Contrast(0.25, 0.125, 0.375, 1e-6, 0.25, 0.5)
    assert contest.weighted_returns.value == -0.25


def test_a_kept_reference_stands_first_and_its_difference_is_turned_round() -> None:
    result = compared({"x": scheme(0.75), "y": scheme(0.5)}, {"y": against("x", -0.25)})
    contest = result.contest
    assert contest is not None
    assert (contest.ours, contest.theirs, contest.p_improvement) == ("x", "y", 0.25)
    assert (contest.returns.value, contest.returns.low, contest.returns.high) == (
        0.25,
        0.125,
        0.375,
    )
    assert contest.weighted_returns.value == -0.25


def test_nothing_follows_where_nothing_was_compared() -> None:
    result = compared({"x": scheme(0.7)}, {})
    assert (result.versus, result.contest, result.decision.recommended) == ("", None, None)
