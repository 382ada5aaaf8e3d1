"""Schemes written down: names, trainers' names, changed fields, tables; and back again."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from random_teams import scheme

from counterpoint.credit import Mix, PerRole, Scheme, catalogue, scheme_name, scheme_named
from counterpoint.credit.spec import as_plain_scheme, plain_scheme_named, split_names
from counterpoint.errors import CounterpointError, SchemeError, UnknownNameError

FIELDS = ", ".join(spec.name for spec in fields(Scheme))


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_entry_by_its_name_and_back(name: str) -> None:
    assert scheme_named(name) == catalogue()[name]
    assert scheme_name(catalogue()[name]) == name


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_scheme_can_be_written_down(point: int) -> None:
    one = scheme(point)
    assert scheme_named(scheme_name(one)) == one


@pytest.mark.parametrize(
    "one",
    [
        Scheme(weights=(0.1, -2.0), conditions=((1, 0, 0.5),), scale_by=(), center_by=("turn",)),
        Scheme(baseline_floor=-0.25, clip=5, epsilon=1e-8, ddof=1),
        Scheme(weights=(1e20, 2.5e-7), conditions=((1, 0, -1e16),)),
        Scheme(whiten="batch", center="none", scale="none", whiten_weighting="trajectory"),
    ],
)
def test_tuples_and_numbers_too(one: Scheme) -> None:
    assert scheme_named(scheme_name(one)) == one


def test_a_changed_field_on_the_command_line_and_in_a_table() -> None:
    wanted = Scheme(center_by=("prompt",), floor=0.05)
    assert scheme_named("grpo_rows,floor=0.05") == wanted
    assert scheme_named(" grpo_rows , floor = 0.05 ") == wanted
    assert scheme_named({"scheme": "grpo_rows", "floor": 0.05}) == wanted
    assert (
        scheme_named({"scheme": "mappo_pooled", "center_by": ["prompt"], "floor": 0.05}) == wanted
    )
    assert scheme_name(wanted) == "grpo_rows,floor=0.05"


def test_one_grouping_stays_one() -> None:
    assert scheme_named("grpo_rows,center_by=prompt+agent") == catalogue()["agent_wise"]
    apart = scheme_named("lite_ppo,center_by=agent")
    assert isinstance(apart, Scheme)
    assert (apart.center_by, apart.scale_by) == (("agent",), ())


def test_trainers_are_names() -> None:
    assert scheme_named("ms_swift") == catalogue()["trl"]
    assert scheme_named("happo_per_agent") == catalogue()["mappo_per_agent"]
    assert catalogue()["happo_per_agent"] == catalogue()["mappo_per_agent"]
    assert scheme_named("happo_per_agent,floor=0.1") == scheme_named("mappo_per_agent,floor=0.1")
    assert np.isclose(scheme_named("verl").epsilon, 1e-6)  # type: ignore[union-attr]


def test_lists_of_names_keep_fields_with_their_scheme() -> None:
    assert split_names("a, b,floor=0.05,clip=3,c,") == ("a", "b,floor=0.05,clip=3", "c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gripo", "did you mean grpo"),
        ("GRPO", "did you mean grpo"),
        ("grpo,flor=1", "did you mean floor"),
        ("grpo,floor", "wanted field=value"),
        ("grpo,floor=0.05,floor=0.1", "got floor twice"),
        ("grpo,floor=much", "got floor='much'"),
        ("grpo,scale=sd", "wanted one of std"),
        ("grpo,ddof=1.5", "got ddof='1.5'"),
        ("grpo,conditions=1/0", "conditions"),
        ("grpo,center_by=rollout", "rollout"),
        ("gigpo,floor=1", "made of several schemes"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, message: str) -> None:
    with pytest.raises(CounterpointError, match=message):
        scheme_named(text)


def test_where_one_scheme_is_needed() -> None:
    assert plain_scheme_named("grpo") == catalogue()["grpo"]
    with pytest.raises(SchemeError, match="made of several"):
        plain_scheme_named("mt_grpo")
    with pytest.raises(UnknownNameError, match="counterfactual"):
        plain_scheme_named("counter", also=("counterfactual",))


def test_composites_have_readable_names() -> None:
    grpo = catalogue()["grpo"]
    assert scheme_name(Mix(((0.5, grpo),))) == "0.5 * (grpo)"
    assert (
        scheme_name(PerRole({"p": grpo}, default=Scheme())) == "p: grpo; other roles: mappo_pooled"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "gigpo,floor=1",
            "got fields for 'gigpo', which is made of several schemes; wanted it alone, or Mix and "
            "PerRole in Python",
        ),
        ("grpo,floor", "got 'floor' after a scheme's name; wanted field=value, floor=0.05"),
        ("grpo,ddof=1.5", "got ddof='1.5'; wanted a value that the field can take"),
        ("grpo,weights=a+b", "got weights='a+b'; wanted a value that the field can take"),
        (
            "gripo",
            "got scheme 'gripo'; did you mean grpo or gigpo or magrpo? `counterpoint schemes` "
            "lists them all",
        ),
        ("0", "got scheme '0'; `counterpoint schemes` lists them all"),
        (
            "grpo,flor=1",
            f"got field 'flor' of a scheme; did you mean floor? wanted one of {FIELDS}",
        ),
        ("grpo,0=1", f"got field '0' of a scheme; wanted one of {FIELDS}"),
    ],
)
def test_what_was_got_and_what_was_wanted_is_said_in_full(text: str, said: str) -> None:
    with pytest.raises(CounterpointError) as refused:
        scheme_named(text)
    assert str(refused.value) == said


def test_names_that_a_caller_knows_beside_these_are_guessed() -> None:
    with pytest.raises(UnknownNameError) as refused:
        scheme_named("own_thinh", also=("own_thing",))
    assert "; did you mean own_thing? " in str(refused.value)


def test_who_needs_one_scheme_names_the_other() -> None:
    said = (
        "which is made of several schemes; wanted one Scheme here: "
        "`counterpoint.credit.advantages` and TeamCredit take mixes"
    )
    with pytest.raises(SchemeError) as refused:
        plain_scheme_named("gigpo")
    assert str(refused.value) == f"got gigpo, {said}"
    with pytest.raises(SchemeError) as refused:
        as_plain_scheme(catalogue()["gigpo"])
    assert str(refused.value) == f"got Mix, {said}"
    assert as_plain_scheme(Scheme()) == Scheme()


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ("custom", {}),
        ({}, {}),
        ("custom,center_by=", {"center_by": ()}),
        ("custom,center_by=prompt,scale_by=", {"center_by": ("prompt",), "scale_by": ()}),
        ("custom,scale_by=none,center_by=agent", {"center_by": ("agent",)}),
        ("custom,baseline_floor=none", {}),
        ("custom,baseline_floor=-1.5", {"baseline_floor": -1.5}),
        ("custom,scale=none", {"scale": "none"}),
        ("custom,weights=none", {}),
        ("custom,weights=1+-2.5", {"weights": (1.0, -2.5)}),
        ("custom,conditions=1/0/.5+2/0/1", {"conditions": ((1, 0, 0.5), (2, 0, 1.0))}),
        ("custom,conditions=", {}),
        ("custom,ddof=1,min_count=3", {"ddof": 1, "min_count": 3}),
        ({"conditions": [[1, 0, 0.5]]}, {"conditions": ((1, 0, 0.5),)}),
        ({"weights": [1, 2]}, {"weights": (1.0, 2.0)}),
        ({"scheme": "custom", "floor": "0.5"}, {"floor": 0.5}),
        ({"center_by": ("prompt",), "scale_by": []}, {"center_by": ("prompt",), "scale_by": ()}),
    ],
)
def test_values_of_fields(given: object, changed: dict) -> None:
    one = scheme_named(given)  # type: ignore[arg-type]
    assert one == Scheme(**changed)
    assert scheme_named(scheme_name(one)) == one


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (Scheme(floor=0.5), "mappo_pooled,floor=0.5"),
        (
            Scheme(center_by=("prompt",), scale_by=(), scale_of="raw", clip=5),
            "grpo_rows,scale_by=,scale_of=raw,clip=5",
        ),
        (
            Scheme(center_by=("role", "turn"), weights=(1.0, 2.0)),
            "mappo_pooled,center_by=role+turn,scale_by=role+turn,weights=1.0+2.0",
        ),
        (Scheme(conditions=((1, 0, 0.5),)), "mappo_pooled,conditions=1/0/0.5"),
    ],
)
def test_the_nearest_name_with_what_differs(one: Scheme, name: str) -> None:
    """An entry of the catalogue comes before `custom`; fields stand in the order of `Scheme`."""
    assert scheme_name(one) == name


def test_composites_are_written_with_all_their_parts() -> None:
    grpo, center = catalogue()["grpo"], catalogue()["center"]
    assert scheme_name(Mix(((1.0, grpo), (-0.25, center)))) == "1 * (grpo) + -0.25 * (center)"
    assert scheme_name(PerRole({"p": grpo, 2: center})) == "p: grpo; 2: center"


def test_lists_of_names_without_names() -> None:
    assert split_names("") == split_names(" , ") == ()
    assert split_names("floor=1") == ("floor=1",)
