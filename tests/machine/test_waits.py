"""What the main thread waits for lets it hear signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from counterpoint.machine.signals import awaited

HEARD = """
import signal, threading, time
from concurrent.futures import ThreadPoolExecutor
from counterpoint.machine.signals import awaited

def slow():
    time.sleep(1)
    # a signal that another thread takes wakes nobody, as one that comes just before the wait
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    time.sleep(20)

with ThreadPoolExecutor(1) as pool:
    try:
        awaited(pool.submit(slow))
    except KeyboardInterrupt:
        print("heard", flush=True)
"""


def test_the_result_or_the_error_of_a_future_comes():
    with ThreadPoolExecutor(1) as pool:
        assert awaited(pool.submit(int, "7")) == 7
        for error in (ValueError, TimeoutError):
            with pytest.raises(error, match="planted"):
                awaited(pool.submit(raised, error("planted")))


def raised(error):
    raise error


@pytest.mark.fault("R20")
@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
def test_a_signal_that_did_not_wake_the_main_thread_is_heard():
    begun = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", HEARD], stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"heard\n"
        running.kill()
    assert time.monotonic() - begun < 15  # what it waited for is not over
