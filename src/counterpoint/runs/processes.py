"""Tasks over processes that may die: each worker has a pipe of its own, and shares nothing else.

The pool of the standard library gives up every task when one worker is killed, and a lock that a
killed worker held would stop the others. Here a death is an end of file on one pipe: its task goes
to a fresh worker, and the results of the others stay. Workers are spawned, not forked, and inherit
a limit of one thread for linear algebra.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

from counterpoint.runs.task import Message, Result, Task, TaskMonitor, TaskReport, ending, portable

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_GRACE_SECONDS = 8.0


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
        WorkerError: the workers of one task died again and again.
        Exception: the first error of a task.
    """
    waiting, results = deque(range(len(tasks))), dict[int, Result]()
    alive: list[_Worker] = []
    with _one_thread_each():
        try:
            while len(results) < len(tasks):
                busy = [worker for worker in alive if worker.task is not None]
                while waiting and len(busy) < (workers or 1):
                    idle = next((worker for worker in alive if worker.task is None), None)
                    worker = idle or _start(alive)
                    _give(worker, waiting.popleft(), tasks)
                    busy.append(worker)
                for worker in _ready(busy):
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


def _give(worker: _Worker, index: int, tasks: Sequence[Task[Any]]) -> None:
    worker.task = index
    with contextlib.suppress(ConnectionError):  # it is dead, which its pipe will say
        worker.pipe.send(tasks[index])


def _ready(busy: Sequence[_Worker]) -> list[_Worker]:
    """Returns the workers that have something to say, or that are dead."""
    ready = set(wait([worker.pipe for worker in busy] + [w.process.sentinel for w in busy]))
    return [w for w in busy if w.pipe in ready or w.process.sentinel in ready]


def _listen(worker: _Worker, results: dict[int, Any], monitor: TaskMonitor) -> bool:
    """Receives one message of a worker; returns False if it is dead.

    Raises:
        Exception: the error of its task.
    """
    assert worker.task is not None
    try:
        if not worker.pipe.poll():
            return False
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

    A task that handles SIGTERM (`stop.Stopper`) has a few seconds for a checkpoint. Until then we
    hear it out, for a closed pipe would end it where it stands.
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
        for ready in wait([*talking, *(worker.process.sentinel for worker in left)], seconds):
            if isinstance(ready, Connection):
                _hear_out(ready)
    for worker in alive:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()


def _hear_out(pipe: Connection) -> None:
    """Pass over what a worker says; once its task is over, let it go."""
    try:
        over = ForkingPickler.loads(pipe.recv_bytes())[0] != "advance"
    except Exception:
        over = True
    if over:
        pipe.close()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    saved = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in saved.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _work(pipe: Connection) -> None:
    """Returns a worker: take a task, do it, say what came of it, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is report, and ends the workers

    def send(units: int, messages: list[Message]) -> None:
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
