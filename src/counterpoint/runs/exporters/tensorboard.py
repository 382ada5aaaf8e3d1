"""TensorBoard: scalars in `tensorboard/` of the run directory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from counterpoint.errors import OutputError
from counterpoint.optional import needs, pip_line
from counterpoint.runs.exporters.exporter import scalars
from counterpoint.runs.metrics import Loggable


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
        return OutputError(f"could not write {self.folder} ({error.strerror or error})")
