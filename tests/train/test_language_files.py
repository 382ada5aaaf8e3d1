"""A run has the hashes of its models' files, and does not go on with another model."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from made_models import made_model

from counterpoint.cli.main import main
from counterpoint.errors import ModelError
from counterpoint.lm.files import changed_files, model_files
from counterpoint.lm.model import open_model
from counterpoint.train.lora.plan import UNRECORDED, trained_team
from counterpoint.train.session import plan_from_config, plan_of
from unsealed import forget_seal

FAST = ["prompts=2", "rollouts=4", "diagnose_every=0"]


def written(folder, seed=0):
    model, tokenizer = made_model("llama", seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def base(tmp_path):
    return written(tmp_path / "base")


@pytest.fixture
def run(base, tmp_path, monkeypatch, capsys):
    """A run of two updates, stopped after the first one."""
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    words = ["--policy", str(base), "--budget", "1", "--out", str(tmp_path / "run")]
    assert main(["train", "lewis", *words, "--set", *FAST]) == 0
    capsys.readouterr()
    begun = tmp_path / "run"
    reopen(begun)
    return begun


def reopen(run):
    """The run as if its budget had been 2 updates, and it had been stopped after 1."""
    edited(run, lambda config: config.update(budget=2))
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(status | {"status": "stopped"}))


def edited(run, change):
    forget_seal(run)
    document = json.loads((run / "run.json").read_text())
    change(document["config"])
    (run / "run.json").write_text(json.dumps(document))


def refused(capsys, *words):
    capsys.readouterr()
    assert main([*words]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    return error


def commands(run):
    return (
        ("resume", str(run)),
        ("chat", str(run), "--episodes", "1"),
        ("model", "export", str(run)),
    )


def test_files_are_those_that_decide_what_a_model_computes(base):
    found = model_files(base)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(found)
    assert all(len(digits) == 64 for digits in found.values())
    (base / "README.md").write_text("of no consequence")
    config = json.loads((base / "config.json").read_text())
    config |= {"transformers_version": "1.0", "_name_or_path": "elsewhere"}
    (base / "config.json").write_text(json.dumps(config, indent=7))
    assert model_files(base) == found
    (base / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    then, now = changed_files(found, model_files(base)).pop("config.json")
    assert (len(then), len(now)) == (12, 12)
    assert then != now


def test_a_file_is_read_again_only_if_it_was_written_again(base, monkeypatch):
    found = model_files(base)
    weights = base / "model.safetensors"
    about = weights.stat()
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(bytes(changed))
    assert set(changed_files(found, model_files(base))) == {"model.safetensors"}
    os.utime(weights, ns=(about.st_atime_ns, about.st_mtime_ns))  # what a clock cannot see
    assert model_files(base) == found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda base: written(base, seed=1), "model.safetensors is another one"),
        (lambda base: (base / "tokenizer_config.json").unlink(), "tokenizer_config.json is gone"),
        (lambda base: (base / "added_tokens.json").write_text("{}"), "added_tokens.json is new"),
    ],
)
def test_a_model_that_changed_since_is_refused_by_all_that_use_the_run(
    change, said, base, run, capsys
):
    change(base)
    for words in commands(run):
        error = refused(capsys, *words)
        assert f"got model {base} with other files than at the start of the run" in error
        assert said in error


def test_the_same_model_goes_on_and_nothing_is_said_of_it(base, run, capsys):
    for words in reversed(commands(run)):
        assert main([*words]) == 0
        assert "hashes" not in capsys.readouterr().err


def test_runs_without_hashes_go_on_and_that_is_said_once(base, run, capsys):
    edited(run, lambda config: config.pop("model_files"))
    written(base, seed=1)
    for words in reversed(commands(run)):
        assert main([*words]) == 0
        assert capsys.readouterr().err.count(UNRECORDED) == 1


def test_the_tiny_model_has_no_files():
    plan = plan_of("lewis", given={}, model="tiny")
    assert plan.model_files == {}
    config = json.loads(json.dumps(plan.config()))
    del config["model_files"]
    assert plan_from_config(config).notes == ()


def test_a_comparison_does_not_go_on_with_another_model(base):
    plan = plan_of("lewis", given={}, model=str(base))
    written(base, seed=1)
    later = plan_of("lewis", given={}, model=str(base))
    (name,) = plan.differences(later)
    assert name == f"model.safetensors of {base}"
    older = replace(plan, model_files=None)
    assert older.differences(later) == later.differences(older) == {}


def test_a_process_does_not_take_the_former_model_for_the_new_one(base):
    first = open_model(str(base))
    assert open_model(str(base)) is first
    written(base, seed=1)
    assert open_model(str(base)) is not first


def test_a_file_that_cannot_be_read_is_one_line(base, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied", str(base / "model.safetensors"))

    monkeypatch.setattr("counterpoint.lm.files._hash", denied)
    with pytest.raises(ModelError, match=r"model\.safetensors \(Permission denied\)"):
        model_files(base)


def test_a_team_is_taken_out_of_its_run_with_its_model(base, run):
    plan, learner, updates = trained_team(run)
    assert (updates, learner.models["speaker"].name) == (1, str(base))
    assert set(plan.model_files) == {str(base)}
