"""From measurements to a verdict, by hand; where an effect crosses a border."""

from dataclasses import replace

import numpy as np
import pytest

from counterpoint.claims.base import (
    ClaimPlan,
    Evidence,
    bisected,
    crossing,
    measured,
    verdict_of,
)
from counterpoint.errors import SettingError
from counterpoint.results.claims import Boundary, Measure


def measure(value, low, high, what="it"):
    return Measure(what=what, value=value, low=low, high=high, n=10)


EVERYWHERE = Boundary(setting="a cost", value=None, low=None, high=None, n=10, least=0.0, most=1.0,
                      holds="everywhere")  # fmt: skip
EVIDENCE = Evidence(
    effect=measure(0.3, 0.2, 0.4), control=measure(0.0, -0.01, 0.02), remedy=measure(0.3, 0.2, 0.4),
    remedy_is="Rest.", price=measure(0.1, 0.0, 0.2), boundary=EVERYWHERE, holds_when="it rains.",
    fails_when="it does not.", least=0.05,
)  # fmt: skip


def test_an_effect_that_no_setting_turns_off_is_reproduced():
    verdict, why = verdict_of(EVIDENCE)
    assert verdict == "reproduced"
    assert why == "it is 0.3 [0.2, 0.4], with a cost from 0 to 1."


def test_a_border_makes_it_conditional():
    border = replace_struct(EVERYWHERE, value=0.51, low=0.4, high=0.6, holds="above")
    verdict, why = verdict_of(replace(EVIDENCE, boundary=border))
    assert verdict == "conditional"
    assert why == "it is 0.3 [0.2, 0.4]; it needs a cost above 0.51 [0.4, 0.6]."


@pytest.mark.parametrize(
    ("effect", "control", "expected"),
    [
        (measure(0.02, 0.01, 0.04), measure(0, 0, 0), "not reproduced"),
        (measure(-0.3, -0.4, -0.2), measure(0, 0, 0), "not reproduced"),
        (measure(0.2, 0.04, 0.4), measure(0, 0, 0), "cannot tell"),
        (measure(0.3, 0.2, 0.4), measure(0.2, 0.06, 0.3), "cannot tell"),
        (measure(0.3, 0.2, 0.4), measure(-0.6, -0.7, -0.5), "reproduced"),
    ],
)
def test_small_unclear_and_reversed_effects_and_a_control_that_shows_one(effect, control, expected):
    assert verdict_of(replace(EVIDENCE, effect=effect, control=control))[0] == expected


def test_where_nothing_that_was_tried_shows_it_there_is_no_verdict():
    nowhere = replace_struct(EVERYWHERE, holds="nowhere")
    assert verdict_of(replace(EVIDENCE, boundary=nowhere))[0] == "cannot tell"


def replace_struct(border, **changes):
    fields = {name: getattr(border, name) for name in border.__struct_fields__}
    return Boundary(**{**fields, **changes})


def test_crossings_by_hand():
    x = np.array([0.0, 1.0, 2.0])
    assert crossing(x, np.array([-1.0, 1.0, 3.0]), falls=False) == 0.5
    assert crossing(x, np.array([3.0, 1.0, -1.0]), falls=True) == 1.5
    assert crossing(x, np.array([1.0, 1.0, 1.0]), falls=True) == 2.0  # beyond the last
    assert crossing(x, np.array([1.0, 1.0, 1.0]), falls=False) == 0.0  # before the first
    assert crossing(x, np.array([-1.0, -1.0, -1.0]), falls=False) == 2.0


def test_a_border_is_bisected_and_its_interval_holds_it():
    noise = np.random.default_rng(0).normal(0, 0.02, 12)
    tried = []

    def effect(x):
        tried.append(x)
        return x - 0.3 + noise

    border = bisected("a cost", effect, 0.0, 1.0, border=0.0, steps=6)
    assert border.holds == "above"
    assert border.value == pytest.approx(0.3, abs=0.02)
    assert border.low < 0.3 < border.high
    assert border.high - border.low < 0.06
    assert tried[:5] == [0.0, 1.0, 0.5, 0.25, 0.375]
    falls = bisected("a cost", lambda x: 0.3 - x + noise, 0.0, 1.0, steps=6)
    assert falls.holds == "below"


def test_a_border_between_seeds_that_are_all_alike_has_the_width_of_its_steps():
    border = bisected(
        "a cost", lambda x: np.full(10, float(x > 0.3)), 0.0, 1.0, border=0.5, steps=3
    )
    assert (border.low, border.high) == (0.25, 0.375)
    assert border.value == pytest.approx(0.3125)


def test_the_middle_of_a_logarithmic_scale():
    tried = []

    def effect(x):
        tried.append(round(x, 6))
        return np.full(6, np.log(x) - np.log(3.0))

    border = bisected("a loudness", effect, 1.0, 100.0, steps=8, logarithmic=True)
    assert tried[:3] == [1.0, 100.0, 10.0]
    assert border.value == pytest.approx(3.0, rel=1e-6)


def test_no_border_between_the_ends():
    always = bisected("a cost", lambda x: np.ones(6), 0.0, 1.0)
    never = bisected("a cost", lambda x: -np.ones(6), 0.0, 1.0)
    assert (always.value, always.holds) == (None, "everywhere")
    assert (never.value, never.holds) == (None, "nowhere")


def test_the_same_values_have_the_same_interval():
    values = np.random.default_rng(1).normal(size=10)
    assert measured("x", values) == measured("x", values)


@pytest.mark.parametrize(("count", "first"), [(4, 0), (10, -1)])
def test_plans_that_say_nothing_are_refused(count, first):
    with pytest.raises(SettingError, match=r"wanted a number from [05] to"):
        ClaimPlan(count, first)
