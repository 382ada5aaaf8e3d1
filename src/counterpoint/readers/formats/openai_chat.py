"""OpenAI chat: messages with roles."""

from __future__ import annotations

from typing import Any

from counterpoint.readers.build import Format, finite
from counterpoint.readers.messages import chat, messages_in, parse_messages
from counterpoint.records import Episode


def is_openai(value: Any) -> bool:
    """Returns whether a value is messages with roles, or an object with such messages."""
    first = messages_in(value)[:3]
    return first != [] and all(
        isinstance(m, dict) and isinstance(m.get("role"), str) for m in first
    )


def openai(value: Any, where: str, name: str) -> list[Episode]:
    """Returns a conversation; an object may also have `id`, `task`, `success` (or `score`)."""
    about = value if isinstance(value, dict) else {}
    messages = parse_messages(messages_in(value), where)
    name, task = str(about.get("id", name)), str(about.get("task", ""))
    success = finite(about.get("success", about.get("score")))
    return [chat(messages, name, "openai", task=task, success=success)]


FORMAT = Format(is_openai, openai)
