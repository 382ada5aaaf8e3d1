"""Bytes to complete lines, in blocks of bounded size; and lines to JSON values."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from counterpoint.errors import LogError

LONGEST_LINE_BYTES = 64 * 2**20
"""A longer line is refused before it is read completely."""

READ_BYTES = 2**20
"""The number of bytes that are read at a time."""


class LogWarning(UserWarning):
    """Something that a person should know of a log, which could be read."""


class TornLogWarning(LogWarning):
    """The last line of a log is incomplete; the records before it were read."""


class LogNotice(LogWarning):
    """The meaning of a column with another name was guessed."""


@contextmanager
def opened(source: str | os.PathLike[str], wanted: str) -> Iterator[BinaryIO]:
    """Opens a file to read, or standard input for "-".

    Args:
        source: a path, or "-".
        wanted: what it should have been, for the message.

    Raises:
        LogError: it cannot be opened or read.
    """
    try:
        if source == "-":
            yield sys.stdin.buffer
        else:
            with Path(source).open("rb") as file:
                yield file
    except LogError:
        raise
    except (OSError, ValueError) as error:
        name = "standard input" if source == "-" else repr(os.fspath(source))
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise LogError(f"got {name}: {why}; wanted {wanted}") from error


@dataclass(frozen=True)
class Block:
    """Whole lines of valid UTF-8."""

    first_line: int
    """Number of the block's first line; a file starts with line 1."""
    data: bytes
    """The lines with their line ends."""
    unended: bool
    """Whether this is the last line of the file and no line end follows it."""

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yields each line that is not blank, with its number."""
        for number, line in enumerate(self.data.split(b"\n"), self.first_line):
            if line.strip():
                yield number, line


def blocks(stream: BinaryIO, head: bytes = b"") -> Iterator[Block]:
    """Yields the stream as blocks of whole lines; an unended last line is a block of its own.

    Args:
        stream: the bytes.
        head: bytes that were already read from the stream.

    Raises:
        LogError: A line is longer than `LONGEST_LINE_BYTES`, or is not UTF-8.
    """
    number, rest = 1, bytearray()
    while read := head or stream.read(READ_BYTES):
        head = b""
        end = read.rfind(b"\n") + 1
        if end:
            data = bytes(rest + read[:end])
            rest = bytearray(read[end:])
            yield _checked(Block(number, data, unended=False))
            number += data.count(b"\n")
        else:
            rest += read
        if len(rest) > LONGEST_LINE_BYTES:
            raise LogError(
                f"line {number}: got more than {LONGEST_LINE_BYTES // 2**20} MB without a line "
                "end; wanted one record a line; is this a log of decisions?"
            )
    if rest.strip():
        yield _checked(Block(number, bytes(rest), unended=True))


def _checked(block: Block) -> Block:
    try:
        block.data.decode()
    except UnicodeDecodeError as error:
        if block.unended and error.end == len(block.data) and "end of data" in error.reason:
            return block  # torn within a character: the parser of the line raises the error
        line = block.first_line + block.data.count(b"\n", 0, error.start)
        column = error.start - block.data.rfind(b"\n", 0, error.start)
        raise LogError(
            f"line {line}, column {column}: got bytes that are not UTF-8 ({error.reason}); wanted "
            "UTF-8 text"
        ) from error
    return block


def json_lines(stream: BinaryIO, source: str = "") -> Iterator[tuple[int, str, Any]]:
    """Yields the value of each line, after the line's number and its place in words.

    Args:
        stream: JSON lines.
        source: the start of each place, such as the path and a comma.

    Raises:
        LogError: A line is too long, not UTF-8, or no JSON.

    Warns:
        TornLogWarning: The last line is incomplete; the values before it are there.
    """
    is_first = True
    try:
        for block in blocks(stream):
            for number, line in block.lines():
                where = f"line {number}"
                try:
                    value = json_value(line, where)
                except LogError:
                    if is_first or not block.unended:
                        raise
                    message = f"{source}{where}: the last line is incomplete and was left out"
                    warnings.warn(message, TornLogWarning, stacklevel=2)
                    return
                is_first = False
                yield number, source + where, value
    except LogError as error:
        raise LogError(f"{source}{error}") from None


def json_value(data: bytes, where: str) -> Any:
    """Returns a JSON value; NaN and Infinity, which some tools write, are numbers.

    Raises:
        LogError: The data is no JSON, or is nested too deeply.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise LogError(f"{where}: got JSON that is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            return json.loads(data)
        except RecursionError:
            raise LogError(f"{where}: got JSON that is nested too deeply") from None
        except (ValueError, UnicodeDecodeError):
            raise LogError(f"{where}: got no JSON ({error})") from None
