"""Worlds by name: one registry, text settings are converted, wrong names are answered."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from counterpoint.comparison.plan import COMPARED, Plan
from counterpoint.comparison.run import BACKENDS
from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.train.session import PLANS
from counterpoint.worlds import Kind, World, find_world, worlds
from counterpoint.worlds.kind import SettingFacts

TASK: dict[str, Any] = {
    "description": "Which door?",
    "shared_information": ["There are two doors."],
    "hidden_information": ["The left one squeaks.", "The right one is new."],
    "possible_answers": ["left", "right"],
    "correct_answer": "right",
}
OWN = """
from counterpoint.worlds import Prompt, Ending, References, Statement, TextSettings, TextWorld


class Nods(TextWorld):
    name = summary = "nods"
    agents = roles = ("a",)
    speaker = "a"
    references = References(0.5, 1.0, "share")
    made = 0

    def __init__(self, settings=None):
        type(self).made += 1
        super().__init__(settings)

    def tasks(self, rng, count):
        return [("x",)] * count

    def prompts(self, task, said):
        return () if said else (Prompt("a", "s", "u", ("red", "blue")),)

    def ending(self, task, said):
        return Ending(float(said[0].text == "red"), ((1.0,),))


class Env:
    possible_agents = ["a"]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which Python imports `own_worlds`."""
    (tmp_path / "own_worlds.py").write_text(OWN, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_worlds", raising=False)
    return tmp_path


def test_text_is_converted_to_the_type_of_the_setting() -> None:
    world = find_world("regions").make({"scale": "100", "updates": "7", "parameters": "separate"})
    assert (world.settings.scale, world.settings.updates) == (100.0, 7)
    assert world.settings.parameters == "separate"


def test_an_unknown_world_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'region'; did you mean regions\? `counterpoint w"):
        find_world("region")
    with pytest.raises(
        UnknownNameError, match=r"; did you mean regions\? `counterpoint worlds` lists"
    ):
        find_world("regoins")


@pytest.mark.parametrize(
    ("name", "kind", "complaint"),
    [
        ("spread", Kind.EXACT, r"is a sequential environment \(counterpoint compare spread\); "),
        ("regions", Kind.TEXT, r"an exact world \(counterpoint compare regions\); wanted one of s"),
        ("hidden_profile", Kind.SEQUENTIAL, r"\(counterpoint topology hidden_profile\); "),
        ("mpe2:simple_tag_v3", Kind.EXACT, r"is a sequential environment .*`counterpoint worlds`"),
        ("regoins", Kind.EXACT, r"did you mean regions\? `counterpoint worlds` lists them"),
        ("spraed", Kind.SEQUENTIAL, r"did you mean spread\? .*"),
        ("lewi", Kind.TEXT, r"did you mean lewis\? wanted .*PACKAGE.MODULE:CLASS"),
        ("hidden_profil", Kind.MESSAGE, r"did you mean hidden_profile\? wanted .*tasks:PATH"),
    ],
)
def test_a_world_of_another_kind_and_a_typing_error_are_one_line(
    name: str, kind: Kind, complaint: str
) -> None:
    with pytest.raises(UnknownNameError, match=complaint) as refused:
        find_world(name, kind)
    assert "\n" not in str(refused.value)


def test_names_of_others_are_resolved_and_nothing_is_made(own: Path) -> None:
    nods = find_world("own_worlds:Nods")
    assert (nods.name, nods.kind, nods.summary) == ("own_worlds:Nods", Kind.TEXT, "nods")
    assert nods.world.made == 0  # type: ignore[attr-defined]
    assert nods.make().agents == ("a",)
    assert nods.world.made == 1  # type: ignore[attr-defined]
    assert find_world("own_worlds:Env").kind is Kind.SEQUENTIAL
    assert find_world("mpe2:no_such_world").kind is Kind.SEQUENTIAL  # its package is not asked yet
    with pytest.raises(UnknownNameError, match=r"own_worlds has no Nod; did you mean Nods"):
        find_world("own_worlds:Nod")
    file = own / "tasks.json"
    file.write_text(json.dumps([TASK]), "utf-8")
    tasks = find_world(f"tasks:{file}")
    assert (tasks.kind, tasks.make().settings.members) == (Kind.MESSAGE, 2)
    assert tasks.describe().command == f"counterpoint topology tasks:{file}"


def test_the_plan_of_a_comparison_makes_no_world(own: Path) -> None:
    Plan("own_worlds:Nods", ("grpo",))
    assert sys.modules["own_worlds"].Nods.made == 0
    Plan("own_worlds:Env", ("grpo",))  # it has no spaces: to make it would be refused
    Plan("mpe2:no_such_world", ("counterfactual",))
    Plan("regions", settings={"no_such_setting": 1})
    with pytest.raises(UnknownNameError, match=r"got scheme 'grpu'.*did you mean"):
        Plan("regions", ("grpu",))
    with pytest.raises(UnknownNameError, match="own_worlds has no Nod"):
        Plan("own_worlds:Nod")


def test_names_are_unique_and_every_kind_has_worlds() -> None:
    names = [entry.name for entry in worlds()]
    assert len(set(names)) == len(names)
    assert [entry for kind in Kind for entry in worlds(kind)] == worlds()
    assert all(worlds(kind) for kind in Kind)


def test_every_kind_that_is_compared_has_a_backend_and_every_plan_a_kind() -> None:
    assert set(BACKENDS) == set(COMPARED) == set(Kind) - {Kind.MESSAGE}
    assert set(PLANS) == set(COMPARED) - {Kind.EXACT}


def test_an_unknown_setting_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"got setting scal.*updates.*scale"):
        find_world("regions").make({"scal": "3"})


@pytest.mark.parametrize(
    "bad", [{"scale": "loud"}, {"parameters": "both"}, {"updates": "0"}, {"updates": "2.5"}]
)
def test_a_bad_value_is_named(bad: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=next(iter(bad))):
        find_world("regions").make(bad)


@pytest.mark.parametrize("entry", worlds(), ids=lambda entry: entry.name)
def test_every_world_describes_itself_and_each_of_its_settings(entry: Any) -> None:
    facts = entry.describe()
    assert (facts.name, facts.summary, facts.source) == (entry.name, entry.summary, entry.source)
    assert facts.summary
    assert facts.source
    for setting, known in facts.settings.items():
        assert known.about.endswith("."), setting
    assert msgspec.json.decode(msgspec.json.encode(facts), type=type(facts)) == facts


@pytest.mark.parametrize("entry", worlds(Kind.EXACT), ids=lambda entry: entry.name)
def test_a_random_team_is_worse_than_the_best(entry: Any) -> None:
    world: World = entry.make()
    assert world.random < world.optimal


def test_settings_of_the_base_class_are_described_too() -> None:
    settings = find_world("regions").describe().settings
    assert settings["lr"] == SettingFacts(0.2, "Learning rate.")
    assert settings["scale"].default == 10.0
