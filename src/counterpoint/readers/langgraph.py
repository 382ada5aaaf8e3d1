"""LangGraph's logs: the messages of a state, or the updates of a stream, which name the nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.messages import MEMBERS, chat, unnamed_messages
from counterpoint.records import Episode

ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "tool": "tool",
         "system": "system", "function": "tool"}  # fmt: skip
"""LangChain's type of a message to the role that OpenAI's messages have."""


def is_langgraph(value: Any) -> bool:
    """Messages of LangChain's, plain or serialized."""
    messages = value.get("messages") if isinstance(value, dict) else value
    if not isinstance(messages, list) or not messages or not isinstance(messages[0], dict):
        return False
    first = _unwrapped(messages[0])
    return "role" not in first and str(first.get("type")) in ROLES and "content" in first


def langgraph(value: Any, where: str, name: str) -> list[Episode]:
    """The messages of a state, as OpenAI's under other names.

    A node does not sign its messages: those of members without a name are counted as one member,
    and the episode says how many there are (`meta["unnamed_messages"]`).
    """
    messages = value["messages"] if isinstance(value, dict) else value
    turned = [_turned(message, f"{where}, message {i}") for i, message in enumerate(messages)]
    episode = chat(turned, where, name, "langgraph")
    unnamed = unnamed_messages(turned)
    if unnamed > 1:  # even with tools in between: a state does not say which node spoke
        episode = replace(episode, meta={**episode.meta, "unnamed_messages": unnamed})
    return [episode]


def is_updates(value: Any) -> bool:
    """What `graph.stream(..., stream_mode="updates")` yields, as a list: node to its update."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(update, dict) and len(update) > 0 for update in value)
        and all(part is None or isinstance(part, dict) for u in value for part in u.values())
        and any(is_langgraph(messages) for u in value for messages in _parts(u))
    )


def updates(value: Any, where: str, name: str) -> list[Episode]:
    """The messages of all updates; a member without a name gets that of its node."""
    turned = []
    for i, update in enumerate(value):
        for node, part in update.items():
            for message in _messages(part):
                one = _turned(message, f"{where}, update {i}, node {node}")
                if one["role"] in MEMBERS and not one.get("name"):
                    one["name"] = node
                turned.append(one)
    return [chat(turned, where, name, "langgraph updates")]


def _parts(update: Mapping[str, Any]) -> Iterator[list[Any]]:
    for part in update.values():
        yield _messages(part)


def _messages(part: Any) -> list[Any]:
    """The messages of a node's update: a list, one message, or none."""
    messages = part.get("messages") if isinstance(part, dict) else None
    return messages if isinstance(messages, list) else [] if messages is None else [messages]


def _turned(message: Any, where: str) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise LogError(f"{where}: got {type(message).__name__}; wanted an object")
    message = _unwrapped(message)
    role = ROLES.get(str(message.get("type")))
    if role is None:
        raise LogError(f"{where}, type: got {message.get('type')!r}")
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise LogError(f"{where}, tool_calls: got {type(calls).__name__}; wanted a list")
    turned = [
        {"id": c.get("id"), "function": str(c.get("name")), "arguments": c.get("args", "")}
        for c in calls
        if isinstance(c, dict)
    ]
    return {**message, "role": role, "tool_calls": turned}


def _unwrapped(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message that LangChain serialized has its fields in `kwargs`."""
    inner = message.get("kwargs")
    if isinstance(inner, dict) and message.get("type") == "constructor":
        kind = str((message.get("id") or ["?"])[-1]).replace("Message", "").lower()
        return {"type": kind.removesuffix("chunk"), **inner}
    return message
