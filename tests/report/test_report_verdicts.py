"""The sentence: what to use, why, and how much, for each outcome."""

from __future__ import annotations

from typing import Any

from report_samples import comparison

from counterpoint.report.pages.comparison.decision_words import comparison_verdict
from counterpoint.report.toolkit.frame import Fact, Headline
from counterpoint.results import ComparisonResult, read_result


def judged(document: dict[str, Any]) -> Headline:
    result = read_result(document)
    assert isinstance(result, ComparisonResult)
    return comparison_verdict(result)


def compared() -> Headline:
    return judged(comparison(5, 4))


def test_a_win_says_what_how_much_and_why() -> None:
    """The sample: .885 - .740 = .145, plus and minus .045; p = 1e-5 against .05 / 4."""
    verdict = compared()
    assert verdict.sentence == (
        "Two of four agents lose their signal under mappo_pooled; mappo_per_agent restores it: "
        "0.74 to 0.89."
    )
    gain = verdict.facts[0]
    assert gain.value == "+0.145"
    assert gain.below == (
        "95% interval [+0.100, +0.190], p < 0.0001 (to be below 0.013: 4 arms compared)"
    )
    assert gain.note.startswith("Significantly higher: 0.885 against 0.740 for mappo_pooled.")


def test_a_winner_whose_agents_collapse_too_is_not_spared() -> None:
    document = comparison(5, 4)
    document["schemes"]["mappo_per_agent"]["agents"]["volatile_0"]["cause"] = "OFFSET"
    assert judged(document).sentence == (
        "Two of four agents lose their signal under mappo_pooled, one under mappo_per_agent: "
        "0.74 to 0.89."
    )


def test_a_reference_that_is_kept_is_compared_the_other_way_round() -> None:
    """The arm has -.155 [-.2, -.11] against it: turned round, +.155 [.11, .2].

    A baseline with a better return does not matter: it needs the world.
    """
    document = comparison(5, 4)
    for name in ("grpo", "group_reward_decoupled"):
        document["differences"][name].update(iqm=0.01, low=-0.02, high=0.04)
    lost = document["differences"]["mappo_per_agent"]
    lost.update(iqm=-0.155, low=-0.2, high=-0.11, p_improvement=0.1)
    verdict = judged(document)
    assert verdict.sentence == (
        "mappo_per_agent returns 0.89, mappo_pooled 0.74: keep mappo_pooled."
    )
    gain, weighted, _ = verdict.facts
    assert gain.value == "+0.155"
    assert gain.below.startswith("95% interval [+0.110, +0.200]")
    assert gain.note.endswith("Ahead in 90% of the seeds.")
    assert weighted.value == "+0.044"


def test_identical_returns_are_ahead_in_no_share_of_the_seeds() -> None:
    """Ties count half, so that the share of identical returns would be 50%."""
    nothing: dict[str, float] = dict.fromkeys(("iqm", "low", "high", "mean", "deviation"), 0.0)
    nothing |= {"p": 1.0, "p_improvement": 0.5}
    gain = only(comparison(5, 4), **nothing).facts[0]
    assert "Identical" in gain.note
    assert "Ahead in" not in gain.note
    close = {**nothing, "low": -0.1, "high": 0.1}
    assert "Ahead in 50% of the seeds." in only(comparison(5, 4), **close).facts[0].note


def test_win_weighted_return_and_control_always_stand_together() -> None:
    assert [fact.title for fact in compared().facts] == [
        "Return",
        "Reward-weighted return",
        "Control",
    ]
    document = comparison(5, 4)
    document.update(control=None, differences={})
    bare = judged(document)
    assert bare.sentence == "Nothing was compared, so no scheme can be recommended."
    assert bare.facts == (
        Fact("Return", "–", "nothing to compare with"),
        Fact("Reward-weighted return", "–", "nothing to compare with"),
        Fact("Control", "–", "not run for this comparison"),
    )


def test_a_document_that_says_price_shows_the_same() -> None:
    """Saved by earlier versions: `price` was the reward-weighted return."""
    document = comparison(5, 4)
    new = judged(document)
    for entry in (*document["schemes"].values(), *document["differences"].values()):
        entry["price"] = entry.pop("weighted_return")
    assert judged(document) == new
    assert new.facts[1].value != "–"


def only(document: dict[str, Any], **numbers: Any) -> Headline:
    """The verdict where one arm was compared, with these numbers."""
    found = document["differences"]["mappo_per_agent"]
    found.update(numbers)
    document["differences"] = {"mappo_per_agent": found}
    return judged(document)


def test_an_interval_that_holds_zero_is_not_called_a_win() -> None:
    verdict = only(comparison(5, 4), iqm=0.01, low=-0.02, high=0.04, mean=0.01, p=0.4)
    assert verdict.sentence == (
        "5 seeds cannot distinguish mappo_per_agent from mappo_pooled; about 199 would do."
    )
    gain = verdict.facts[0]
    assert gain.below.startswith("95% interval [−0.020, +0.040], p = 0.4 (to be below 0.05")
    assert gain.note.startswith("Indistinguishable from 0: 0.885 against 0.740 for mappo_pooled.")


def test_a_test_that_does_not_hold_is_said_beside_an_interval_off_zero() -> None:
    gain = only(comparison(5, 4), p=0.06).facts[0]
    assert gain.note.startswith("Not significant, since p is not below 0.05: 0.885 against")


def test_rounding_is_not_called_a_win() -> None:
    rounding = {"iqm": 2e-16, "low": 1e-16, "high": 3e-16, "mean": 2e-16, "deviation": 1e-16}
    verdict = only(comparison(5, 4), **rounding)
    assert verdict.facts[0].value == "0.000"
    assert verdict.facts[0].note.startswith("Identical")
    assert verdict.sentence == "Every scheme returns the same on every seed; keep mappo_pooled."


def test_one_seed_is_said_to_have_no_interval() -> None:
    verdict = judged(comparison(1, 4))
    assert verdict.sentence == "One seed is too few to choose a scheme; take at least 5."
    assert verdict.facts[0].below.startswith("one seed: no interval")
    assert verdict.facts[0].note.startswith("Too few seeds to tell: 0.885 against 0.740")


def test_two_seeds_recommend_nothing_however_far_the_interval_is_from_zero() -> None:
    verdict = only(comparison(2, 4), iqm=-0.62, low=-0.8, high=-0.44, mean=-0.62, deviation=0.25)
    assert verdict.sentence == "Two seeds are too few to choose a scheme; about 5 would do."
    assert "se happo" not in verdict.why
    assert "eep mappo" not in verdict.why


def test_where_networks_were_trained_there_may_be_no_weighted_return() -> None:
    document = comparison(4, 4)
    document["axis"] = "step"
    for scheme in document["schemes"].values():
        scheme["curves"]["step"] = scheme["curves"].pop("update")
        scheme["weighted_return"] = None
    assert judged(document).facts[1].value == "none"
