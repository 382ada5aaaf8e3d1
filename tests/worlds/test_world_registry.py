"""Worlds by name: text settings are converted, wrong ones are named."""

from __future__ import annotations

import json

import pytest

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.worlds import catalogue, describe, make


def test_text_is_converted_to_the_type_of_the_setting() -> None:
    world = make("regions", {"scale": "100", "updates": "7", "parameters": "separate"})
    assert (world.settings.scale, world.settings.updates) == (100.0, 7)
    assert world.settings.parameters == "separate"


def test_an_unknown_world_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="got world 'region'; wanted one of regions"):
        make("region")


def test_a_world_of_many_steps_is_told_apart() -> None:
    with pytest.raises(UnknownNameError, match="got world 'spread', which has many steps; wanted"):
        make("spread")
    with pytest.raises(UnknownNameError, match="did you mean regions"):
        make("regoins")


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
def test_every_world_describes_itself_and_each_of_its_settings(name: str) -> None:
    facts = describe(name)
    assert facts["summary"]
    assert facts["source"]
    assert facts["random"] < facts["optimal"]
    for setting, known in facts["settings"].items():
        assert known["about"].endswith("."), setting
    assert json.loads(json.dumps(facts)) == facts


def test_settings_of_the_base_class_are_described_too() -> None:
    settings = describe("regions")["settings"]
    assert settings["lr"] == {"default": 0.2, "about": "Learning rate."}
    assert settings["scale"]["default"] == 10.0
