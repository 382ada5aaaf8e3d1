"""`python -m counterpoint` is the same program as `counterpoint`. Start at `run`."""

from __future__ import annotations

import os
import signal
from types import FrameType


def run() -> None:
    """Loads the command line and runs it; a signal while it loads ends it with its status."""
    was = signal.getsignal(signal.SIGINT)
    if was is not signal.SIG_IGN:  # as for what a shell starts in the background
        signal.signal(signal.SIGINT, _ended)
    signal.signal(signal.SIGTERM, _ended)
    hangup = getattr(signal, "SIGHUP", signal.SIGTERM)
    if signal.getsignal(hangup) is not signal.SIG_IGN:  # as under nohup
        signal.signal(hangup, _ended)
    from counterpoint.cli import main

    signal.signal(signal.SIGINT, was)
    main.run()


def _ended(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)  # nothing has begun


if __name__ == "__main__":
    run()
