"""The queue: leases, tokens, budgets, locks, and what is left when somebody dies."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

from counterpoint.errors import BusyError, RunError
from counterpoint.workers.queue.queue import Queue, choose_apart, choose_by_payoff
from counterpoint.workers.queue.rows import AttemptRow, RunBudget, TeamTask


@pytest.fixture
def queue(tmp_path):
    made = Queue(tmp_path / "queue.sqlite")
    made.add([TeamTask("a", "do a", "t::a", ("x.py",)), TeamTask("b", "do b", priority=5)], 2)
    return made


def take(queue, worker="w", **more):
    return queue.claim(worker, lease_seconds=60, reserve=10, **more)


def no(commit):
    return False


def test_the_highest_priority_goes_first_and_nobody_gets_it_twice(queue):
    assert take(queue).task.id == "b"
    second = take(queue)
    assert (second.task.id, second.task.test, second.task.files) == ("a", "t::a", ("x.py",))
    assert take(queue) is None
    assert queue.counts() == {"taken": 2}


def test_adding_again_changes_nothing(queue):
    take(queue)
    assert queue.add([TeamTask("a", "else"), TeamTask("b", "else"), TeamTask("c", "new")], 9) == 1
    assert queue.counts() == {"taken": 1, "open": 2}


def test_a_budget_is_shared_and_what_is_not_used_comes_back(queue):
    first = take(queue, budget=RunBudget(tries=12))
    assert first.reserved == 10
    assert take(queue, budget=RunBudget(tries=12)).reserved == 2
    assert queue.spent().tries == 12
    queue.note(first, cost=3)
    queue.failed(first, "failed", "no")
    assert queue.spent().tries == 5
    assert take(queue, budget=RunBudget(tries=5)) is None
    assert take(queue, budget=RunBudget(tries=6)).reserved == 1


def test_a_task_is_given_up_after_its_tries_and_conflicts_cost_none(queue):
    for status, left in (("conflict", "open"), ("failed", "open"), ("failed", "given_up")):
        claim = take(queue)
        queue.failed(claim, status, "why")
        status = {row.id: row.status for row in queue.tasks()}
        assert status["b"] == left
    assert queue.reopen(["a", "b"], 3) == 1
    assert queue.counts() == {"open": 2}


def test_who_lost_a_task_is_refused(queue):
    claim = take(queue)
    queue.recover(no, everybody=True)
    for tell in (
        lambda: queue.note(claim, cost=1), lambda: queue.merged(claim),
        lambda: queue.hand_over(claim, "c"), lambda: queue.failed(claim, "failed", ""),
        lambda: queue.lock(claim, ["x"]), lambda: queue.renew(claim, 5),
        lambda: queue.merging(claim, "c", "p"),
    ):  # fmt: skip
        with pytest.raises(BusyError, match="lost its lease"):
            tell()
    assert take(queue).task.id == "b"


def test_a_lease_that_ended_is_taken_back_and_one_that_runs_is_not(queue):
    short = queue.claim("dead", lease_seconds=0.01, reserve=1)
    long = take(queue)
    time.sleep(0.05)
    assert queue.recover(no, everybody=False) == 1
    assert {a.id: a.status for a in queue.attempts()} == {
        short.attempt: "lost", long.attempt: "running",
    }  # fmt: skip


@pytest.mark.fault("R29")
@pytest.mark.parametrize(
    ("there", "task", "attempt"), [(True, "done", "merged"), (False, "open", "lost")]
)
def test_killed_between_the_head_and_the_book(queue, there, task, attempt):
    claim = take(queue)
    queue.merging(claim, "landed", "parent")
    queue.recover(lambda commit: there and commit == "landed", everybody=True)
    assert {row.id: row.status for row in queue.tasks()}["b"] == task
    assert queue.attempts()[0].status == attempt


def test_what_was_handed_up_waits_for_whoever_merges(queue):
    claim = take(queue)
    queue.note(claim, base="base", cost=4)
    queue.hand_over(claim, "commit")
    assert queue.recover(no, everybody=True) == 0
    ((handed, row),) = queue.handed()
    assert (handed.task.id, row.made, row.base, handed.token) == (
        "b",
        "commit",
        "base",
        claim.token,
    )
    queue.merging(handed, "l", "p")
    queue.merged(handed)
    assert queue.counts() == {"done": 1, "open": 1}
    assert [e.text for e in queue.events() if e.kind == "answer"] == ["b"]


def test_locks_are_taken_all_or_none_and_end_with_their_attempt(queue):
    one, two = take(queue), take(queue)
    assert queue.lock(one, ["x", "y"])
    assert queue.lock(one, ["x"])
    assert not queue.lock(two, ["z", "y"])
    assert queue.lock(two, ["z"])
    queue.failed(one, "failed", "")
    assert queue.lock(two, ["y"])
    assert queue.attempts()[0].held > 0


def test_release_takes_back_what_one_worker_had(queue):
    one, two = take(queue, "one"), take(queue, "two")
    queue.release("one", no)
    assert [a.status for a in queue.attempts()] == ["lost", "running"]
    assert (one.attempt, two.attempt) == (1, 2)


def claim_all(path):
    queue, found = Queue(path), []
    while claim := queue.claim("w", lease_seconds=60, reserve=1):
        queue.count("taken", 1)
        found.append(claim.task.id)
    return found


def test_four_processes_take_each_task_once(tmp_path):
    path = tmp_path / "q.sqlite"
    Queue(path).add([TeamTask(f"t{i}", "") for i in range(60)], 1)
    with ProcessPoolExecutor(4) as pool:
        found = [name for each in pool.map(claim_all, [path] * 4) for name in each]
    assert sorted(found) == sorted(f"t{i}" for i in range(60))
    assert Queue(path).fact("taken") == 60


def test_a_file_that_is_no_queue_is_told(tmp_path):
    (tmp_path / "q").write_text("no database, and long enough to be looked at as one" * 40)
    with pytest.raises(RunError, match="no queue"):
        Queue(tmp_path / "q")


def test_payoff_prefers_the_size_that_was_merged_for_less():
    tasks = [
        TeamTask("small", "", size=10),
        TeamTask("large", "", size=40),
        TeamTask("s2", "", size=10),
    ]
    assert choose_by_payoff(tasks, []) == 0
    lost = [AttemptRow(1, "small", "w", "failed", 0.0, cost=100, size=10)]
    assert tasks[choose_by_payoff(tasks, lost)].id == "large"
    risky = [AttemptRow(2, "large", "w", "conflict", 0.0, cost=500, size=40)]
    assert tasks[choose_by_payoff(tasks, risky)].id == "small"


def test_apart_prefers_files_that_nobody_works_on():
    tasks = [TeamTask("a", "", files=("x",)), TeamTask("b", "", files=("y",))]
    busy = [AttemptRow(1, "c", "w", "running", 0.0, expected=("x",))]
    assert choose_apart(tasks, busy) == 1
    assert choose_apart(tasks, [replace(busy[0], status="merged")]) == 0
    failed = AttemptRow(2, "b", "w", "failed", 0.0, expected=("y",))
    assert choose_apart(tasks, [*busy, failed]) == 0  # what failed before waits for the others
    assert choose_apart(tasks[:1], busy) == 0
