"""MLflow: runs in its tracking store, a file of SQLite in the current folder unless
MLFLOW_TRACKING_URI names another store."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from counterpoint.optional import needs, pip_line
from counterpoint.runs.exporters.tracker import PROJECT, Plain, Tracker

STORE = "sqlite:///mlflow.db"
"""The store of a folder, as `mlflow ui` looks for it."""
BATCH = 100
"""Most settings that one request may hold."""
LONGEST = 500
"""Most characters of a setting or a tag that every store takes."""
STEP = "step"
"""The metric whose last value says how far the store is."""
ENDINGS = {"finished": "FINISHED", "failed": "FAILED"}
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
"""Variables of the library, where nobody has set them: it calls no server of its own, and waits
little for a store that does not answer, since the training waits too."""


class MLflow(Tracker):
    """Sends a run to MLflow, into the experiment that MLFLOW_EXPERIMENT_NAME names."""

    name = "mlflow"

    def open(self) -> str:
        for variable, value in QUIET.items():
            os.environ.setdefault(variable, value)
        with needs("the exporter mlflow", pip_line("mlflow")):
            from mlflow.entities import Metric, Param, RunTag
            from mlflow.tracking import MlflowClient
        self._metric, self._tag = Metric, RunTag
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", STORE))
        if self.record.tracked:
            self._id = self.record.tracked
            self._client.update_run(self._id, status="RUNNING")
            return self._id
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(name)
        self._id = str(self._client.create_run(number, run_name=self.title).info.run_id)
        settings = [Param(key, str(value)[:LONGEST]) for key, value in self.settings.items()]
        for start in range(0, len(settings), BATCH):
            self._client.log_batch(self._id, params=settings[start : start + BATCH])
        return self._id

    def last_step(self) -> int:
        return int(self._client.get_run(self._id).data.metrics.get(STEP, -1))

    def send(self, step: int, numbers: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [self._metric(name, x, now, step) for name, x in {**numbers, STEP: step}.items()]
        for start in range(0, len(metrics), 10 * BATCH):
            self._client.log_batch(self._id, metrics=metrics[start : start + 10 * BATCH])

    def end(self, status: str, summary: Mapping[str, Plain]) -> None:
        tags = [self._tag(f"final/{name}", str(x)[:LONGEST]) for name, x in summary.items()]
        for start in range(0, len(tags), BATCH):
            self._client.log_batch(self._id, tags=tags[start : start + BATCH])
        self._client.set_terminated(self._id, status=ENDINGS.get(status, "KILLED"))
