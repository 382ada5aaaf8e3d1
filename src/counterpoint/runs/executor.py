"""Independent tasks: the same results in the same order, wherever and on however many workers.

Seeds and schemes are independent, so the parallel units are tasks over them. An executor is a
function of tasks, a number of workers and a `TaskMonitor`, and returns the results in the order of
the tasks. `ray` is in ray_executor.py, `serial` and `processes` (the default) are here.

A pool of the standard library gives up every task when one worker is killed, and a lock that a
killed worker held would stop the others. Here each worker has a pipe of its own and shares nothing
else, so a death is an end of file on one pipe: its task goes to a fresh worker, and the results of
the others stay. Workers are spawned, not forked, and inherit a limit of one thread for linear
algebra.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, Literal, get_args

from counterpoint.errors import SettingError, UnknownNameError, choices
from counterpoint.machine.processes import MOST_WORKERS, available_workers, begin_child
from counterpoint.machine.signals import TICK_SECONDS
from counterpoint.optional import pip_line, require_packages
from counterpoint.runs.ray_executor import on_ray
from counterpoint.runs.stop import undisturbed
from counterpoint.runs.task import Advance, Result, Task, TaskMonitor, TaskReport, ending, portable

ExecutorName = Literal["processes", "serial", "ray"]
EXECUTORS: tuple[str, ...] = get_args(ExecutorName)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_GRACE_SECONDS = 8.0


def run_tasks(
    tasks: Sequence[Task[Result]],
    *,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_message: Callable[[int, Any], None] | None = None,
    executor: ExecutorName = "processes",
) -> list[Result]:
    """Returns the results of all tasks, in their order.

    Args:
        tasks: independent of each other; each gets a function to call after a unit of work.
        workers: how many at a time; None means one for each processor, 1 runs processes here.
        on_progress: called here, now and then, with the units of work done so far.
        on_message: called here with the number of a task and each message that it gave to
            `advance`, in its order. A task that is run again sends its messages again.
        executor: `processes`, `serial` (one after the other, here), or `ray` (a cluster: that of
            RAY_ADDRESS, or one on this machine).

    Raises:
        SettingError: fewer than one worker.
        UnknownNameError: no such executor.
        WorkerError: the workers of one task died repeatedly.
        MissingPackageError: the executor is ray, which is not installed.
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
    """Raises an error if tasks cannot run with these options; call it before any work begins.

    Raises:
        SettingError: fewer than one worker.
        UnknownNameError: no such executor.
        MissingPackageError: the executor is ray, which is not installed.
    """
    if workers is not None and workers < 1:
        raise SettingError(f"got {workers} workers; wanted at least 1")
    if executor not in EXECUTORS:
        raise UnknownNameError(f"got executor {executor!r}{choices(executor, EXECUTORS)}")
    if executor == "ray":
        require_packages("the executor ray", ("ray",), pip_line("ray"))


def serial(
    tasks: Sequence[Task[Result]], workers: int | None, monitor: TaskMonitor
) -> list[Result]:
    """Returns the results of tasks that run one after the other, in this process."""

    def advance_of(index: int) -> Advance:
        def advance(message: object = None, /) -> None:
            monitor.advanced(index, 1, () if message is None else (message,))

        return advance

    return [task(advance_of(index)) for index, task in enumerate(tasks)]


@dataclass
class _Worker:
    """A process, our end of its pipe, and the task that it has."""

    process: SpawnProcess
    pipe: Connection
    task: int | None = None


