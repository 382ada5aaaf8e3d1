"""`Cached`: a speaker whose answers are kept in one SQLite file.

Only a repeatable request is kept: one at temperature 0, or one with a seed. Any other request goes
to the speaker each time, so that many samples never collapse to one. Errors are not kept.
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

from counterpoint.speakers.replies import Replies, StoredReply
from counterpoint.speakers.speaker import Reply, Request, Speaker

_FORMAT = "counterpoint.reply/1"
_COUNTING = threading.Lock()


class IdentifiedSpeaker(Speaker, Protocol):
    """A speaker that can be identified."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns what decides its answers besides the requests: model, address; no secrets."""


class Cached:
    """Answers from the file if it can, asks the speaker for the other answers, and keeps them.

    Several processes and threads may use one file. If the file cannot be used, one warning is given
    and every request goes to the speaker: a cache may never cost an answer.

    Args:
        speaker: produces the answers that are not in the file.
        path: the SQLite file; it is made if it is missing.
        warn: called with one line if a damaged file is set aside, or the file cannot be used.
    """

    def __init__(
        self, speaker: IdentifiedSpeaker, path: Path, *, warn: Callable[[str], object] | None = None
    ) -> None:
        self.speaker = speaker
        self.hits = 0
        """Replies that came from the file or from an equal request of the same batch."""
        self.misses = 0
        """Repeatable requests that were not in the file."""
        self.passed = 0
        """Requests with neither a seed nor temperature 0, which always go to the speaker."""
        self._replies = Replies(path, warn or _warn)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Returns one reply for each request, in their order; equal requests are asked once.

        Raises:
            CounterpointError: the speaker raises it.
        """
        facts = self.speaker.facts
        keys = [request_key(facts, request) if repeats(request) else None for request in requests]
        known = self._replies.read({key for key in keys if key})
        # The first of equal requests is asked; the others of the batch get a copy of its reply.
        first: dict[str, int] = {}
        for place, key in enumerate(keys):
            if key and key not in known:
                first.setdefault(key, place)
        ask = [i for i, key in enumerate(keys) if not key or first.get(key) == i]
        answered = self.speaker.answer([requests[i] for i in ask]) if ask else []
        fresh = dict(zip(ask, answered, strict=True))
        self._replies.write(
            {
                key: StoredReply(fresh[i].text, fresh[i].prompt_tokens, fresh[i].completion_tokens)
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
    """Returns whether the same request must get the same text again."""
    return request.seed is not None or request.temperature == 0


def request_key(facts: Mapping[str, str], request: Request) -> str:
    """Returns the SHA-256, in hex, of everything that decides the text, but not the agent's
    name."""
    content = asdict(request) | {"temperature": abs(float(request.temperature))}  # no -0.0
    del content["agent"]
    whole = json.dumps([_FORMAT, dict(facts), content], sort_keys=True, allow_nan=False)
    return hashlib.sha256(whole.encode()).hexdigest()


def _remembered(reply: Reply) -> Reply:
    """Returns the reply for a request that cost nothing. An error stays an error."""
    return replace(reply, cost_dollars=0.0, seconds=0.0, tries=0, cached=reply.error is None)


def _warn(line: str) -> None:
    sys.stderr.write(f"counterpoint: {line}\n")
