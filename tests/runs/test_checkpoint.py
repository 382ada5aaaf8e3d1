"""Checkpoints: the same bytes, the newest few, and no damage that goes unseen."""

import hashlib
import os
import random
import shutil

import numpy as np
import pytest

from counterpoint.errors import CheckpointError, OutputError
from counterpoint.runs import checkpoint
from counterpoint.runs.checkpoint import (
    FACTS,
    MANIFEST,
    TENSORS,
    Snapshot,
    latest,
    load,
    save,
    steps,
    sweep,
)


def snapshot(step):
    """A small state that differs from step to step."""
    rng = np.random.default_rng(step)
    arrays = {"weights": rng.normal(size=(3, 4)), "count": np.array(step), "none": np.zeros(0)}
    return Snapshot(arrays, {"step": step, "rng": rng.bit_generator.state})


def hashes(path):
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in path.iterdir()}


def is_of(loaded, step):
    wanted = snapshot(step)
    return loaded.facts == wanted.facts and all(
        np.array_equal(loaded.arrays[name], array) for name, array in wanted.arrays.items()
    )


def test_what_is_saved_is_loaded(tmp_path):
    path = save(tmp_path / "checkpoints", 12, snapshot(12))
    assert path == tmp_path / "checkpoints" / "12"
    assert sorted(os.listdir(path)) == [FACTS, MANIFEST, TENSORS]
    assert is_of(load(path), 12)


def test_the_same_snapshot_gives_the_same_hashes(tmp_path):
    one, other = save(tmp_path / "a", 5, snapshot(5)), save(tmp_path / "b", 5, snapshot(5))
    assert hashes(one) == hashes(other)


def test_the_newest_few_stay(tmp_path):
    for step in (0, 2, 9, 10, 100):
        save(tmp_path, step, snapshot(step))
    assert steps(tmp_path) == [9, 10, 100]
    save(tmp_path, 101, snapshot(101), keep=1)
    assert os.listdir(tmp_path) == ["101"]


def test_the_one_just_saved_stays_even_if_others_have_later_steps(tmp_path):
    for step in (3, 7, 8):
        save(tmp_path, step, snapshot(step))
    save(tmp_path, 4, snapshot(4), keep=2)
    assert steps(tmp_path) == [4, 8]
    save(tmp_path, 5, snapshot(5), keep=1)
    assert steps(tmp_path) == [5]


def test_a_step_can_be_saved_again(tmp_path):
    save(tmp_path, 3, snapshot(1))
    save(tmp_path, 3, snapshot(2))
    assert is_of(load(tmp_path / "3"), 2)
    assert os.listdir(tmp_path) == ["3"]


def test_stopped_between_the_two_renames_the_older_one_comes_back(tmp_path):
    save(tmp_path, 3, snapshot(1))
    (tmp_path / "3").rename(tmp_path / ".3.replaced")
    sweep(tmp_path)
    assert is_of(load(tmp_path / "3"), 1)


@pytest.mark.parametrize("step", [-1, 1.0, "1", True, None])
def test_a_step_is_a_whole_number(tmp_path, step):
    with pytest.raises(CheckpointError, match="got step"):
        save(tmp_path / "c", step, snapshot(1))
    assert not (tmp_path / "c").exists()


def test_leftovers_are_invisible_and_swept(tmp_path):
    save(tmp_path, 3, snapshot(3))
    for name in (".4.partial", ".2.removed", ".3.replaced"):
        (tmp_path / name).mkdir()
        (tmp_path / name / TENSORS).write_bytes(b"half")
    (tmp_path / "notes").mkdir()
    (tmp_path / "03").mkdir()
    assert latest(tmp_path).step == 3
    assert latest(tmp_path).damaged == {}
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["03", "3", "notes"]


