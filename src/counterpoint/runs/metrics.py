"""The series of a run: `metrics.jsonl`, one JSON object a line, each with its `step`.

A line reaches the system in one write, so a killed process leaves whole lines and at most one torn
one. What is not finite is written as null.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import zlib
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import OutputError, RunError
from counterpoint.machine.files import open_to_write, read_ordinary
from counterpoint.settings import NOT_JSON

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Loggable = Json | np.generic | NDArray[Any] | Sequence["Loggable"] | Mapping[str, "Loggable"]
"""What a row may hold when it is written: also numbers and arrays of NumPy."""
Line = dict[str, Json]
"""A line of a series: a whole number `step`, and whatever its writer adds."""


class Metrics:
    """Appends rows to a file, and follows them with a digest.

    Raises:
        OutputError: the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encode = msgspec.json.Encoder(enc_hook=_plain).encode
        try:
            self._handle = open_to_write(path, os.O_CREAT | os.O_APPEND, read=True)
            self.digest = Digest(self.content())
        except OSError as error:
            raise self._failed(error) from error

    def content(self) -> bytes:
        """Returns the bytes of the file, also if it was moved or deleted meanwhile.

        Raises:
            OSError: they cannot be read.
        """
        with open(self._handle, "rb", closefd=False) as file:
            file.seek(0)
            return file.read()

    def append(self, row: Mapping[str, Loggable]) -> None:
        """Adds a row; when this returns, a killed process no longer loses it.

        Raises:
            RunError: it has no whole number `step`, or holds what JSON cannot.
            OutputError: it could not be written; earlier rows are whole.
        """
        step = row.get("step")
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise RunError(f"got a row with step {step!r}; wanted a whole number from 0 on")
        try:
            line = self._encode(dict(row)) + b"\n"
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise RunError(f"got a row that JSON cannot hold ({error})") from error
        size = os.fstat(self._handle).st_size
        try:
            left = memoryview(line)
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, size)
            raise self._failed(error) from error
        self.digest.add(line)

    def sync(self) -> None:
        """Writes every row through to the disk.

        Raises:
            OutputError: they could not be written.
        """
        try:
            os.fsync(self._handle)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Closes the file."""
        os.close(self._handle)

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"could not write {self.path} ({error.strerror or error}); earlier rows are whole: "
            "make room, then resume"
        )


def read_rows(path: Path) -> tuple[list[Line], int]:
    """Returns the complete rows of a file, and how many damaged lines were passed over.

    A last line that was cut off counts as damaged, unless all of its row is there.
    """
    lines, damaged = _lines(path)
    return [row for _, _, row in lines], damaged


def rows_until(path: Path, step: int | None) -> tuple[bytes, int]:
    """Returns the bytes of the complete rows up to a step (None keeps none), and the number of
    damaged lines that are left out."""
    lines, damaged = _lines(path)
    kept = b"".join(line for line, at, _ in lines if step is not None and at <= step)
    return kept, damaged


def step_of(line: bytes) -> int | None:
    """Returns the step of a line of a series; None if it is damaged."""
    return _decode(line)[0]


def _decode(line: bytes) -> tuple[int | None, Line]:
    row: Line = {}
    with contextlib.suppress(*NOT_JSON):
        row = msgspec.json.decode(line, type=dict)
    step = row.get("step")
    return (step if isinstance(step, int) and not isinstance(step, bool) else None), row


def _lines(path: Path) -> tuple[list[tuple[bytes, int, Line]], int]:
    """Returns each complete row with its bytes and its step, and the number of damaged lines."""
    complete: list[tuple[bytes, int, Line]] = []
    damaged = 0
    for line in read_ordinary(path).split(b"\n") if path.exists() else ():
        if not line:
            continue
        step, row = _decode(line)
        if step is None:
            damaged += 1
        else:
            complete.append((line + b"\n", step, row))
    return complete, damaged


class SealedSeries(msgspec.Struct, frozen=True):
    """The rows of a series that were acknowledged; later rows may follow while it grows."""

    rows: int
    bytes: int
    sha256: str
    """Of these bytes."""
    lines: str
    """Base64 of the CRC-32 of each row, four bytes each, to find the row that differs."""


class Digest:
    """The hashes of a series, followed row by row.

    Args:
        data: its rows so far.
    """

    def __init__(self, data: bytes = b"") -> None:
        self._sha256, self._bytes = hashlib.sha256(), 0
        self._lines = array("L")
        for line in data.split(b"\n")[:-1]:
            self.add(line + b"\n")
        if data and not data.endswith(b"\n"):
            self.add(data[data.rfind(b"\n") + 1 :])

    def add(self, line: bytes) -> None:
        """Takes the next row, with its line feed."""
        self._sha256.update(line)
        self._bytes += len(line)
        self._lines.append(zlib.crc32(line.removesuffix(b"\n")))

    def marks(self) -> list[int]:
        """Returns the CRC-32 of each row."""
        return self._lines.tolist()

    def sealed(self) -> SealedSeries:
        """Returns the hashes of all rows so far."""
        marks = np.asarray(self._lines, dtype="<u4").tobytes()
        return SealedSeries(
            rows=len(self._lines),
            bytes=self._bytes,
            sha256=self._sha256.hexdigest(),
            lines=base64.b64encode(marks).decode(),
        )


def _plain(value: Any) -> Any:
    """Returns numbers and arrays of NumPy as those of Python."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no number, text, list or mapping")
