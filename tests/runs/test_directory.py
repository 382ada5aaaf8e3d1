"""A run directory: begun, logged to, stopped, resumed, finished; one process at a time."""

import json
import os
import shutil

import numpy as np
import pytest

from counterpoint.errors import BusyError, EditedError, OutputError, RunError, SettingError
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.metrics import read_rows
from counterpoint.runs.status import read_facts
from unsealed import forget_seal

pytestmark = pytest.mark.usefixtures("no_fsync")

CONFIG = {"world": "regions", "scheme": "grpo", "seed": 4, "budget": 100, "rate": 0.1}


def snapshot(step):
    return Snapshot({"x": np.full(3, step)}, {"step": step})


def rows(path):
    return read_rows(path / "metrics.jsonl")[0]


def trained(path, until, saves=()):
    with RunDirectory.create(path, CONFIG) as run:
        for step in range(1, until + 1):
            run.log({"step": step, "return": step / 10})
            if step in saves:
                run.save(step, snapshot(step))


def test_a_run_says_what_it_was(tmp_path):
    with RunDirectory.create(tmp_path / "a" / "run", CONFIG) as run:
        assert run.config == CONFIG
        assert run.resumed.step is None
        assert read_facts(run.path).status == "running"
        run.save(50, snapshot(50))
        run.finish(step=100, returned=np.float64(0.75), normalized=float("nan"))
    facts = read_facts(tmp_path / "a" / "run")
    assert (facts.world, facts.scheme, facts.seed, facts.budget) == ("regions", "grpo", 4, 100)
    assert (facts.status, facts.step, facts.returned) == ("finished", 100, 0.75)
    assert facts.normalized is None
    assert facts.path == str(tmp_path / "a" / "run")


def test_rows_hold_numbers_and_null(tmp_path):
    with RunDirectory.create(tmp_path / "run", CONFIG) as run:
        run.log({"step": 1, "a": float("nan"), "b": [np.float32(0.5), -np.inf], "c": {"d": np.inf}})
        run.log({"step": np.int64(2).item(), "e": np.arange(2), "f": np.True_})
        for bad in ({}, {"step": -1}, {"step": 1.5}, {"step": True}, {"step": 1, "o": object()}):
            with pytest.raises(RunError):
                run.log(bad)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "a": None, "b": [0.5, None], "c": {"d": None}},
        {"step": 2, "e": [0, 1], "f": True},
    ]


def test_a_resumed_series_is_that_of_a_run_that_never_stopped(tmp_path):
    trained(tmp_path / "straight", 9, saves=(4, 8))
    trained(tmp_path / "stopped", 7, saves=(4,))
    assert read_facts(tmp_path / "stopped").status == "stopped"
    with RunDirectory.open(tmp_path / "stopped") as run:
        assert run.resumed.step == 4
        assert run.resumed.snapshot.arrays["x"].tolist() == [4, 4, 4]
        assert run.notes == ()
        for step in range(5, 10):
            run.log({"step": step, "return": step / 10})
            if step == 8:
                run.save(step, snapshot(step))
    names = ("metrics.jsonl", "checkpoints/4/manifest.json", "checkpoints/8/manifest.json")
    for name in names:
        files = (tmp_path / run / name for run in ("straight", "stopped"))
        assert len({file.read_bytes() for file in files}) == 1


def test_a_run_without_a_checkpoint_starts_again(tmp_path):
    trained(tmp_path / "run", 3)
    with RunDirectory.open(tmp_path / "run") as run:
        assert run.resumed.step is None
        assert rows(run.path) == []
        run.log({"step": 1})
    assert len(rows(tmp_path / "run")) == 1


@pytest.mark.fault("R6")
def test_damaged_checkpoints_are_passed_over_set_aside_and_named(tmp_path):
    trained(tmp_path / "run", 9, saves=(3, 6, 9))
    folder = tmp_path / "run" / "checkpoints"
    (folder / "9" / "facts.json").write_text("{}")
    with RunDirectory.open(tmp_path / "run", keep=1) as run:
        assert run.resumed.step == 6
        assert len(run.notes) == 1
        assert "facts.json" in run.notes[0]
        assert [row["step"] for row in rows(run.path)] == [1, 2, 3, 4, 5, 6]
        run.save(7, snapshot(7))
    assert sorted(os.listdir(folder)) == ["7", "9.damaged"]


