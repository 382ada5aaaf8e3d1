"""The one protocol between code that wants text and code that produces it.

A `Speaker` takes requests and gives one reply for each. A request that fails for good gives a reply
with an error, and the other requests go on. A request that makes no sense cannot be made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, get_args

from counterpoint.errors import SettingError

N = TypeVar("N", int, float)
Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    Raises:
        SettingError: the role is unknown, or the content is no text or not valid Unicode.
    """

    role: Role
    content: str

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise SettingError(f"got role {self.role!r}; wanted one of {', '.join(get_args(Role))}")
        _demand_text("the content of a message", self.content)


@dataclass(frozen=True)
class Request:
    """One question to a speaker.

    Raises:
        SettingError: a field has a wrong type or is out of range; the message names it.
    """

    messages: tuple[Message, ...]
    """The conversation so far, at least one message."""
    agent: str = ""
    """The agent who speaks, for speakers that are several agents; it is no part of the prompt."""
    words: tuple[str, ...] | None = None
    """The legal answers: the reply's text is exactly one of them. None allows any text."""
    max_tokens: int = 64
    """The most tokens of an answer."""
    temperature: float = 1.0
    """0 takes the most likely token; 1 samples from the model's own distribution."""
    seed: int | None = None
    """The same request with the same seed gets the same text, if the speaker can ensure it."""
    json_schema: str | None = None
    """A JSON schema, as text, that servers are told to follow; other speakers ignore it."""

    def __post_init__(self) -> None:
        given = self.messages
        if not (isinstance(given, tuple) and given and all(isinstance(m, Message) for m in given)):
            raise SettingError(f"got messages {given!r}; wanted a tuple of at least one Message")
        _demand_text("agent", self.agent)
        if self.words is not None and not (isinstance(self.words, tuple) and self.words):
            raise SettingError(
                f"got words {self.words!r}; wanted None or a tuple of at least one word"
            )
        for word in self.words or ():
            _demand_text("a word", word)
            if not word or word != word.strip() or not word.isprintable():
                raise SettingError(f"got word {word!r}; wanted one line with no space around it")
        if self.words and len(set(self.words)) < len(self.words):
            raise SettingError(f"got words {self.words}; wanted each of them once")
        if type(self.max_tokens) is not int or self.max_tokens < 1:
            raise SettingError(f"got max_tokens {self.max_tokens!r}; wanted a whole number from 1")
        heat = self.temperature
        if isinstance(heat, bool) or not isinstance(heat, int | float):
            raise SettingError(f"got temperature {heat!r}; wanted a number")
        if not (math.isfinite(heat) and heat >= 0):
            raise SettingError(f"got temperature {heat!r}; wanted a finite number from 0")
        if self.seed is not None and not (type(self.seed) is int and 0 <= self.seed < 2**63):
            raise SettingError(
                f"got seed {self.seed!r}; wanted None or an int from 0 to 2**63 - 1: int(seed)"
            )


@dataclass(frozen=True)
class Reply:
    """The answer to a request. What cannot be known is None, never 0."""

    text: str
    """The answer; empty if `error` is set."""
    prompt_tokens: int | None = None
    """Tokens read, over all attempts; None if an attempt may have read tokens that were not
    counted."""
    completion_tokens: int | None = None
    """Tokens written, over all attempts, also refused ones; None as above."""
    cost_dollars: float | None = None
    """The cost over all attempts; None if tokens or prices are not known."""
    seconds: float = 0.0
    """Wall clock from the first attempt to the end."""
    tries: int = 1
    """The number of attempts; 0 if no speaker was asked."""
    cached: bool = False
    """Whether the text was stored before: nothing was paid now for its tokens."""
    error: str | None = None
    """Why there is no text."""
    refused: bool = False
    """Whether every other request would fail too: the key, the address or the model is wrong."""


class Speaker(Protocol):
    """A source of text."""

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Returns one reply for each request, in their order.

        Raises:
            CounterpointError: the speaker cannot be used at all. If one request fails, its reply
                says so.
        """


def sum_known(*counts: N | None) -> N | None:
    """Returns the sum, or None if one of the numbers is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _demand_text(what: str, text: Any) -> None:
    if not isinstance(text, str):
        raise SettingError(f"got {type(text).__name__} for {what}; wanted text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SettingError(
            f"got half a surrogate pair in {what}, at {error.start}; wanted valid Unicode: "
            "text.encode(errors='replace').decode()"
        ) from None
