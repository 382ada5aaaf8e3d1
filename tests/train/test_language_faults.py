"""Language teams under faults: kill -9 (R1), signals (R20), two processes (R21), secrets (R18)."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from contextlib import suppress
from multiprocessing.connection import wait

import pytest

from forked_process import start_command

pytest.importorskip("transformers")

from counterpoint.cli.main import main
from counterpoint.cli.progress import TrainingDisplay
from counterpoint.runs import provenance
from counterpoint.runs.status import read_facts

LEWIS = ["lewis", "--policy", "tiny", "--scheme", "group_reward_decoupled"]
LEWIS += [
    "--set",
    "rollouts=16",
    "speaker_offset=5",
    "speaker_noise=.5",
    "entropy=.05",
    "entropy_end=.05",
]
EPISODES = 8 * 16
RELAY = ["relay", "--policy", "tiny", "--budget", "6", "--set", "rollouts=4"]


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(provenance, "git_revision", lambda: None)  # would only take time


@pytest.fixture
def errors(tmp_path):
    """The file of what processes write to their errors."""
    return tmp_path / "errors"


def lewis(out, budget):
    return ["train", *LEWIS, "--budget", str(budget), "--out", str(out)]


def begin_or_go_on(run, first):
    return ["resume", str(run)] if (run / "run.json").exists() else first


def lines(run):
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_rows(child, run, rows, before=0):
    """Until the run has as many new rows: what came after its last checkpoint is cut first."""
    low, until = before, time.monotonic() + 120
    while lines(run) < low + rows and child.exitcode is None and time.monotonic() < until:
        low = min(low, lines(run))
        time.sleep(0.002)
    assert time.monotonic() < until


def left(run):
    """Everything that a run leaves but clocks: rows, episodes, the last checkpoint, adapters."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        del row["seconds"]
    last = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    kept = [run / "episodes.jsonl", *last.rglob("*"), *(run / "adapters").rglob("*")]
    files = {str(p.relative_to(run)): p.read_bytes() for p in kept if p.is_file()}
    status = json.loads((run / "status.json").read_text())
    return rows, files, {key: status[key] for key in ("status", "return", "normalized")}


def episodes_are_complete(run, budget, episodes):
    told = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    assert [row["step"] for row in told] == list(range(1, budget + 1))
    for row in told:
        assert sum(one["count"] for one in row["episodes"]) == episodes


# kill -9


def killed_until_done(run, errors, budget, kills, seed):
    """Kill the training that often at random moments, then let it end; the updates it had made."""
    rng, seen = random.Random(seed), []
    for _ in range(kills):
        before = lines(run)
        child = start_command(*begin_or_go_on(run, lewis(run, budget)), log=errors)
        if rng.random() < 0.3:  # while it is being opened, or before there is anything
            time.sleep(rng.uniform(0.0, 1.0))
        else:
            wait_for_rows(child, run, rng.randrange(1, budget // 3), before)
            time.sleep(rng.uniform(0.0, 0.02))
        child.kill()
        child.join()
        assert child.exitcode in (-9, 0), errors.read_text()
        seen.append(lines(run))
        if (run / "run.json").exists():
            assert read_facts(run).status in ("stopped", "finished")
    assert main(begin_or_go_on(run, lewis(run, budget))) == 0
    return seen


def ends_as_if_never_killed(folder, budget, kills, seed):
    seen = killed_until_done(folder / "killed", folder / "errors", budget, kills, seed)
    assert main(lewis(folder / "straight", budget)) == 0
    assert left(folder / "killed") == left(folder / "straight")
    episodes_are_complete(folder / "killed", budget, EPISODES)
    return seen


@pytest.mark.fault("R1", "R3", cases=3)
def test_three_kills_change_nothing(tmp_path, capsys):
    seen = ends_as_if_never_killed(tmp_path, 24, 3, seed=2)
    assert any(0 < rows < 24 for rows in seen)
    capsys.readouterr()


@pytest.mark.fault("R1", "R3", cases=15)
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 6))
def test_fifteen_kills_change_nothing(seed, tmp_path, capsys):
    ends_as_if_never_killed(tmp_path, 150, 15, seed)
    capsys.readouterr()


# signals


@pytest.mark.fault("R20")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_with_a_checkpoint_and_resume_goes_on(number, tmp_path, errors, capsys):
    run, budget = tmp_path / "run", 400
    child = start_command(*lewis(run, budget), log=errors)
    wait_for_rows(child, run, 3)
    os.kill(child.pid, number)
    child.join(timeout=30)
    assert child.exitcode == 128 + number
    made = lines(run)
    assert 3 <= made < budget
    line = f"stopped at update {made} ({number.name}); resume with: counterpoint resume {run}"
    assert errors.read_text().splitlines()[-1] == line
    facts = read_facts(run)
    assert (facts.status, facts.step) == ("stopped", made)
    assert not (run / "adapters").exists()
    written = (run / "run.json").read_text()
    (run / "run.json").write_text(written.replace(f'"budget": {budget}', f'"budget": {made + 7}'))
    assert main(["resume", str(run), "--accept-edits"]) == 0
    assert main(lewis(tmp_path / "straight", made + 7)) == 0
    assert left(run) == left(tmp_path / "straight")
    capsys.readouterr()