@pytest.mark.fault("R10")
def test_a_series_cut_at_any_byte_keeps_its_complete_rows(in_memory, record_property):
    trained(in_memory / "run", 9, saves=(8,))
    series = in_memory / "run" / "metrics.jsonl"
    content = series.read_bytes()
    starts = [i + 1 for i, byte in enumerate(content) if byte == 10]
    record_property("cases", len(content) + 1)
    for length in range(len(content) + 1):
        shutil.rmtree(in_memory / "cut", ignore_errors=True)
        shutil.copytree(in_memory / "run", in_memory / "cut")
        series = in_memory / "cut" / "metrics.jsonl"
        series.write_bytes(content[:length])
        if length < starts[7]:  # rows that the checkpoint acknowledged
            with pytest.raises(EditedError, match=r"metrics\.jsonl"):
                RunDirectory.open(in_memory / "cut")
        # as an earlier version left it, without a seal
        forget_seal(in_memory / "cut")
        whole = sum(start - 1 <= length for start in starts)  # all but the line feed is there
        with RunDirectory.open(in_memory / "cut") as run:
            torn = length not in (0, *starts, *(start - 1 for start in starts))
            assert len(run.notes) == 1 + torn
            assert [row["step"] for row in rows(run.path)] == list(range(1, min(whole, 8) + 1))
            assert series.read_bytes() == content[: starts[min(whole, 8) - 1] if whole else 0]


def test_create_and_open_refuse_the_wrong_folder(tmp_path):
    trained(tmp_path / "run", 1)
    with pytest.raises(RunError, match="holds a run already"):
        RunDirectory.create(tmp_path / "run", CONFIG)
    with pytest.raises(RunError, match="is no run"):
        RunDirectory.open(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "compared").mkdir()
    (tmp_path / "compared" / "run.json").write_text('{"schema": "counterpoint.run/1"}')
    with pytest.raises(RunError, match="no training run"):
        RunDirectory.open(tmp_path / "compared")
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        RunDirectory.open(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another"):
        RunDirectory.create(tmp_path / "file", CONFIG)
    with pytest.raises(RunError, match="JSON cannot hold"):
        RunDirectory.create(tmp_path / "odd", {"x": object()})
    RunDirectory.create(tmp_path / "odd", CONFIG).close()


@pytest.mark.fault("R21")
def test_a_second_one_is_told_who_is_there(tmp_path):
    run = RunDirectory.create(tmp_path / "run", CONFIG)
    with pytest.raises(BusyError, match=f"process {os.getpid()} on .* since 20") as told:
        RunDirectory.open(tmp_path / "run")
    assert "\n" not in str(told.value)
    run.close()
    run.close()
    RunDirectory.open(tmp_path / "run").close()
    with pytest.raises(RunError, match="closed"):
        run.log({"step": 1})


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (SettingError("got 3"), "failed", "SettingError: got 3"),
        (SettingError("got \udcff"), "failed", "SettingError: got \ufffd"),
        (ValueError("token sk-do-not-write-me"), "failed", "ValueError"),
        (KeyboardInterrupt(), "stopped", None),
        (SystemExit(143), "stopped", None),
    ],
)
def test_how_a_run_ended_is_written_down(tmp_path, error, status, said):
    with pytest.raises(type(error)), RunDirectory.create(tmp_path / "run", CONFIG):
        raise error
    assert read_facts(tmp_path / "run").status == status
    document = json.loads((tmp_path / "run" / "status.json").read_text())
    assert document.get("error") == said


def test_a_status_that_is_damaged_or_out_of_date_is_not_believed(tmp_path):
    trained(tmp_path / "run", 2, saves=(2,))
    for text in (b'{"status": "running"}', b"{", b'{"status": "well"}', b"[]", b'{"\xff": 1}'):
        (tmp_path / "run" / "status.json").write_bytes(text)
        facts = read_facts(tmp_path / "run")
        assert (facts.status, facts.step) == ("stopped", 2)


def test_a_full_disk_while_leaving_does_not_hide_the_first_error(tmp_path, monkeypatch):
    run = RunDirectory.create(tmp_path / "run", CONFIG)

    def full(source, destination):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(SettingError), run:
            raise SettingError("the first")
    with RunDirectory.open(tmp_path / "run") as run:
        assert run.resumed.step is None
