"""Files are written whole or not at all."""

import os
import stat
import subprocess
import sys

import pytest

from counterpoint.errors import CounterpointError, OutputError
from counterpoint.runs.files import write_atomically


def test_writes_text_and_bytes_and_makes_folders(tmp_path):
    write_atomically(tmp_path / "a" / "b.txt", "ümlaut")
    write_atomically(tmp_path / "a" / "c.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "ümlaut"
    assert (tmp_path / "a" / "c.bin").read_bytes() == b"\x00\xff"
    assert sorted(os.listdir(tmp_path / "a")) == ["b.txt", "c.bin"]


def test_the_file_can_be_read_by_others(tmp_path):
    write_atomically(tmp_path / "page.html", "x")
    assert stat.S_IMODE((tmp_path / "page.html").stat().st_mode) == 0o644


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


def test_what_is_no_file_is_not_replaced(tmp_path):
    """`--out /dev/null` by root put a page in place of the device."""
    target = tmp_path / "pipe"
    os.mkfifo(target)
    link = tmp_path / "link"
    link.symlink_to(target)
    for path in (target, link):
        with pytest.raises(OutputError, match="is no file"):
            write_atomically(path, "x")
    assert stat.S_ISFIFO(target.stat().st_mode)
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]
