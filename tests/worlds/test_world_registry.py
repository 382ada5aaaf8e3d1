"""Worlds by name: text settings are converted, wrong ones are named."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from itertools import pairwise

import pytest

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.worlds import catalogue, make


def test_text_is_converted_to_the_type_of_the_setting() -> None:
    world = make("regions", {"scale": "100", "updates": "7", "parameters": "separate"})
    assert (world.settings.scale, world.settings.updates) == (100.0, 7)
    assert world.settings.parameters == "separate"


def test_an_unknown_world_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="got world 'region'; wanted one of regions"):
        make("region")


def test_an_unknown_setting_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"got setting scal.*updates.*scale"):
        make("regions", {"scal": "3"})


@pytest.mark.parametrize(
    "bad", [{"scale": "loud"}, {"parameters": "both"}, {"updates": "0"}, {"updates": "2.5"}]
)
def test_a_bad_value_is_named(bad: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=next(iter(bad))):
        make("regions", bad)


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_world_has_a_summary_and_documents_every_setting(name: str) -> None:
    entry = catalogue()[name]
    assert entry.summary
    assert entry.source
    assert make(name).settings.updates >= 1
    documented = set()
    for cls in entry.settings.__mro__[:-1]:
        body = ast.parse(inspect.getsource(cls)).body[0].body  # type: ignore[attr-defined]
        for line, following in pairwise(body):
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if isinstance(line, ast.AnnAssign) and is_text:
                documented.add(line.target.id)  # type: ignore[union-attr]
    assert {field.name for field in fields(entry.settings)} <= documented
