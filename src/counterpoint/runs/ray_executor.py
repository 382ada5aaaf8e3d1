"""Tasks over a Ray cluster: the one file that imports ray.

Ray's own retries are off: a death is counted, told and limited as in processes.py, so that both
end the same way. What tasks tell goes through a small actor on the node of the caller; should that
die, the results still come.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Sequence
from typing import Any

from counterpoint.errors import WorkerError
from counterpoint.runs.task import Result, Task
from counterpoint.runs.watch import Message, Told, Watch, portable

_DEATHS = (
    *("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "LocalRayletDiedError"),
    "ObjectLostError",
)
_POLL_SECONDS = 0.1


def on_ray(tasks: Sequence[Task[Result]], workers: int | None, watch: Watch) -> list[Result]:
    """The results of tasks on the cluster of RAY_ADDRESS, or on one of this machine.

    A cluster that this process is connected to already is used, and left as it is.

    Raises:
        WorkerError: the workers of one task died again and again, or Ray itself failed.
        Exception: the first error of a task.
    """
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
        size = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers}
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="error", **size)
    try:
        return _Gathering(ray, tasks, watch).results(workers)
    finally:
        if ours:
            ray.shutdown()


class _Gathering:
    """Tasks handed out to Ray, and what came of them."""

    def __init__(self, ray: Any, tasks: Sequence[Task[Any]], watch: Watch) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as OnNode

        self._ray, self._tasks, self._watch = ray, tasks, watch
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
        """All of them, in the order of the tasks."""
        limit = workers or max(int(self._ray.cluster_resources().get("CPU", 1)), 1)
        results: dict[int, Any] = {}
        try:
            while len(results) < len(self._tasks):
                while self._waiting and len(self._running) < limit:
                    self._hand_out(self._waiting.popleft())
                done, _ = self._ray.wait(list(self._running), timeout=_POLL_SECONDS)
                self._hear()
                for reference in done:
                    self._take(reference, results)
        finally:
            for reference in self._running:
                self._ray.cancel(reference, force=True)
            self._ray.kill(self._board)
        return [results[index] for index in range(len(self._tasks))]

    def _hand_out(self, index: int) -> None:
        name = (index, self._attempts[index])
        self._running[self._work.remote(self._tasks[index], name, self._board)] = index

    def _take(self, reference: Any, results: dict[int, Any]) -> None:
        index = self._running.pop(reference)
        try:
            failed, value = self._ray.get(reference)
        except self._deaths as error:
            self._attempts[index] += 1
            self._waiting.appendleft(index)
            self._watch.died(index, f"Ray's {type(error).__name__}")
            return
        except self._ray.exceptions.RayError as error:
            first = (str(error).strip().splitlines() or [""])[-1]
            raise WorkerError(f"task {index} could not be run by Ray ({first})") from error
        if failed:
            raise value
        results[index] = value

    def _hear(self) -> None:
        try:
            told = self._ray.get(self._board.take.remote())
        except self._ray.exceptions.RayError:
            return  # no more progress is told; the results do not depend on it
        for (index, attempt), units, messages in told:
            if attempt == self._attempts[index]:
                self._watch.heard(index, units, messages)


class _Board:
    """An actor that keeps what tasks tell until the caller takes it."""

    def __init__(self) -> None:
        self._told: list[tuple[tuple[int, int], int, list[Message]]] = []

    def tell(self, name: tuple[int, int], units: int, messages: list[Message]) -> None:
        """A task did units of work and told messages."""
        self._told.append((name, units, messages))

    def take(self) -> list[tuple[tuple[int, int], int, list[Message]]]:
        """What was told since the last call."""
        told, self._told = self._told, []
        return told


def _work(task: Task[Any], name: tuple[int, int], board: Any) -> tuple[bool, Any]:
    """On a worker: whether the task failed, and its result or its error."""
    import ray

    told = Told(lambda units, messages: board.tell.remote(name, units, messages))
    try:
        outcome: tuple[bool, Any] = (False, task(told))
    except Exception as error:
        outcome = (True, portable(error))
    with contextlib.suppress(ray.exceptions.RayError):
        ray.get(board.tell.remote(name, *told.rest()))  # all of it is there before the result is
    return outcome


def _ray() -> Any:
    import ray
    import ray.exceptions

    return ray
