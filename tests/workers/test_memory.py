"""What a fresh context is told of the last one: its reason, the end of its log, and notes."""

from __future__ import annotations

import shutil

import pytest
from disjoint import WRITE, disjoint_plan

from counterpoint.workers.loop import run_team
from counterpoint.workers.memory import MOST_LOG_BYTES, AttemptLog, log_path, log_tail
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
needs_sandbox = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


def team(tmp_path, n, command, topology="solo", workers=1, **more):
    state = TeamState(tmp_path / "run", disjoint_plan(tmp_path / "repo", n, command, **more),
                      topology, workers)  # fmt: skip
    state.create()
    return state


@pytest.mark.slow
@needs_sandbox
def test_a_retry_is_told_why_the_last_attempt_failed_and_the_end_of_its_log(tmp_path):
    learns = f"if grep -q 'the magic word is plum' TASK.md; then {WRITE}; else " \
             "echo the magic word is plum; exit 3; fi"  # fmt: skip
    state = team(tmp_path, 1, learns)
    result = run_team(state.folder)
    assert (result.done, result.attempts, result.failed) == (1, 2, 1)
    assert log_path(state.folder, 1).read_bytes() == b"the magic word is plum\n"
    says = team(tmp_path / "second", 1, "cat TASK.md; exit 4", attempts=2, iterations=1)
    run_team(says.folder)
    assert "failed" not in log_tail(says.folder, 1)
    assert "Attempt 1 at this task failed: status 4" in log_tail(says.folder, 2)


@pytest.mark.slow
@needs_sandbox
def test_notes_survive_a_failed_attempt_and_land_only_with_work(tmp_path):
    counts = f"echo again >> NOTES.md; test $(wc -l < NOTES.md) -ge 3 && {WRITE}"
    state = team(tmp_path, 1, counts, notes="NOTES.md")
    result = run_team(state.folder)
    assert (result.done, result.attempts) == (1, 3)
    content = state.repository.content(state.repository.head())
    assert content["NOTES.md"] == b"again\n" * 3
    assert len(state.repository.patch(state.queue.fact("base"), result.head)) > 0
    forgets = team(tmp_path / "second", 1, counts)
    assert run_team(forgets.folder).done == 0


@pytest.mark.slow
@needs_sandbox
def test_notes_of_a_team_stay_out_of_the_history_and_never_conflict(tmp_path):
    state = team(tmp_path, 4, f"echo {{test}} >> NOTES.md; {WRITE}", "flat_optimistic", 2,
                 notes="NOTES.md")  # fmt: skip
    result = run_team(state.folder)
    assert (result.done, result.conflicts) == (4, 0)
    assert "NOTES.md" not in state.repository.content(result.head)
    kept = "".join(path.read_text() for path in (state.folder / "notes").iterdir()).split()
    assert sorted(kept) == ["t1", "t2", "t3", "t4"]


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize("conflicts", [pytest.param("again", marks=pytest.mark.slow), "agent"])
def test_a_conflict_is_handed_to_an_agent_with_what_the_attempt_had_changed(tmp_path, conflicts):
    agent = (
        "if grep -q 'worked on an older commit' TASK.md; then "
        "echo handed; grep '^+by hand' TASK.md | cut -c2- >> list.txt; "
        "else sleep .6; echo 'by hand {test}' >> list.txt; fi; " + WRITE
    )
    plan = disjoint_plan(tmp_path / "repo", 3, agent, conflicts=conflicts)
    (tmp_path / "repo" / "list.txt").write_text("first\n")
    state = TeamState(tmp_path / "run", plan, "flat_optimistic", 3)
    state.create()
    result = run_team(state.folder)
    assert result.done == 3
    assert result.conflicts >= 1
    lines = state.repository.content(result.head)["list.txt"].decode().split("\n")
    assert sorted(lines) == ["", "by hand t1", "by hand t2", "by hand t3", "first"]
    logs = {log_tail(state.folder, row.id) for row in state.queue.attempts()}
    assert logs == ({"", "handed"} if conflicts == "agent" else {""})


def test_a_log_keeps_its_end_within_its_limit(tmp_path):
    plan = disjoint_plan(tmp_path / "repo", 1)
    state = TeamState(tmp_path / "run", plan, "solo", 1)
    (tmp_path / "run").mkdir()
    log = AttemptLog(state, 7)
    for i in range(2000):
        log.write(f"line {i:04d} {'x' * 1000}\n".encode())
        assert log.path.stat().st_size <= 2 * MOST_LOG_BYTES
    log.write(b"\x1b[31mthe \xff end\n")
    assert log.path.name == "7.log"
    assert log_tail(state.folder, 7, 20) == "xxxxx\n [31mthe � end"
    log.write(b"y" * (3 * MOST_LOG_BYTES))
    assert log.path.read_bytes() == b"y" * MOST_LOG_BYTES
    assert log_tail(state.folder, 8) == ""
