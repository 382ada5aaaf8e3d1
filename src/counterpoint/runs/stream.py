"""`stream`: one function of every item of a long stream, on several processes, in bounded memory.

`run_tasks` of executor.py is for tasks that are all known and long; here items are many and short,
and come one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from counterpoint.errors import WorkerError
from counterpoint.machine.processes import MOST_WORKERS, begin_child
from counterpoint.machine.signals import awaited
from counterpoint.runs.executor import one_thread_each

Item = TypeVar("Item")
Value = TypeVar("Value")

AT_FIRST = 500
"""Items that are done here before processes are started: a shorter stream is not worth them."""
BATCH = 8
"""Items that are sent at a time."""
AHEAD = 3
"""Batches that wait for each process."""


def stream(
    function: Callable[[Item], Value], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Value]]:
    """Yields each item with its value, in order; the values are the same for any `workers`.

    Args:
        function: it and its values can be pickled, if there are several workers.
        items: taken as they are needed.
        workers: processes; 1 does everything here.

    Raises:
        WorkerError: a process was killed.
        Exception: what `function` or `items` raise.
    """
    source = iter(items)
    for item in source if workers == 1 else islice(source, AT_FIRST):
        yield item, function(item)
    batch = list(islice(source, BATCH))
    if not batch:
        return
    spawned = get_context("spawn")
    workers = min(workers, MOST_WORKERS)
    with one_thread_each(), ProcessPoolExecutor(workers, spawned, begin_child) as pool:
        waiting: deque[tuple[list[Item], Future[list[Value]]]] = deque()
        try:
            while batch or waiting:
                if batch:
                    waiting.append((batch, pool.submit(_each, function, batch)))
                    batch = list(islice(source, BATCH))
                if not batch or len(waiting) > AHEAD * workers:
                    done, pending = waiting.popleft()
                    values = awaited(pending)
                    yield from zip(done, values, strict=True)
        except BrokenProcessPool:
            raise WorkerError(
                "got no answer from a process, which was killed (out of memory?); wanted all of "
                "them to the end: use one worker"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _each(function: Callable[[Item], Value], batch: Sequence[Item]) -> list[Value]:
    return [function(item) for item in batch]
