"""The signals that end the program, which of them may have a handler of ours, and how to wait so
that they are heard."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
TICK_SECONDS = 0.5
"""The longest wait of the main thread. Python looks for signals before and after a wait: one that
comes between the look and the wait is heard when the wait is over."""

SIGNALS = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that end the program in good order: of the keyboard, of another process, and of a
terminal that is closed, where there is one."""


def can_be_heard(number: signal.Signals) -> bool:
    """Returns whether a signal may get a handler of ours: not SIGHUP where nohup ignores it, and
    none with a handler that C code has set, which could not be put back."""
    handler = signal.getsignal(number)
    is_nohup = handler is signal.SIG_IGN and number.name == "SIGHUP"
    return handler is not None and not is_nohup


def awaited(future: Future[T]) -> T:
    """Returns the result of a future; a signal is heard while it is waited for.

    Raises:
        Exception: what the future raises.
    """
    while not future.done():
        with contextlib.suppress(TimeoutError):
            future.exception(TICK_SECONDS)
    return future.result()
