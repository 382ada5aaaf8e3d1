"""A real package with five planted bugs, and a program that stands for a coding agent."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from disjoint import disjoint_plan
from real_pytest import BUGS, JUNIT, pytest_plan, toolz_with_bugs
from shared import shared_folder

from counterpoint.workers.loop import run_team
from counterpoint.workers.plan import TOPOLOGIES, WorkerPlan, WorkPlan
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
AGENT = Path(__file__).with_name("coding_agent.py").read_text()
SMALL = [["f1.txt", "bad", "worse"], ["f2.txt", "bad", "good"], ["f1.txt", "bad", "good"]]
LARGE = [[f"toolz/{name}", line.replace(old, new), line] for name, line, old, new in BUGS]


@pytest.fixture
def agent() -> Iterator[Path]:
    """A folder with the agent and the repairs that it knows."""
    files = {"agent.py": AGENT, "small.json": json.dumps(SMALL), "large.json": json.dumps(LARGE)}
    with shared_folder(files) as folder:
        yield folder


def with_agent(plan: WorkPlan, folder: Path, repairs: str, command: str) -> WorkPlan:
    """The plan with the agent as its worker."""
    worker = WorkerPlan(
        kind="command", minutes=2,
        command=f"python3 {folder}/agent.py {folder}/{repairs} {command}",
    )  # fmt: skip
    told = {**vars(plan), "worker": worker, "readable": (*plan.readable, str(folder))}
    return WorkPlan(**told)


def test_an_agent_tries_repairs_undoes_them_with_git_and_says_what_it_used(tmp_path, agent):
    plan = disjoint_plan(tmp_path / "repo", 2)
    test = "sh -c 'sh run.sh | grep -q \"^ok - $0\"' {test}"
    state = TeamState(tmp_path / "run", with_agent(plan, agent, "small.json", test), "solo", 1)
    state.create()
    result = run_team(state.folder)
    assert result.done == 2
    content = state.repository.content(state.repository.head())
    assert {path: content[path] for path in ("f1.txt", "f2.txt")} == {
        "f1.txt": b"good\n", "f2.txt": b"good\n"}  # fmt: skip
    attempts = {one.task: one for one in state.queue.attempts()}
    # t1: worse, the other file, good; then t2: f1 has nothing left to change, so one run
    assert [attempts[name].note for name in ("t1", "t2")] == [
        "read # t1, ran 3 times", "read # t2, ran 1 times"]  # fmt: skip
    assert [attempts[name].dollars for name in ("t1", "t2")] == [0.03, 0.01]


def run_with_kills(state: TeamState, kills: int, rng: random.Random) -> int:
    """Kill the loop and resume it until it is over; how often it was killed."""
    killed = 0
    for _ in range(kills + 10):
        loop = subprocess.Popen(
            [sys.executable, "-m", "counterpoint", "resume", str(state.folder)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            loop.wait(rng.uniform(4.0, 12.0) if killed < kills else 600)
        except subprocess.TimeoutExpired:
            loop.kill()
            killed += 1
        if loop.wait() == 0:
            break
    return killed


@pytest.mark.slow
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_every_team_repairs_a_real_package_though_its_loop_is_killed(topology, tmp_path, agent):
    source = toolz_with_bugs(tmp_path)
    plan = pytest_plan(source, JUNIT)
    command = "python3 -m pytest -q -x -p no:cacheprovider {test}"
    plan = with_agent(plan, agent, "large.json", command)
    state = TeamState(tmp_path / "run", plan, topology, 1 if topology == "solo" else 2)
    state.create()
    assert run_with_kills(state, 3, random.Random(topology)) >= 2
    told = json.loads((state.folder / "result.json").read_bytes())
    assert (told["verdict"], told["failing"]) == ("done", [])
    content = state.repository.content(state.repository.head())
    for path, bug, line in LARGE:
        assert line.encode() in content[path]
        assert bug.encode() not in content[path]
    changed = {path for path in content if (source / path).read_bytes() != content[path]}
    assert changed == {path for path, _, _ in LARGE}
