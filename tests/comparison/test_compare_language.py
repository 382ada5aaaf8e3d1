"""A comparison in a text world: the same result as elsewhere, resumable, its control exact."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from counterpoint.comparison import Plan, compare
from counterpoint.comparison.decoupling import pair_of
from counterpoint.comparison.run import backend_of
from counterpoint.comparison.text import random_replies
from counterpoint.errors import RunError, SchemeError, SettingError, UnknownNameError
from counterpoint.report import render
from counterpoint.report.terminal.parts import comparison_parts
from counterpoint.results import document_of, read_result
from counterpoint.worlds.text.world import Prompt

SMALL = {"prompts": "2", "rollouts": "8"}
SCHEMES = ("mappo_pooled", "mappo_per_agent")


def small(world="schelling", schemes=SCHEMES, seeds=2, budget=3, **changes):
    settings = {**SMALL, **changes.pop("settings", {})}
    return Plan(world, schemes, seeds, settings, budget=budget, **changes)


@pytest.fixture(scope="module")
def result():
    return compare(small(), workers=1)


def test_its_document_is_plain_json_and_gives_the_result_again(result):
    document = document_of(result)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert read_result(document) == result
    assert render(result)
    assert comparison_parts(result)


def test_the_document_has_what_others_rely_on(result):
    document = document_of(result)
    assert (document["world"], document["axis"]) == ("schelling", "update")
    assert document["agents"] == ["partner", "speaker"]
    assert document["references"] == {
        "random": 0.25, "optimal": None, "reference": 1.0, "silent": None,
        "scale": "share of episodes that agree",
    }  # fmt: skip
    config = document["config"]
    assert (config["policy"], config["budget"], config["seconds"]) == ("tiny", 3, None)
    assert config["settings"]["colours"] == 4
    assert config["settings"]["prompts"] == 2
    assert config["settings"]["lr"] == 0.003  # what stood for a default
    for scheme in document["schemes"].values():
        assert scheme["return"].keys() == {"iqm", "low", "high", "n"}
        assert scheme["normalized"]["n"] == 2
        assert scheme["weighted_return"] is None
        assert scheme["curves"]["update"] == [1, 2, 3]
        assert list(scheme["agents"]) == document["agents"]
    assert document["differences"]["mappo_per_agent"]["versus"] == "mappo_pooled"


def test_under_the_same_reward_it_says_that_nothing_can_matter(result):
    verdict, control = result.verdict, result.control
    assert control.max_advantage_difference <= 1e-12
    assert control.decoupling == "no-op"
    assert (verdict.decoupling, verdict.conditions, verdict.effect) == ("no-op", [], "tie")
    pooled, own = (result.schemes[name].curves.returns.iqm for name in SCHEMES)
    assert pooled == own  # bit for bit


@pytest.mark.fault("R25")
@pytest.mark.slow  # its twin in another world of words: `test_language_executors.py`
def test_any_number_of_workers_gives_the_same_result(result):
    assert compare(small(), workers=2) == result


def test_a_comparison_goes_on_where_it_was(result, tmp_path):
    told = []
    assert compare(small(), workers=1, folder=tmp_path) == result
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert runs == [f"{scheme}-{seed}" for scheme in sorted(SCHEMES) for seed in (0, 1)]
    again = compare(small(), workers=1, folder=tmp_path, on_row=lambda *row: told.append(row))
    assert again == result
    assert told == []  # nothing was trained again
    with pytest.raises(RunError, match="another plan"):
        compare(small(settings={"lr": "0.1"}), workers=1, folder=tmp_path)


def test_progress_is_told_by_scheme_and_seed():
    rows, units = [], []
    compare(
        small(budget=2),
        workers=1,
        on_row=lambda *told: rows.append(told),
        on_progress=lambda done, total: units.append((done, total)),
    )
    assert [(scheme, seed, told.step) for scheme, seed, told in rows] == [
        (scheme, seed, step) for seed in (0, 1) for scheme in SCHEMES for step in (1, 2)
    ]
    assert units[-1] == (8, 8)


def test_success_not_pay_is_compared():
    """A speaker that is paid a hundred more makes no team better."""
    paid = compare(small(budget=1, settings={"speaker_offset": "100"}), workers=1)
    for scheme in paid.schemes.values():
        assert 0 <= scheme.returns.iqm <= 1


# what can be known before anything is trained


def probed(world, schemes=SCHEMES, **settings):
    plan = Plan(world, schemes, 1, {"rollouts": 16, **settings}, budget=1)
    backend, pair = backend_of(plan), pair_of(schemes)
    return backend.probe(pair), backend.control(pair)


@pytest.mark.parametrize("world", ["schelling", "lewis", "relay"])
def test_all_paid_alike_is_a_no_op_and_a_control(world):
    probe, control = probed(world)
    assert (probe.verdict, probe.conditions) == ("no-op", ())
    assert control.decoupling == "no-op"


@pytest.mark.parametrize("world", ["schelling", "lewis", "relay"])
@pytest.mark.parametrize(
    "setting", [{"speaker_scale": 5.0}, {"speaker_offset": 1.0}, {"speaker_noise": 2.0}]
)
def test_a_speaker_paid_in_another_way_matters_and_the_control_has_none(world, setting):
    """In free text too, though the untrained team is asked before any model is there."""
    probe, control = probed(world, **setting)
    assert probe.verdict == "matters"
    assert probe.max_difference > 1e-3
    assert probe.conditions
    assert control.decoupling == "no-op"


def test_where_agents_do_not_speak_equally_often_there_is_no_control():
    probe, control = probed("solver_verifier")
    assert control is None
    assert probe.verdict == "matters"


def test_an_untrained_team_says_something_where_it_writes_freely():
    rng = np.random.default_rng(0)
    asks = [Prompt("a", "s", "tell apple, river", (), 4), Prompt("a", "s", " ", (), 4)]
    for _ in range(20):
        one, none = random_replies(asks, rng)
        assert set(one.text.split()) <= {"tell", "apple,", "river"}
        assert one.text
        assert none.text == ""
    words = [random_replies([Prompt("a", "s", "u", ("x", "y"))], rng)[0].text for _ in range(50)]
    assert set(words) == {"x", "y"}


@pytest.mark.few(1)
@pytest.mark.parametrize("world", ["solver_verifier", "relay"])
def test_the_other_worlds_can_be_compared_too(world):
    settings = {"most_tokens": "2", "things": "1"} if world == "relay" else {}
    schemes = SCHEMES[: 1 if world == "relay" else 2]
    found = compare(small(world, schemes, seeds=1, budget=1, settings=settings), workers=1)
    document = document_of(found)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert render(found)
    known = found.references.random is not None
    assert (found.schemes["mappo_pooled"].normalized is not None) is known


def test_without_schemes_five_are_compared_on_five_seeds():
    backend = backend_of(Plan("lewis"))
    assert backend.default_seeds == 5
    assert list(backend.schemes) == [
        "mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "agent_mean", "adaptive",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "error", "complaint"),
    [
        ({"settings": {"colors": 3}}, UnknownNameError, "did you mean colours"),
        ({"settings": {"colours": 1}}, SettingError, "colours"),
        ({"schemes": ("counterfactual",)}, SchemeError, "baseline"),
        ({"schemes": ("nonsense",)}, UnknownNameError, "nonsense"),
        ({"budget": 0}, SettingError, "budget"),
        ({"seeds": 0}, SettingError, "seeds"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(told, error, complaint):
    with pytest.raises(error, match=complaint):
        compare(small(**told), workers=1)


def test_a_language_model_is_for_worlds_of_words():
    with pytest.raises(SettingError, match="policy 'tiny' for world 'spread'"):
        compare(Plan("spread", model="tiny"), workers=1)
