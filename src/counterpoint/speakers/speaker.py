"""The one seam between those who want text and those who produce it.

A `Speaker` takes requests and gives one reply for each. A request that fails for good is a reply
that says so: data, and its siblings go on. A request that makes no sense cannot be made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from counterpoint.errors import SettingError

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    Raises:
        SettingError: an unknown role, or content that is no text or not valid Unicode.
    """

    role: Role
    content: str

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise SettingError(f"got role {self.role!r}; wanted one of {', '.join(get_args(Role))}")
        _demand_text("the content of a message", self.content)


@dataclass(frozen=True)
class Request:
    """What somebody is asked.

    Raises:
        SettingError: a field of a wrong type or out of range; the message names it.
    """

    messages: tuple[Message, ...]
    """The conversation so far, at least one message."""
    agent: str = ""
    """Who is to speak, for speakers that are several agents; it is no part of the prompt."""
    words: tuple[str, ...] | None = None
    """The legal answers: the text of the reply is one of them, exactly. None: any text."""
    max_tokens: int = 64
    """An answer ends after so many tokens."""
    temperature: float = 1.0
    """0 takes the likeliest token; 1 samples from the model's own distribution."""
    seed: int | None = None
    """The same request with the same seed gets the same text, as far as the speaker can tell."""
    json_schema: str | None = None
    """A JSON schema, as text, that servers are told to keep to; other speakers do not look."""

    def __post_init__(self) -> None:
        given = self.messages
        if not (isinstance(given, tuple) and given and all(isinstance(m, Message) for m in given)):
            raise SettingError(f"got messages {given!r}; wanted a tuple of at least one Message")
        _demand_text("agent", self.agent)
        if self.words is not None:
            _demand_words(self.words)
        if not _whole(self.max_tokens) or self.max_tokens < 1:
            raise SettingError(f"got max_tokens {self.max_tokens!r}; wanted a whole number from 1")
        heat = self.temperature
        if isinstance(heat, bool) or not isinstance(heat, int | float):
            raise SettingError(f"got temperature {heat!r}; wanted a number")
        if not (math.isfinite(heat) and heat >= 0):
            raise SettingError(f"got temperature {heat!r}; wanted a finite number from 0")
        if self.seed is not None and not (_whole(self.seed) and 0 <= self.seed < 2**63):
            raise SettingError(
                f"got seed {self.seed!r}; wanted None or an int from 0 to 2**63 - 1: int(seed)"
            )


@dataclass(frozen=True)
class Reply:
    """What came of a request. What cannot be known is None, never 0."""

    text: str
    """What was said; empty where `error` is set."""
    prompt_tokens: int | None = None
    """Tokens read, over all tries; None where a try may have read some and nobody counted."""
    completion_tokens: int | None = None
    """Tokens written, over all tries, also those whose text was refused; None as above."""
    cost_dollars: float | None = None
    """What this reply cost, over all tries; None where tokens or prices are not known."""
    seconds: float = 0.0
    """Wall clock from the first try to the end."""
    tries: int = 1
    """How often somebody was asked; 0 where nobody had to be."""
    cached: bool = False
    """Whether the text was there already: nothing was paid, and the tokens are those of then."""
    error: str | None = None
    """Why there is no text."""
    refused: bool = False
    """Whether any other request would fail too: the key, the address or the model is wrong."""


class Speaker(Protocol):
    """Somebody who answers."""

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request, in their order.

        Raises:
            CounterpointError: the speaker cannot be used at all. What goes wrong with one request
                is in its reply.
        """


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


def _demand_words(words: Any) -> None:
    if not isinstance(words, tuple) or not words:
        raise SettingError(f"got words {words!r}; wanted None or a tuple of at least one word")
    for word in words:
        _demand_text("a word", word)
        if not word or word != word.strip() or not word.isprintable():
            raise SettingError(f"got word {word!r}; wanted one line with no space around it")
    if len(set(words)) < len(words):
        raise SettingError(f"got words {words}; wanted each of them once")


def _whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
