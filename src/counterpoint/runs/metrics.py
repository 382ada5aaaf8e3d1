"""The series of a run: `metrics.jsonl`, one JSON object a line, each with its `step`.

A line reaches the system in one write, so a killed process leaves whole lines and at most one torn
one. What is not finite is written as null.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import OutputError, RunError
from counterpoint.machine.files import open_to_write
from counterpoint.runs.files import write_atomically
from counterpoint.settings import NOT_JSON

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Loggable = Json | np.generic | NDArray[Any] | Sequence["Loggable"] | Mapping[str, "Loggable"]
"""What a row may hold when it is written: also numbers and arrays of NumPy."""
Line = dict[str, Json]
"""A line of a series: a whole number `step`, and whatever its writer adds."""


class Metrics:
    """Appends rows to a file.

    Raises:
        OutputError: the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encode = msgspec.json.Encoder(enc_hook=_plain).encode
        try:
            self._handle = open_to_write(path, os.O_CREAT | os.O_APPEND)
        except OSError as error:
            raise self._failed(error) from error

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


def cut_back(path: Path, step: int | None) -> int:
    """Keeps the rows up to a step (None keeps none); returns the number of damaged lines dropped.

    The file is replaced as a whole, or left alone where there is nothing to cut.

    Raises:
        OutputError: it could not be written; it is as it was.
    """
    lines, damaged = _lines(path)
    kept = b"".join(line for line, at, _ in lines if step is not None and at <= step)
    if path.exists() and kept != path.read_bytes():
        write_atomically(path, kept)
    return damaged


def _lines(path: Path) -> tuple[list[tuple[bytes, int, Line]], int]:
    """Returns each complete row with its bytes and its step, and the number of damaged lines."""
    complete: list[tuple[bytes, int, Line]] = []
    damaged = 0
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        if not line:
            continue
        row: Line = {}
        with contextlib.suppress(*NOT_JSON):
            row = msgspec.json.decode(line, type=dict)
        step = row.get("step")
        if isinstance(step, int) and not isinstance(step, bool):
            complete.append((line + b"\n", step, row))
        else:
            damaged += 1
    return complete, damaged


def _plain(value: Any) -> Any:
    """Returns numbers and arrays of NumPy as those of Python."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no number, text, list or mapping")
