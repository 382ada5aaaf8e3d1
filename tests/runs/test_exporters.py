"""Exporters: what TensorBoard reads back is what was logged."""

import sys

import numpy as np
import pytest

from counterpoint.errors import MissingPackageError, OutputError, UnknownNameError
from counterpoint.runs.exporters import EXPORTERS, exporter, scalars


def test_the_numbers_of_a_row():
    row = {
        "step": 3,
        "return": np.float32(0.5),
        "gap": {"a": 1, "b": float("nan")},
        "by_agent": np.array([1.0, 2.0]),
        "done": True,
        "note": "text",
        "nothing": None,
        "inf": np.inf,
    }
    assert dict(scalars(row)) == {
        "step": 3.0,
        "return": 0.5,
        "gap/a": 1.0,
        "by_agent/0": 1.0,
        "by_agent/1": 2.0,
        "done": 1.0,
    }


def test_an_unknown_name_and_a_missing_package_are_errors(tmp_path, monkeypatch):
    with pytest.raises(UnknownNameError, match="got exporter 'aim'; wanted one of tensorboard"):
        exporter("aim", tmp_path)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(MissingPackageError, match=r"pip install .*\[tensorboard\]"):
        exporter("tensorboard", tmp_path)
    assert list(EXPORTERS) == ["tensorboard", "wandb", "mlflow", "trackio"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_tensorboard_reads_what_was_logged(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = exporter("tensorboard", tmp_path)
    for step in range(1, 8):
        first.log({"step": step, "return": step / 10, "gap": {"a": float("nan")}})
    first.close()
    resumed = exporter("tensorboard", tmp_path)  # from the checkpoint of step 4
    for step in range(5, 10):
        resumed.log({"step": step, "return": step / 10, "gap": {"a": 2.0}})
    resumed.close()
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    assert sorted(read.Tags()["scalars"]) == ["gap/a", "return"]
    told = [(event.step, round(event.value, 6)) for event in read.Scalars("return")]
    assert told == [(step, step / 10) for step in range(1, 10)]
    assert [event.step for event in read.Scalars("gap/a")] == [5, 6, 7, 8, 9]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_folder_that_cannot_be_made_is_our_error(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(OutputError, match="tensorboard"):
        exporter("tensorboard", tmp_path)
