"""OpenAI's message lists to events: `events_of` is pure, and every reader of such lists uses it.

A message is `{"role", "content"}`, with `name` where several agents share the role. Content is
text, or parts of which the text is kept. An assistant's `tool_calls` become actions of its own;
what role `tool` says is a message of the tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from counterpoint.errors import LogError
from counterpoint.records import Episode, Event

MEMBERS = ("assistant", "agent", "ai", "model")
"""Roles whose messages are of the team; who has any other is a tool, a system or a person."""


def chat(messages: Sequence[Any], where: str, name: str, kind: str, **more: Any) -> Episode:
    """The episode of a conversation.

    Where messages of members without a name follow each other, with nobody else in between, they
    may be of several members who cannot be distinguished: `meta["unnamed_messages"]` counts them.

    Raises:
        LogError: as `events_of`.
    """
    events = tuple(events_of(messages, where))
    agents, tools = members_of(events, roles_of(messages))
    meta = {"format": kind, **more.pop("meta", {})}
    if _follow_each_other(messages):
        meta["unnamed_messages"] = unnamed_messages(messages)
    if not more.get("task"):
        more["task"] = next((e.text for e in events if e.agent in ("user", "human")), "")
    return Episode(name, events, agents, tools, meta=meta, **more)


def unnamed_messages(messages: Sequence[Mapping[str, Any]]) -> int:
    """How many messages of members carry no name, so that one role stands for all of them."""
    return sum(_is_unnamed(message) for message in messages)


def _is_unnamed(message: Mapping[str, Any]) -> bool:
    role = str(message.get("role"))
    return role in MEMBERS and _name(message, role) == role


def _follow_each_other(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a text without a name follows another; calls of tools are one member's own steps."""
    unnamed = [_is_unnamed(message) and not message.get("tool_calls") for message in messages]
    return any(a and b for a, b in pairwise(unnamed))


def events_of(messages: Sequence[Any], where: str) -> list[Event]:
    """The events of a conversation, in order.

    Args:
        messages: as they were parsed from JSON.
        where: of the conversation, for messages of errors.

    Raises:
        LogError: a message is none; the error names it.
    """
    found: list[Event] = []
    called: dict[str, str] = {}
    for i, message in enumerate(messages):
        at = f"{where}, message {i}"
        for told in _read(message, at, called):
            found.append(Event(t=len(found), **told))
    return found


def members_of(events: Sequence[Event], roles: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The names of the team's members, and of all others, in order of their first event.

    Args:
        events: of one conversation.
        roles: the role of each name, as `roles_of` has it.
    """
    names = list(dict.fromkeys(event.agent for event in events))
    members = tuple(name for name in names if roles.get(name) in MEMBERS)
    return members, tuple(name for name in names if name not in members)


def roles_of(messages: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Each speaker's name and role; a name that is ever a member's stays one."""
    found: dict[str, str] = {}
    for message in messages:
        role = str(message.get("role"))
        name = _name(message, role)
        if found.get(name) not in MEMBERS:
            found[name] = role
    return found


def _read(message: Any, at: str, called: dict[str, str]) -> Iterator[dict[str, Any]]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise LogError(f'{at}: got {_shown(message)}; wanted {{"role": text, "content": text}}')
    role = message["role"]
    name = _name(message, role)
    if role in ("tool", "function"):
        name = str(
            message.get("name")
            or message.get("function")
            or called.get(str(message.get("tool_call_id")), role)
        )
    text = _text(message.get("content"), at)
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise LogError(f"{at}, tool_calls: got {_shown(calls)}; wanted a list")
    if text or not calls:
        yield {"agent": name, "kind": "message", "text": text}
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, str):  # as inspect_ai writes it
            function = {"name": function, "arguments": call.get("arguments", "")}
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise LogError(
                f"{at}, tool_calls: got {_shown(call)}; wanted a function's name and arguments"
            )
        arguments = function.get("arguments", "")
        arguments = arguments if isinstance(arguments, str) else json.dumps(arguments)
        called[str(call.get("id"))] = function["name"]
        yield {"agent": name, "kind": "action", "text": arguments,
               "meta": {"name": function["name"]}}  # fmt: skip


def _name(message: Mapping[str, Any], role: str) -> str:
    name = message.get("name")
    return name if isinstance(name, str) and name else role


def _text(content: Any, at: str) -> str:
    """The text of a message; of parts, those that have text."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        if all(part is None or isinstance(part, str) for part in parts):
            return "\n".join(part for part in parts if part)
    raise LogError(f"{at}, content: got {_shown(content)}; wanted text or a list of parts")


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
