"""Independent tasks over processes: the same results in the same order, however many workers.

Seeds and schemes do not talk to each other, so parallelism is processes over them. Workers are
spawned, not forked, and inherit a limit of one thread for linear algebra.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from multiprocessing.sharedctypes import Synchronized
from typing import Any, TypeVar

from counterpoint.errors import SettingError

Result = TypeVar("Result")
Advance = Callable[[], None]
"""Called by a task after each unit of its work."""
Task = Callable[[Advance], Result]
"""A picklable callable: a module-level function, or a frozen dataclass with `__call__`."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_POLL_SECONDS = 0.1
_done: Synchronized[int] | None = None


def available_workers() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(
    tasks: Sequence[Task[Result]],
    *,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> list[Result]:
    """The results of all tasks, in their order.

    Args:
        tasks: independent of each other; each gets a function to call after a unit of work.
        workers: processes; None means one for each processor, 1 runs here and spawns nothing.
        on_progress: called here, now and then, with the units of work done so far.

    Raises:
        SettingError: fewer than one worker.
        Exception: the first error of a task; tasks that did not start are then not started.
    """
    workers = available_workers() if workers is None else workers
    if workers < 1:
        raise SettingError(f"got {workers} workers; wanted at least 1")
    report = on_progress or (lambda units: None)
    if workers == 1 or len(tasks) < 2:
        return _run_here(tasks, report)
    context, others = multiprocessing.get_context("spawn"), set(multiprocessing.active_children())
    done: Synchronized[int] = context.Value("q", 0)
    saved = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        with ProcessPoolExecutor(
            min(workers, len(tasks)), context, initializer=_start, initargs=(done,)
        ) as pool:
            try:
                return _collect([pool.submit(_run, task) for task in tasks], done, report)
            except BaseException:
                for worker in set(multiprocessing.active_children()) - others:
                    worker.terminate()  # or the pool would wait for what is running
                raise
    finally:
        for name, value in saved.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _run_here(tasks: Sequence[Task[Result]], report: Callable[[int], None]) -> list[Result]:
    units = 0

    def advance() -> None:
        nonlocal units
        units += 1
        report(units)

    return [task(advance) for task in tasks]


def _collect(
    futures: list[Future[Result]], done: Synchronized[int], report: Callable[[int], None]
) -> list[Result]:
    pending: set[Future[Result]] = set(futures)
    try:
        while pending:
            finished, pending = wait(pending, _POLL_SECONDS, FIRST_EXCEPTION)
            report(done.value)
            for future in finished:
                future.result()
    except BaseException:
        for future in pending:
            future.cancel()
        raise
    return [future.result() for future in futures]


def _start(done: Synchronized[int]) -> None:
    global _done
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is told, and ends the workers
    _done = done


def _run(task: Task[Any]) -> Any:
    return task(_advance)


def _advance() -> None:
    assert _done is not None
    with _done.get_lock():
        _done.value += 1
