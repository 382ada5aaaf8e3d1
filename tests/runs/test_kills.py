"""Kill -9 at random moments (R1), and several processes at one run directory (R21)."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_training import train

from counterpoint.runs.status import read_facts

CHILD = Path(__file__).with_name("toy_training.py")


def start(run, notes, until):
    paths = os.pathsep.join([str(Path(__file__).parents[2] / "src"), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, CHILD, run, notes, str(until)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def noted(notes, kind):
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith(kind)]


def killed_until_done(folder, until, kills, seed):
    """Kill a run that often at random moments, then let it end; how often it was resumed."""
    rng, run, notes = random.Random(seed), folder / "run", folder / "notes"
    for _ in range(kills):
        opened, acknowledged = len(noted(notes, "open")), max(noted(notes, "saved"), default=0)
        child = start(run, notes, until)
        # half of the kills fall into the opening, half into the training
        delay = time.monotonic() + (rng.uniform(0, 0.5) if rng.random() < 0.5 else 30)
        while len(noted(notes, "open")) == opened and time.monotonic() < delay:
            assert child.poll() is None, child.communicate()[1]
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        child.kill()
        _, told = child.communicate()
        assert child.returncode == -9, told
        for step in noted(notes, "open")[opened:]:
            assert step >= acknowledged, f"acknowledged {acknowledged}, resumed from {step}"
        if run.exists() and (run / "run.json").exists():
            assert read_facts(run).status in ("stopped", "finished")
    child = start(run, notes, until)
    _, told = child.communicate(timeout=120)
    assert child.returncode == 0, told
    return len(noted(notes, "open"))


def files(run):
    """What must be the same however often a run was killed."""
    paths = [run / "metrics.jsonl", *sorted((run / "checkpoints").rglob("*"))]
    return {str(p.relative_to(run)): p.read_bytes() for p in paths if p.is_file()}


def compare_with_straight(folder, until, kills, seed):
    resumed = killed_until_done(folder / "killed", until, kills, seed)
    train(folder / "straight", until, lambda line: None)
    assert files(folder / "killed" / "run") == files(folder / "straight")
    assert read_facts(folder / "killed" / "run").status == "finished"
    return resumed


@pytest.mark.fault("R1", "R3", cases=10)
def test_ten_kills_lose_nothing_and_change_nothing(tmp_path):
    (tmp_path / "killed").mkdir()
    assert compare_with_straight(tmp_path, 200, 10, seed=1) >= 4


@pytest.mark.fault("R1", "R3", cases=200)
@pytest.mark.slow
def test_200_kills_lose_nothing_and_change_nothing(tmp_path):
    for seed in range(10):
        (tmp_path / str(seed) / "killed").mkdir(parents=True)
        assert compare_with_straight(tmp_path / str(seed), 400, 20, seed) >= 10


@pytest.mark.fault("R21")
@pytest.mark.few(1)
@pytest.mark.parametrize("count", [2, 8])
def test_of_many_processes_one_wins_and_the_others_say_why(count, tmp_path):
    run, notes = tmp_path / "run", tmp_path / "notes"
    children = [start(run, notes, 2000) for _ in range(count)]
    losers, deadline = [], time.monotonic() + 60
    while len(losers) < count - 1 and time.monotonic() < deadline:
        losers = [child for child in children if child.poll() is not None]
        time.sleep(0.01)
    (winner,) = (child for child in children if child.poll() is None)
    assert len(noted(notes, "open")) == 1
    for child in losers:
        _, told = child.communicate()
        assert child.returncode == 2
        assert len(told.splitlines()) == 1
        assert f"in use by process {winner.pid} on" in told or "in use by another process" in told
    winner.kill()
    winner.communicate()
    assert read_facts(run).status == "stopped"
    again = start(run, notes, 3)
    assert again.wait(timeout=60) == 0
    again.communicate()
