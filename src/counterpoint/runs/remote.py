"""`Remote`: an object that lives in another process, and answers when it is asked.

The tasks of executor.py are done once and forgotten; here an object keeps its state from one call
to the next. A caller asks several of them first and then takes their answers, so that they work
side by side.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Protocol

from counterpoint.errors import WorkerError
from counterpoint.machine.processes import begin_child
from counterpoint.machine.signals import TICK_SECONDS
from counterpoint.runs.executor import one_thread_each
from counterpoint.runs.ray_executor import OnRay
from counterpoint.runs.task import ending, portable

_GRACE_SECONDS = 5.0


class Remote(Protocol):
    """An object somewhere. One call at a time: each `ask` is followed by its `answer`."""

    def ask(self, method: str, *given: Any) -> None:
        """Calls a method of the object; what is given can be pickled, if it is elsewhere."""

    def answer(self) -> Any:
        """Waits for what the method returns.

        Raises:
            WorkerError: the process of the object died.
            Exception: what the method, or the making of the object, raised.
        """

    def close(self) -> None:
        """Calls `close` of the object, if it was made, and ends its process."""


class Here:
    """An object of this process; it works when its answer is taken."""

    def __init__(self, object_here: Any) -> None:
        self._object = object_here

    def ask(self, method: str, *given: Any) -> None:
        self._asked = method, given

    def answer(self) -> Any:
        method, given = self._asked
        return getattr(self._object, method)(*given)

    def close(self) -> None:
        self._object.close()


class InProcess:
    """An object in a process of its own; it is made at the first call."""

    def __init__(self, make: Callable[[], Any]) -> None:
        spawned = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawned.Pipe()
        self._process = spawned.Process(target=_serve, args=(theirs, make), daemon=True)
        with one_thread_each():
            self._process.start()
        theirs.close()  # or its end would not end the pipe

    def ask(self, method: str, *given: Any) -> None:
        with contextlib.suppress(ConnectionError):  # it is dead, as the answer will say
            self._pipe.send((method, given))

    def answer(self) -> Any:
        try:
            while not self._pipe.poll(TICK_SECONDS):
                pass
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(_GRACE_SECONDS)
            raise WorkerError(f"it ended by {ending(self._process.exitcode)}") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self._pipe.close()
        self._process.join(_GRACE_SECONDS)
        self._process.kill()
        self._process.join()


def remote(make: Callable[[], Any], executor: str) -> Remote:
    """Returns an object that is made elsewhere.

    Args:
        make: makes it; it can be pickled.
        executor: `processes` or `ray`, as for `run_tasks`.
    """
    return OnRay(make) if executor == "ray" else InProcess(make)


def _serve(pipe: Connection, make: Callable[[], Any]) -> None:
    """Runs in a process: makes the object, and calls it until the pipe ends."""
    begin_child()
    made: Any = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            method, given = pipe.recv()
            try:
                made = make() if made is None else made
                answer = getattr(made, method)(*given)
            except Exception as error:
                answer = portable(error)
            pipe.send(answer)
    if made is not None:
        made.close()
