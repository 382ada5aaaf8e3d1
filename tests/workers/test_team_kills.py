"""The loop is killed with SIGKILL at random moments: nothing of it lives on, no task is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from disjoint import disjoint_plan
from processes import alive, until

from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
WORK = "sleep .2; n=$(echo {test} | tr -d t); echo good > f$n.txt"


def killed_until_done(folder: Path, topology: str, rng: random.Random, most: int) -> int:
    """Run a team of 12 tasks and kill its loop again and again; how many kills, all checked."""
    marker = Path(tempfile.mkdtemp(prefix="counterpoint-kills-", dir="/tmp"))
    marker.chmod(0o755)
    plan = disjoint_plan(folder / "repo", 12, WORK, readable=(str(marker),), iterations=500)
    workers = 1 if topology == "solo" else 3
    state = TeamState(folder / marker.name, plan, topology, workers)
    state.create()
    line = [sys.executable, "-m", "counterpoint", "resume", str(state.folder)]
    kills = 0
    while True:
        loop = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        patience = rng.uniform(0.4, 4.0) if kills < most else 600.0
        try:
            status = loop.wait(patience)
        except subprocess.TimeoutExpired:
            os.kill(loop.pid, signal.SIGKILL)
            loop.wait()
            kills += 1
            assert until(lambda: not alive(marker), 10), alive(marker)
            continue
        assert status == 0
        break
    marker.rmdir()
    check_history(state)
    return kills


def check_history(state: TeamState) -> None:
    """Every task is done, and each is in the history once."""
    assert set(state.queue.counts()) == {"done"}
    told = subprocess.run(
        ["git", "--git-dir", str(state.folder / "repo.git"), "log",
         "--format=%(trailers:key=Task,valueonly)", "main"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    log = Counter(told.split())
    assert log == Counter(f"t{i}" for i in range(1, 13))


@pytest.mark.fault("R29")
@pytest.mark.slow
def test_a_killed_loop_leaves_nobody_behind(tmp_path):
    assert killed_until_done(tmp_path, "planner_workers", random.Random(3), 3) >= 1


@pytest.mark.fault("R29", cases=200)
@pytest.mark.slow
def test_two_hundred_kills_leave_nobody_behind_and_lose_no_task(tmp_path):
    kills, seed, begun = 0, 0, time.monotonic()
    topologies = ("planner_workers", "flat_optimistic", "flat_locks", "solo")
    while kills < 200:
        folder = tmp_path / str(seed)
        folder.mkdir()
        kills += killed_until_done(folder, topologies[seed % 4], random.Random(seed), 200 - kills)
        seed += 1
    print(f"{kills} kills in {seed} runs, {time.monotonic() - begun:.0f} s")  # noqa: T201
