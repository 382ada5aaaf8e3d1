"""Exporters keep their promises; every planted defect is found."""

import json

import pytest

from counterpoint.errors import OutputError
from counterpoint.runs.exporters import EXPORTERS, scalars
from counterpoint.testing import ConformanceError, check_exporter


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_tensorboard_keeps_its_promises(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def rows(run):
        read = EventAccumulator(str(run / "tensorboard"))
        read.Reload()
        by_step = {}
        for tag in read.Tags()["scalars"]:
            for event in read.Scalars(tag):
                by_step.setdefault(event.step, {})[tag] = event.value
        return sorted(by_step.items())

    check_exporter(EXPORTERS["tensorboard"], tmp_path, rows)


class Sound:
    """Keeps the numbers of all rows in a file of JSON."""

    def __init__(self, run):
        self.file = run / "sound" / "rows.json"
        try:
            self.file.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"could not make {self.file.parent}") from error
        self.rows = json.loads(self.file.read_text()) if self.file.exists() else []

    def log(self, row):
        self.rows = [kept for kept in self.rows if kept[0] < row["step"]]
        self.rows.append((row["step"], self.numbers(row)))

    def numbers(self, row):
        return {name: value for name, value in scalars(row) if name != "step"}

    def close(self):
        self.file.write_text(json.dumps(self.rows))


def read(run):
    return json.loads((run / "sound" / "rows.json").read_text())


def test_a_sound_exporter_passes(tmp_path):
    check_exporter(Sound, tmp_path, read)


class WantsNumbersAlone(Sound):
    def numbers(self, row):
        return {name: float(value) for name, value in row.items() if name != "step"}


class TakesTheStepAway(Sound):
    def log(self, row):
        super().log(row)
        row.pop("step")


class KeepsWhatCameLater(Sound):
    def log(self, row):
        self.rows.append((row["step"], self.numbers(row)))


class BeginsAnew(Sound):
    def __init__(self, run):
        super().__init__(run)
        self.rows = []


class RefusesASecondTime(Sound):
    def __init__(self, run):
        super().__init__(run)
        if self.file.exists():
            raise OutputError("there is a file already")


class Rounds(Sound):
    def numbers(self, row):
        return {name: round(value, 1) for name, value in super().numbers(row).items()}


class LosesArrays(Sound):
    def numbers(self, row):
        return {n: v for n, v in super().numbers(row).items() if not n.startswith("gradient")}


class ClosesWithTheFirstRow(Sound):
    def close(self):
        self.rows[0]
        super().close()


class WritesIntoTheSeries(Sound):
    def close(self):
        super().close()
        with (self.file.parents[1] / "metrics.jsonl").open("a") as file:
            file.write("{}\n")


class RemovesCheckpoints(Sound):
    def close(self):
        super().close()
        (self.file.parents[1] / "checkpoints" / "4" / "state.json").unlink(missing_ok=True)


class LittersTheRun(Sound):
    def close(self):
        super().close()
        (self.file.parents[1] / "notes.txt").write_text("")


class RaisesAnyError(Sound):
    def __init__(self, run):
        (run / "sound").mkdir(exist_ok=True)
        super().__init__(run)


DEFECTS = {
    WantsNumbersAlone: "got TypeError: .* from log",
    TakesTheStepAway: "a row that was changed",
    KeepsWhatCameLater: "got steps .1, 2, 3, 4, 5, 6, 4, 5",
    BeginsAnew: "got steps .4, 5, 6, 7, 8.; wanted .1, 2, 3, 4",
    RefusesASecondTime: "from making an exporter",
    Rounds: "loss/ann|gradient/0 0.2|rates/1 0.1",
    LosesArrays: "at step 1; wanted .*gradient/0",
    ClosesWithTheFirstRow: "got IndexError: .* from close",
    WritesIntoTheSeries: "metrics.jsonl changed or gone",
    RemovesCheckpoints: "checkpoints/4/state.json changed or gone",
    LittersTheRun: "notes.txt, sound in the run directory; wanted one folder",
    RaisesAnyError: "got NotADirectoryError: .* from an exporter whose run is a file",
}


@pytest.mark.parametrize("exporter", DEFECTS)
def test_a_planted_defect_is_found(exporter, tmp_path):
    with pytest.raises(ConformanceError, match=DEFECTS[exporter]):
        check_exporter(exporter, tmp_path, read)


def test_without_a_reader_what_can_be_seen_is_checked(tmp_path):
    check_exporter(Rounds, tmp_path)
