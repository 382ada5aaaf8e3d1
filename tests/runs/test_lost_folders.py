"""A run directory that is moved, deleted, copied or made read-only while a process trains in it."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from counterpoint.errors import EditedError
from counterpoint.machine import held
from counterpoint.machine.held import HeldFolder
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.seal import edits
from counterpoint.runs.status import read_facts

pytestmark = pytest.mark.fault("R32")

CHILD = Path(__file__).with_name("toy_training.py")
UNTIL = 60
NOBODY = 65534
has_descriptors = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="the system does not say where an open folder is"
)


def begun(folder, **environment):
    """A real process that trains in `folder / run`; it is there once two checkpoints are."""
    notes = folder / "notes"
    paths = os.pathsep.join([str(Path(__file__).parents[2] / "src"), *filter(None, sys.path)])
    child = subprocess.Popen(
        [sys.executable, CHILD, folder / "run", notes, str(UNTIL)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TOY_PAUSE": "0.03",
             **environment},
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (notes.exists() and "saved 6" in notes.read_text()):
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return child


def ended(child):
    """The exit status of a process, and what it printed."""
    printed = child.communicate(timeout=60)[1]
    return child.returncode, printed


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The files of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("straight")
    assert ended(begun(folder)) == (0, "")
    return content(folder / "run")


def content(run):
    files = [run / "metrics.jsonl", *sorted((run / "checkpoints").rglob("*"))]
    return {str(file.relative_to(run)): file.read_bytes() for file in files if file.is_file()}


def resumed(run, folder):
    """The files of a run after another process has brought it to its end."""
    (folder / "notes").unlink()
    shutil.move(run, folder / "run")
    paths = os.pathsep.join([str(Path(__file__).parents[2] / "src"), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, CHILD, folder / "run", folder / "notes", str(UNTIL)],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return content(folder / "run")


@has_descriptors
def test_a_moved_run_is_followed(straight, tmp_path):
    child = begun(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "run").rename(tmp_path / "other" / "place")
    assert ended(child) == (0, "")
    assert not (tmp_path / "run").exists()
    assert content(tmp_path / "other" / "place") == straight
    assert read_facts(tmp_path / "other" / "place").status == "finished"
    assert edits(tmp_path / "other" / "place") == []


@has_descriptors
def test_a_moved_run_is_followed_though_another_is_at_its_place(straight, tmp_path):
    child = begun(tmp_path)
    (tmp_path / "run").rename(tmp_path / "place")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    assert ended(child) == (0, "")
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["run.json"]
    assert content(tmp_path / "place") == straight


@pytest.mark.parametrize("how", ["folder", "content", "anew"])
def test_the_work_of_a_deleted_run_is_saved_beside_it(how, straight, tmp_path):
    child = begun(tmp_path)
    run, beside = tmp_path / "run", tmp_path / "run.saved"
    if how == "content":
        for entry in run.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    else:
        shutil.rmtree(run)
    if how == "anew":
        run.mkdir()
        (run / "mine").write_text("")
    status, printed = ended(child)
    assert status == 2
    assert len(printed.splitlines()) == 1
    assert f"{run} was deleted while the run went on; the work up to step " in printed
    assert f"is saved in {beside}: counterpoint resume {beside}" in printed
    assert run.exists() == (how != "folder")
    if how == "anew":
        assert [file.name for file in run.iterdir()] == ["mine"]
    assert read_facts(beside).status == "stopped"
    assert edits(beside) == []
    shutil.rmtree(run, ignore_errors=True)
    assert resumed(beside, tmp_path) == straight


def test_a_second_saved_folder_does_not_hit_the_first(tmp_path):
    (tmp_path / "run.saved").mkdir()
    child = begun(tmp_path)
    shutil.rmtree(tmp_path / "run")
    assert "run.saved-2: counterpoint resume" in ended(child)[1]
    assert read_facts(tmp_path / "run.saved-2").status == "stopped"


def test_of_a_copied_run_both_go_on(straight, tmp_path):
    child = begun(tmp_path)
    for number in range(3):
        try:
            shutil.copytree(tmp_path / "run", tmp_path / f"copy {number}")
        except shutil.Error:  # an old checkpoint went while it was copied
            continue
    assert ended(child) == (0, "")
    assert content(tmp_path / "run") == straight
    copies = sorted(tmp_path.glob("copy *"))
    assert copies
    for copy in copies:
        assert read_facts(copy).status == "stopped"
        place = tmp_path / copy.name.replace(" ", "-")
        place.mkdir()
        (place / "notes").write_text("")
        if torn := edits(copy):  # it lacks what was written behind the copier's back
            assert all("gone" in edit for edit in torn)
            with pytest.raises(EditedError):
                RunDirectory.open(copy)
            continue
        assert resumed(copy, place) == straight


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no users")
def test_the_work_of_a_run_that_became_read_only_is_saved_beside_it(straight):
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        user = {"TOY_USER": str(NOBODY)} if os.geteuid() == 0 else {}
        folder.chmod(0o777)
        child = begun(folder, **user)
        run, beside = folder / "run", folder / "run.saved"
        for place in (run / "checkpoints", run):
            place.chmod(0o555)
        status, printed = ended(child)
        assert status == 2
        assert len(printed.splitlines()) == 1
        assert f"{run} cannot be written to while the run went on" in printed
        assert f"is saved in {beside}: counterpoint resume {beside}" in printed
        assert edits(beside) == edits(run) == []
        for place in (run, run / "checkpoints"):
            place.chmod(0o755)
        shutil.rmtree(run)
        assert resumed(beside, folder) == straight
    finally:
        shutil.rmtree(folder)


def test_without_descriptors_a_moved_run_is_one_that_was_deleted(tmp_path, monkeypatch, no_fsync):
    """On other systems: the path is all that is known, and no work is lost either."""
    monkeypatch.delattr(os, "O_DIRECTORY")
    folder = tmp_path / "run"
    folder.mkdir()
    place = HeldFolder(folder)
    assert (place.is_there(), place.path) == (True, folder)
    folder.rename(tmp_path / "moved")
    assert (place.is_there(), place.path) == (False, folder)
    place.close()


@has_descriptors
def test_a_held_folder_by_hand(tmp_path, monkeypatch):
    folder, moved = tmp_path / "run", tmp_path / "moved"
    folder.mkdir()
    place = HeldFolder(folder)
    folder.rename(moved)
    folder.mkdir()
    assert (place.is_there(), place.path) == (True, moved)
    moved.rmdir()
    assert (place.is_there(), place.path) == (False, moved)
    place.close()
    assert place.is_there() is False
    other = HeldFolder(folder)
    monkeypatch.setattr(held, "_name_of", lambda handle: None)  # a system that does not say
    folder.rename(moved)
    assert other.is_there() is False
    other.close()


def test_a_training_that_ends_in_a_deleted_folder_makes_no_ghost(tmp_path, no_fsync):
    run = RunDirectory.create(tmp_path / "run", {"world": "spread"})
    with run:
        run.log({"step": 1})
        shutil.rmtree(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert list(tmp_path.iterdir()) == []
