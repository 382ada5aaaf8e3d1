"""A failing exporter never ends a training: its error is printed once, lost rows are counted."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from counterpoint.errors import MissingPackageError, UnknownNameError
from counterpoint.runs.exporters import session
from counterpoint.runs.exporters.catalogue import require_exporters
from counterpoint.runs.exporters.session import PATIENCE, Exports
from counterpoint.runs.exporters.tracker import Tracker
from counterpoint.testing import ConformanceError, check_exporter
from counterpoint.testing.exporters import RUN_FILES


class Fake:
    """An exporter that fails at some calls."""

    def __init__(self, fails=()):
        self.fails, self.calls, self.rows, self.closed = set(fails), 0, [], False

    def log(self, row):
        self.calls += 1
        sys.stdout.write("words of a library\n")
        if self.calls in self.fails:
            raise ConnectionError("no\nserver")
        self.rows.append(row["step"])

    def close(self):
        self.closed = True
        if "close" in self.fails:
            raise ValueError("cannot flush")


def exported(monkeypatch, tmp_path, fakes, rows=8):
    lines = []
    monkeypatch.setattr(session, "exporter", lambda name, run: fakes[name])
    exports = Exports(list(fakes), tmp_path, lines.append)
    for step in range(rows):
        exports.log({"step": step})
    return exports.close(), lines


def test_without_a_failure_nothing_is_printed(monkeypatch, tmp_path, capsys):
    fakes = {"a": Fake(), "b": Fake()}
    assert exported(monkeypatch, tmp_path, fakes) == ((), [])
    assert [fake.rows for fake in fakes.values()] == [list(range(8))] * 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("words of a library")) == ("", 16)


def test_lost_rows_are_counted_and_the_first_error_is_printed_once(monkeypatch, tmp_path):
    fakes = {"a": Fake({2, 4, 5}), "b": Fake()}
    notes, lines = exported(monkeypatch, tmp_path, fakes)
    assert fakes["a"].rows == [0, 2, 5, 6, 7]
    assert fakes["b"].rows == list(range(8))
    assert lines == ["--export a failed (ConnectionError: no server); the training goes on"]
    assert notes == (
        "--export a failed: 3 of the 8 rows of this session were not sent (ConnectionError: no "
        "server); the run itself is whole",
    )


def test_an_exporter_that_fails_again_and_again_is_given_up(monkeypatch, tmp_path):
    fake = Fake(range(1, 100))
    notes, _ = exported(monkeypatch, tmp_path, {"a": fake})
    assert fake.calls == PATIENCE
    assert "8 of the 8 rows" in notes[0]
    assert fake.closed


def test_an_exporter_that_cannot_be_closed_is_reported(monkeypatch, tmp_path):
    notes, lines = exported(monkeypatch, tmp_path, {"a": Fake({"close"})})
    assert "0 of the 8 rows" in notes[0]
    assert len(lines) == 1


def test_an_exporter_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "tensorboard").write_text("")
    lines = []
    exports = Exports(["tensorboard"], tmp_path, lines.append)
    exports.log({"step": 1})
    assert "1 of the 1 rows" in exports.close()[0]
    assert "could not make" in lines[0]


def test_a_training_goes_on_without_its_exporter(monkeypatch, tmp_path, capsys):
    pytest.importorskip("torch")
    from counterpoint.runs.metrics import read_rows
    from counterpoint.train import session as training

    fake = Fake(range(1, 100))
    monkeypatch.setattr(session, "exporter", lambda name, run: fake)
    monkeypatch.setattr(training, "require_exporters", lambda names: None)
    small = {"copies": 2, "steps": 2, "hidden": 4, "evaluate_every": 0}
    plan = replace(training.plan_of("spread", budget=16, given=small), episodes=1)
    ended = training.begin_run(plan, tmp_path / "run", export=["broken"])
    assert (ended.exit_status, ended.trained.finished, fake.closed) == (0, True, True)
    assert len(read_rows(tmp_path / "run" / "metrics.jsonl")[0]) == 4
    assert "4 of the 4 rows of this session were not sent" in ended.notes[-1]
    assert "--export broken failed" in capsys.readouterr().err


def test_what_is_not_installed_is_an_error_before_any_work(monkeypatch):
    with pytest.raises(UnknownNameError, match="wandbb"):
        require_exporters(["wandbb"])
    monkeypatch.setattr("counterpoint.optional.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"mlflow and sqlalchemy and alembic.*\[mlflow\]"):
        require_exporters(["mlflow"])


class Notebook(Tracker):
    """A tracker that appends lines to a file, each with its step."""

    name = "notebook"

    def open(self):
        self.store = self.run / self.name / "lines.jsonl"
        self.store.parent.mkdir(exist_ok=True)
        return "1"

    def read(self):
        lines = self.store.read_text().splitlines() if self.store.exists() else []
        return [json.loads(line) for line in lines]

    def last_step(self):
        return max((step for step, _ in self.read()), default=-1)

    def send(self, step, numbers):
        with self.store.open("a") as file:
            file.write(json.dumps([step, numbers]) + "\n")

    def end(self, status, summary):
        self.store.with_suffix(".end").write_text(json.dumps([status, summary]))


class Forgets(Notebook):
    """A tracker that does not know what it has."""

    def last_step(self):
        return -1


def notebook_rows(run):
    return [json.loads(x) for x in (run / "notebook" / "lines.jsonl").read_text().splitlines()]


def test_a_tracker_sends_each_step_once(tmp_path):
    check_exporter(Notebook, tmp_path, notebook_rows, appends=True)


def test_a_tracker_that_sends_steps_twice_is_found(tmp_path):
    with pytest.raises(ConformanceError, match="rows up to step -1"):
        check_exporter(Forgets, tmp_path, notebook_rows, appends=True)


def test_rows_that_were_not_sent_come_from_the_series(tmp_path):
    (tmp_path / "run.json").write_bytes(RUN_FILES["run.json"])
    series = tmp_path / "metrics.jsonl"
    series.write_text("".join(f'{{"step": {step}, "x": {step}}}\n' for step in (1, 2, 3)))
    Notebook(tmp_path).close()
    assert [step for step, _ in notebook_rows(tmp_path)] == [1, 2, 3]
    with series.open("a") as file:  # a session whose rows got lost on their way
        file.write('{"step": 4, "x": 4}\n')
    resumed = Notebook(tmp_path)
    resumed.log({"step": 5, "x": 5})
    assert [step for step, _ in notebook_rows(tmp_path)] == [1, 2, 3, 4, 5]


def test_no_package_of_a_tracker_is_imported_before_it_is_used():
    listed = "import sys, counterpoint.cli.train; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", listed], capture_output=True, text=True, check=True
    )
    assert not {"wandb", "mlflow", "trackio", "tensorboard", "optuna"} & set(done.stdout.split())
