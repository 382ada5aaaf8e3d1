"""What a scheme refuses, and what its twins are."""

from dataclasses import FrozenInstanceError, replace

import pytest

from counterpoint.credit import Scheme, catalogue
from counterpoint.errors import CounterpointError, LabelError, SchemeError


def test_scale_by_is_center_by_unless_said():
    assert Scheme(center_by=("agent",)).scale_by == ("agent",)
    assert Scheme(center_by=("agent",), scale_by=()).scale_by == ()


def test_the_order_of_labels_does_not_matter():
    assert Scheme(center_by=("agent", "prompt")) == Scheme(center_by=("prompt", "agent"))


def test_a_scheme_is_frozen_and_hashable():
    with pytest.raises(FrozenInstanceError):
        Scheme().center = "none"
    assert len({Scheme(), Scheme(), Scheme(scale="none")}) == 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"center": "median"}, "center='median'"),
        ({"memory": "forever"}, "memory='forever'"),
        ({"floor": -1.0}, "floor=-1.0"),
        ({"shrink": float("nan")}, "shrink=nan"),
        ({"decay": 1.0, "memory": "ema", "center": "running_mean"}, "decay=1.0"),
        ({"weights": (1.0, float("inf"))}, "finite"),
        ({"center": "running_mean"}, "running statistic"),
        ({"memory": "ema"}, "read by nothing"),
        ({"memory": "welford", "center": "running_mean", "decay": 0.9}, "only with memory='ema'"),
        ({"update": "before"}, "only by running"),
        ({"scale": "none", "floor": 1.0}, "guard a scale"),
        ({"scale_of": "raw"}, "changes nothing"),
        ({"whiten": "batch"}, "cancels a center"),
        ({"whiten": "batch", "center": "none"}, "cancels a scale"),
        ({"components": "normalize_first", "center": "none", "scale": "none"}, "nothing"),
    ],
)
def test_fields_that_are_wrong_or_cancelled_are_refused(fields, reason):
    with pytest.raises(SchemeError, match=reason):
        Scheme(**fields)


def test_a_shift_invariant_last_step_cancels_every_center():
    """The four estimators that are one: whitening the batch undoes whatever was subtracted."""
    for center in ("mean", "leave_one_out"):
        with pytest.raises(SchemeError, match="cancels a center"):
            Scheme(center=center, scale="none", whiten="batch")


def test_labels_that_no_scheme_groups_by_are_refused():
    with pytest.raises(LabelError, match="rollout"):
        Scheme(center_by=("rollout",))
    with pytest.raises(CounterpointError, match="tuple of labels"):
        Scheme(center_by="agent")


def test_twins():
    known = catalogue()
    assert known["mappo_pooled"].decoupled() == known["happo_per_agent"]
    assert known["happo_per_agent"].coupled() == known["mappo_pooled"]
    assert known["happo_per_agent"].decoupled() == known["happo_per_agent"]
    assert known["grpo"].coupled() == known["grpo"]
    assert known["spiral_rae"].coupled().center_by == ("context",)


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_scheme_has_twins_that_are_schemes(name):
    scheme = catalogue()[name]
    assert not scheme.coupled().groups_by_agent
    assert scheme.decoupled().groups_by_agent
    assert replace(scheme.decoupled().coupled(), scale_of="centered") == replace(
        scheme.coupled(), scale_of="centered"
    )
