"""`Exports`: the exporters of one session of a training, which goes on whatever happens to them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

from counterpoint.plugins import failure
from counterpoint.runs.exporters.catalogue import exporter
from counterpoint.runs.exporters.exporter import Exporter
from counterpoint.runs.metrics import Loggable

PATIENCE = 3
"""Rows in a row that fail, after which an exporter gets none of the others: each may wait long."""


class _Export:
    """One exporter, and what went wrong with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.target: Exporter | None = None
        self.logged = self.lost = self.failed_in_a_row = 0
        self.first_error = ""


class Exports:
    """Exporters that get each row; an error of one is printed once, and its lost rows are counted.

    Args:
        names: names of exporters.
        run: the run directory.
        warn: called with one line at the first error of an exporter.
    """

    def __init__(
        self, names: Sequence[str], run: Path, warn: Callable[[str], object] | None = None
    ) -> None:
        self._warn = warn or (lambda line: sys.stderr.write(f"counterpoint: {line}\n"))
        self._exports = [_Export(name) for name in names]
        for one in self._exports:
            self._attempt(one, partial(self._open, one, run))

    def log(self, row: Mapping[str, Loggable]) -> None:
        """Sends one row to each exporter."""
        for one in self._exports:
            one.logged += 1
            target = one.target if one.failed_in_a_row < PATIENCE else None
            if target is not None and self._attempt(one, partial(target.log, row)):
                one.failed_in_a_row = 0
            else:
                one.lost += 1
                one.failed_in_a_row += 1

    def close(self) -> tuple[str, ...]:
        """Closes each exporter; returns a sentence about each that lacks something."""
        for one in self._exports:
            if one.target is not None:
                self._attempt(one, one.target.close)
        return tuple(
            f"--export {one.name} failed: {one.lost} of the {one.logged} rows of this session were "
            f"not sent ({one.first_error}); the run itself is whole"
            for one in self._exports
            if one.first_error
        )

    @staticmethod
    def _open(one: _Export, run: Path) -> None:
        one.target = exporter(one.name, run)

    def _attempt(self, one: _Export, action: Callable[[], object]) -> bool:
        """Returns whether the action of an exporter ended without an error.

        What it prints goes to standard error: standard output is for results.
        """
        try:
            with redirect_stdout(sys.stderr):
                action()
            return True
        except Exception as error:
            if not one.first_error:
                reason = failure(error) or f"{type(error).__name__}: {error}"
                one.first_error = " ".join(reason.split())
                self._warn(f"--export {one.name} failed ({one.first_error}); the training goes on")
            return False
