"""OpenAI chat and responses, and Anthropic's messages: a conversation in one value.

A value is a list of messages or of items of a response, or an object with such `messages`; or each
line is a message, and a file is one conversation. Calls of a model that are logged with their
request are in `model_calls`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from counterpoint.readers.build import Format, Line, SessionFormat, finite
from counterpoint.readers.content import as_text
from counterpoint.readers.messages import (
    LoggedMessage,
    chat,
    is_item,
    messages_in,
    parse_line,
    parse_message,
    parse_messages,
)
from counterpoint.records import Episode

BLOCKS = ("tool_use", "tool_result", "thinking", "redacted_thinking")
"""The parts of content that only Anthropic's messages have."""


def is_message(value: Any) -> bool:
    """Returns whether a value looks like a message or an item of a response."""
    return isinstance(value, dict) and (isinstance(value.get("role"), str) or is_item(value))


def is_openai(value: Any) -> bool:
    """Returns whether a value is messages with roles, or an object with such messages."""
    first = messages_in(value)[:3]
    return first != [] and all(map(is_message, first))


def is_anthropic(value: Any) -> bool:
    """Returns whether a value is messages with parts that only Anthropic's have."""
    return is_openai(value) and any(
        isinstance(part, dict) and part.get("type") in BLOCKS
        for message in messages_in(value)[:4]
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        for part in message["content"]
    )


def openai(value: Any, where: str, name: str, kind: str = "openai") -> list[Episode]:
    """Returns a conversation; an object may also have `id`, `task`, `success` (or `score`)."""
    about = value if isinstance(value, dict) else {}
    messages = parse_messages(messages_in(value), where)
    messages[:0] = system_of(about, where)
    name, task = str(about.get("id", name)), as_text(about.get("task"))
    success = about.get("success", about.get("score"))
    success = float(success) if isinstance(success, bool) else finite(success)
    ending = about.get("finish_reason", about.get("stop_reason"))
    return [
        chat(messages, name, kind, task=task, success=success,
             ending=ending if isinstance(ending, str) else "")
    ]  # fmt: skip


def system_of(about: Any, where: str) -> list[LoggedMessage]:
    """Returns the instructions that stand beside the messages, as a message of the system."""
    system = about.get("system", about.get("instructions"))
    if not isinstance(system, str | list) or not system:
        return []
    return [parse_message({"role": "system", "content": system}, f"{where}, system")]


def is_line(value: Any) -> bool:
    """Returns whether a value is one message, or one item of a response."""
    return is_item(value) or (is_message(value) and ("content" in value or "tool_calls" in value))


def read_lines(lines: Sequence[Line], name: str) -> Iterator[Episode]:
    """Yields the conversation whose messages are the lines."""
    yield chat(list(map(parse_line, lines)), name, "messages")


FORMAT = Format(is_openai, openai)
LINES = SessionFormat(is_line, read_lines)
ANTHROPIC = Format(is_anthropic, lambda value, where, name: openai(value, where, name, "anthropic"))
