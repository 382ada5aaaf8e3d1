"""Real signals: a long comparison ends at once, with its status, and leaves nobody behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

LONG = ["compare", "regions", "--seeds", "8", "--set", "updates=20000", "--workers", "2"]


@pytest.mark.fault("R20")
@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
    ids=["TERM", "INT", "HUP"],
)
def test_a_signal_ends_the_run_and_its_workers(number, status, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "counterpoint", *LONG, "--out", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_hears_interrupts,
    ) as running:
        _wait_for(tmp_path / "out")  # it is made when everything is imported and the plan is read
        time.sleep(2)
        os.kill(running.pid, number)
        _, told = running.communicate(timeout=20)
    assert running.returncode == status
    assert b"Traceback" not in told
    assert _group_is_gone(running.pid)
    assert list((tmp_path / "out").iterdir()) == []


def _hears_interrupts():
    """A shell that runs tests in the background has told its children to ignore SIGINT, and nohup
    to ignore SIGHUP."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def test_a_terminal_that_is_closed_stops_nothing_under_nohup(tmp_path):
    def ignores():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    command = ["compare", "regions", "--seeds", "2", "--workers", "1", "updates=5"]
    with subprocess.Popen(
        [sys.executable, "-m", "counterpoint", *command],
        cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, preexec_fn=ignores,
    ) as running:  # fmt: skip
        while running.poll() is None:
            os.kill(running.pid, signal.SIGHUP)
            time.sleep(0.05)
        assert running.returncode == 0, running.stderr.read()


def _wait_for(folder):
    for _ in range(600):
        if folder.is_dir():
            return
        time.sleep(0.1)
    raise AssertionError(f"{folder} was not made within a minute")


def _group_is_gone(group):
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return False


@pytest.mark.fault("R20")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_while_the_program_is_loaded_has_its_status_and_no_traceback(
    number, status, tmp_path
):
    slow = tmp_path / "sitecustomize.py"  # a first import of ours that takes its time
    slow.write_text("""
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "counterpoint.cli":
            print("loading", flush=True)
            time.sleep(30)
sys.meta_path.insert(0, Slow())
""")
    with subprocess.Popen(
        [sys.executable, "-m", "counterpoint", "schemes"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=_hears_interrupts,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    ) as running:  # fmt: skip
        assert running.stdout.readline() == b"loading\n"
        os.kill(running.pid, number)
        _, told = running.communicate(timeout=20)
    assert (running.returncode, told) == (status, b"")


@pytest.mark.fault("R20")
def test_a_second_signal_changes_nothing():
    command = [sys.executable, "-c", """
import atexit, os, signal
from counterpoint.cli import main
def interrupted(arguments):
    return 130
main.main = interrupted
atexit.register(lambda: [os.kill(os.getpid(), n) for n in (2, 15, 1)])  # INT, TERM, HUP
main.run([])
"""]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, preexec_fn=_hears_interrupts)
    assert (ended.returncode, ended.stderr) == (130, b"")
