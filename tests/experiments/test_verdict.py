"""What is concluded from the numbers of a comparison, case by case."""

from counterpoint.experiments.pairs import pair_of
from counterpoint.experiments.verdict import recommended, verdict


def scheme(iqm, low=None, high=None, weighted=None, kind="scheme", causes=None):
    ends = {"low": iqm - 0.02 if low is None else low, "high": iqm + 0.02 if high is None else high}
    agents = {agent: {"cause": cause} for agent, cause in (causes or {"a": None}).items()}
    value = iqm if weighted is None else weighted
    return {
        "kind": kind,
        "return": {"iqm": iqm, **ends},
        "weighted_return": {"iqm": value},
        "agents": agents,
    }


def judged(schemes, difference, found=("matters", ["C1"]), weighted=(0.0, 0.0), p=0.001):
    pair = pair_of(list(schemes))
    low, high = difference
    told = {"iqm": (low + high) / 2, "low": low, "high": high, "p": p}
    told["weighted_return"] = {"iqm": sum(weighted) / 2, "low": weighted[0], "high": weighted[1]}
    differences = {pair.decoupled_name: told}
    return verdict(schemes, differences, pair, {"verdict": found[0], "conditions": found[1]})


TWO = {"mappo_pooled": scheme(0.70), "happo_per_agent": scheme(0.90)}


def test_effect_follows_the_interval_of_the_paired_difference():
    assert judged(TWO, (0.1, 0.3))["effect"] == "helps"
    assert judged(TWO, (-0.3, -0.1))["effect"] == "hurts"
    assert judged(TWO, (-0.1, 0.3))["effect"] == "tie"


def test_an_interval_of_few_seeds_is_not_enough():
    assert judged(TWO, (0.1, 0.3), p=0.06)["effect"] == "tie"
    assert judged(TWO, (0.1, 0.3), p=0.06)["recommended"] == "mappo_pooled"


def test_the_best_of_several_must_pay_for_all_of_them():
    found = {"iqm": 0.01, "low": 0.005, "high": 0.03, "p": 0.03}
    schemes = {"happo_per_agent": scheme(0.91), "mappo_pooled": scheme(0.90), "grpo": scheme(0.5)}
    one, two = {"happo_per_agent": found}, {"happo_per_agent": found, "grpo": found}
    assert recommended(schemes, one, "mappo_pooled") == "happo_per_agent"
    assert recommended(schemes, two, "mappo_pooled") == "mappo_pooled"


def test_the_best_is_recommended_and_its_cost_is_told():
    schemes = {
        "mappo_pooled": scheme(0.7, weighted=0.87, causes={"quiet": "DROWNED", "loud": None}),
        "happo_per_agent": scheme(0.9, weighted=0.82),
    }
    found = judged(schemes, (0.1, 0.3), weighted=(-0.09, -0.01))
    assert found["recommended"] == "happo_per_agent"
    assert "DROWNED: quiet under mappo_pooled." in found["why"]
    assert "is 0.050 lower than that of mappo_pooled (0.010 to 0.090)" in found["why"]
    assert "C1" in found["why"]


def test_a_cost_that_may_be_nothing_says_so_and_a_gain_is_no_cost():
    assert "indistinguishable from 0" in judged(TWO, (0.1, 0.3), weighted=(-0.09, 0.01))["why"]
    assert "cost" not in judged(TWO, (0.1, 0.3), weighted=(0.01, 0.09))["why"]


def test_a_change_must_pay_or_the_reference_stays():
    schemes = {"happo_per_agent": scheme(0.91), "mappo_pooled": scheme(0.90), "grpo": scheme(0.5)}
    unsure = {"happo_per_agent": {"iqm": 0.01, "low": -0.01, "high": 0.03, "p": 0.001}}
    assert recommended(schemes, unsure, "mappo_pooled") == "mappo_pooled"
    sure = {"happo_per_agent": {"iqm": 0.01, "low": 0.005, "high": 0.03, "p": 0.001}}
    assert recommended(schemes, sure, "mappo_pooled") == "happo_per_agent"
    assert recommended(schemes, {}, "grpo") == "happo_per_agent"


def test_a_baseline_is_named_beside_the_recommendation_never_as_it():
    schemes = {**TWO, "counterfactual": scheme(0.95, kind="baseline")}
    found = judged(schemes, (0.1, 0.3))
    assert found["recommended"] == "happo_per_agent"
    assert "counterfactual (0.950)" in found["why"]


def test_no_op_is_said():
    found = judged({**TWO, "happo_per_agent": scheme(0.70)}, (0.0, 0.0), ("no-op", []))
    assert found["decoupling"] == "no-op"
    assert found["effect"] == "tie"
    assert "no-op" in found["why"]
    assert found["recommended"] == "mappo_pooled"


def test_an_effect_that_was_not_measured_is_none():
    schemes = {"grpo": scheme(0.8), "rloo": scheme(0.9)}
    found = verdict(schemes, {}, pair_of(list(schemes)), {"verdict": "matters", "conditions": []})
    assert found["effect"] is None
    assert "not measured" in found["why"]


def test_why_a_higher_one_is_not_recommended_is_said():
    found = judged(TWO, (0.1, 0.3), p=0.06)
    assert found["recommended"] == "mappo_pooled"
    assert "happo_per_agent may be better (+0.200)" in found["why"]
    assert "more seeds would tell" in found["why"]
    assert "may be better" not in judged(TWO, (0.1, 0.3))["why"]
    assert "may be better" not in judged(TWO, (-0.1, 0.3))["why"]
