"""Landing: what has to pass belongs to the head that is merged with, whoever else lands."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from disjoint import disjoint_plan, make_disjoint

from counterpoint.workers import turn
from counterpoint.workers.loop import run_team
from counterpoint.workers.repository.files import File
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState
from counterpoint.workers.turn import head_and_passing

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


def blamed(state):
    """Notes of attempts that are said to break something; none of them can."""
    return [a.note for a in state.queue.attempts() if "breaks" in a.note]


def begun(tmp_path, n, topology, workers=2, seed=0):
    state = TeamState(tmp_path / "run", disjoint_plan(tmp_path / "repo", n), topology, workers,
                      seed=seed)  # fmt: skip
    state.create()
    return state


def made_of(state, claim, changes):
    """The commit of a worker that changed files on the head as it is now, and this head."""
    repository, base = state.repository, state.repository.head()
    tree = repository.changed_tree(base, {path: File(data) for path, data in changes.items()})
    return repository.commit(tree, (base,), claim.task.id), base


def worked(state, claim):
    """The commit of a worker that did its task."""
    return made_of(state, claim, {f"f{claim.task.id[1:]}.txt": b"good\n"})


@pytest.mark.fault("R30")
@pytest.mark.parametrize("topology", ["flat_optimistic", "flat_locks"])
def test_work_is_not_blamed_for_what_another_worker_landed_during_its_tests(
    tmp_path, monkeypatch, topology
):
    state = begun(tmp_path, 3, topology)
    assert turn.plan(state, "planner") == 0
    first, second = (
        state.queue.claim(name, lease_seconds=60, reserve=1) for name in ("worker_1", "worker_2")
    )
    (made, base), (other, other_base) = worked(state, first), worked(state, second)
    real, calls = turn.run_tests, []

    def while_another_lands(plan, content, **more):
        results = real(plan, content, **more)
        calls.append(len(results.passed))
        if len(calls) == 1:
            turn.land(state, second, other, other_base)
        return results

    monkeypatch.setattr(turn, "run_tests", while_another_lands)
    turn.land(state, first, made, base)
    assert [a.status for a in state.queue.attempts()] == ["merged", "merged"]
    # 1 test passes of either alone; the head has moved on, so the first is tested again: 2 pass
    assert calls == [1, 1, 2]
    assert head_and_passing(state) == (state.repository.head(), {"t1", "t2"})


def test_a_test_that_another_worker_made_pass_may_not_be_broken(tmp_path, monkeypatch):
    plan = disjoint_plan(tmp_path / "repo", 3)
    script = tmp_path / "repo" / "run.sh"
    script.write_text(script.read_text().replace("grep -q good f$i.txt;",
                      "grep -q good f$i.txt && ! grep -qs $i stop.txt;"))  # fmt: skip
    state = TeamState(tmp_path / "run", plan, "planner_workers", 2)
    state.create()
    turn.plan(state, "planner")
    first, second = (state.queue.claim(n, lease_seconds=60, reserve=1) for n in ("a", "b"))
    made, base = made_of(state, first, {"f1.txt": b"good\n", "stop.txt": b"2\n"})
    real, calls = turn.run_tests, []

    def while_another_lands(plan, content, **more):
        results = real(plan, content, **more)
        calls.append(1)
        if len(calls) == 1:
            turn.land(state, second, *worked(state, second))
        return results

    monkeypatch.setattr(turn, "run_tests", while_another_lands)
    turn.land(state, first, made, base)
    assert blamed(state) == ["breaks t2"]
    assert head_and_passing(state)[1] == {"t2"}


def test_what_passes_is_known_for_the_head_alone(tmp_path):
    state = begun(tmp_path, 2, "flat_optimistic")
    head, passed = head_and_passing(state)  # nobody has tested it: it is tested now
    assert (head, passed) == (state.repository.head(), frozenset())
    claim = state.queue.claim("w", lease_seconds=60, reserve=1)
    assert claim is None
    turn.plan(state, "planner")
    claim = state.queue.claim("w", lease_seconds=60, reserve=1)
    turn.land(state, claim, *worked(state, claim))
    assert state.queue.passing(head) is None
    assert head_and_passing(state)[1] == {claim.task.test}


@pytest.mark.fault("R30")
@pytest.mark.few(1)
@pytest.mark.parametrize("topology", ["flat_optimistic", "flat_locks"])
def test_disjoint_tasks_are_all_done_and_nobody_is_blamed(tmp_path, topology):
    state = begun(tmp_path, 4, topology, workers=4)
    result = run_team(state.folder)
    assert (result.done, result.verdict, blamed(state)) == (4, "done", [])


@pytest.mark.fault("R30")
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("topology", ["flat_optimistic", "flat_locks"])
def test_forty_disjoint_tasks_and_eight_workers(tmp_path, topology, seed):
    state = begun(tmp_path, 40, topology, workers=8, seed=seed)
    result = run_team(state.folder)
    assert (result.done, result.verdict, blamed(state)) == (40, "done", [])


@pytest.mark.few(1)
@pytest.mark.parametrize("more", [["--out", "to here"], []], ids=["named", "default"])
def test_relative_paths_in_a_folder_with_a_space(more, tmp_path):
    place = tmp_path / "my work"
    make_disjoint(place / "repo", 2)
    subprocess.run(["git", "init", "-q"], cwd=place / "repo", check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *who, "add", "-A"], cwd=place / "repo", check=True)
    subprocess.run(["git", *who, "commit", "-qm", "first"], cwd=place / "repo", check=True)
    (place / "plan.toml").write_text(
        'repository = "repo"\ntests = "sh run.sh"\n[worker]\nkind = "command"\n'
        'command = "n=$(echo {test} | tr -d t); echo good > f$n.txt"\n'
    )
    line = [sys.executable, "-m", "counterpoint", "team", "run", "plan.toml", *more]
    ended = subprocess.run(line, cwd=place, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "2 of 2" in ended.stdout
    folder = place / (more[-1] if more else "counterpoint-out/team/solo-1")
    assert TeamState.load(folder).folder.is_absolute()
    fetch = ["git", "-C", "repo", "fetch", "-q", str(folder / "repo.git"), "main"]
    assert subprocess.run(fetch, cwd=place, check=False).returncode == 0
