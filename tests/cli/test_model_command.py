"""`counterpoint model`: what it says of a model that is here, is not, or is damaged."""

import json

import pytest

from counterpoint import optional
from counterpoint.cli import model as command
from counterpoint.cli.main import main
from counterpoint.lm.models import write_manifest
from counterpoint.optional import pip_line


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch, imports_untried):
    monkeypatch.setenv("COUNTERPOINT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "models"


@pytest.fixture
def fetched(models):
    folder = models / "smollm2"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    write_manifest(folder, "smollm2")
    return folder


def told(capsys, *words):
    assert main(["model", *words]) == 0
    return capsys.readouterr().out


def one_line(capsys, *words):
    assert main(["model", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    return err


def test_a_model_that_is_not_here(capsys, models):
    assert "do counterpoint model fetch smollm2" in one_line(capsys, "check")
    assert "missing" in told(capsys, "list")
    facts = json.loads(told(capsys, "list", "--json"))["smollm2"]
    assert facts["status"] == "missing"
    assert facts["folder"] == str(models / "smollm2")
    assert not models.exists()


def test_a_model_that_is_here(capsys, fetched):
    assert "fetched" in told(capsys, "list")
    assert str(fetched) in told(capsys, "check").replace("\n", "")
    facts = json.loads(told(capsys, "check", "smollm2", "--json"))
    assert facts == json.loads(told(capsys, "list", "--json"))["smollm2"]
    assert facts["status"] == "fetched"
    assert json.loads(told(capsys, "fetch", "--json")) == facts  # without a network


def test_a_damaged_model(capsys, fetched):
    (fetched / "model.safetensors").write_text("[]")
    assert json.loads(told(capsys, "list", "--json"))["smollm2"]["status"] == "fetched"
    assert "do counterpoint model fetch smollm2 --again" in one_line(capsys, "check")
    (fetched / "model.safetensors").write_text("")
    assert json.loads(told(capsys, "list", "--json"))["smollm2"]["status"] == "damaged"


def test_progress_goes_to_standard_error_a_line_every_tenth(capsys, fetched, monkeypatch):
    def fetch(name, *, again, on_progress):
        for done in range(93):
            on_progress("downloading", done, 92)
        on_progress("converting", 4, 4)

    monkeypatch.setattr(command, "fetch", fetch)
    assert main(["model", "fetch", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["name"] == "smollm2"
    lines = err.splitlines()
    assert len(lines) == 11
    assert lines[9] == "downloading: 92 of 92 (100%)"
    assert lines[10] == "converting: 4 of 4 (100%)"


def test_bad_input_is_one_line(capsys, monkeypatch):
    assert "wanted one of smollm2" in one_line(capsys, "fetch", "gpt")
    assert "wanted one of smollm2" in one_line(capsys, "check", "gpt")
    assert "wanted it with fetch" in one_line(capsys, "check", "--again")
    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    assert pip_line("language") in one_line(capsys, "fetch")


def test_the_doctor_knows(capsys, models):
    def look():
        assert main(["doctor", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert look()["models"] == {"smollm2": False}
    assert any("train teams of language models" in what for what in look()["can"])
    assert look()["memory_gb"] is None or look()["memory_gb"] > 0
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "counterpoint model fetch" in told
    assert "0.5 GB a worker" in told


def test_the_doctor_sees_a_model(capsys, fetched):
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == {"smollm2": True}
