"""Schemes written down: names, trainers' names, changed fields, tables; and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_teams import scheme

from counterpoint.credit import Mix, PerRole, Scheme, catalogue, scheme_name, scheme_named
from counterpoint.credit.spec import plain_scheme_named, split_names
from counterpoint.errors import CounterpointError, SchemeError, UnknownNameError


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_entry_by_its_name_and_back(name: str) -> None:
    assert scheme_named(name) == catalogue()[name]
    assert scheme_name(catalogue()[name]) == name


@settings(max_examples=300, deadline=None)
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
    assert np.isclose(scheme_named("verl").epsilon, 1e-6)  # type: ignore[union-attr]


def test_lists_of_names_keep_fields_with_their_scheme() -> None:
    assert split_names("a, b,floor=0.05,clip=3,c,") == ("a", "b,floor=0.05,clip=3", "c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gripo", "did you mean grpo"),
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
