"""Trackio: runs in its local store, which `trackio show` shows; TRACKIO_DIR and its other variables
name another place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.optional import needs, pip_line
from counterpoint.runs.exporters.tracker import PROJECT, Plain, Tracker


class Trackio(Tracker):
    """Sends a run to Trackio; the summary is an alert of its run."""

    name = "trackio"

    def open(self) -> str:
        with needs("the exporter trackio", pip_line("trackio")):
            import trackio
        self._level, self._finish = trackio.AlertLevel.INFO, trackio.finish
        self._run: Any = trackio.init(
            PROJECT, self.title, config=dict(self.settings), resume="allow", embed=False,
            auto_log_gpu=False, auto_log_cpu=False,
        )  # fmt: skip
        return str(self._run.id)

    def last_step(self) -> int:
        if not self._run._is_local:  # the server said at the start how far it is
            return int(self._run._next_step) - 1
        from trackio.sqlite_storage import SQLiteStorage

        last = SQLiteStorage.get_max_step_for_run(PROJECT, self.title, self._run.id)
        return -1 if last is None else int(last)

    def send(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def end(self, status: str, summary: Mapping[str, Plain]) -> None:
        text = "\n".join(f"{name}: {value}" for name, value in summary.items())
        self._run.alert(f"Training {status}", text, self._level)
        self._finish()
