"""Speakers without a model: for tests, for baselines, and for players whose moves are known."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from counterpoint.errors import SettingError
from counterpoint.speakers.speaker import Reply, Request


class Scripted:
    """Returns what a function returns: `Scripted(lambda request: request.messages[-1].content)`.

    If the function raises, or its text is none of the request's words, the reply has an error. No
    tokens are read or written, and nothing is paid.
    """

    def __init__(self, function: Callable[[Request], str]) -> None:
        self._function = function

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Returns one reply for each request, in their order."""
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        begun, text, error = time.monotonic(), "", None
        try:
            text = self._function(request)
        except Exception as failure:
            error = f"the script failed ({type(failure).__name__}: {failure})"
        words = request.words
        if error is None and not (isinstance(text, str) if words is None else text in words):
            wanted = "text" if words is None else f"one of {', '.join(words)}"
            text, error = "", f"got {text!r}; wanted {wanted}"
        return Reply(text, 0, 0, 0.0, time.monotonic() - begun, error=error)


class Fixed(Scripted):
    """Answers every request with the same text."""

    def __init__(self, text: str) -> None:
        super().__init__(lambda request: text)


class FirstWord(Scripted):
    """Answers with the first of the request's words."""

    def __init__(self) -> None:
        super().__init__(lambda request: _words(request)[0])


class RandomWord(Scripted):
    """Answers with one of the request's words, drawn uniformly.

    The word of a request with a seed depends on that seed alone. All other words come from one
    random stream, so that they depend on the order of the requests.
    """

    def __init__(self, seed: int) -> None:
        import numpy as np  # on use: see `server.py`

        stream = np.random.default_rng(seed)

        def pick(request: Request) -> str:
            words = _words(request)
            own = request.seed
            rng = stream if own is None else np.random.default_rng([seed, own])
            return words[int(rng.integers(len(words)))]

        super().__init__(pick)


def _words(request: Request) -> tuple[str, ...]:
    if request.words is None:
        raise SettingError("got a request without words; wanted words to choose from")
    return request.words
