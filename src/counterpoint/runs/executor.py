"""Independent tasks: the same results in the same order, wherever and on however many workers.

Seeds and schemes do not talk to each other, so parallelism is tasks over them. An executor is a
function: `processes` (the default) is in processes.py, `ray` in ray_executor.py, `serial` here.
A worker that dies is replaced, and its task is run again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.optional import pip_line, require_packages
from counterpoint.runs.processes import processes
from counterpoint.runs.ray_executor import on_ray
from counterpoint.runs.task import Advance, Result, Task, TaskMonitor

ExecutorName = Literal["processes", "serial", "ray"]
EXECUTORS: tuple[str, ...] = get_args(ExecutorName)


def available_workers() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(
    tasks: Sequence[Task[Result]],
    *,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_message: Callable[[int, Mapping[str, Any]], None] | None = None,
    executor: ExecutorName = "processes",
) -> list[Result]:
    """Returns the results of all tasks, in their order.

    Args:
        tasks: independent of each other; each gets a function to call after a unit of work.
        workers: how many at a time; None means one for each processor, 1 runs processes here.
        on_progress: called here, now and then, with the units of work done so far.
        on_message: called here with the number of a task and what it told `advance`, in its order.
            A task that is run again tells it again.
        executor: `processes`, `serial` (one after the other, here), or `ray` (a cluster: that of
            RAY_ADDRESS, or one on this machine).

    Raises:
        SettingError: fewer than one worker.
        UnknownNameError: no such executor.
        WorkerError: the workers of one task died again and again.
        MissingPackageError: ray is asked for and not installed.
        Exception: the first error of a task; tasks that did not start are then not started.
    """
    require_executor(executor, workers)
    monitor = TaskMonitor(len(tasks), on_progress, on_message)
    if executor == "ray" and tasks:
        return on_ray(tasks, workers, monitor)
    workers = available_workers() if workers is None else workers
    if executor == "serial" or workers == 1 or len(tasks) < 2:
        return serial(tasks, workers, monitor)
    return processes(tasks, workers, monitor)


def require_executor(executor: str, workers: int | None) -> None:
    """Returns where tasks can run so; to be asked before anything is begun.

    Raises:
        SettingError: fewer than one worker.
        UnknownNameError: no such executor.
        MissingPackageError: ray is asked for and not installed.
    """
    if workers is not None and workers < 1:
        raise SettingError(f"got {workers} workers; wanted at least 1")
    if executor not in EXECUTORS:
        raise UnknownNameError(f"got executor {executor!r}; wanted one of {', '.join(EXECUTORS)}")
    if executor == "ray":
        require_packages("the executor ray", ("ray",), pip_line("ray"))


def serial(
    tasks: Sequence[Task[Result]], workers: int | None, monitor: TaskMonitor
) -> list[Result]:
    """Returns one task after the other, in this process."""

    def advance_of(index: int) -> Advance:
        def advance(message: Mapping[str, Any] | None = None, /) -> None:
            monitor.advanced(index, 1, () if message is None else (message,))

        return advance

    return [task(advance_of(index)) for index, task in enumerate(tasks)]
