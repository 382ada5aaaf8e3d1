"""The reply of a chat-completions server: its text, its count of tokens, or what went wrong.

Bytes in, facts out; nothing here depends on connections. The format is that of OpenAI's `POST
/chat/completions`, which vLLM, llama.cpp and Ollama use too.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

Tokens = tuple[int | None, int | None]
"""Tokens of the prompt and of the completion; None if the count is not known."""

NONE: Tokens = (0, 0)
UNKNOWN: Tokens = (None, None)

AGAIN = {408, 409, 425, 429}
"""Statuses of refusals that may be over soon, besides all from 500 on."""
REFUSED = {401, 403, 404}
"""Statuses that every other request would get too: the key, the address or the model is wrong."""


class Fault(Exception):
    """An attempt that brought no text.

    Args:
        why: one line that says what went wrong.
        again: whether another attempt may succeed.
        tokens: the tokens that the attempt used.
        wait_seconds: how long the server asks to wait before the next attempt.
        refused: whether every other request would be refused too.
        status: of the answer; None if there was no answer.
    """

    def __init__(
        self,
        why: str,
        *,
        again: bool,
        tokens: Tokens = UNKNOWN,
        wait_seconds: float | None = None,
        refused: bool = False,
        status: int | None = 200,
    ) -> None:
        super().__init__()  # not of `why`: libraries on the way log the errors that they see
        self.why, self.again, self.tokens = why, again, tokens
        self.wait_seconds, self.refused, self.status = wait_seconds, refused, status

    @property
    def is_unsent(self) -> bool:
        """Returns whether there was not even a connection."""
        return self.status is None and self.tokens == NONE


@dataclass(frozen=True)
class Completion:
    """An answer that could be read."""

    text: str
    tokens: Tokens


def read_completion(kind: str, body: bytes) -> Completion:
    """Returns the text of the first choice; a message without content has the text "".

    Args:
        kind: the content type.
        body: the whole answer.

    Raises:
        Fault: the body is not JSON, is an error, or has another schema.
    """
    answer, tokens = read_object(kind, body)
    try:
        text = answer["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        text = 0
    if text is not None and not isinstance(text, str):
        why = "the server sent JSON of another schema: no choices[0].message.content"
        raise Fault(why, again=True, tokens=tokens)
    return Completion(text or "", tokens)


def read_object(kind: str, body: bytes) -> tuple[dict[str, Any], Tokens]:
    """Returns the JSON object of an answer, and the tokens that it counts.

    Args:
        kind: the content type.
        body: the whole answer.

    Raises:
        Fault: the body is not a JSON object, or is an error.
    """
    media = kind.partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise Fault(f"the server sent {one_line(kind) or 'no content type'}, not JSON", again=True)
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Fault(f"the server's {len(body)} bytes are no JSON ({error})", again=True) from None
    if not isinstance(answer, dict):
        raise Fault("the server sent JSON of another schema: no object", again=True)
    tokens = _tokens(answer.get("usage"))
    if answer.get("error"):
        raise Fault(f"the server said: {_error_message(answer, body)}", again=True, tokens=tokens)
    return answer, tokens


def read_refusal(status: int, after: str | None, body: bytes) -> Fault:
    """Returns the meaning of a status other than 200. A refused request has used no tokens.

    Args:
        status: from 201 to 599.
        after: the header Retry-After.
        body: the answer, or its beginning.
    """
    why = f"the server refused with status {status}"
    if 300 <= status < 400:
        return Fault(f"{why}: redirects are not followed", again=False, tokens=NONE, status=status)
    again = status in AGAIN or status >= 500
    tokens = NONE if status >= 400 else UNKNOWN
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        answer = None
    why = f"{why}: {_error_message(answer, body)}".rstrip(": ")
    wait = retry_after_seconds(after)
    refused = status in REFUSED
    return Fault(why, again=again, tokens=tokens, wait_seconds=wait, refused=refused, status=status)


def retry_after_seconds(header: str | None, now: float | None = None) -> float | None:
    """Returns the seconds to wait, at least 0; None if the header is missing or cannot be read.

    Args:
        header: `Retry-After`, a number of seconds or a date (RFC 9110, section 10.2.3).
        now: seconds since 1970; None reads the clock.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header).timestamp()
        except (ValueError, OverflowError):
            return None
        seconds = date - (time.time() if now is None else now)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def one_line(text: str) -> str:
    """Returns the text without line breaks and control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _error_message(answer: Any, body: bytes) -> str:
    """Returns the message of an error, wherever a server puts it."""
    error = answer.get("error") or answer.get("message") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return one_line(error if isinstance(error, str) else body[:1000].decode(errors="replace"))


def _tokens(usage: Any) -> Tokens:
    usage = usage if isinstance(usage, dict) else {}
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    prompt, completion = (n if type(n) is int and n >= 0 else None for n in counts)
    return prompt, completion
