"""One request under way: its tries, the pauses between them, its deadline, and what it used.

How a try is made is an argument, so nothing here knows of HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from counterpoint.speakers.answers import UNKNOWN, Completion, Fault, Tokens, one_line
from counterpoint.speakers.server_settings import ServerSettings
from counterpoint.speakers.speaker import Message, Reply, Request
from counterpoint.speakers.words import ask_again, ask_for_a_word, legal_word

if TYPE_CHECKING:
    import numpy as np

Post = Callable[[Request, Sequence[Message]], Awaitable[Completion]]
"""One try: the request for its settings, and the messages to send. It may raise a `Fault`."""

_MOST_DOUBLINGS = 30


class Turn:
    """Takes a request to its reply.

    Args:
        request: what is asked.
        post: makes one try.
        bounds: the deadline, the retries, the repairs and the pauses.
        rng: the chance in the pauses.
    """

    def __init__(
        self, request: Request, post: Post, bounds: ServerSettings, rng: np.random.Generator
    ) -> None:
        self._request, self._post, self._bounds, self._rng = request, post, bounds, rng
        self._failed = 0
        self._used: list[Tokens] = []
        self._last = "nothing came back"

    async def take(self) -> Reply:
        """The reply, whatever happens; the cost is left open. The clock starts now."""
        begun, text, error = time.monotonic(), "", None
        refused = False
        limit = self._bounds.deadline_seconds
        self._ends = begun + limit
        try:
            async with asyncio.timeout(limit):
                text = await self._text()
        except TimeoutError:
            tries = len(self._used)
            error = f"no answer within {limit:g} seconds, {tries} tries; the last: {self._last}"
        except Fault as fault:
            error, refused = fault.why, fault.refused
        except Exception as unexpected:  # costs this request, not its siblings
            error = f"unexpected {type(unexpected).__name__}: {one_line(str(unexpected))}"
        seconds = time.monotonic() - begun
        prompt = _total([tokens[0] for tokens in self._used])
        completion = _total([tokens[1] for tokens in self._used])
        return Reply(text, prompt, completion, None, seconds, len(self._used), error=error,
                     refused=refused)  # fmt: skip

    async def _text(self) -> str:
        words, messages = self._request.words, self._request.messages
        if words is None:
            return (await self._completion(messages)).text
        first = asked = ask_for_a_word(messages, words)
        for _ in range(1 + self._bounds.repairs):
            said = (await self._completion(asked)).text
            word = legal_word(said, words)
            if word is not None:
                return word
            self._last = f'the answer "{one_line(said)}" is none of the words'
            asked = ask_again(first, said, words)
        raise Fault(f"{self._last}, after {self._bounds.repairs} repairs", again=False)

    async def _completion(self, messages: Sequence[Message]) -> Completion:
        """What the first try brings that does not fail; `retries` are for the whole turn."""
        while True:
            try:
                return await self._try(messages)
            except Fault as fault:
                self._last = fault.why
                self._failed += 1
                if not fault.again or self._failed > self._bounds.retries:
                    raise
                pause = self._pause(fault.wait_seconds)
            if time.monotonic() + pause >= self._ends:
                raise TimeoutError  # now rather than then
            await asyncio.sleep(pause)

    async def _try(self, messages: Sequence[Message]) -> Completion:
        tokens = UNKNOWN  # and so it stays where the deadline cuts the try short
        try:
            completion = await self._post(self._request, messages)
            tokens = completion.tokens
        except Fault as fault:
            tokens = fault.tokens
            raise
        finally:
            self._used.append(tokens)
        return completion

    def _pause(self, wanted_seconds: float | None) -> float:
        """Seconds before the next try: what the server wants, and a growing share of chance."""
        doublings = min(self._failed - 1, _MOST_DOUBLINGS)
        longest = self._bounds.pause_seconds * 2.0**doublings
        return (wanted_seconds or 0.0) + longest * float(self._rng.uniform(0.5, 1.0))


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
