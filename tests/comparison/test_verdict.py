"""What is concluded from the numbers of a comparison, case by case."""

import numpy as np
import pytest
from msgspec.structs import replace

from counterpoint.comparison.decoupling import Probe, pair_of
from counterpoint.comparison.summary import paired
from counterpoint.comparison.verdict import verdict
from counterpoint.results.comparison import (
    AgentResult,
    Band,
    ComparisonResult,
    Curves,
    Difference,
    PairedDifference,
    References,
    SchemeResult,
)
from counterpoint.results.parts import SeedMean

UNTRAINED = Curves(update=[], returns=Band(iqm=[], low=None, high=None))


def scheme(iqm, weighted=None, kind="scheme", causes=None):
    weighted = iqm if weighted is None else weighted
    return SchemeResult(
        kind=kind,
        returns=SeedMean(iqm=iqm, low=iqm - 0.02, high=iqm + 0.02),
        weighted_return=SeedMean(iqm=weighted, low=None, high=None),
        agents={
            agent: AgentResult(cause=cause) for agent, cause in (causes or {"a": None}).items()
        },
        curves=UNTRAINED,
    )


def difference(low, high, p=0.001, deviation=0.1, weighted=(0.0, 0.0)):
    middle = (low + high) / 2
    cost = PairedDifference(iqm=sum(weighted) / 2, low=weighted[0], high=weighted[1], p=p)
    return Difference(
        versus="mappo_pooled",
        iqm=middle,
        low=low,
        high=high,
        p=p,
        mean=middle,
        deviation=deviation,
        weighted_return=cost,
    )


MATTERS = Probe("matters", ("C1",))


