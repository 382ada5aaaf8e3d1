"""Real signals (R20): the first asks, the second ends; a checkpoint is there either way."""

import asyncio
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from multiprocessing.reduction import ForkingPickler
from types import SimpleNamespace

import pytest

from counterpoint.runs import executor
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.status import read_facts
from counterpoint.runs.stop import SIGNALS, Stopper, run_tasks_to_end, undisturbed
from counterpoint.runs.task import TaskMonitor

CHILD = """
import sys, time
from pathlib import Path
import numpy as np
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.runs.stop import Stopper

path, stubborn = Path(sys.argv[1]), sys.argv[2] == "stubborn"
with Stopper() as stopper, RunDirectory.create(path, {}) as run:
    step = 0
    run.save(step, Snapshot({"x": np.zeros(3)}, {"step": 0}))
    print("ready", flush=True)
    while stopper.asked is None or stubborn:
        step += 1
        run.log({"step": step})
        time.sleep(.005)
    run.save(step, Snapshot({"x": np.full(3, step)}, {"step": step}))
    print(stopper.how_to_resume(path, step), file=sys.stderr)
sys.exit(stopper.exit_status)
"""


def start(path, how):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.1)
    return child


@pytest.mark.timed
@pytest.mark.fault("R20")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_one_signal_a_checkpoint_and_how_to_go_on(number, status, tmp_path):
    path = tmp_path / "run"
    with start(path, "willing") as child:
        asked = time.monotonic()
        child.send_signal(number)
        _, told = child.communicate(timeout=20)
        assert time.monotonic() - asked < 5
    assert child.returncode == status
    assert told == (
        f"stopped at step {read_facts(path).step} ({number.name}); "
        f"resume with: counterpoint resume {path}\n"
    )
    assert read_facts(path).status == "stopped"
    with RunDirectory.open(path) as run:
        assert run.resumed.step > 0
        assert run.resumed.snapshot.arrays["x"][0] == run.resumed.step


@pytest.mark.fault("R20")
def test_a_second_interrupt_ends_at_once_and_the_checkpoint_is_whole(tmp_path):
    path = tmp_path / "run"
    with start(path, "stubborn") as child:
        child.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)
    assert child.returncode in (130, -signal.SIGINT)  # Python dies of an uncaught interrupt
    assert read_facts(path).status == "stopped"
    with RunDirectory.open(path) as run:
        assert run.resumed.step == 0


def test_the_handlers_come_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Stopper() as stopper:
        assert [signal.getsignal(number) for number in SIGNALS] != before
        assert stopper.exit_status == 0
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopper.asked is signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(SystemExit, match="143"):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stopper.exit_status == 143
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_in_another_thread_it_does_nothing():
    before, met = signal.getsignal(signal.SIGINT), []

    def work():
        with Stopper() as stopper:
            met.append((stopper.asked, signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert met == [(None, True)]


class Asked(BaseException):
    """What a handler raises."""


@pytest.fixture
def raised():
    """What a handler of SIGTERM, which raises, was called with."""
    called = []

    def handler(number, frame):
        called.append(number)
        raise Asked

    before = signal.signal(signal.SIGTERM, handler)
    yield called
    signal.signal(signal.SIGTERM, before)


def asked_to_stop(then=lambda: None):
    """A signal, and something else, both undisturbed."""
    with undisturbed():
        os.kill(os.getpid(), signal.SIGTERM)
        then()


def test_a_signal_waits_for_what_is_undisturbed(raised):
    whole = []
    with pytest.raises(Asked):
        asked_to_stop(lambda: whole.append(not raised))
    assert whole == [True]
    assert raised == [signal.SIGTERM]


def test_a_signal_is_not_lost_where_something_fails_meanwhile(raised):
    with pytest.raises(Asked) as caught:
        asked_to_stop([].pop)
    assert isinstance(caught.value.__context__, IndexError)


def test_a_second_signal_does_not_wait(raised):
    after = []
    with pytest.raises(Asked):
        asked_to_stop(lambda: [os.kill(os.getpid(), signal.SIGTERM), after.append("it waited")])
    assert raised == [signal.SIGTERM]
    assert after == []


def test_without_a_signal_nothing_happens_and_the_handler_is_as_before(raised):
    before = signal.getsignal(signal.SIGTERM)
    with undisturbed():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert raised == []


def test_a_message_is_read_whole_though_a_signal_arrives_in_its_middle(raised):
    """Read in part, it would leave the pipe out of step, and the next reader would wait for ever:
    the length of a message stands before it."""
    ours, theirs = multiprocessing.Pipe()
    worker, units = SimpleNamespace(pipe=ours, task=0), []
    handler = signal.getsignal(signal.SIGTERM)

    def speak():
        whole = bytes(ForkingPickler.dumps(("advance", 3, [], None)))
        os.write(theirs.fileno(), struct.pack("!i", len(whole)) + whole[:5])
        while signal.getsignal(signal.SIGTERM) is handler:
            time.sleep(0.005)
        time.sleep(0.05)  # the reader has the length, and waits for the rest
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
        os.write(theirs.fileno(), whole[5:])
        theirs.send(("advance", 4, [], None))

    monitor = TaskMonitor(1, units.append)
    speaker = threading.Thread(target=speak)
    speaker.start()
    assert ours.poll(60)
    with pytest.raises(Asked):
        executor._listen(worker, {}, monitor)
    speaker.join()
    assert executor._listen(worker, {}, monitor)
    assert ours.poll() is False
    assert raised == [signal.SIGTERM]
    assert units[-1:] == [4]
    ours.close()
    theirs.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_asynchronous_work_without_a_word(number):
    """20 tasks wait; the handler of SIGTERM raises, as that of the command line does."""
    code = f"""
import asyncio, os, signal, sys
from counterpoint.runs.stop import run_tasks_to_end
async def wait():
    try:
        await asyncio.sleep(60)
    finally:
        print("ended")
async def work():
    asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), {int(number)})
    await asyncio.gather(*(wait() for _ in range(20)))
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: sys.exit(128 + number))
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    run_tasks_to_end(work())
except KeyboardInterrupt:
    sys.exit(130)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128 + number, "")
    assert done.stdout == "ended\n" * 20


def test_a_handler_that_does_not_raise_lets_asynchronous_work_go_on():
    async def work():
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        return "done"

    with Stopper() as stopper:
        assert run_tasks_to_end(work()) == "done"
        assert stopper.asked == signal.SIGTERM
