"""A stream on several processes is the same as on one."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import json

from counterpoint.audits import audit
from counterpoint.errors import WorkerError
from counterpoint.records import Episode, Event
from counterpoint.runs import stream as module
from counterpoint.runs.stream import AHEAD, BATCH, stream

pytestmark = pytest.mark.fault("R25")


@pytest.fixture(autouse=True)
def _early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_FIRST", 3)


def described(item: int) -> tuple[int, int]:
    if item == 60:
        raise ZeroDivisionError("sixty")
    if item == 70:
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item, os.getpid()


def test_values_come_in_order_and_the_source_is_not_read_far_ahead() -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for item in range(55):
            taken += 1
            yield item

    results = []
    for item, (square, _) in stream(described, source(), 2):
        results.append((item, square))
        assert taken - len(results) <= (2 * AHEAD + 2) * BATCH
    assert results == [(item, item * item) for item in range(55)]


def test_a_short_stream_and_one_worker_stay_here() -> None:
    assert all(place == os.getpid() for _, (_, place) in stream(described, range(3), 2))
    assert all(place == os.getpid() for _, (_, place) in stream(described, range(9), 1))


def test_the_rest_of_a_long_stream_goes_elsewhere() -> None:
    here = [place == os.getpid() for _, (_, place) in stream(described, range(9), 2)]
    assert here == [True] * 3 + [False] * 6


def test_errors_of_the_function_and_of_the_source_are_raised() -> None:
    with pytest.raises(ZeroDivisionError, match="sixty"):
        list(stream(described, range(50, 65), 2))

    def broken() -> Iterator[int]:
        yield from range(20)
        raise ValueError("a torn line")

    with pytest.raises(ValueError, match="a torn line"):
        list(stream(described, broken(), 2))


def test_a_killed_process_is_named() -> None:
    with pytest.raises(WorkerError, match="out of memory"):
        list(stream(described, range(66, 90), 2))


def test_an_audit_is_the_same_on_any_number_of_processes(tmp_path: Path) -> None:
    def team(number: int) -> Episode:
        says = f"run {number}: the parser still fails on the third line of the file"
        events = tuple(
            Event(t, ("ann", "bob")[t % 2], "message", says if number % 4 else f"{says} {t}" * t)
            for t in range(12)
        )
        return Episode(f"e{number}", events, ("ann", "bob"))

    alone, together = (audit(map(team, range(24)), workers=workers) for workers in (1, 2))
    assert json.encode(alone) == json.encode(together)
    assert alone.episodes == 24