def judged(schemes, differences, probe=MATTERS, seeds=10):
    result = ComparisonResult(
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
    return verdict(result, pair_of(list(schemes)), probe)


TWO = {"mappo_pooled": scheme(0.70), "mappo_per_agent": scheme(0.90)}


def of_two(*numbers, **options):
    seeds = options.pop("seeds", 10)
    return judged(TWO, {"mappo_per_agent": difference(*numbers, **options)}, seeds=seeds)


def test_effect_follows_the_interval_of_the_paired_difference():
    assert of_two(0.1, 0.3).effect == "helps"
    assert of_two(-0.3, -0.1).effect == "hurts"
    assert of_two(-0.1, 0.3).effect == "cannot tell"
    assert of_two(0.0, 0.0, deviation=0.0).effect == "tie"


def test_an_interval_of_few_seeds_is_not_enough():
    found = of_two(0.1, 0.3, p=0.06)
    assert found.effect == "cannot tell"
    assert found.recommended is None
    assert "not significant, since p is not below 0.05" in found.why


def test_below_five_seeds_nothing_is_recommended_and_the_seeds_to_take_are_said():
    """4 seeds, ((1.96 + .84) .1 / .2)^2 + 1.96^2 / 2 = 3.9, but never fewer than 5."""
    found = of_two(0.1, 0.3, p=1e-9, seeds=4)
    assert found.recommended is None
    assert found.headline == "Four seeds are too few to choose a scheme; about 5 would do."
    assert "an estimate from the paired differences" in found.why


def test_the_best_is_recommended_and_its_cost_is_told():
    schemes = {
        "mappo_pooled": scheme(0.7, weighted=0.87, causes={"quiet": "DROWNED", "loud": None}),
        "mappo_per_agent": scheme(0.9, weighted=0.82, causes={"quiet": None, "loud": None}),
    }
    lost = {"mappo_per_agent": difference(0.1, 0.3, weighted=(-0.09, -0.01))}
    found = judged(schemes, lost)
    assert found.recommended == "mappo_per_agent"
    assert "DROWNED (variance mismatch): quiet under mappo_pooled." in found.why
    assert "reward-weighted return is lower by 0.0500 [0.0100, 0.0900], signif" in found.why
    assert "C1" in found.why
    assert found.headline == (
        "One of two agents loses its signal under mappo_pooled; mappo_per_agent restores it: "
        "0.70 to 0.90."
    )


def test_a_cost_that_may_be_nothing_says_so_and_a_gain_is_no_cost():
    maybe = of_two(0.1, 0.3, weighted=(-0.09, 0.01)).why
    assert "[−0.0100, 0.0900], indistinguishable from 0" in maybe
    assert "cost" not in of_two(0.1, 0.3, weighted=(0.01, 0.09)).why


def test_a_baseline_is_named_beside_the_recommendation_never_as_it():
    schemes = {**TWO, "counterfactual": scheme(0.95, kind="baseline")}
    differences = {"mappo_per_agent": difference(0.1, 0.3), "counterfactual": difference(0.2, 0.3)}
    found = judged(schemes, differences)
    assert found.recommended == "mappo_per_agent"
    assert "Higher, with queries to the world: counterfactual (0.950)" in found.why


def test_no_op_is_said():
    found = judged(
        TWO, {"mappo_per_agent": difference(0.0, 0.0, p=1, deviation=0)}, Probe("no-op", ())
    )
    assert found.decoupling == "no-op"
    assert found.effect == "tie"
    assert "no-op" in found.why
    assert found.recommended == "mappo_pooled"


def test_a_probe_that_cannot_tell_says_so():
    found = judged(TWO, {"mappo_per_agent": difference(0.1, 0.3)}, Probe("cannot tell", ()))
    assert found.decoupling == "cannot tell"
    assert "cannot tell whether decoupling by agent can matter" in found.why


def test_an_effect_that_was_not_measured_is_none():
    found = judged({"grpo": scheme(0.8), "rloo": scheme(0.9)}, {})
    assert found.effect is None
    assert found.recommended is None
    assert "not measured" in found.why


def test_the_largest_difference_makes_the_headline_not_only_that_of_the_pair():
    """`gathering`: decoupling changes nothing to speak of, another scheme changes everything."""
    schemes = {
        "mappo_pooled": scheme(0.0002),
        "mappo_per_agent": scheme(0.0004),
        "grpo": scheme(1.0),
    }
    differences = {"mappo_per_agent": difference(-0.02, 0.0004, p=0.35)}
    differences["grpo"] = difference(0.979, 0.999)
    found = judged(schemes, differences)
    assert found.headline == "grpo returns 1.00 against 0.00 for mappo_pooled: use grpo."
    assert found.effect == "cannot tell"
    assert found.decision.compared == 2
    assert "p below 0.05 / 2 = 0.025" in found.why


def test_teams_that_learned_nothing_are_not_compared():
    flat = SeedMean(iqm=0.001, low=-0.02, high=0.02)
    schemes = {"mappo_pooled": scheme(0.4), "mappo_per_agent": scheme(0.4)}
    same = {"mappo_per_agent": difference(0.0, 0.0, p=None, deviation=0.0)}
    still = {name: replace(one, gained=flat) for name, one in schemes.items()}
    found = judged(still, same)
    assert found.headline == "No team's return rose in training, so the schemes cannot be compared."
    assert "mappo_pooled +0.001 [−0.020, +0.020]" in found.why
    one_learns = {
        **still,
        "mappo_pooled": replace(scheme(0.4), gained=SeedMean(iqm=0.2, low=0.1, high=0.3)),
    }
    unknown = {
        name: replace(one, gained=SeedMean(iqm=0.0, low=None, high=None))
        for name, one in still.items()
    }
    for clean in (one_learns, unknown, schemes):
        found = judged(clean, same)
        assert found.headline.startswith("Every scheme returns the same")
        assert "rose in training" not in found.why
    # where arms differ significantly, the difference is the finding
    hurt = {"mappo_per_agent": difference(-0.3, -0.1)}
    assert "rose in training" not in judged(still, hurt).headline
    assert "rose in training" in judged(still, hurt).why


def test_what_is_wrong_with_trainings_is_said_once_with_its_schemes():
    cut = "most answers of solver were cut off at their limit in 2 of 3 seeds"
    schemes = {
        "mappo_pooled": replace(scheme(0.4), doubts=[cut]),
        "mappo_per_agent": replace(scheme(0.4), doubts=[cut]),
        "grpo": scheme(0.4),
    }
    same = {name: difference(0.0, 0.0) for name in ("mappo_per_agent", "grpo")}
    assert f"Under mappo_pooled and mappo_per_agent, {cut}." in judged(schemes, same).why


def test_what_rounding_makes_of_equal_returns_is_no_difference():
    x = np.linspace(0.1, 0.9, 8)
    noise = paired(x, x + 1e-12 * np.array([1, -2, 3, 1, 2, 4, 1, 5]))
    assert (noise.iqm, noise.low, noise.high, noise.mean) == (0, 0, 0, 0)
    assert noise == paired(x, x)
    assert paired(x, x + 1e-6).iqm == pytest.approx(-1e-6)
