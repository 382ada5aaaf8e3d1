"""A budget that is used up: what is paid for is brought to its end, and nothing new begins."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from disjoint import WRITE, disjoint_plan

from counterpoint.results.team import Unreported
from counterpoint.workers import turn
from counterpoint.workers.loop import _Members, run_team
from counterpoint.workers.queue.rows import TeamTask
from counterpoint.workers.results import result_of
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
USE = """echo '{"tokens": 1000, "dollars": 0.25}' > $COUNTERPOINT_USAGE; """
MEND_ALL = USE + "for f in f*.txt; do echo good > $f; done"


def slow_team(tmp_path, n, command, topology="solo", workers=1, test_seconds=1.0, **limits):
    """A team whose tests take so long that the loop looks at the budget while they run."""
    plan = disjoint_plan(tmp_path / "repo", n, command)
    script = tmp_path / "repo" / "run.sh"
    script.write_text(f"sleep {test_seconds}\n{script.read_text()}")
    state = TeamState(tmp_path / "run", plan, topology, workers, **limits)
    state.create()
    return state


def passing_at_the_head(state):
    return turn.run_tests(state.plan, state.repository.content(state.repository.head())).passed


@pytest.mark.parametrize("limit", [{"tokens": 3000}, pytest.param({"dollars": 0.75},
                         marks=pytest.mark.slow)], ids=["tokens", "dollars"])  # fmt: skip
@pytest.mark.parametrize(
    ("topology", "workers"),
    [pytest.param("solo", 1, marks=pytest.mark.slow), ("planner_workers", 3),
     pytest.param("flat_optimistic", 3, marks=pytest.mark.slow)],
)  # fmt: skip
def test_what_reaches_the_budget_is_still_merged(tmp_path, topology, workers, limit):
    # a team has no fourth task: a fast worker could begin it before the others tell what they used
    n = 4 if workers == 1 else 3
    state = slow_team(tmp_path, n, USE + WRITE, topology, workers, test_seconds=0.5, **limit)
    result = run_team(state.folder)
    assert [a.status for a in state.queue.attempts()] == ["merged"] * 3
    assert (result.done, result.tokens, result.dollars) == (3, 3000, 0.75)
    budget = f"the budget of {next(iter(limit))} is used up"
    assert result.verdict == ("done" if n == 3 else budget)
    assert [one.reason for one in result.unfinished] == ["not tried"] * (n - 3)
    assert passing_at_the_head(state) == {"t1", "t2", "t3"}
    assert result.failing == ["t4"][: n - 3]


def test_one_attempt_with_a_slow_check_uses_the_whole_budget_and_is_right(tmp_path):
    plan = disjoint_plan(tmp_path / "repo", 1, USE + WRITE)
    (task,) = plan.task
    plan = replace(plan, task=(replace(task, check="sleep 1"),))
    state = TeamState(tmp_path / "run", plan, "solo", 1, tokens=5)
    state.create()
    result = run_team(state.folder)
    assert (result.done, result.verdict, result.lost, result.wasted) == (1, "done", 0, 0)


def test_the_verdict_is_about_the_head_that_is_delivered(tmp_path):
    state = slow_team(tmp_path, 2, MEND_ALL, tokens=1000)  # the first attempt mends both
    result = run_team(state.folder)
    assert (result.done, result.failing, result.verdict) == (2, [], "done")
    assert not any("budget" in event.text for event in state.queue.events())


def test_nobody_works_on_beside_the_judge_when_the_time_is_up(tmp_path):
    # the time is up while an attempt is tested; the judge's tests last longer than the rest of them
    state = slow_team(tmp_path, 1, "sleep .6; " + WRITE, test_seconds=1.2, seconds=3.4)
    result = run_team(state.folder)
    assert set(result.failing) == {"t1"} - passing_at_the_head(state)
    assert (result.done, result.verdict) in [(0, "the budget of seconds is used up"), (1, "done")]


def test_attempts_under_way_end_although_another_one_has_used_up_the_budget(tmp_path):
    command = f"{USE} case {{test}} in t1) sleep .5;; *) sleep 2;; esac; {WRITE}"
    state = slow_team(tmp_path, 3, command, "planner_workers", 2, test_seconds=0.1, tokens=1000)
    result = run_team(state.folder)
    # both began with nothing spent; what the slower one costs is known, and beyond the budget
    assert (result.done, result.attempts, result.tokens) == (2, 2, 2000)
    assert result.unknown == Unreported()


def test_an_attempt_that_waits_for_a_lock_does_not_begin_once_the_budget_is_used_up(tmp_path):
    plan = disjoint_plan(tmp_path / "repo", 3, f"sleep 2; {USE}{WRITE}")
    plan = replace(plan, task=tuple(replace(task, files=()) for task in plan.task))  # one lock
    state = TeamState(tmp_path / "run", plan, "flat_locks", 3, tokens=1000)
    state.create()
    result = run_team(state.folder)
    assert (result.done, result.tokens, result.unknown) == (1, 1000, Unreported())
    assert result.tries == 1
    reason = "the budget of tokens was used up before it began"
    assert {one.reason for one in result.unfinished} == {reason}


def test_a_resumed_run_merges_what_was_handed_over_though_its_budget_is_used_up(tmp_path):
    plan = disjoint_plan(tmp_path / "repo", 2, USE + WRITE)
    state = TeamState(tmp_path / "run", plan, "planner_workers", 1, tokens=1000)
    state.create()
    assert turn.plan(state, "planner") == 0
    assert turn.work(state, "worker_1") == 0  # and then the loop is killed
    before = [one.reason for one in result_of(state).unfinished]
    result = run_team(state.folder)
    assert (result.done, result.attempts, result.over) == (1, 1, True)
    assert result.verdict == "the budget of tokens is used up"
    assert before == ["handed over, not merged", "not tried"]


def test_the_attempt_of_a_merger_that_is_stopped_is_given_back(tmp_path):
    plan = disjoint_plan(tmp_path / "repo", 1)
    state = TeamState(tmp_path / "run", plan, "planner_workers", 1)
    state.create()
    state.queue.add([TeamTask("t1", "", "t1")], 4)
    claim = state.queue.claim("worker_1", lease_seconds=600, reserve=1)
    head = state.repository.head()
    other = state.repository.commit(state.repository.tree(head), (head,), "not yet the head")
    state.queue.hand_over(claim, other)
    state.queue.merging(claim, other, head)
    _Members(state).stop()
    assert [(a.status, a.note) for a in state.queue.attempts()] == [
        ("lost", "the run ended during the attempt")
    ]
    assert state.queue.counts() == {"open": 1}
