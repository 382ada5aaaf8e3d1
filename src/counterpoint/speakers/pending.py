"""`PendingRequest`: a request to a server until its reply is there.

How an attempt is made is an argument of it, so it does not depend on HTTP. A model that writes text
also answers with one word here: `ask_for_a_word`, `legal_word`.
"""

from __future__ import annotations

import asyncio
import string
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from counterpoint.speakers.answers import UNKNOWN, Completion, Fault, Tokens, one_line
from counterpoint.speakers.pace import Line, Turn
from counterpoint.speakers.server_settings import ServerSettings
from counterpoint.speakers.speaker import Message, Reply, Request, sum_known

if TYPE_CHECKING:
    import numpy as np

Post = Callable[[Request, Sequence[Message]], Awaitable[Completion]]
"""Makes one attempt: takes the request and the messages to send; it may raise a `Fault`."""

_MOST_DOUBLINGS = 30

AROUND = string.punctuation + string.whitespace + "\u00a0\u2018\u2019\u201c\u201d\u00ab\u00bb\u3002"
"""The characters that may surround a word: white space, ASCII punctuation, quotation marks."""


class PendingRequest:
    """A request until its reply is there.

    Args:
        request: what is asked.
        post: makes one attempt.
        bounds: the deadline, the retries, the repairs and the pauses.
        rng: draws the random part of the pauses.
        line: where it waits for its turn among the requests of its batch.
    """

    def __init__(
        self,
        request: Request,
        post: Post,
        bounds: ServerSettings,
        rng: np.random.Generator,
        line: Line,
    ) -> None:
        self._request, self._post, self._bounds, self._rng = request, post, bounds, rng
        self._line = line
        self._failed = 0
        self._used: list[Tokens] = []
        self._last = "nothing came back"
        self._clock = Clock(bounds.deadline_seconds)
        self._turn = Turn(self._clock.start)

    async def reply(self) -> Reply:
        """Returns the reply in every case, without its cost."""
        text, error, refused = "", None, False
        pace, turn = self._line.pace, self._turn
        try:
            async with asyncio.timeout(None) as self._clock.timeout:
                text = await self._text()
        except TimeoutError:
            error = self._too_late()
            pace.too_late(turn.sent)
            refused = pace.ended(turn, failed=True)
        except Fault as fault:
            error, refused = fault.why, fault.refused
            if turn.begun is not None:
                refused |= pace.ended(turn, failed=fault.again, unsent=fault.is_unsent)
        except Exception as unexpected:  # costs this request, not its siblings
            error = f"unexpected {type(unexpected).__name__}: {one_line(str(unexpected))}"
        else:
            pace.ended(turn, failed=False)
        if refused:
            self._line.close(str(error))
        self._line.end(turn)
        seconds = 0.0 if turn.begun is None else time.monotonic() - turn.begun
        prompt = sum_known(*(tokens[0] for tokens in self._used))
        completion = sum_known(*(tokens[1] for tokens in self._used))
        return Reply(text, prompt, completion, None, seconds, len(self._used), error=error,
                     refused=refused)  # fmt: skip

    def _too_late(self) -> str:
        limit, tries = self._bounds.deadline_seconds, len(self._used)
        more = " or a lower concurrency" if self._line.pace.limit > 1 else ""
        return (
            f"no answer within {limit:g} seconds, {tries} tries; the last: {self._last}; a longer "
            f"deadline_seconds{more} may help"
        )

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
            self._clock.stop()
            await self._line.begin(self._turn)
            self._clock.start()
            tokens = UNKNOWN  # and so it stays where the deadline cuts the attempt short
            try:
                completion = await self._post(self._request, messages)
                tokens = completion.tokens
                self._line.answered(self._turn, None)
                return completion
            except Fault as fault:
                tokens, self._last = fault.tokens, fault.why
                self._line.answered(self._turn, fault)
                self._failed += 1
                if not fault.again or self._failed > self._bounds.retries:
                    raise
                # the server's wish, and a random part that grows with each failure
                longest = self._bounds.pause_seconds * 2.0 ** min(self._failed - 1, _MOST_DOUBLINGS)
                pause = (fault.wait_seconds or 0.0) + longest * float(self._rng.uniform(0.5, 1.0))
            finally:
                self._used.append(tokens)
            if pause >= self._clock.left():
                raise TimeoutError  # now, instead of a wait that must end in it
            await asyncio.sleep(pause)


class Clock:
    """The seconds that a request has left. It stands still while the request waits for its turn.

    Args:
        seconds: how many there are.
    """

    timeout: asyncio.Timeout
    """Ends the request when there are none left."""

    def __init__(self, seconds: float) -> None:
        self._left, self._since = seconds, 0.0
        self._runs = False

    def start(self) -> None:
        """Counts from now on; the time since the last start does not count."""
        self._since, self._runs = asyncio.get_running_loop().time(), True
        self.timeout.reschedule(self._since + self._left)

    def stop(self) -> None:
        """Counts what has passed since the last start, and stands still."""
        self._left, self._runs = self.left(), False
        self.timeout.reschedule(None)

    def left(self) -> float:
        """Returns how many seconds are left now."""
        passed = asyncio.get_running_loop().time() - self._since if self._runs else 0.0
        return self._left - passed


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
