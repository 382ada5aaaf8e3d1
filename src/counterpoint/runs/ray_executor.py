"""Tasks over a Ray cluster: the one file that imports ray.

Ray's own retries are off: a death is counted, reported and limited as in executor.py, so that both
end the same way. Messages of tasks go through a small actor on the node of the caller; should that
die, the results still come.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from counterpoint.errors import WorkerError
from counterpoint.runs.task import Result, Task, TaskMonitor, TaskReport, portable

_DEATHS = (
    *("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "LocalRayletDiedError"),
    "ObjectLostError",
)
_POLL_SECONDS = 0.1


def on_ray(
    tasks: Sequence[Task[Result]], workers: int | None, monitor: TaskMonitor
) -> list[Result]:
    """Returns the results of tasks on the cluster of RAY_ADDRESS, or on one of this machine.

    A cluster that this process is connected to already is used, and left as it is.

    Raises:
        WorkerError: the workers of one task died again and again, or Ray itself failed.
        Exception: the first error of a task.
    """
    import ray
    import ray.exceptions

    ours = _connect(workers)
    try:
        return _Gathering(ray, tasks, monitor).results(workers)
    finally:
        if ours:
            ray.shutdown()


def _connect(workers: int | None) -> bool:
    """Connects to the cluster; returns False if this process was connected already."""
    import ray

    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    size = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers}
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="error", **size)
    return True


class OnRay:
    """A `runs.remote.Remote`: an object in a process of a Ray cluster, made at the first call."""

    def __init__(self, make: Callable[[], Any]) -> None:
        import ray

        _connect(None)
        self._ray = ray
        self._actor = ray.remote(num_cpus=1)(_Served).remote(make)

    def ask(self, method: str, *given: Any) -> None:
        self._future = self._actor.call.remote(method, given)

    def answer(self) -> Any:
        try:
            answer = self._ray.get(self._future)
        except self._ray.exceptions.RayError as error:
            raise WorkerError(f"it ended by {type(error).__name__}") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        if self._ray.is_initialized():
            self._ray.kill(self._actor)


class _Served:
    """An object in a process of Ray."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._object = make, None

    def call(self, method: str, given: tuple[Any, ...]) -> Any:
        try:
            self._object = self._make() if self._object is None else self._object
            return getattr(self._object, method)(*given)
        except Exception as error:
            return portable(error)


class _Gathering:
    """Tasks handed out to Ray, and what came of them."""

    def __init__(self, ray: Any, tasks: Sequence[Task[Any]], monitor: TaskMonitor) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as OnNode

        self._ray, self._tasks, self._monitor = ray, tasks, monitor
        here = OnNode(node_id=ray.get_runtime_context().get_node_id(), soft=True)
        self._board = ray.remote(num_cpus=0)(_Board).options(scheduling_strategy=here).remote()
        self._work = ray.remote(num_cpus=1, max_retries=0)(_work)
        self._deaths = tuple(
            getattr(ray.exceptions, name) for name in _DEATHS if hasattr(ray.exceptions, name)
        )
        self._attempts = [0] * len(tasks)
        self._waiting = deque(range(len(tasks)))
        self._running: dict[Any, int] = {}

    def results(self, workers: int | None) -> list[Any]:
        """Returns all of them, in the order of the tasks."""
        limit = workers or max(int(self._ray.cluster_resources().get("CPU", 1)), 1)
        results: dict[int, Any] = {}
        try:
            while len(results) < len(self._tasks):
                while self._waiting and len(self._running) < limit:
                    index = self._waiting.popleft()
                    name = (index, self._attempts[index])
                    self._running[self._work.remote(self._tasks[index], name, self._board)] = index
                done, _ = self._ray.wait(list(self._running), timeout=_POLL_SECONDS)
                self._read_reports()
                for reference in done:
                    self._take(reference, results)
        finally:
            for reference in self._running:
                self._ray.cancel(reference, force=True)
            self._ray.kill(self._board)
        return [results[index] for index in range(len(self._tasks))]

    def _take(self, reference: Any, results: dict[int, Any]) -> None:
        index = self._running.pop(reference)
        try:
            failed, value = self._ray.get(reference)
        except self._deaths as error:
            self._attempts[index] += 1
            self._waiting.appendleft(index)
            self._monitor.died(index, f"Ray's {type(error).__name__}")
            return
        except self._ray.exceptions.RayError as error:
            first = (str(error).strip().splitlines() or [""])[-1]
            raise WorkerError(f"task {index} could not be run by Ray ({first})") from error
        if failed:
            raise value
        results[index] = value

    def _read_reports(self) -> None:
        try:
            reports = self._ray.get(self._board.take.remote())
        except self._ray.exceptions.RayError:
            return  # no more progress is reported; the results do not depend on it
        for (index, attempt), units, messages in reports:
            if attempt == self._attempts[index]:
                self._monitor.advanced(index, units, messages)


class _Board:
    """An actor that keeps the reports of tasks until the caller takes them."""

    def __init__(self) -> None:
        self._reports: list[tuple[tuple[int, int], int, list[object]]] = []

    def put(self, name: tuple[int, int], units: int, messages: list[object]) -> None:
        """Keeps a report of a task: units of work, and messages."""
        self._reports.append((name, units, messages))

    def take(self) -> list[tuple[tuple[int, int], int, list[object]]]:
        """Returns the reports since the last call."""
        reports, self._reports = self._reports, []
        return reports


def _work(task: Task[Any], name: tuple[int, int], board: Any) -> tuple[bool, Any]:
    """Runs a task on a worker; returns whether it failed, and its result or its error."""
    import ray

    report = TaskReport(lambda units, messages: board.put.remote(name, units, messages))
    try:
        outcome: tuple[bool, Any] = (False, task(report))
    except Exception as error:
        outcome = (True, portable(error))
    with contextlib.suppress(ray.exceptions.RayError):
        ray.get(board.put.remote(name, *report.rest()))  # all of it is there before the result is
    return outcome
