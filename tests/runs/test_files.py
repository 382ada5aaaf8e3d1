"""Files are written whole or not at all."""

import os
import stat
import subprocess
import sys

import pytest

from counterpoint.errors import CounterpointError, OutputError
from counterpoint.machine.locks import hold
from counterpoint.runs.files import (
    PartialFolder,
    partial_path,
    sweep_partial,
    write_atomically,
)


def test_writes_text_and_bytes_and_makes_folders(tmp_path):
    write_atomically(tmp_path / "a" / "b.txt", "ümlaut")
    write_atomically(tmp_path / "a" / "c.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "ümlaut"
    assert (tmp_path / "a" / "c.bin").read_bytes() == b"\x00\xff"
    assert sorted(os.listdir(tmp_path / "a")) == ["b.txt", "c.bin"]


MAKES_FILES = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[1], 8))
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.files import PartialFolder, write_atomically
from counterpoint.runs.checkpoint import Snapshot
top = Path("made")
write_atomically(top / "page.html", "x")
PartialFolder(top / "transcripts")
with RunDirectory.create(top / "run", {"world": "spread"}) as run:
    run.log({"step": 1})
    run.save(1, Snapshot({}, {}))
    run.finish(step=1)
"""


@pytest.mark.fault("R36")
@pytest.mark.parametrize("mask", ["0000", "0022", "0027", "0077"])
def test_files_and_folders_follow_the_umask(mask, tmp_path):
    pytest.importorskip("safetensors")
    subprocess.run([sys.executable, "-c", MAKES_FILES, mask], cwd=tmp_path, check=True)
    made = list((tmp_path / "made").rglob("*"))
    assert {"page.html", "run.json", "metrics.jsonl", "lock", "status.json", "manifest.json"} <= {
        path.name for path in made
    }
    for path in made:
        whole = 0o777 if path.is_dir() else 0o666
        assert stat.S_IMODE(path.stat().st_mode) == whole & ~int(mask, 8), path


@pytest.mark.fault("R36")
def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_stays(tmp_path):
    def age(path, seconds=60):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - seconds))

    killed = partial_path(tmp_path / "cell.json")
    killed.write_text("{")
    left = PartialFolder(tmp_path / "transcripts")
    (left.path / "0.html").write_text("")
    left._lock.release()  # as its process does when it ends
    living = PartialFolder(tmp_path / "transcripts")
    written = partial_path(tmp_path / "results.json")
    with written.open("wb") as file:
        hold(file.fileno())
        kept = ["results.json", ".gitignore", ".a.partial", ".cell.json.12345678.partial.txt"]
        for name in kept:
            (tmp_path / name).write_text("")
        new = partial_path(tmp_path / "new.json")
        new.write_text("")
        link = partial_path(tmp_path / "link.json")
        link.symlink_to(tmp_path / "results.json")
        for path in (killed, left.path, living.path, written):
            age(path)
        assert sweep_partial(tmp_path) == 2
    names = {written.name, living.path.name, new.name, link.name, *kept}
    assert set(os.listdir(tmp_path)) == names
    assert sweep_partial(tmp_path / "nowhere") == 0


@pytest.mark.parametrize("letter", ["a", "ü", "变", "\U0001f642"])
def test_names_may_be_as_long_as_a_disk_allows(letter, tmp_path):
    name = letter * (250 // len(letter.encode())) + ".json"
    write_atomically(tmp_path / name, "x")
    assert os.listdir(tmp_path) == [name]


def test_a_failed_rename_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    target = tmp_path / "results.json"
    target.write_text("old")

    def full(source, destination):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["results.json"]


def test_a_folder_that_is_a_file_is_our_error(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(CounterpointError, match="could not write"):
        write_atomically(tmp_path / "taken" / "results.json", "x")


@pytest.mark.parametrize("step", ["os.fdopen", "os.fsync", "os.replace"])
def test_killed_before_any_step_the_reader_sees_the_old_file(tmp_path, step):
    target = tmp_path / "results.json"
    target.write_text("old")
    program = f"""
import os, signal
from pathlib import Path
from counterpoint.runs import files
files.{step} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
files.write_atomically(Path({str(target)!r}), "new")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert done.returncode == -9
    assert target.read_text() == "old"


@pytest.mark.fault("R36")
def test_what_is_no_file_is_not_replaced(tmp_path):
    """`--out /dev/null` by root put a page in place of the device."""
    target = tmp_path / "pipe"
    os.mkfifo(target)
    file = tmp_path / "file"
    file.write_text("old")
    links = [tmp_path / f"to {each.name}" for each in (target, file)]
    for link, path in zip(links, (target, file), strict=True):
        link.symlink_to(path)
        with pytest.raises(OutputError, match=f"which is a link to {path}; choose that"):
            write_atomically(link, "x")
        assert link.is_symlink()
    with pytest.raises(OutputError, match="is no file"):
        write_atomically(target, "x")
    assert file.read_text() == "old"
    assert stat.S_ISFIFO(target.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe", "to file", "to pipe"]
