"""An environment of one's own on the command line: found, checked, warned about, resumed."""

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from unsealed import forget_seal

pytest.importorskip("torch")
pytest.importorskip("pettingzoo")

from counterpoint.cli.main import main
from counterpoint.report.pages.comparison.page import command
from counterpoint.results import read_result

TINY = ["copies=2", "steps=5", "hidden=8", "diagnose_every=1"]
ENVS = Path(__file__).parents[1] / "worlds" / "lamp_envs.py"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The current folder, which has a module; Python's path does not have the folder."""
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part != str(tmp_path)])
    shutil.copy(ENVS, tmp_path / "my_lamps.py")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("my_lamps", None)


def train(*words):
    return main(["train", "my_lamps:Lamps", *words, "--set", *TINY])


def test_it_is_found_in_the_current_folder_and_checked(capsys, here):
    assert train("shows=wide", "--budget", "10", "--out", "run") == 0
    lines = capsys.readouterr().err.splitlines()
    warnings = [line for line in lines if "warning: my_lamps:Lamps" in line]
    assert len(warnings) == 4  # shape and bounds, of each of two agents
    assert "counterpoint: 4 warnings about my_lamps:Lamps; --no-check plays without" in lines[4]
    assert sys.path[-1] == str(here)  # after all that is installed
    assert train("shows=wide", "--budget", "10", "--out", "other", "--no-check") == 0
    assert "warning" not in capsys.readouterr().err


def test_what_cannot_be_learned_stops_before_anything_is_written(capsys, here):
    assert train("pays=nothing", "--out", "run") == 2
    assert "got reward None of ann in step 1" in capsys.readouterr().err
    assert not (here / "run").exists()


def test_compare_and_worlds_check_it_too(capsys):
    command = ["compare", "my_lamps:Lamps", "--schemes", "none", "--seeds", "1", "--budget", "10"]
    command += ["--executor", "serial", "seeds=global", *TINY]
    assert main(command) == 0
    assert "warning: my_lamps:Lamps: with the same seed" in capsys.readouterr().err
    assert main([*command, "--no-check"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert main(["worlds", "my_lamps:LampsInTurns", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["agents"] == ["ann", "bob"]
    assert printed.err == ""


@pytest.mark.slow
def test_the_printed_command_continues_the_comparison(capsys, here):
    words = ["compare", "my_lamps:Lamps", "--schemes", "mappo_pooled,happo", "--budget", "10"]
    words += ["--executor", "serial", "--no-check", "--no-control", "--out", "my runs"]
    assert main([*words, "--seeds", "2", "--set", "rounds=3", *TINY]) == 0
    assert "--set rounds=3 copies=2" in capsys.readouterr().err.split("next: ")[1]
    result = read_result(json.loads((here / "my runs" / "results.json").read_text()))
    assert result.config["settings"]["rounds"] == 3
    begun = {path: path.stat().st_mtime_ns for path in here.glob("my runs/runs/*/metrics.jsonl")}
    assert len(begun) == 4

    def continues(line):
        given = shlex.split(line.replace("\\\n", " "))[1:]
        assert main([*given, "--executor", "serial", "--no-check", "--out", "my runs"]) == 0
        assert begun == {path: path.stat().st_mtime_ns for path in begun}  # not trained again

    # the lines of this version, and of the one before, which gave every setting
    line = command({**result.config, "seeds": 3})
    assert line.split("--set ")[1].split(" \\\n")[0].split() == ["rounds=3", *TINY]
    continues(line)
    assert (here / "my runs" / "runs" / "happo-2").is_dir()
    continues(command({k: x for k, x in result.config.items() if k != "given"}))
    capsys.readouterr()
    assert main([*words, "--seeds", "2", "--set", "rounds=4", *TINY]) == 2
    assert "another plan, with rounds=3 instead of 4; wanted" in capsys.readouterr().err


@pytest.mark.slow
def test_workers_find_it_too(capsys):
    command = ["compare", "my_lamps:Lamps", "--schemes", "none", "--seeds", "2", "--budget", "10"]
    assert main([*command, "--workers", "2", "--no-check", *TINY]) == 0


def test_a_default_budget_that_may_end_before_the_seconds_is_said(capsys):
    assert train("--seconds", "0.001", "--out", "run") == 0
    line = "ends after 0.001 seconds, or after the default budget of 20,000 steps if that is"
    assert line in capsys.readouterr().err
    assert train("--seconds", "0.001", "--budget", "99", "--out", "other") == 0
    assert "default budget" not in capsys.readouterr().err


def test_masks_of_zeros_are_counted_at_the_end(capsys):
    words = ("takes=four", "masks=empty", "--no-check", "--budget", "10", "--out", "run")
    assert train(*words) == 0
    text = "a mask of ann allowed nothing in 2 of its decisions"
    assert text in capsys.readouterr().err


def test_resume_finds_the_world_of_a_run_of_one_s_own_alone(capsys, here, monkeypatch):
    assert train("--budget", "20", "--out", "run") == 0
    state = here / "run" / "status.json"
    forget_seal(here / "run")
    state.write_text(state.read_text().replace("finished", "stopped"), encoding="utf-8")

    def resume_anew(path):
        sys.modules.pop("my_lamps", None)
        monkeypatch.setattr(sys, "path", [part for part in sys.path if part != str(here)])
        return main(["resume", path])

    assert resume_anew("run") == 0
    # a folder that somebody has sent is in no index of this machine
    monkeypatch.setenv("COUNTERPOINT_HOME", str(here / "another"))
    forget_seal(here / "run")
    state.write_text(state.read_text().replace("finished", "stopped"), encoding="utf-8")
    capsys.readouterr()
    assert resume_anew("run") == 2
    assert "put PYTHONPATH=. before the command if it is yours" in capsys.readouterr().err
