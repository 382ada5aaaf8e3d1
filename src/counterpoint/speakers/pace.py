"""How many requests a server gets at once, and when it is asked no more: `Pace` and `Line`.

A server does not say how much it can do side by side, or in which order it takes requests. So the
first request goes alone. Its answer says how many may follow at once without one of them waiting
for half of its deadline, even if the server answers one after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from counterpoint.speakers.answers import Fault
from counterpoint.speakers.server_settings import ServerSettings

BUSY = (429, 503)
"""Statuses by which a server says that it has too much to do."""
STRIKES = 3
"""After so many requests in a row that failed, each begun after the last one had failed, nothing
more is asked."""
_CAUTIOUS = 0.1
_ALIKE = 1.5
"""An answer that takes at most this much longer than the quickest one did not wait for others."""


class Pace:
    """What is known of a server: how many requests it may get at once.

    The number is 1 until the first answer. An answer that took t seconds allows deadline / 2t at
    once, up to `concurrency`. Each later answer allows one more, if it took less than half of the
    deadline or not much longer than the quickest one. A refusal with status 429 or 503 leaves as
    many as are still under way, and an answer that did not come in time halves the number; from
    then on, ten answers allow one more.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._most, self._half = settings.concurrency, settings.deadline_seconds / 2
        self.limit = 1.0
        """The number of requests that it may get at once, rounded down."""
        self.has_answered = False
        """Whether it has ever answered a request, if only by a refusal."""
        self._quickest = float("inf")
        self._was_busy = False
        self._reduced = self._failed = float("-inf")  # when, on the monotonic clock
        self._strikes = 0

    def answered(self, seconds: float) -> None:
        """Takes note of an answer that came after so many seconds."""
        self._quickest = min(self._quickest, seconds)
        if not self.has_answered:
            self.has_answered = True
            self.limit = max(1.0, self._half / max(seconds, 1e-9) // 1)
        elif self._was_busy:
            self.limit += _CAUTIOUS if seconds <= self._half else 0
        elif seconds <= max(self._half, _ALIKE * self._quickest):
            self.limit += 1
        self.limit = min(self.limit, float(self._most))

    def too_busy(self, others: int) -> None:
        """Takes note that the server refuses an attempt for now, while it works on so many others.

        The others are those of this process that have not been refused.
        """
        self.limit, self._was_busy = max(1.0, min(self.limit, float(others))), True

    def too_late(self, sent: float) -> None:
        """Takes note that an attempt that was sent then was not answered in time.

        Attempts that were sent before the last such note say nothing new.
        """
        if sent > self._reduced:
            self._reduced, self._was_busy = time.monotonic(), True
            self.limit = max(1.0, self.limit // 2)

    def ended(self, turn: Turn, *, failed: bool, unsent: bool = False) -> bool:
        """Takes note of the end of a request.

        Args:
            turn: its turn, with an attempt.
            failed: whether it got no answer in spite of all its attempts.
            unsent: whether the last of them had no connection.

        Returns: whether the server is not worth asking any more: it has failed too often, or has
            never been there.
        """
        if not failed:
            self._strikes = 0
        elif turn.begun is not None and turn.begun > self._failed:
            self._failed = time.monotonic()
            self._strikes += 1
        return self._strikes >= STRIKES or (failed and unsent and not self.has_answered)


class Turn:
    """The turn of a request, from its first attempt to its end.

    Args:
        on_taken: called when the server may take the attempt that is under way, because it has
            answered one that it got before.
    """

    def __init__(self, on_taken: Callable[[], object]) -> None:
        self.on_taken = on_taken
        self.begun: float | None = None
        """When its first attempt began; None before that."""
        self.sent = 0.0
        """When its last attempt began."""


class Line:
    """The requests of one batch: those that wait for their turn, and those that have it.

    Args:
        pace: of the server; it is kept from batch to batch.
    """

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.closed = ""
        """Why nothing more is asked; empty while it is."""
        self._turns: dict[Turn, None] = {}  # the last to have sent an attempt is the last
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._entering = 0  # their turn has come, and they have not noticed yet

    async def begin(self, turn: Turn) -> None:
        """Begins an attempt; waits before it if the request has no turn.

        A request that had one before is the next.

        Raises:
            Fault: nothing more is asked.
        """
        if turn not in self._turns:
            await self._wait(first=turn.begun is not None)
        if self.closed:
            raise Fault(f"not asked: {self.closed}", again=False, refused=True, status=None)
        turn.sent = time.monotonic()
        turn.begun = turn.begun or turn.sent
        self._turns.pop(turn, None)
        self._turns[turn] = None

    def answered(self, turn: Turn, fault: Fault | None) -> None:
        """Takes note of what an attempt brought. If the server is too busy, the turn is over."""
        if fault is None or not fault.again:
            self.pace.answered(time.monotonic() - turn.sent)
        if fault is None or fault.status is not None:
            turns = iter(self._turns)
            for other in turns:
                if other is turn:
                    break
            for later in turns:
                later.on_taken()
        if fault is not None and fault.status in BUSY:
            self._turns.pop(turn, None)
            self.pace.too_busy(len(self._turns))
            self.end(turn)

    def end(self, turn: Turn) -> None:
        """Ends the turn of a request, so that the next one begins."""
        self._turns.pop(turn, None)
        self._let_in()

    def close(self, why: str) -> None:
        """Lets no attempt begin any more; those that are under way go on."""
        self.closed = self.closed or why

    async def _wait(self, first: bool) -> None:
        if not self._waiting and self._has_room:
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if first else self._waiting.append)(mine)
        self._let_in()
        try:
            await mine
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:  # its turn had come
                self._entering -= 1
                self._let_in()
            raise
        self._entering -= 1

    @property
    def _has_room(self) -> bool:
        return bool(self.closed) or len(self._turns) + self._entering < int(self.pace.limit)

    def _let_in(self) -> None:
        while self._waiting and self._has_room:
            first = self._waiting.popleft()
            self._entering += 1
            if not first.done():
                first.set_result(None)
