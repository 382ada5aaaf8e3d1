"""`compare` or its workers are killed with SIGKILL: the same command then gives the same result."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.fault("R45"),
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc to find workers in"),
]
SCHEMES = ["--schemes", "mappo_pooled,mappo_per_agent", "--seeds", "2", "--workers", "2"]
EXACT = ["compare", "regions", *SCHEMES, "--set", "updates=150"]
STEPS = ["compare", "spread", *SCHEMES, "--budget", "4000", "--set", "copies=8", "steps=5",
         "hidden=8", "horizon=5", "diagnose_every=1"]  # fmt: skip


def start(command, out):
    return subprocess.Popen(
        [sys.executable, "-m", "counterpoint", *command, "--out", out],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def beside(main):
    """The processes of a session other than the one that began it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != main:
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            if int(stat[3]) == main and stat[0] != "Z":
                found.append(int(entry.name))
    return found


def is_deserted(main):
    deadline = time.monotonic() + 10
    while beside(main) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not beside(main)


def ended(running):
    _, told = running.communicate(timeout=300)
    assert running.returncode == 0, told
    assert is_deserted(running.pid)
    return told


@pytest.fixture(scope="module", params=["exact", pytest.param("steps", marks=pytest.mark.slow)])
def straight(request, tmp_path_factory):
    """A command, the result of a run that nobody killed, and how long it took."""
    if request.param == "steps":
        pytest.importorskip("torch")
    command, out = EXACT if request.param == "exact" else STEPS, tmp_path_factory.mktemp("straight")
    begun = time.monotonic()
    ended(start(command, out))
    return command, (out / "results.json").read_bytes(), time.monotonic() - begun


def killed_until_done(straight, out, kills, seed):
    """Kill the command at random moments, then let it end; how many kills met it at work."""
    command, wanted, seconds = straight
    rng, met = random.Random(seed), 0
    for _ in range(kills):
        running = start(command, out)
        time.sleep(rng.uniform(0.2, 1.0) * seconds)
        met += running.poll() is None
        running.kill()
        running.communicate()
        assert is_deserted(running.pid)
        results = out / "results.json"
        assert not results.exists() or results.read_bytes() == wanted
    for left in out.rglob(".*partial*"):
        os.utime(left, (0, 0))  # a new one may be somebody's who is about to lock it
    ended(start(command, out))
    assert (out / "results.json").read_bytes() == wanted
    assert not list(out.rglob(".*partial*"))
    return met


def test_a_killed_comparison_is_begun_again_with_the_same_result(straight, tmp_path):
    assert killed_until_done(straight, tmp_path / "out", 2, seed=1) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_kills_of_a_comparison_change_nothing(straight, tmp_path, seed, record_property):
    record_property("cases", killed_until_done(straight, tmp_path / "out", 10, seed))


def test_killed_workers_are_replaced_with_the_same_result(straight, tmp_path, record_property):
    command, wanted, seconds = straight
    rng, killed, running = random.Random(3), 0, start(command, tmp_path / "out")
    deadline = time.monotonic() + 60
    while running.poll() is None and killed < 3 and time.monotonic() < deadline:
        time.sleep(rng.uniform(0.1, 0.3) * seconds)
        if workers := beside(running.pid):
            os.kill(rng.choice(workers), signal.SIGKILL)
            killed += 1
    ended(running)
    assert (tmp_path / "out" / "results.json").read_bytes() == wanted
    assert killed
    record_property("cases", killed)
