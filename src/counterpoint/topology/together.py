"""`play_together`: several plays side by side, whose requests reach a model in one batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from counterpoint.machine.signals import TICK_SECONDS
from counterpoint.speakers.speaker import Reply, Request, Speaker

Played = TypeVar("Played")
MOST = 64
"""Plays that go on at the same time."""


class _Left(BaseException):
    """Ends a play whose requests nobody answers any more."""


@dataclass
class _Table(Generic[Played]):
    """What plays ask, and what they get."""

    lock: threading.Condition = field(default_factory=threading.Condition)
    asks: dict[int, Sequence[Request]] = field(default_factory=dict)
    """Play to the requests for which it waits."""
    replies: dict[int, list[Reply]] = field(default_factory=dict)
    ends: dict[int, Played] = field(default_factory=dict)
    errors: dict[int, BaseException] = field(default_factory=dict)
    is_left: bool = False


@dataclass(frozen=True)
class _Seat(Generic[Played]):
    """The model, as one play sees it."""

    table: _Table[Played]
    number: int

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Returns one reply for each request, when all plays have asked or ended."""
        table = self.table
        with table.lock:
            table.asks[self.number] = requests
            table.lock.notify_all()
            table.lock.wait_for(lambda: self.number in table.replies or table.is_left)
            if table.is_left:
                raise _Left
            return table.replies.pop(self.number)


def play_together(
    speaker: Speaker,
    plays: Sequence[Callable[[Speaker], Played]],
    on_end: Callable[[], object] = lambda: None,
) -> list[Played]:
    """Returns what plays return; each asks the speaker that it is given.

    What all of them ask next goes to the real speaker together, in the order of the plays, so that
    the batches do not depend on which of them is faster. The speaker is asked in this thread.

    Args:
        speaker: what answers.
        plays: independent of each other; up to `MOST` go on side by side.
        on_end: called, in this thread, for each play that has ended.

    Raises:
        Exception: the error of the first play that fails, or of the speaker.
    """
    played: list[Played] = []
    for i in range(0, len(plays), MOST):
        played += _side_by_side(speaker, plays[i : i + MOST], on_end)
    return played


def _side_by_side(
    speaker: Speaker, plays: Sequence[Callable[[Speaker], Played]], on_end: Callable[[], object]
) -> list[Played]:
    table: _Table[Played] = _Table()
    told = 0

    def run(number: int) -> None:
        try:
            end = plays[number](_Seat(table, number))
        except BaseException as error:
            with table.lock:
                table.errors[number] = error
                table.lock.notify_all()
        else:
            with table.lock:
                table.ends[number] = end
                table.lock.notify_all()

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(plays))]
    for thread in threads:
        thread.start()
    try:
        while not table.errors and told < len(plays):
            with table.lock:
                while len(table.asks) + len(table.ends) + len(table.errors) < len(plays):
                    table.lock.wait(TICK_SECONDS)
                asked = [(i, request) for i in sorted(table.asks) for request in table.asks[i]]
                waiting = sorted(table.asks)
                table.asks.clear()
                ended = len(table.ends)
            while told < ended:
                on_end()
                told += 1
            if table.errors or not asked:
                continue
            answers = speaker.answer([request for _, request in asked])
            with table.lock:
                for number in waiting:
                    table.replies[number] = []
                for (number, _), reply in zip(asked, answers, strict=True):
                    table.replies[number].append(reply)
                table.lock.notify_all()
    finally:
        with table.lock:
            table.is_left = len(table.ends) < len(plays)
            table.lock.notify_all()
        for thread in threads:
            thread.join()
    if table.errors:
        raise table.errors[min(i for i, e in table.errors.items() if not isinstance(e, _Left))]
    return [table.ends[i] for i in range(len(plays))]
