"""The exit statuses of the program, and what an interrupted command says: `Exit`, `kept`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from counterpoint.errors import CounterpointError, NothingDoneError


class Exit(IntEnum):
    """The exit status of every command; `about` says what it means."""

    DONE = 0, "it is done"
    PART = (
        1,
        (
            "a part failed, such as questions without an answer or a team's task; an audit of "
            "--fail-on found something; or a defect of ours, with its traceback"
        ),
    )
    INPUT = 2, "the input, a file or this machine does not allow it"
    NOTHING = 3, "nothing could be done: no answer of a server, or nothing in a folder can be read"
    HUNG_UP = 129, "its terminal was closed (SIGHUP); what is finished is kept"
    INTERRUPTED = 130, "Ctrl-C ended it; the same holds"
    TERMINATED = 143, "SIGTERM ended it; the same holds"

    about: str

    def __new__(cls, status: int, about: str) -> Exit:
        """Makes a status that is an int."""
        made = int.__new__(cls, status)
        made._value_ = status
        made.about = about
        return made


class PartlyDoneError(CounterpointError):
    """An error that ended a command after a part was done, and kept."""


def status_of(error: CounterpointError) -> Exit:
    """Returns the exit status of a command that an error has ended."""
    if isinstance(error, PartlyDoneError):
        return Exit.PART
    return Exit.NOTHING if isinstance(error, NothingDoneError) else Exit.INPUT


@contextmanager
def kept(line: str, where: Path | None) -> Iterator[None]:
    """Adds to a signal that ends the block what is kept and how to go on; `main` prints it.

    Args:
        line: what is kept.
        where: it is kept only if this is there in the end.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as ended:
        if where is not None and where.exists():
            ended.add_note(line)
        raise