@pytest.mark.timed
@pytest.mark.fault("R20")
@pytest.mark.slow
def test_a_second_interrupt_ends_it_at_once_and_loses_no_checkpoint(tmp_path, errors, capsys):
    run = tmp_path / "run"
    child = start_command("train", *RELAY, "--out", run, log=errors)
    wait_for_rows(child, run, 1)
    for _ in range(2):
        with suppress(ProcessLookupError):  # the first may have ended it already
            os.kill(child.pid, signal.SIGINT)
        time.sleep(0.05)
    sent = time.monotonic()
    child.join(timeout=30)
    assert time.monotonic() - sent < 10
    assert child.exitcode in (130, -signal.SIGINT)  # the second may come when all is done
    written = errors.read_text()
    assert f"counterpoint resume {run}" in written
    assert "Traceback" not in written
    assert main(["resume", str(run)]) == 0
    assert main(["train", *RELAY, "--out", str(tmp_path / "straight")]) == 0
    assert left(run) == left(tmp_path / "straight")
    episodes_are_complete(run, 6, 8 * 4)
    capsys.readouterr()


@pytest.mark.fault("R20")
@pytest.mark.few(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_within_one_update(number, tmp_path, monkeypatch, capsys):
    def twice(run, row):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingDisplay, "add", twice)
        assert main(lewis(tmp_path / "run", 15)) == 128 + number
    assert f"resume with: counterpoint resume {tmp_path / 'run'}" in capsys.readouterr().err
    assert read_facts(tmp_path / "run").status == "stopped"
    assert main(["resume", str(tmp_path / "run")]) == 0
    assert main(lewis(tmp_path / "straight", 15)) == 0
    assert left(tmp_path / "run") == left(tmp_path / "straight")
    capsys.readouterr()


def test_stopped_while_it_is_evaluated_it_is_evaluated_again(tmp_path, monkeypatch, capsys):
    def at_the_end(run, row):
        if row.step == 15:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingDisplay, "add", at_the_end)
        assert main(lewis(tmp_path / "run", 15)) == 130
    facts = read_facts(tmp_path / "run")
    assert (facts.status, facts.step, facts.returned) == ("stopped", 15, None)
    assert main(["resume", str(tmp_path / "run")]) == 0
    assert main(lewis(tmp_path / "straight", 15)) == 0
    assert left(tmp_path / "run") == left(tmp_path / "straight")
    capsys.readouterr()


# two processes


@pytest.mark.fault("R21")
def test_of_two_processes_on_one_run_one_works_and_the_other_says_why(tmp_path, capsys):
    run = tmp_path / "run"
    logs = {start_command(*lewis(run, 3000), log=tmp_path / name): tmp_path / name for name in "ab"}
    wait([child.sentinel for child in logs], timeout=120)
    (loser,) = (child for child in logs if child.exitcode is not None)
    (winner,) = (child for child in logs if child.exitcode is None)
    complaint = logs[loser].read_text()
    assert loser.exitcode == 2
    assert len(complaint.splitlines()) == 1
    assert "in use by" in complaint or "holds a run already" in complaint
    assert main(["resume", str(run)]) == 2  # a third one, while the winner works
    complaint = capsys.readouterr().err
    assert len(complaint.splitlines()) == 1
    assert f"in use by process {winner.pid}" in complaint
    wait_for_rows(winner, run, 2)
    winner.terminate()
    winner.join(timeout=30)
    assert winner.exitcode == 143
    assert read_facts(run).status == "stopped"
    steps = [json.loads(line)["step"] for line in (run / "episodes.jsonl").read_text().splitlines()]
    assert steps == list(range(1, lines(run) + 1))


# secrets

SECRETS = {
    "OPENAI_API_KEY": "sk-planted-0123456789abcdef",
    "HF_TOKEN": "hf_planted0123456789abcdef",
    "ANTHROPIC_API_KEY": "sk-ant-planted-0123456789",
    "AWS_SECRET_ACCESS_KEY": "planted/0123456789+abcdef",
    "DATABASE_PASSWORD": "planted hunter2",
}


@pytest.mark.fault("R18")
def test_nothing_of_the_environment_is_in_a_file_of_a_run(tmp_path, monkeypatch, capsys):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    run = tmp_path / "run"
    assert main([*lewis(run, 5), "--json"]) == 0
    assert main(["report", str(run)]) == 0
    assert main(["chat", str(run), "--episodes", "1"]) == 0
    small = ["--seeds", "1", "--budget", "3", "--workers", "1", "rollouts=4", "--out"]
    assert main(["compare", "lewis", *small, str(tmp_path / "compared")]) == 0
    assert main(["train", "relay", "--policy", "nowhere/at/all", "--out", str(run)]) == 2
    said = capsys.readouterr()
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 30
    for secret in SECRETS.values():
        assert secret not in said.out + said.err
        assert not any(secret.encode() in content for content in written)
