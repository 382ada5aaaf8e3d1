"""`check_exporter`: a conformance suite for exporters of the series of runs, yours and ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from counterpoint.errors import CounterpointError
from counterpoint.results.parts import Settings
from counterpoint.runs.exporters import Exporter, scalars
from counterpoint.runs.metrics import Loggable
from counterpoint.runs.provenance import provenance
from counterpoint.runs.status import METRICS
from counterpoint.testing.batches import attempt, demand

Row = Mapping[str, Loggable]
"""A row as runs log it."""
Make = Callable[[Path], Exporter]
"""Makes an exporter of the run in a folder."""
Read = Callable[[Path], Sequence[tuple[int, Mapping[str, float]]]]
"""Reads the exported rows of the run in a folder: the step, and numbers by name."""

SETTINGS: Settings = {"world": "spread", "scheme": "none", "seed": 0, "policy": {"lr": 0.5}}
"""The configuration of the run."""
RUN_FILES = {
    "run.json": provenance(SETTINGS, "train").encode(),
    "status.json": b'{"status": "running"}',
    "metrics.jsonl": b"",
    "episodes.jsonl": b"",
    "checkpoints/4/state.json": b"{}",
}
"""Files of a run directory that an exporter may not change."""
CLOSE = 1e-6
"""The largest relative difference of a number, which may be kept in 32 bits."""


def check_exporter(
    make: Make, run: Path, read: Read | None = None, *, appends: bool = False
) -> None:
    """Checks every promise of `counterpoint.runs.exporters.Exporter`.

    Args:
        make: `make(run)` returns an exporter of the run in that folder.
        run: an empty folder.
        read: reads the exported rows in the order of the steps; None if that is not possible.
        appends: the exporter cannot take a row back, as most trackers cannot. A step that it has
            keeps its first row then, which a resumed run repeats.

    Raises:
        ConformanceError: The first broken promise.
    """
    for name, content in RUN_FILES.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(content)
    _export(make, run, [])  # a session without rows
    _export(make, run, [_row(step) for step in range(1, 7)])
    check_resumed(make, run, read, appends=appends)
    for name, content in RUN_FILES.items():
        kept = (run / name).read_bytes() if (run / name).is_file() else None
        fine = kept == (_lines(RESUMED) if name == METRICS else content)
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


def check_resumed(make: Make, run: Path, read: Read | None, *, appends: bool = False) -> None:
    """Checks that rows after a resumed checkpoint replace the earlier rows of those steps, or that
    no step is there twice in what an exporter appended."""
    (run / METRICS).write_bytes(_lines(RESUMED[:3]))  # the checkpoint was that of step 3
    _export(make, run, RESUMED[3:])
    if read is None:
        return
    steps = list(range(1, 9))
    exported = [*(_row(step) for step in range(1, 7)), *RESUMED[6:]] if appends else RESUMED
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


def _lines(rows: Sequence[Row]) -> bytes:
    """Returns rows as the series of a run has them."""
    return b"".join(msgspec.json.encode(dict(row), enc_hook=_plain) + b"\n" for row in rows)


def _plain(value: Any) -> Any:
    return value.tolist()


def _export(make: Make, run: Path, rows: Sequence[Row]) -> None:
    """Logs rows in one session, and checks that the exporter takes each and changes none."""
    with attempt("making an exporter", "one: the folder is sound"):
        exporter = make(run)
    for row in rows:
        before = repr(row)
        with (run / METRICS).open("ab") as series:
            series.write(_lines([row]))
        with attempt(f"log({row})", "no error: a run logs such rows"):
            exporter.log(row)
        demand(repr(row) == before, f"a row that was changed to {row}", "the same row")
    with attempt("close()", "no error"):
        exporter.close()


RESUMED = [*map(_row, range(1, 4)), *({**_row(step), "return": -step} for step in range(4, 9))]
"""The rows of the run after it was resumed; those after the checkpoint have other returns, to be
known from the earlier ones."""
