"""The sentence: what to use, why, and how much, for each outcome."""

from __future__ import annotations

from typing import Any

import pytest
from report_samples import comparison, diagnosis

from counterpoint.report.comparison_result import read_comparison
from counterpoint.report.diagnosis_result import read_diagnosis
from counterpoint.report.document import open_document
from counterpoint.report.verdicts import Fact, Verdict, comparison_verdict, diagnosis_verdict


def compared(**verdict: Any) -> Verdict:
    document = comparison(5, 4)
    document["verdict"].update(verdict)
    return comparison_verdict(read_comparison(open_document(document)))


def diagnosed(**parts: Any) -> Verdict:
    return diagnosis_verdict(read_diagnosis(open_document({**diagnosis(4), **parts})))


def test_a_win_says_what_how_much_and_why() -> None:
    """The sample: .885 - .740 = .145, plus and minus .045."""
    assert compared().sentence == (
        "Use happo_per_agent: it returns 0.885 against 0.740 for mappo_pooled, a difference of "
        "+0.145 [+0.100, +0.190]; under mappo_pooled 2 of 4 agents collapse (DROWNED), under "
        "happo_per_agent none."
    )


def test_a_winner_whose_agents_collapse_too_is_not_spared() -> None:
    document = comparison(5, 4)
    document["schemes"]["happo_per_agent"]["agents"]["volatile_0"]["cause"] = "LAZY"
    said = comparison_verdict(read_comparison(open_document(document))).sentence
    assert said.endswith("under happo_per_agent 1 of 4 (LAZY).")


def test_a_reference_that_wins_is_compared_with_its_own_twin_the_other_way_round() -> None:
    """The twin has -.155 [-.2, -.11] against it: turned round, +.155 [.11, .2].

    Schemes and baselines with a better return do not matter: decoupling is what hurts.
    """
    document = comparison(5, 4)
    document["verdict"].update(recommended="mappo_pooled", effect="hurts")
    lost = document["differences"]["happo_per_agent"]
    lost.update(iqm=-0.155, low=-0.2, high=-0.11, p_improvement=0.1)
    assert document["differences"]["counterfactual"]["versus"] == "mappo_pooled"
    verdict = comparison_verdict(read_comparison(open_document(document)))
    assert verdict.sentence == (
        "Decoupling by agent hurts here; use mappo_pooled: it returns 0.740 against 0.885 for "
        "happo_per_agent, a difference of +0.155 [+0.110, +0.200]; under happo_per_agent no agent "
        "collapses, under mappo_pooled 2 of 4 (DROWNED)."
    )
    gain, weighted, _ = verdict.facts
    assert (gain.value, gain.below) == ("+0.155", "95% interval [+0.110, +0.200]")
    assert gain.note.endswith("Ahead in 90% of the seeds.")
    assert weighted.value == "+0.044"


@pytest.mark.parametrize(
    ("verdict", "start"),
    [
        ({"decoupling": "no-op"}, "Decoupling by agent changes nothing here; use happo"),
        (
            {"effect": "tie"},
            "Decoupling by agent makes no difference that these seeds can show; use",
        ),
        ({"effect": None}, "Use happo_per_agent: "),
        ({"recommended": None}, "No scheme stands out."),
        ({"recommended": "no_such"}, "Use no_such."),
    ],
)
def test_every_outcome_has_its_words(verdict: dict[str, Any], start: str) -> None:
    assert compared(**verdict).sentence.startswith(start)


@pytest.mark.parametrize(
    ("compared_with", "chosen"),
    [
        (("happo_per_agent", "counterfactual"), "happo_per_agent"),
        (("grpo", "counterfactual"), "counterfactual"),
        (("grpo",), "grpo"),
    ],
)
def test_without_the_decoupled_scheme_the_best_of_the_others_is_taken(
    compared_with: tuple[str, ...], chosen: str
) -> None:
    document = comparison(5, 4)
    document["verdict"].update(recommended="mappo_pooled", decoupling="no-op")
    document["differences"] = {n: document["differences"][n] for n in compared_with}
    said = comparison_verdict(read_comparison(open_document(document))).sentence
    assert f"for {chosen}, a difference" in said


