"""Text that a terminal cannot obey, and standard streams that are closed or full.

Start at `guard_streams`: afterwards everything that is written to standard output and standard
error passes one filter, whoever writes it. Names of agents, worlds, models and files come from
strangers, and a terminal obeys what is in them: colours, titles, links, a cursor that moves.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters that move the cursor, turn the direction of text or cannot be seen; surrogates."""

_DIGITS = 4
"""Most digits of the number of columns or lines of a terminal."""


def printable(text: str) -> str:
    """Returns the text with each character that a terminal could obey shown as a sign.

    Control characters, marks of direction and other characters without a picture become one sign
    each; line ends and tabs stay.
    """
    return _ODD.sub(lambda odd: chr(0x2400 + ord(odd[0])) if odd[0] < " " else "\ufffd", text)


def escaped(encoded: str) -> str:
    """Returns JSON with each character that a terminal could obey written as an escape."""
    return _ODD.sub(lambda odd: json.dumps(odd[0])[1:-1], encoded)


def one_line(text: str) -> str:
    """Returns the text as `printable` does, in one line: a name cannot begin another one."""
    return printable(text).replace("\n", "\u240a").replace("\t", " ")


class GuardedStream:
    """A stream of text whose writes are `printable`; everything else is that of the stream.

    Args:
        stream: where the text goes.
        may_fail: drop what cannot be written, once and for all. It is for standard error: nobody
            reads it then, and the result is worth more than the notes.
    """

    def __init__(self, stream: TextIO, *, may_fail: bool) -> None:
        self.stream = stream
        self._may_fail = may_fail

    def write(self, text: str) -> int:
        """Writes the text, filtered."""
        with self._failing():
            self.stream.write(printable(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Writes each text, filtered."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hands on what was written."""
        with self._failing():
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            if not self._may_fail:
                raise
            silence(self.stream)


def guard_streams() -> None:
    """Lets standard output and standard error pass the filter from now on."""
    sys.stdout = _guarded(sys.stdout, may_fail=False)
    sys.stderr = _guarded(sys.stderr, may_fail=True)


@contextlib.contextmanager
def guarded_streams() -> Iterator[None]:
    """Lets both streams pass the filter while the block runs."""
    before = sys.stdout, sys.stderr
    guard_streams()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _guarded(stream: TextIO, *, may_fail: bool) -> TextIO:
    if isinstance(stream, GuardedStream):
        return stream
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a name is never worth a traceback
    return cast(TextIO, GuardedStream(stream, may_fail=may_fail))


def unguarded(stream: TextIO) -> TextIO:
    """Returns the stream behind the filter, for one that draws and filters each text itself."""
    return stream.stream if isinstance(stream, GuardedStream) else stream


def silence(stream: TextIO) -> None:
    """Sends what is written to a stream from now on, and what it still holds, to nowhere."""
    with contextlib.suppress(OSError, ValueError):  # one of a test has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def forget_impossible_size() -> None:
    """Forgets COLUMNS and LINES where no terminal is that large, as if they were not set."""
    for name in ("COLUMNS", "LINES"):
        value = os.environ.get(name, "0")
        if not value.isdecimal() or len(value) > _DIGITS:
            del os.environ[name]


def open_standard_descriptors() -> None:
    """Opens the null device in place of each standard stream that is closed.

    Otherwise the next file that is opened takes its number, and gets what is printed there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or io.StringIO()
