"""Stopping a run in good order: the first signal asks, the second one does not.

`run_tasks_to_end` is for asynchronous work.

with Stopper() as stopper:
    for step in ...:
        if stopper.asked:
            run.save(step, snapshot)
            break
return stopper.exit_status
"""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

from counterpoint.machine.signals import SIGNALS, can_be_heard

Result = TypeVar("Result")


class Stopper:
    """While it is entered, SIGINT, SIGTERM and SIGHUP set `asked` instead of ending the process.

    A second signal raises at once: KeyboardInterrupt for SIGINT (exit status 130), SystemExit for
    SIGTERM (143) and for SIGHUP (129), which stays ignored under nohup. The previous handlers come
    back on leaving. Outside the main thread, where Python delivers no signals, it does nothing, and
    `asked` stays None.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        """The signal that asked to stop; None while nobody did."""
        self._before: dict[int, Any] = {}

    @property
    def exit_status(self) -> int:
        """130, 143 or 129 where a signal asked, else 0."""
        return 0 if self.asked is None else 128 + self.asked

    def how_to_resume(self, path: Path | str, step: int, axis: str = "step") -> str:
        """Returns the line for standard error when the checkpoint of that step is written."""
        name = self.asked.name if self.asked else "asked to stop"
        line = f"counterpoint resume {shlex.quote(str(path))}"
        return f"stopped at {axis} {step} ({name}); resume with: {line}"

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if can_be_heard(number):
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.asked is None:
            self.asked = signal.Signals(number)
            return
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that arrive meanwhile are handled at its end: half a message that was read would
    leave a pipe out of step. A second one is handled at once.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """
    late: list[tuple[int, FrameType | None]] = []
    before: dict[int, Any] = {}

    def receive(number: int, frame: FrameType | None) -> None:
        late.append((number, frame))
        if len(late) > 1:
            before[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if callable(handler := signal.getsignal(number)):
                before[number] = handler
                signal.signal(number, receive)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if len(late) == 1:
            before[late[0][0]](*late[0])


def run_tasks_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Returns what a coroutine returns; a signal whose handler raises cancels its tasks first.

    `asyncio.run` does so for SIGINT alone: what the handler of another signal raises would end some
    task or callback, and each of the others would print a traceback.

    Raises:
        BaseException: whatever the handler of the signal raises, when no task is left.
    """
    import asyncio  # 20 ms that every command would wait for

    raised: list[BaseException] = []
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)
        before: dict[int, Any] = {}

        def receive(number: int, frame: FrameType | None) -> None:
            try:
                before[number](number, frame)
            except BaseException as error:
                raised.append(error)
                loop.call_soon_threadsafe(task.cancel)

        async def ended() -> Result:
            return await task

        try:
            if threading.current_thread() is threading.main_thread():
                for number in SIGNALS:
                    if callable(signal.getsignal(number)):
                        before[number] = signal.getsignal(number)
                        signal.signal(number, receive)
            return runner.run(ended())
        except asyncio.CancelledError:
            if raised:
                raise raised[0] from None
            raise
        finally:
            for caught, handler in before.items():
                signal.signal(caught, handler)