@pytest.mark.fault("R4")
def test_a_failed_save_leaves_the_earlier_ones_and_no_rubbish(tmp_path, monkeypatch):
    save(tmp_path, 1, snapshot(1))

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_synced", full)
    with pytest.raises(OutputError, match="No space left on device") as told:
        save(tmp_path, 2, snapshot(2))
    assert "\n" not in str(told.value)
    assert os.listdir(tmp_path) == ["1"]


# --- damage (R6) ---------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path):
    return save(tmp_path / "c", 8, snapshot(8))


@pytest.mark.fault("R6", cases=5000)
def test_every_one_of_5000_bit_flips_is_detected(whole):
    rng = random.Random(6)
    contents = {name: (whole / name).read_bytes() for name in (TENSORS, FACTS, MANIFEST)}
    bits = [(name, bit) for name, data in contents.items() for bit in range(8 * len(data))]
    assert len(bits) > 5000
    seen = 0
    handles = {name: os.open(whole / name, os.O_RDWR) for name in contents}
    for name, bit in rng.sample(bits, 5000):
        byte = contents[name][bit // 8]
        os.pwrite(handles[name], bytes([byte ^ 1 << bit % 8]), bit // 8)
        try:
            load(whole)
        except CheckpointError:
            seen += 1
        os.pwrite(handles[name], bytes([byte]), bit // 8)
    for handle in handles.values():
        os.close(handle)
    assert seen == 5000
    assert is_of(load(whole), 8)


@pytest.mark.fault("R6")
@pytest.mark.parametrize("name", [TENSORS, FACTS, MANIFEST])
def test_every_truncation_and_every_longer_file_is_detected(whole, name, record_property):
    content = (whole / name).read_bytes()
    record_property("cases", len(content) + 4)
    for length in range(len(content)):
        (whole / name).write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            load(whole)
    for extra in (b"\n", b" ", b"\0", content):
        (whole / name).write_bytes(content + extra)
        with pytest.raises(CheckpointError, match="damaged"):
            load(whole)


@pytest.mark.fault("R6", cases=3)
@pytest.mark.parametrize("name", [TENSORS, FACTS, MANIFEST])
def test_missing_and_swapped_files_are_detected(whole, name):
    other = save(whole.parent, 9, snapshot(9))
    held = (whole / name).read_bytes()
    shutil.copy(other / name, whole / name)
    with pytest.raises(CheckpointError, match="damaged"):
        load(whole)
    (whole / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
        load(whole)
    (whole / name).mkdir()
    with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
        load(whole)
    (whole / name).rmdir()
    (whole / name).write_bytes(held)
    assert is_of(load(whole), 8)


@pytest.mark.fault("R6", cases=2)
def test_swapped_folders_are_detected(whole):
    other = save(whole.parent, 9, snapshot(9))
    whole.rename(whole.parent / "x")
    other.rename(whole)
    (whole.parent / "x").rename(other)
    for path in (whole, other):
        with pytest.raises(CheckpointError, match="manifest is of step"):
            load(path)


def test_a_later_format_is_named(whole):
    text = (whole / MANIFEST).read_text()
    (whole / MANIFEST).write_text(text.replace("checkpoint/1", "checkpoint/2"))
    with pytest.raises(CheckpointError, match=r"got schema 'counterpoint\.checkpoint/2'"):
        load(whole)


@pytest.mark.fault("R6")
def test_the_newest_intact_one_is_found_and_the_others_are_named(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step, snapshot(step))
    (tmp_path / "3" / TENSORS).unlink()
    (tmp_path / "2" / FACTS).write_text("{}")
    found = latest(tmp_path)
    assert found.step == 1
    assert is_of(found.snapshot, 1)
    assert "tensors.safetensors cannot be read" in found.damaged[3]
    assert "facts.json has 2 bytes" in found.damaged[2]
    (tmp_path / "1" / MANIFEST).write_bytes(b"")
    assert latest(tmp_path).step is None
    assert list(latest(tmp_path).damaged) == [3, 2, 1]
    assert latest(tmp_path / "nothing").step is None
