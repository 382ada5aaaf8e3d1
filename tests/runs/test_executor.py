"""Tasks over processes: order, progress, errors, the same results with any number of workers."""

import os
import time
from dataclasses import dataclass

import pytest
from working_tasks import Walks

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.machine.processes import available_workers
from counterpoint.runs.executor import run_tasks


@dataclass(frozen=True)
class Squares:
    """Squares a number, advancing once for each unit of it."""

    number: int

    def __call__(self, advance):
        for _ in range(self.number):
            advance()
        return self.number**2


@dataclass(frozen=True)
class Fails:
    """Raises an error of ours in whatever process it runs."""

    def __call__(self, advance):
        raise SettingError("got a task that fails")


@dataclass(frozen=True)
class Threads:
    """Tells how many threads its process may use for linear algebra."""

    def __call__(self, advance):
        return os.environ.get("OMP_NUM_THREADS"), os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    tasks = [Squares(n) for n in (5, 1, 4, 2)]
    assert run_tasks(tasks, workers=workers) == [25, 1, 16, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_ends_at_all_units(workers):
    seen = []
    run_tasks([Squares(30), Squares(12)], workers=workers, on_progress=seen.append)
    assert seen[-1] == 42
    assert seen == sorted(seen)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_task_comes_out_as_itself(workers):
    with pytest.raises(SettingError, match="a task that fails"):
        run_tasks([Squares(2), Fails()], workers=workers)


def test_workers_use_one_thread_and_leave_this_process_alone(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (threads, one), (_, other) = run_tasks([Threads(), Threads()], workers=2)
    assert threads == "1"
    assert os.getpid() not in (one, other)
    assert "OMP_NUM_THREADS" not in os.environ


def test_no_worker_is_an_error():
    with pytest.raises(SettingError, match="got 0 workers"):
        run_tasks([Squares(1)], workers=0)


def test_no_tasks_no_results():
    assert run_tasks([], workers=2) == []


def test_available_workers_is_what_this_process_may_use():
    assert 1 <= available_workers() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("workers", "executor"), [(2, "processes"), (2, "serial"), (1, "processes")]
)
def test_what_a_task_tells_arrives_in_its_order(workers, executor):
    told = {}
    run_tasks(
        [Walks(seed) for seed in range(3)],
        workers=workers,
        executor=executor,
        on_message=lambda index, message: told.setdefault(index, []).append(message),
    )
    assert [[message["step"] for message in told[index]] for index in range(3)] == [
        [10, 20, 30, 40]
    ] * 3
    assert all(isinstance(message["total"], float) for message in told[0])


def test_an_unknown_executor_is_an_error():
    with pytest.raises(UnknownNameError, match="got executor 'slurm'; wanted one of processes"):
        run_tasks([Squares(1)], executor="slurm")


@pytest.mark.timed
def test_a_call_to_advance_costs_little():
    start = time.perf_counter()
    run_tasks([Squares(100_000), Squares(100_000)], workers=2)
    assert time.perf_counter() - start < 10
