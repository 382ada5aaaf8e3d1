"""What an executor runs: a `Task`, how it reports its progress, and how many workers died.

Start at `Task`; `TaskMonitor` collects the reports of all tasks for the caller.
"""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.reduction import ForkingPickler
from typing import Any, Protocol, TypeVar

from counterpoint.errors import WorkerError

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)
RERUNS = 3
"""How often a task is run again after its worker died."""
PAUSE_SECONDS = 0.05


class Advance(Protocol):
    """Called by a task after each unit of its work."""

    def __call__(self, message: object = None, /) -> None:
        """Counts a unit of work; a small picklable message, a point of a curve say, goes to the
        caller."""


class Task(Protocol[Result_co]):
    """A picklable callable: a module-level function, or a frozen dataclass with `__call__`."""

    def __call__(self, advance: Advance, /) -> Result_co:
        """Does the work and returns the result."""


class TaskMonitor:
    """Reports to the caller of `run_tasks` how its tasks advance, whichever executor runs them."""

    def __init__(
        self,
        tasks: int,
        on_progress: Callable[[int], None] | None = None,
        on_message: Callable[[int, Any], None] | None = None,
    ) -> None:
        self._units = [0] * tasks
        self._deaths = [0] * tasks
        self._reported = 0
        self._on_progress, self._on_message = on_progress, on_message

    def advanced(self, index: int, units: int, messages: Sequence[object] = ()) -> None:
        """Counts units of a task's work, and passes its messages on."""
        self._units[index] += units
        if self._on_message is not None:
            for message in messages:
                self._on_message(index, message)
        done = sum(self._units)
        if self._on_progress is not None and done > self._reported:
            self._reported = done  # the sum falls when a task starts again; a report does not
            self._on_progress(done)

    def died(self, index: int, how: str) -> None:
        """Counts the death of a task's worker, so that what the task did is lost.

        Raises:
            WorkerError: it has been run again often enough.
        """
        self._units[index] = 0
        self._deaths[index] += 1
        if self._deaths[index] > RERUNS:
            raise WorkerError(
                f"task {index} lost its worker {self._deaths[index]} times, the last one by {how}; "
                "wanted one that lives: give it more memory or fewer workers, or run it alone "
                "with the serial executor to see what ends it"
            )


class TaskReport:
    """What one task reports, gathered by its worker so that a call to `advance` costs little."""

    def __init__(self, send: Callable[[int, list[object]], None]) -> None:
        self._send = send
        self._units, self._messages = 0, list[object]()
        self._last = time.monotonic()

    def __call__(self, message: object = None, /) -> None:
        """Counts a unit; what is gathered is sent every `PAUSE_SECONDS`."""
        self._units += 1
        if message is not None:
            self._messages.append(message)
        if time.monotonic() - self._last > PAUSE_SECONDS:
            self._send(*self.rest())

    def rest(self) -> tuple[int, list[object]]:
        """Returns the units and messages that are not sent yet."""
        units, messages = self._units, self._messages
        self._units, self._messages, self._last = 0, [], time.monotonic()
        return units, messages


def ending(code: int | None) -> str:
    """Returns how a process ended, in words: `signal SIGKILL`, `exit status 3`."""
    if code is not None and code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return f"exit status {code}"


def portable(error: Exception) -> Exception:
    """Returns the error with its traceback as a note, in a form that reaches the caller."""
    error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        return WorkerError(f"a task ended with {type(error).__name__}: {error}")
    return error
