"""`check_exporter`: a conformance suite for exporters of the series of runs, yours and ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from counterpoint.errors import CounterpointError
from counterpoint.runs.exporters import Exporter, scalars
from counterpoint.runs.metrics import Loggable
from counterpoint.testing.batches import attempt, demand

Row = Mapping[str, Loggable]
"""A row as runs log it."""
Make = Callable[[Path], Exporter]
"""Makes an exporter of the run in a folder."""
Read = Callable[[Path], Sequence[tuple[int, Mapping[str, float]]]]
"""Reads the exported rows of the run in a folder: the step, and numbers by name."""

RUN_FILES = {
    "run.json": b'{"schema": 1}',
    "status.json": b'{"status": "running"}',
    "metrics.jsonl": b'{"step": 1, "return": 0.5}\n',
    "episodes.jsonl": b"",
    "checkpoints/4/state.json": b"{}",
}
"""Files of a run directory that an exporter may not change."""
CLOSE = 1e-6
"""The largest relative difference of a number, which may be kept in 32 bits."""


def check_exporter(make: Make, run: Path, read: Read | None = None) -> None:
    """Checks every promise of `counterpoint.runs.exporters.Exporter`.

    Args:
        make: `make(run)` returns an exporter of the run in that folder.
        run: an empty folder.
        read: reads the exported rows in the order of the steps; None if that is not possible.

    Raises:
        ConformanceError: The first broken promise.
    """
    for name, content in RUN_FILES.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(content)
    _export(make, run, [])  # a session without rows
    _export(make, run, [_row(step) for step in range(1, 7)])
    check_resumed(make, run, read)
    for name, content in RUN_FILES.items():
        fine = (run / name).is_file() and (run / name).read_bytes() == content
        demand(fine, f"{name} changed or gone", "the run's files as they were")
    own = sorted({path.name for path in run.iterdir()} - {name.split("/")[0] for name in RUN_FILES})
    demand(len(own) <= 1, f"{', '.join(own)} in the run directory", "one folder at most")
    with (
        attempt("an exporter whose run is a file", "our errors alone"),
        suppress(CounterpointError),
    ):
        exporter = make(run / "metrics.jsonl")
        exporter.log(_row(1))
        exporter.close()


def check_resumed(make: Make, run: Path, read: Read | None) -> None:
    """Checks that rows after a resumed checkpoint replace the earlier rows of those steps."""
    again = [{**_row(step), "return": -step} for step in range(4, 9)]
    _export(make, run, again)
    if read is None:
        return
    steps = list(range(1, 9))
    exported = [*(_row(step) for step in steps[:3]), *again]
    wanted = [{n: v for n, v in scalars(row) if n != "step"} for row in exported]
    with attempt("read(run)", "the rows that were exported"):
        rows = [(step, dict(values)) for step, values in read(run)]
    demand([step for step, _ in rows] == steps, f"steps {[s for s, _ in rows]}", f"{steps}")
    for (step, values), numbers in zip(rows, wanted, strict=True):
        at = f"at step {step}"
        demand(set(values) == set(numbers), f"{sorted(values)} {at}", f"{sorted(numbers)}")
        for name, number in numbers.items():
            near = math.isclose(values[name], number, rel_tol=CLOSE, abs_tol=CLOSE)
            demand(near, f"{name} {values[name]} {at}", f"{number}")


def _row(step: int) -> Row:
    """Returns a row with numbers by agent, arrays, text, and numbers that are not finite."""
    return {
        "step": step,
        "return": np.float64(step / 10),
        "loss": {"ann": 1.5 * step, "bob": float("nan")},
        "gradient": np.array([0.25, -2.0 * step]),
        "rates": [0.5, np.float32(0.125)],
        "done": step == 6,
        "empty": {},
        "note": "text with = and /",
        "nothing": None,
        "endless": math.inf,
    }


def _export(make: Make, run: Path, rows: Sequence[Row]) -> None:
    """Logs rows in one session, and checks that the exporter takes each and changes none."""
    with attempt("making an exporter", "one: the folder is sound"):
        exporter = make(run)
    for row in rows:
        before = repr(row)
        with attempt(f"log({row})", "no error: a run logs such rows"):
            exporter.log(row)
        demand(repr(row) == before, f"a row that was changed to {row}", "the same row")
    with attempt("close()", "no error"):
        exporter.close()
