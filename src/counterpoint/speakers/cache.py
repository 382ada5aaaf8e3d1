"""`Cached`: a speaker whose answers are remembered in one SQLite file.

Only what would be the same again is remembered: a request at temperature 0, or one with a seed. Any
other is asked each time, so that many samples never collapse to one. Errors are not remembered.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from counterpoint.speakers.replies import Replies, Said
from counterpoint.speakers.speaker import Reply, Request, Speaker

_FORMAT = "counterpoint.reply/1"
_COUNTING = threading.Lock()


class Known(Speaker, Protocol):
    """A speaker that can say who it is."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What decides its answers besides the requests, such as model and address; no secrets."""


class Cached:
    """Answers from the file what it has, asks for the rest, and keeps it.

    Several processes and threads may use one file. The file is never worth more than the answers:
    where it cannot be used, that is said once, and everything is asked for.

    Args:
        speaker: who is asked.
        path: the SQLite file; it is made where it is missing.
        warn: called with a line when a damaged file is set aside, or cannot be used.
    """

    def __init__(
        self, speaker: Known, path: Path, *, warn: Callable[[str], object] | None = None
    ) -> None:
        self.speaker = speaker
        self.hits = 0
        """Replies that nobody had to be asked for."""
        self.misses = 0
        """Requests that could have been there and were not."""
        self.passed = 0
        """Requests with neither a seed nor temperature 0, which are always asked."""
        self._replies = Replies(path, warn or _tell)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request, in their order; what is asked twice in a batch is asked once.

        Raises:
            CounterpointError: as the speaker.
        """
        facts = self.speaker.facts
        keys = [request_key(facts, request) if repeats(request) else None for request in requests]
        known = self._replies.read({key for key in keys if key})
        first: dict[str, int] = {}
        for place, key in enumerate(keys):
            if key and key not in known:
                first.setdefault(key, place)
        ask = [i for i, key in enumerate(keys) if not key or first.get(key) == i]
        asked = self.speaker.answer([requests[i] for i in ask]) if ask else []
        fresh = dict(zip(ask, asked, strict=True))
        self._replies.write(
            {
                key: Said(fresh[i].text, fresh[i].prompt_tokens, fresh[i].completion_tokens)
                for key, i in first.items()
                if fresh[i].error is None
            }
        )
        replies = []
        for place, key in enumerate(keys):
            if place in fresh:
                replies.append(fresh[place])
            elif key in known:
                replies.append(_remembered(Reply(**asdict(known[key]))))
            else:
                replies.append(_remembered(fresh[first[str(key)]]))
        self._count(keys, ask)
        return replies

    def _count(self, keys: Sequence[str | None], ask: Sequence[int]) -> None:
        passed = keys.count(None)
        with _COUNTING:
            self.passed += passed
            self.misses += len(ask) - passed
            self.hits += len(keys) - len(ask)


def repeats(request: Request) -> bool:
    """Whether the same request is to get the same text again."""
    return request.seed is not None or request.temperature == 0


def request_key(facts: Mapping[str, str], request: Request) -> str:
    """SHA-256, in hex, of everything that decides the text; the agent's name does not."""
    asked = asdict(request) | {"temperature": abs(float(request.temperature))}  # no -0.0
    del asked["agent"]
    whole = json.dumps([_FORMAT, dict(facts), asked], sort_keys=True, allow_nan=False)
    return hashlib.sha256(whole.encode()).hexdigest()


def _remembered(reply: Reply) -> Reply:
    """The same reply to somebody else: nobody was asked for it. An error stays one."""
    return replace(reply, cost_dollars=0.0, seconds=0.0, tries=0, cached=reply.error is None)


def _tell(line: str) -> None:
    sys.stderr.write(f"counterpoint: {line}\n")
