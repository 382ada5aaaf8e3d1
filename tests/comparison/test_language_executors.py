"""A comparison in a text world: one result, wherever trainings run, and what only it says."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

pytest.importorskip("transformers")

from counterpoint.comparison import Plan, compare
from counterpoint.comparison.run import backend_of
from counterpoint.errors import (
    ModelError,
    RunError,
    SchemeError,
    SettingError,
    UnknownNameError,
)
from counterpoint.report import render
from counterpoint.report.terminal.parts import comparison_parts
from counterpoint.results import document_of
from counterpoint.runs.status import RunStatus, write_status
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.worlds.text.conventions import LewisSettings

SMALL = {"prompts": "4", "rollouts": "4", "layers": "1", "targets": "attention"}
SCHEMES = ("mappo_pooled", "group_reward_decoupled")


def small(world="lewis", schemes=SCHEMES, **changes):
    settings = {**SMALL, **changes.pop("settings", {"speaker_offset": "5", "speaker_noise": ".5"})}
    return Plan(world, schemes, seeds=2, settings=settings, budget=11, **changes)


@pytest.fixture(scope="module")
def result():
    return compare(small(), workers=1)


def test_the_document_is_plain_json_and_complete(result):
    document = document_of(result)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert (document["kind"], document["axis"]) == ("text", "update")
    assert document["agents"] == ["listener", "speaker"]
    config = document["config"]
    assert (config["policy"], config["budget"], config["seeds"]) == ("tiny", 11, 2)
    assert (
        config["settings"].keys()
        == {**asdict(LewisSettings()), **asdict(LanguageSettings())}.keys()
    )
    assert config["settings"]["rollouts"] == 4
    assert document["references"]["scale"] == "share of objects guessed"
    for scheme in document["schemes"].values():
        assert scheme["curves"]["update"] == list(range(1, 12))
        assert scheme["weighted_return"] is None
        assert scheme["normalized"]["n"] == 2
        assert list(scheme["agents"]) == document["agents"]
    assert render(result)
    assert comparison_parts(result)


@pytest.mark.fault("R25")
@pytest.mark.few(1)
@pytest.mark.parametrize("how", [{"executor": "serial"}, {"workers": 2}])
def test_any_executor_gives_the_same_result(how, result):
    assert compare(small(), **how) == result


@pytest.mark.slow  # each process imports torch and transformers: 4 seconds
@pytest.mark.parametrize("world", ["relay", "schelling", "solver_verifier"])
def test_so_it_is_in_the_other_worlds(world):
    settings = {"speaker_scale": "3"}
    settings |= {"most_tokens": "2", "diagnose_every": "0"} if world == "relay" else {}
    plan = replace(small(world, settings=settings), budget=2)
    found = compare(plan, executor="serial")
    assert compare(plan, workers=2) == found
    assert found.schemes["mappo_pooled"].returns.n == 2


@pytest.mark.fault("R25")
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Ray's own making
def test_ray_gives_the_same_result(result):
    pytest.importorskip("ray")
    assert compare(small(), workers=2, executor="ray") == result


def test_it_goes_on_where_it_was(result, tmp_path):
    told = []
    assert compare(small(), workers=1, folder=tmp_path) == result
    for run in (tmp_path / "runs").iterdir():
        assert (run / "adapters" / "speaker" / "adapter_config.json").exists()
    run = tmp_path / "runs" / "mappo_pooled-1"
    write_status(run, RunStatus(status="running"))  # as if it had been killed
    (run / "checkpoints" / "11" / "facts.json").unlink()
    again = compare(small(), workers=1, folder=tmp_path, on_row=lambda *row: told.append(row))
    assert again == result
    assert [(scheme, seed, row.step) for scheme, seed, row in told] == [("mappo_pooled", 1, 11)]
    with pytest.raises(RunError, match="another plan"):
        compare(small(settings={"lr": "0.1"}), workers=1, folder=tmp_path)


def test_progress_is_told_in_updates():
    rows, units = [], []
    compare(
        small(schemes=("grpo",)),
        workers=1,
        on_row=lambda *told: rows.append(told),
        on_progress=lambda done, total: units.append((done, total)),
    )
    assert [(seed, row.step) for _, seed, row in rows] == [
        (seed, step) for seed in (0, 1) for step in range(1, 12)
    ]
    assert units[-1] == (22, 22)


def test_decoupling_is_a_no_op_where_all_are_paid_alike_and_speak_alike(result):
    assert result.control.decoupling == "no-op"
    assert result.control.max_advantage_difference < 1e-12
    assert result.verdict.decoupling == "matters"
    assert "C3" in result.verdict.conditions
    found = compare(small(schemes=("mappo_pooled", "mappo_per_agent"), settings={}), workers=1)
    assert found.verdict.decoupling == "no-op"
    assert found.verdict.effect == "tie"
    pooled, own = (s.curves.returns.iqm for s in found.schemes.values())
    np.testing.assert_allclose(pooled, own, rtol=0, atol=1e-9)


def test_where_agents_do_not_speak_equally_often_there_is_no_control():
    found = compare(small("solver_verifier", ("grpo",), settings={}), workers=1)
    assert found.control is None
    page = render(found)
    assert "not possible: agents do not all speak equally often" in page
    assert "not run for this comparison" not in page


def test_defaults_are_those_of_the_model():
    backend = backend_of(Plan("lewis"))
    assert (backend.first.model, backend.first.budget, backend.default_seeds) == ("tiny", 150, 5)
    assert backend.schemes[0] == "mappo_pooled"
    assert backend.training("agent_mean", 3).seed == 3


@pytest.mark.parametrize(
    ("plan", "error", "said"),
    [
        ({"world": "lewsi"}, UnknownNameError, "did you mean lewis"),
        ({"world": "lewis", "settings": {"rnak": 3}}, UnknownNameError, "did you mean rank"),
        ({"world": "lewis", "settings": {"rank": 0}}, SettingError, "rank=0"),
        ({"world": "lewis", "budget": 0}, SettingError, "budget=0"),
        ({"world": "lewis", "seconds": 0}, SettingError, "seconds=0"),
        ({"world": "lewis", "schemes": ("counterfactual",)}, SchemeError, "cannot answer it"),
        ({"world": "lewis", "schemes": ("grpo", "grpu")}, UnknownNameError, "grpu"),
        ({"world": "lewis", "model": "./nowhere"}, ModelError, "nowhere"),
        ({"world": "regions", "model": "tiny"}, SettingError, "do not speak"),
        ({"world": "spread", "model": "tiny"}, SettingError, "do not speak"),
    ],
)
def test_bad_plans_are_refused_before_anything_is_trained(plan, error, said):
    with pytest.raises(error, match=said):
        compare(Plan(**plan), workers=1)
