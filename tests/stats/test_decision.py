"""The one rule: what it recommends, what it never does, and how many seeds it asks for."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.stats import (
    Contrast,
    bootstrap_interval,
    decide,
    interquartile_mean,
    paired_t_test,
)
from counterpoint.stats.decision import ENOUGH, LEVEL, seeds_needed, standing

UP = Contrast(0.2, 0.1, 0.3, 1e-4, 0.2, 0.1)
UNSURE = Contrast(0.01, -0.02, 0.04, 0.5, 0.01, 0.1)
EQUAL = Contrast(0.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def judged(contrasts, seeds=10, candidates=(), reference="ref"):
    levels = {reference: 0.5} | {n: 0.5 + (c.value or 0) for n, c in contrasts.items()}
    return decide(levels, contrasts, reference, seeds, candidates or tuple(contrasts))


def test_the_best_of_those_that_are_better_is_used():
    higher = dataclasses.replace(UP, value=0.3, low=0.2, high=0.4)
    found = judged({"a": UP, "b": higher, "c": UNSURE})
    assert (found.verdict, found.recommended, found.arm) == ("use", "b", "b")
    assert (found.compared, found.level) == (3, LEVEL / 3)
    assert found.seeds_needed is None


def test_the_best_of_several_must_pay_for_all_of_them():
    maybe = dataclasses.replace(UP, p=0.03)
    assert judged({"a": maybe}).recommended == "a"
    both = judged({"a": maybe, "b": UNSURE})
    assert (both.verdict, both.recommended) == ("cannot tell", None)


def test_the_reference_is_kept_where_an_arm_is_worse_and_none_may_be_better():
    found = judged({"a": UP.reversed, "b": UNSURE})
    assert (found.verdict, found.recommended, found.arm) == ("keep", "ref", "a")
    leads = dataclasses.replace(UP, p=0.2)
    assert judged({"a": UP.reversed, "b": leads}).recommended is None


def test_equal_on_every_seed_is_the_same_with_any_number_of_seeds():
    assert judged({"a": EQUAL}).verdict == "same"
    assert judged({"a": Contrast(0.0)}, seeds=1).recommended == "ref"
    assert judged({"a": Contrast(0.0, 0.0, 0.0, 1.0, 0.0, 0.1)}).verdict == "cannot tell"


def test_nothing_compared_is_nothing_said():
    found = judged({})
    assert (found.verdict, found.recommended, found.arm) == ("cannot tell", None, None)


def test_a_baseline_is_used_only_where_nothing_else_was_compared():
    assert judged({"a": UNSURE, "base": UP}, candidates=("a",)).recommended is None
    assert judged({"a": UNSURE, "base": UP}, candidates=("a",)).largest == "base"
    assert judged({"base": UP}, candidates=("ref",)).recommended == "base"


def test_two_seeds_that_agree_decide_nothing():
    """`compare spread` with 2 seeds: -.62 [-.80, -.44]."""
    apart = Contrast(-0.62, -0.8, -0.44, 0.18, -0.62, 0.2546)
    found = judged({"a": apart}, seeds=2)
    assert (found.verdict, found.recommended) == ("cannot tell", None)
    assert found.seeds_needed == ENOUGH


def test_how_many_seeds_by_hand():
    """((1.95996 + .84162) .1 / .05)^2 + 1.95996^2 / 2 = 31.395 + 1.921 = 33.3."""
    found = Contrast(0.05, -0.02, 0.12, 0.2, 0.05, 0.1)
    assert seeds_needed(found, 0.05, 10) == 34
    wide = dataclasses.replace(found, low=-0.15, high=0.25)  # 10 (.2 / .05)^2 = 160
    assert seeds_needed(wide, 0.05, 10) == 160
    assert seeds_needed(Contrast(0.1), 0.05, 1) is None
    assert seeds_needed(EQUAL, 0.05, 10) is None
    assert seeds_needed(Contrast(0.1, 0.1, 0.1, 0.0, 0.1, 0.0), 0.05, 2) == ENOUGH


def test_the_estimate_of_seeds_finds_the_difference_as_often_as_it_promises():
    rng = np.random.default_rng(0)
    true = Contrast(0.5, 0.0, 1.0, 0.1, 0.5, 1.0)
    count = seeds_needed(true, 0.05, 10)
    assert count == 34
    tested = [paired_t_test(rng.normal(0.5, 1, count)) < 0.05 for _ in range(400)]
    assert np.mean(tested) == pytest.approx(0.8, abs=0.1)


numbers = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False))
contrasts = st.builds(
    Contrast, numbers, numbers, numbers, st.one_of(st.none(), st.floats(0, 1)), numbers,
    st.one_of(st.none(), st.floats(0, 1e6)),
)  # fmt: skip
tables = st.dictionaries(st.sampled_from("abcdef"), contrasts, max_size=6)


@given(tables, st.integers(0, 30), st.sets(st.sampled_from("abcdef")))
def test_never_an_arm_whose_interval_lies_on_the_other_side(found, seeds, candidates):
    decision = judged(found, seeds, tuple(candidates))
    chosen = decision.recommended
    if chosen == "ref":
        may = [c for n, c in found.items() if n in candidates] or list(found.values())
        assert not any(c.low is not None and c.low > 1e-9 and c.value for c in may if not same(c))
    elif chosen is not None:
        assert found[chosen].low > 0
        assert found[chosen].p < LEVEL / len(found)
    assert (chosen is None) == (decision.verdict == "cannot tell")


def same(contrast):
    return standing(contrast, LEVEL, 0) == "same"


@given(tables, st.integers(0, ENOUGH - 1))
def test_below_five_seeds_only_equal_arms_decide(found, seeds):
    decision = judged(found, seeds)
    assert decision.verdict in ("same", "cannot tell")
    assert set(decision.standings.values()) <= {"same", "unclear"}


@given(contrasts, st.integers(0, 100))
def test_the_seeds_to_take_are_more_than_there_are(contrast, seeds):
    needed = seeds_needed(contrast, 0.0125, seeds)
    assert needed is None or needed >= max(ENOUGH, seeds + 1)


@given(contrasts)
def test_turning_a_contrast_round_twice_gives_it_back(contrast):
    assert contrast.reversed.reversed == contrast


def test_false_verdicts_are_rare_without_an_effect():
    """Five and ten seeds, four arms that are all the reference: at most 5% with any verdict."""
    rng = np.random.default_rng(1)
    for seeds in (5, 10):
        wrong = 0
        for _ in range(200):
            noise = rng.normal(0, 1, (4, seeds))
            found = {name: measured(d) for name, d in zip("abcd", noise, strict=True)}
            wrong += judged(found, seeds).verdict != "cannot tell"
        assert wrong / 200 <= 0.08


def measured(x):
    ends = bootstrap_interval(x, rng=np.random.default_rng(0), resamples=300)
    value, p = interquartile_mean(x), paired_t_test(x)
    return Contrast(value, ends.low, ends.high, p, float(x.mean()), float(x.std(ddof=1)))
