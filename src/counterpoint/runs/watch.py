"""What is heard of tasks at work: units done, messages told, deaths counted."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.reduction import ForkingPickler
from typing import Any

from counterpoint.errors import WorkerError

Message = Mapping[str, Any]
RERUNS = 3
"""How often a task is run again after its worker died."""
PAUSE_SECONDS = 0.05


class Watch:
    """Tells the caller of `run_tasks` what its tasks told, whichever executor runs them."""

    def __init__(
        self,
        tasks: int,
        on_progress: Callable[[int], None] | None = None,
        on_message: Callable[[int, Message], None] | None = None,
    ) -> None:
        self._units = [0] * tasks
        self._deaths = [0] * tasks
        self._told = 0
        self._on_progress, self._on_message = on_progress, on_message

    def heard(self, index: int, units: int, messages: Sequence[Message] = ()) -> None:
        """A task did units of its work, and told messages."""
        self._units[index] += units
        if self._on_message is not None:
            for message in messages:
                self._on_message(index, message)
        done = sum(self._units)
        if self._on_progress is not None and done > self._told:
            self._told = done  # the sum falls when a task starts again, what is told does not
            self._on_progress(done)

    def died(self, index: int, how: str) -> None:
        """The worker of a task died, so that what the task did is lost.

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


class Told:
    """What a worker has to say of one task, gathered so that a call to `advance` costs little."""

    def __init__(self, send: Callable[[int, list[Message]], None]) -> None:
        self._send = send
        self._units, self._messages = 0, list[Message]()
        self._last = time.monotonic()

    def __call__(self, message: Message | None = None, /) -> None:
        """Count a unit; what is gathered is sent now and then."""
        self._units += 1
        if message is not None:
            self._messages.append(message)
        if time.monotonic() - self._last > PAUSE_SECONDS:
            self._send(*self.rest())

    def rest(self) -> tuple[int, list[Message]]:
        """What is not sent yet."""
        units, messages = self._units, self._messages
        self._units, self._messages, self._last = 0, [], time.monotonic()
        return units, messages


def ending(code: int | None) -> str:
    """How a process ended, in words: `signal SIGKILL`, `exit status 3`."""
    if code is not None and code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return f"exit status {code}"


def portable(error: Exception) -> Exception:
    """The error with its traceback as a note, in a form that reaches the caller."""
    error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        return WorkerError(f"a task ended with {type(error).__name__}: {error}")
    return error
