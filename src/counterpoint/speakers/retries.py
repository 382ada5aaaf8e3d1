"""One request to a server: its attempts, the pauses between them, its deadline, and its tokens.

Start with `PendingRequest`. How an attempt is made is an argument, so nothing here depends on HTTP.
A model that writes text also answers with one word here: `ask_for_a_word`, `legal_word`.
"""

from __future__ import annotations

import asyncio
import string
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from counterpoint.speakers.answers import UNKNOWN, Completion, Fault, Tokens, one_line
from counterpoint.speakers.server_settings import ServerSettings
from counterpoint.speakers.speaker import Message, Reply, Request

if TYPE_CHECKING:
    import numpy as np

Post = Callable[[Request, Sequence[Message]], Awaitable[Completion]]
"""Makes one attempt: takes the request and the messages to send; it may raise a `Fault`."""

_MOST_DOUBLINGS = 30

AROUND = string.punctuation + string.whitespace + "\u00a0\u2018\u2019\u201c\u201d\u00ab\u00bb\u3002"
"""What may stand around a word: white space, ASCII punctuation, quotation marks."""


class PendingRequest:
    """A request until its reply is there.

    Args:
        request: what is asked.
        post: makes one attempt.
        bounds: the deadline, the retries, the repairs and the pauses.
        rng: draws the random part of the pauses.
    """

    def __init__(
        self, request: Request, post: Post, bounds: ServerSettings, rng: np.random.Generator
    ) -> None:
        self._request, self._post, self._bounds, self._rng = request, post, bounds, rng
        self._failed = 0
        self._used: list[Tokens] = []
        self._last = "nothing came back"

    async def reply(self) -> Reply:
        """Returns the reply, whatever happens; its cost is left open. The clock starts now."""
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
        first = prompt = ask_for_a_word(messages, words)
        for _ in range(1 + self._bounds.repairs):
            text = (await self._completion(prompt)).text
            word = legal_word(text, words)
            if word is not None:
                return word
            self._last = f'the answer "{one_line(text)}" is none of the words'
            prompt = ask_again(first, text, words)
        raise Fault(f"{self._last}, after {self._bounds.repairs} repairs", again=False)

    async def _completion(self, messages: Sequence[Message]) -> Completion:
        """Returns the first completion; `retries` counts over the whole request."""
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
                raise TimeoutError  # now, instead of a wait that must end in it
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
        """Returns seconds before the next attempt: the server's wish plus a growing random part."""
        doublings = min(self._failed - 1, _MOST_DOUBLINGS)
        longest = self._bounds.pause_seconds * 2.0**doublings
        return (wanted_seconds or 0.0) + longest * float(self._rng.uniform(0.5, 1.0))


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def ask_for_a_word(messages: Sequence[Message], words: Sequence[str]) -> tuple[Message, ...]:
    """Returns the conversation with a line at its end that says which answers are legal.

    The line goes into the user's last message, since not every chat template takes two messages in
    a row, or a system message.
    """
    *before, last = messages
    line = f"Answer with exactly one of these, and nothing else: {', '.join(words)}"
    if last.role == "user":
        return (*before, Message("user", f"{last.content}\n\n{line}"))
    return (*messages, Message("user", line))


def ask_again(prompt: Sequence[Message], refused: str, words: Sequence[str]) -> tuple[Message, ...]:
    """Returns the conversation after an answer that was none of the words."""
    if not refused.strip():
        return tuple(prompt)
    line = f"That is none of them. Write one of these, and nothing else: {', '.join(words)}"
    return (*prompt, Message("assistant", refused), Message("user", line))


def legal_word(text: str, words: Sequence[str]) -> str | None:
    """Returns the word that a text is, or None if it is none of the words.

    White space, case and punctuation at the ends do not count, unless two words differ in nothing
    else: with the words `C` and `C++` the text `C++` is the second, and `c.` is none.
    """
    if text.strip() in words:
        return text.strip()
    alike = [word for word in words if _bare(word) == _bare(text)]
    return alike[0] if len(alike) == 1 else None


def _bare(text: str) -> str:
    return (text.strip(AROUND) or text.strip()).casefold()
