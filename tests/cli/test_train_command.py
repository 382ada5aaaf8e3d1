"""`counterpoint train` and `resume`: a run directory, signals, and one-line errors."""

import json
import os
import shutil
import signal
import time

import pytest

from forked_process import start_command
from unsealed import forget_seal

pytest.importorskip("torch")

from counterpoint.cli.doctor import words
from counterpoint.cli.main import main
from counterpoint.cli.progress import ComparisonDisplay, TrainingDisplay
from counterpoint.optional import pip_line
from counterpoint.report.terminal.tables import sparkline
from counterpoint.runs.lock import Lock
from counterpoint.runs.metrics import read_rows
from counterpoint.runs.status import read_facts
from counterpoint.train.series import TrainingProgress, row_from_line

TINY = ["copies=8", "steps=5", "hidden=8", "diagnose_every=1"]


@pytest.fixture(autouse=True)
def _own_index(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))


def train(*words):
    return main(["train", "spread", "--set", *TINY, *words])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs of 80, 160 and 4000 steps in folders of these names, for tests that change a copy."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERPOINT_HOME", str(folder / "home"))
        for budget in ("80", "160", "4000"):
            assert train("--budget", budget, "--out", str(folder / budget)) == 0
    return folder


def test_a_run_directory_comes_out(tmp_path, capsys):
    out = tmp_path / "run"
    assert train("--budget", "80", "--out", str(out), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "finished"
    assert told["step"] == 80
    assert told["return"] < 0
    assert list(told["agents"]) == ["agent_0", "agent_1", "agent_2"]
    assert json.loads((out / "run.json").read_text())["config"]["world"] == "spread"
    assert [row["step"] for row in read_rows(out / "metrics.jsonl")[0]] == [40, 80]
    assert (out / "checkpoints" / "80" / "manifest.json").exists()


def test_a_world_without_an_end_says_why_there_is_no_return(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("counterpoint.train.stepwise.LONGEST_EVALUATION", 50)
    assert train("--budget", "80", "horizon=60", "--out", str(tmp_path / "run"), "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["return"] is None
    line = told.err.splitlines()[-1]
    assert "the return is not known: no episode of 'spread' ended in 50 steps" in line
    assert "set horizon" in line
    command = ["compare", "spread", "--schemes", "none", "--seeds", "1", "--budget", "80"]
    command += ["--executor", "serial", "--set", *TINY, "horizon=60"]
    assert main(command) == 2
    assert "set horizon" in capsys.readouterr().err


def test_the_default_folder_is_named_for_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train("--budget", "40", "--seed", "3") == 0
    assert (tmp_path / "counterpoint-out/train/spread-mappo_pooled-3/run.json").exists()
    assert "learning curve" in capsys.readouterr().out


def test_a_budget_of_less_than_a_batch_is_said(tmp_path, capsys):
    assert train("--budget", "3", "--out", str(tmp_path / "run"), "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["step"] == 40
    assert told.err.splitlines()[0].endswith(
        "got budget=3, less than a batch: one update of 40 steps"
    )
    command = ["compare", "spread", "--schemes", "none", "--seeds", "1", "--budget", "3"]
    assert main([*command, "--executor", "serial", "--set", *TINY]) == 0
    assert "one update of 40 steps" in capsys.readouterr().err
    assert train("--budget", "40", "--out", str(tmp_path / "other")) == 0
    assert "less than a batch" not in capsys.readouterr().err


def test_a_finished_run_says_so(tmp_path, capsys):
    out = str(tmp_path / "run")
    train("--budget", "40", "--out", out)
    capsys.readouterr()
    assert main(["resume", out]) == 0
    assert "finished" in capsys.readouterr().err
    assert train("--budget", "40", "--out", out) == 2
    said = capsys.readouterr().err
    assert f"counterpoint resume {out}" in said
    assert "--out" in said


def test_a_run_has_a_page(tmp_path, capsys):
    out = tmp_path / "run"
    train("--budget", "480", "--out", str(out), "reward=common")
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "after 480 steps" in page
    assert "Collapsed" in page
    capsys.readouterr()


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_starts_again(trained, tmp_path, capsys):
    whole, cut = trained / "80", tmp_path / "cut"
    shutil.copytree(whole, cut)
    for path in sorted((cut / "checkpoints").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (cut / "status.json").write_text('{"status": "running"}')
    assert main(["resume", str(cut)]) == 0
    assert series(cut) == series(whole)


def test_a_busy_run_is_one_line(tmp_path, capsys):
    out = tmp_path / "run"
    train("--budget", "40", "--out", str(out))
    capsys.readouterr()
    forget_seal(out)
    (out / "status.json").write_text('{"status": "running"}')
    lock = Lock(out / "lock")
    assert main(["resume", str(out)]) == 2
    lock.release()
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert "in use" in told.err


def series(path):
    rows, _ = read_rows(path / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def stopped_at_80_of_160(trained, path):
    """A run that can go on, from its only checkpoint."""
    shutil.copytree(trained / "80", path)
    forget_seal(path)
    written = (path / "run.json").read_text()
    (path / "run.json").write_text(written.replace('"budget": 80', '"budget": 160'))
    (path / "status.json").write_text('{"status": "stopped"}')


@pytest.mark.few(1)
@pytest.mark.parametrize("left", [None, 1, 0.5])
def test_a_series_that_was_lost_or_cut_is_told_and_nothing_else_is_lost(
    left, trained, tmp_path, capsys
):
    whole, cut = trained / "160", tmp_path / "cut"
    stopped_at_80_of_160(trained, cut)
    file = cut / "metrics.jsonl"
    rows = file.read_bytes().splitlines(keepends=True)
    assert len(rows) == 2
    file.unlink() if left is None else file.write_bytes(rows[0][: int(left * len(rows[0]))])
    capsys.readouterr()
    assert main(["resume", str(cut), "--json"]) == 0
    told = capsys.readouterr()
    lost = 1 if left == 1 else 2
    assert f"lacks {lost} of the 2 updates" in told.err
    assert ("damaged lines dropped: 1" in told.err) == (left == 0.5)
    assert json.loads(told.out)["updates"] == 4
    assert [row["step"] for row in series(cut)] == [40] * (left == 1) + [120, 160]
    last = "checkpoints/160/tensors.safetensors"
    assert (cut / last).read_bytes() == (whole / last).read_bytes()


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ('"hidden": 8', '"hidden": 16', "adam.weights"),
        ('"copies": 8', '"copies": 4', "player.first"),
        ('"world": "spread"', '"world": "foraging"', "adam.weights"),
        ('"world": "spread"', '"world": 7', "$.world"),
        ('"seed": 0', '"seed": "x"', "$.seed"),
        ('"hidden": 8', '"hidden": -8', "hidden=-8"),
        ('"config": {', '"config": [', "damaged"),
        ('"kind": "train"', '"kind": "x"', "no training run"),
    ],
)
def test_a_run_json_that_was_edited_is_one_line(was, now, said, trained, tmp_path, capsys):
    stopped_at_80_of_160(trained, tmp_path / "run")
    file = tmp_path / "run" / "run.json"
    assert was in file.read_text()
    file.write_text(file.read_text().replace(was, now))
    capsys.readouterr()
    assert main(["resume", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert said in told


def test_results_are_not_written_over_a_run(tmp_path, capsys):
    out = str(tmp_path / "run")
    train("--budget", "40", "--out", out)
    before = (tmp_path / "run" / "run.json").read_bytes()
    capsys.readouterr()
    assert main(["compare", "regions", "--seeds", "1", "updates=3", "--out", out]) == 2
    assert "holds a training run" in capsys.readouterr().err
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    other = tmp_path / "results"
    assert main(["compare", "regions", "--seeds", "1", "updates=3", "--out", str(other)]) == 0
    capsys.readouterr()
    assert train("--budget", "40", "--out", str(other)) == 2
    assert "of no training run; choose another" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_also_says_how_to_go_on(number, tmp_path, monkeypatch, capsys):
    def twice(run, row):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(TrainingDisplay, "add", twice)
    out = tmp_path / "run"
    assert train("--budget", "80", "--out", str(out)) == 128 + number
    said = capsys.readouterr().err
    assert f"resume with: counterpoint resume {out}" in said
    assert read_facts(out).status == "stopped"


@pytest.mark.few(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_and_resume_goes_on_bit_for_bit(number, trained, tmp_path):
    stopped, errors = tmp_path / "stopped", tmp_path / "errors"
    words = ["train", "spread", "--budget", "4000", "--set", *TINY, "--out", stopped]
    process = start_command(*words, log=errors)
    while not (stopped / "metrics.jsonl").exists() or len(series(stopped)) < 3:
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join(timeout=20)
    assert process.exitcode == 128 + number
    assert f"counterpoint resume {stopped}" in errors.read_text()
    assert 3 <= len(series(stopped)) < 100
    assert main(["resume", str(stopped)]) == 0
    assert series(stopped) == series(trained / "4000")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "spraed"], "did you mean spread"),
        (["train", "regions"], "counterpoint compare regions"),
        (["train", "spread", "--scheme", "grpu"], "grpo"),
        (["train", "spread", "--scheme", "conterfactual"], "did you mean counterfactual"),
        (["train", "spread", "max_norm=0"], "max_norm=0"),
        (["train", "spread", "copies=2", "steps=3", "minibatches=7"], "at most 6, the steps of"),
        (["compare", "spread", "copies=2", "memory=gru", "minibatches=3"], "at most 2, the copies"),
        (["compare", "spread", "--workers", "0", "--out", "here"], "0 workers"),
        (["compare", "regions", "--workers", "0", "--out", "here"], "0 workers"),
        (["demo", "--workers", "0", "--out", "here"], "0 workers"),
        (["demo", "--seeds", "0", "--out", "here"], "seeds=0"),
        (["train", "spread", "hiden=3"], "did you mean hidden"),
        (["train", "spread", "--budget", "0"], "budget=0"),
        (["train", "spread", "--seconds", "0"], "seconds=0"),
        (["resume", "nowhere"], "nowhere is no run"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert said in told.err
    assert list(tmp_path.iterdir()) == []


def test_sparklines():
    assert sparkline([]) == ""
    assert sparkline([None]) == ""
    assert sparkline([0.0, None, 7.0]) == "▁█"
    assert sparkline([1.0, 1.0]) == "▄▄"
    assert len(sparkline(list(range(1000)))) == 24


def test_what_is_shown_while_it_runs():
    shown = TrainingDisplay("pooled on spread", 100)
    assert shown.drawn()
    agents = {"a": {"collapsed": True, "cause": "DEAD"}, "b": {"collapsed": False, "cause": None}}
    first = {"step": 40, "return": -3.0, "normalized": 0.5, "agents": agents}
    shown.add(row_from_line(first))
    shown.add(row_from_line({"step": 80, "return": None, "normalized": 0.5}))
    assert "collapsed: a (DEAD)" in shown.parts(shown.row)
    assert "return -3.00" in shown.parts(shown.row)
    board = ComparisonDisplay("spread", ("one", "two"), 2, 100)
    board.add("one", 0, TrainingProgress(50, -2.0, ("a",)))
    board.add("one", 1, TrainingProgress(100, -4.0, None))
    assert board.cells("one") == ("-3.00", "▄", "75%", "a (1/2)")
    assert board.cells("two") == ("", "", "0%", "")
    board.add("one", 0, TrainingProgress(50, -2.5, None))
    assert len(board.rows["one"][0]) == 1  # told again after its worker died


def test_compare_goes_on_where_it_was_killed(tmp_path, capsys):
    command = ["compare", "spread", "--schemes", "mappo_pooled,none", "--seeds", "1", "--budget"]
    command += ["80", "--workers", "1", "--set", *TINY, "--json", "--out"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    whole = capsys.readouterr().out
    assert main([*command, str(tmp_path / "cut")]) == 0
    capsys.readouterr()
    run = tmp_path / "cut" / "runs" / "none-0"
    forget_seal(run)
    (run / "status.json").write_text('{"status": "running"}')
    shutil.rmtree(run / "checkpoints" / "80")
    assert main([*command, str(tmp_path / "cut")]) == 0
    told = capsys.readouterr()
    assert told.out == whole
    assert (tmp_path / "cut" / "report.html").exists()
    assert "100% of all steps" not in told.err  # only one training was done again


def test_compare_refuses_a_run_whose_series_was_lost(tmp_path, capsys):
    command = ["compare", "spread", "--schemes", "none", "--seeds", "1", "--budget", "80"]
    command += ["--workers", "1", "--set", *TINY, "--out", str(tmp_path / "out")]
    assert main(command) == 0
    run = tmp_path / "out" / "runs" / "none-0"
    (run / "metrics.jsonl").unlink()
    capsys.readouterr()
    assert main(command) == 2
    assert f"remove {run} to train it again" in capsys.readouterr().err


def test_doctor_says_what_the_machine_can_do(capsys, imports_untried):
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["can"]["train teams of networks in sequential environments, stop and resume"]
    no_ray = words({**told["packages"], "ray": None}, {})[3]
    assert no_ray.startswith("It cannot run tasks")
    assert pip_line("ray") in no_ray