def processes(
    tasks: Sequence[Task[Result]], workers: int | None, monitor: TaskMonitor
) -> list[Result]:
    """Returns the results of tasks over that many processes.

    Raises:
        WorkerError: the workers of one task died repeatedly.
        Exception: the first error of a task.
    """
    waiting, results = deque(range(len(tasks))), dict[int, Result]()
    alive: list[_Worker] = []
    with one_thread_each():
        try:
            while len(results) < len(tasks):
                busy = [worker for worker in alive if worker.task is not None]
                while waiting and len(busy) < min(workers or 1, MOST_WORKERS):
                    idle = next((worker for worker in alive if worker.task is None), None)
                    worker = idle or _start(alive)
                    worker.task = waiting.popleft()
                    with contextlib.suppress(ConnectionError):  # it is dead, as its pipe will say
                        worker.pipe.send(tasks[worker.task])
                    busy.append(worker)
                ends = [worker.pipe for worker in busy] + [w.process.sentinel for w in busy]
                ready = set(wait(ends, TICK_SECONDS))  # with something to say, or dead
                for worker in busy:
                    if not {worker.pipe, worker.process.sentinel} & ready:
                        continue
                    if not _listen(worker, results, monitor):
                        alive.remove(worker)
                        _bury(worker, waiting, monitor)
        except BaseException:
            _end(alive, at_once=True)
            raise
        _end(alive, at_once=False)
    return [results[index] for index in range(len(tasks))]


def _start(alive: list[_Worker]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,))
    worker = _Worker(process, ours)
    process.start()
    theirs.close()  # or the end of the worker would not end the pipe
    alive.append(worker)
    return worker


def _listen(worker: _Worker, results: dict[int, Any], monitor: TaskMonitor) -> bool:
    """Receives one message of a worker; returns False if it is dead.

    Raises:
        Exception: the error of its task.
    """
    assert worker.task is not None
    try:
        if not worker.pipe.poll():
            return False
        with undisturbed():
            data = worker.pipe.recv_bytes()
    except (EOFError, OSError):  # the end, perhaps in the middle of a message
        return False
    kind, units, messages, value = ForkingPickler.loads(data)
    monitor.advanced(worker.task, units, messages)
    if kind == "error":
        raise value
    if kind == "result":
        results[worker.task] = value
        worker.task = None
    return True


def _bury(worker: _Worker, waiting: deque[int], monitor: TaskMonitor) -> None:
    worker.process.join(_GRACE_SECONDS)
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()
    assert worker.task is not None
    waiting.appendleft(worker.task)
    monitor.died(worker.task, ending(worker.process.exitcode))


def _end(alive: Sequence[_Worker], *, at_once: bool) -> None:
    """Ends all workers: idle ones see the end of their pipe, others get SIGTERM, then SIGKILL.

    A task that handles SIGTERM (`stop.Stopper`) has a few seconds for a checkpoint. Until then its
    pipe is read, since a closed pipe would end it at once.
    """
    for worker in alive:
        if at_once:
            worker.process.terminate()
        if worker.task is None:
            worker.pipe.close()
    deadline = time.monotonic() + _GRACE_SECONDS
    while left := [worker for worker in alive if worker.process.is_alive()]:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            break
        talking = [worker.pipe for worker in left if not worker.pipe.closed]
        ready = wait([*talking, *(worker.process.sentinel for worker in left)], seconds)
        for pipe in (pipe for pipe in talking if pipe in ready):
            try:
                over = ForkingPickler.loads(pipe.recv_bytes())[0] != "advance"
            except Exception:
                over = True
            if over:
                pipe.close()
    for worker in alive:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Gives processes that are started meanwhile one thread each for linear algebra."""
    saved = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in saved.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _work(pipe: Connection) -> None:
    """Runs in a worker: takes a task, does it and sends its result, until the pipe ends."""
    begin_child()

    def send(units: int, messages: list[object]) -> None:
        try:
            pipe.send(("advance", units, messages, None))
        except ConnectionError:
            raise SystemExit(1) from None  # the main process is gone

    while True:
        try:
            data = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        report = TaskReport(send)
        try:
            kind, value = "result", ForkingPickler.loads(data)(report)
        except Exception as error:
            kind, value = "error", portable(error)
        units, messages = report.rest()
        try:
            pipe.send((kind, units, messages, value))
        except ConnectionError:
            return
        except Exception as error:  # the result or a message cannot be sent
            pipe.send(("error", 0, [], portable(error)))