def test_win_weighted_return_and_control_always_stand_together() -> None:
    assert [fact.title for fact in compared().facts] == [
        "Return",
        "Reward-weighted return",
        "Control",
    ]
    document = comparison(5, 4)
    document.update(control=None, differences={})
    bare = comparison_verdict(read_comparison(open_document(document)))
    assert bare.sentence == "Use happo_per_agent: it returns 0.885."
    assert bare.facts == (
        Fact("Return", "–", "nothing to compare with"),
        Fact("Reward-weighted return", "–", "nothing to compare with"),
        Fact("Control", "–", "not run for this comparison"),
    )


def test_a_document_that_says_price_shows_the_same() -> None:
    """Saved by earlier versions: `price` was the reward-weighted return."""
    document = comparison(5, 4)
    new = comparison_verdict(read_comparison(open_document(document)))
    for entry in (*document["schemes"].values(), *document["differences"].values()):
        entry["price"] = entry.pop("weighted_return")
    assert comparison_verdict(read_comparison(open_document(document))) == new
    assert new.facts[1].value != "–"


def test_an_interval_that_holds_zero_is_not_called_a_win() -> None:
    document = comparison(5, 4)
    document["differences"]["happo_per_agent"].update(iqm=0.01, low=-0.02, high=0.04)
    gain = comparison_verdict(read_comparison(open_document(document))).facts[0]
    assert gain.below == "95% interval [−0.020, +0.040]"
    assert gain.note.startswith("Cannot be told from 0: 0.885 against 0.740 for mappo_pooled.")


def test_rounding_is_not_called_a_win() -> None:
    document = comparison(5, 4)
    document["differences"]["happo_per_agent"].update(iqm=2e-16, low=1e-16, high=3e-16)
    gain = comparison_verdict(read_comparison(open_document(document))).facts[0]
    assert (gain.value, gain.below) == ("0.000", "95% interval [0.000, 0.000]")
    assert gain.note.startswith("Cannot be told from 0")


def test_one_seed_is_said_to_have_no_interval() -> None:
    document = comparison(1, 4)
    document["verdict"]["effect"] = "tie"
    verdict = comparison_verdict(read_comparison(open_document(document)))
    assert verdict.sentence.startswith("One seed cannot tell whether decoupling by agent helps")
    assert "a difference of +0.145 (no interval); under" in verdict.sentence
    assert verdict.facts[0].below == "one seed: no interval"


def test_a_log_in_which_decoupling_matters() -> None:
    verdict = diagnosed()
    assert verdict.sentence == (
        "Decoupling by agent matters for this log: agents have reward terms of their own (C3); "
        "use happo_per_agent."
    )
    assert [f.value for f in verdict.facts] == ["C3", "2 of 2", "3.70"]


def test_a_log_in_which_no_agent_loses_enough() -> None:
    said = diagnosed(recommended="mappo_pooled").sentence
    assert said.startswith("Decoupling by agent could matter, but no agent loses enough")
    assert said.endswith("(C3); keep mappo_pooled.")


def test_a_log_in_which_it_is_a_no_op() -> None:
    decoupling = {**diagnosis(4)["decoupling"], "verdict": "no-op", "conditions": []}
    same = {**decoupling, "max_difference": 1e-15}
    assert diagnosed(decoupling=same, recommended="mappo_pooled").sentence == (
        "Decoupling by agent changes nothing for this log: no advantage differs; keep mappo_pooled."
    )
    verdict = diagnosed(decoupling=decoupling, recommended="mappo_pooled")
    assert verdict.sentence == (
        "No condition was found under which decoupling by agent would matter; keep mappo_pooled."
    )
    assert verdict.facts[0] == Fact(
        "Conditions detected", "none", "of C1 to C6 at an error rate of 1%",
        "C4, C7 cannot be read from rewards.",
    )  # fmt: skip


def test_where_networks_were_trained_only_named_causes_make_the_headline() -> None:
    document = comparison(4, 4)
    document["axis"] = "step"
    for scheme in document["schemes"].values():
        scheme["curves"]["step"] = scheme["curves"].pop("update")
        scheme["weighted_return"] = None
    said = comparison_verdict(read_comparison(document))
    assert "no agent collapses" not in said.sentence
    assert "causes of collapse are named for 2 of 4 agents under mappo_pooled" in said.sentence
    assert said.facts[1].value == "none"
