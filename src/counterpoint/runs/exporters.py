"""Sending the series of a run to other tools, besides `metrics.jsonl`.

An exporter takes the rows that `RunDirectory.log` takes. To add one: a class with `log` and
`close`, and a line in `EXPORTERS`, or one in the group `counterpoint.exporters` of the entry points
of your own package. What it writes is a copy; the run never depends on it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from counterpoint.errors import OutputError
from counterpoint.optional import needs, pip_line
from counterpoint.plugins import Registry
from counterpoint.runs.metrics import Loggable


class Exporter(Protocol):
    """A destination of the rows of a run."""

    def log(self, row: Mapping[str, Loggable]) -> None:
        """Sends one row; it has a whole number `step`."""

    def close(self) -> None:
        """Sends the remaining rows."""


class TensorBoard:
    """Scalars for TensorBoard, in `tensorboard/` of the run; needs tensorboard, not torch.

    Opened for a resumed run, it tells TensorBoard to drop the rows at or after the first step that
    is logged, so that the curves are those of a run that never stopped.

    Raises:
        MissingPackageError: tensorboard is not installed.
        OutputError: its file cannot be written.
    """

    FOLDER = "tensorboard"

    def __init__(self, run: Path) -> None:
        with needs("the exporter tensorboard", pip_line("tensorboard")):
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        self.folder = run / self.FOLDER
        self._events, self._summaries = event_pb2, summary_pb2
        self._begun = False
        try:
            self._writer = EventFileWriter(str(self.folder))
        except OSError as error:
            raise self._failed(error) from error

    def log(self, row: Mapping[str, Loggable]) -> None:
        """Writes the numbers of a row; text, null and numbers that are not finite are left out.

        Raises:
            OutputError: they could not be written.
        """
        step, now = row["step"], time.time()
        values = [
            self._summaries.Summary.Value(tag=tag, simple_value=value)
            for tag, value in scalars(row)
            if tag != "step"
        ]
        try:
            if not self._begun:
                start = self._events.SessionLog(status=self._events.SessionLog.START)
                event = self._events.Event(wall_time=now, step=step, session_log=start)
                self._writer.add_event(event)
                self._begun = True
            summary = self._summaries.Summary(value=values)
            self._writer.add_event(self._events.Event(wall_time=now, step=step, summary=summary))
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Writes the remaining rows.

        Raises:
            OutputError: it could not be written.
        """
        try:
            self._writer.close()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"could not write {self.folder} ({error.strerror or error}); the run itself is whole: "
            "make room, or leave out --export tensorboard"
        )


EXPORTERS = Registry[Callable[[Path], Exporter]](
    "counterpoint.exporters",
    {TensorBoard.FOLDER: TensorBoard},
    "a function of a run directory that makes an exporter",
    lambda name, part: callable(part),
)
"""Name to a function that makes an exporter for a run directory. The exporter writes to the folder
of that name there: from this folder a resumed run knows its exporter."""


def exporter(name: str, run: Path) -> Exporter:
    """Returns the exporter of that name, for a run directory.

    Raises:
        UnknownNameError: no exporter of that name.
        PluginError: the exporter is a plug-in that cannot be used.
        MissingPackageError: its package is not installed.
        OutputError: it cannot write.
    """
    make, folder = EXPORTERS.named(name), run / name
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"could not make {folder} ({error.strerror or error})") from error
    return make(run)


def scalars(row: Mapping[str, Loggable], within: str = "") -> Iterator[tuple[str, float]]:
    """Returns the finite numbers of a row: `{"gap": {"a": 1}, "p": [2]}` gives `gap/a`, `p/0`."""
    for key, value in row.items():
        name = f"{within}{key}"
        of_array = getattr(value, "tolist", None)
        value = value if of_array is None else of_array()
        if isinstance(value, Mapping):
            yield from scalars(value, f"{name}/")
        elif isinstance(value, list | tuple):
            yield from scalars({str(i): inner for i, inner in enumerate(value)}, f"{name}/")
        elif isinstance(value, int | float) and math.isfinite(value):
            yield name, float(value)
