"""What `train` and `resume` print at their end: where the run is, what it reached, how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from counterpoint.cli.messages import say
from counterpoint.cli.output import print_json, print_result
from counterpoint.report.terminal.training import training_parts
from counterpoint.runs.status import RUN
from counterpoint.train.result import training_result, training_summary

if TYPE_CHECKING:
    from counterpoint.train.session import Session


def finish(session: Session, *, as_json: bool = False) -> int:
    """Prints what the run has reached and how to go on; returns the exit status."""
    for note in session.notes:
        say(f"counterpoint: {note}")
    if as_json:
        print_json(msgspec.to_builtins(training_summary(session.path)))
    elif session.trained is not None:
        print_result(*training_parts(training_result(session.path)))
    if session.message:
        say(session.message)
    elif not as_json:
        say(f"run: {session.path}; its page: counterpoint report {session.path}")
    return session.exit_status


@contextmanager
def resumable(path: Path) -> Iterator[None]:
    """Says how to go on with the run in `path` where the block is ended at once by a signal."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if (path / RUN).exists():
            say(f"go on with: counterpoint resume {path}")
        raise
