"""The signals that end the program, and which of them may have a handler of ours."""

from __future__ import annotations

import signal

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
