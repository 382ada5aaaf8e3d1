"""Locks end with their process, by `flock` and by SQLite, where there is no `flock`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from counterpoint.errors import BusyError
from counterpoint.machine import locks
from counterpoint.machine.locks import is_locked, lock_file
from counterpoint.runs.lock import Lock

HOLDER = """
import sys, time
from pathlib import Path
from counterpoint.machine import locks
from counterpoint.runs.lock import Lock
if sys.argv[2] == "sqlite":
    locks.fcntl = None
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(params=["flock", "sqlite"])
def kind(request, monkeypatch):
    if request.param == "sqlite":
        monkeypatch.setattr(locks, "fcntl", None)
    return request.param


def test_one_holds_it_alone_and_several_share_it(kind, tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    alone = lock_file(path)
    assert is_locked(path)
    for shared in (False, True):
        with pytest.raises(BlockingIOError):
            lock_file(path, shared=shared)
    alone.release()
    alone.release()
    assert not is_locked(path)
    several = [lock_file(path, shared=True) for _ in range(2)]
    assert not is_locked(path)
    with pytest.raises(BlockingIOError):
        lock_file(path)
    for each in several:
        each.release()
    lock_file(path).release()


def test_it_is_waited_for(kind, tmp_path):
    path = tmp_path / "lock"
    first = lock_file(path)
    threading.Timer(0.3, first.release).start()
    begun = time.monotonic()
    lock_file(path, wait=True).release()
    assert time.monotonic() - begun > 0.2


def test_it_names_its_holder_and_ends_with_a_killed_process(kind, tmp_path):
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), kind], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_locked(path)
        with pytest.raises(BusyError, match=f"process {holder.pid} on "):
            Lock(path)
        holder.kill()
        holder.wait()
    assert not is_locked(path)
    Lock(path).release()


def test_a_folder_that_cannot_be_written_to_is_an_error_of_the_system(kind, tmp_path):
    with pytest.raises(OSError, match="No such file"):
        lock_file(tmp_path / "nowhere" / "lock")


def test_a_lock_that_is_removed_while_another_one_waits_for_it(tmp_path):
    """A lock on a file without a name would keep nobody out."""
    path = tmp_path / "lock"
    first = lock_file(path)

    def end():
        path.unlink()
        first.release()

    threading.Timer(0.3, end).start()
    second = lock_file(path, wait=True)
    with pytest.raises(BlockingIOError):
        lock_file(path)
    second.release()
