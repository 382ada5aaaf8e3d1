"""Lists of messages to events: OpenAI's, and LangChain's as LangGraph logs them.

Start with `parse_message` (a message of OpenAI's) and `chat` (an episode of such messages).

A message is `{"role", "content"}`, with `name` where several agents share the role. Content is
text, or parts, whose text is kept. An assistant's `tool_calls` become actions of its own. A
message of the role `tool` is a message of the tool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.episodes import list_of, object_of
from counterpoint.readers.names import excerpt
from counterpoint.records import Episode, Event, Json

MEMBERS = ("assistant", "agent", "ai", "model")
"""Roles of members of the team; every other role is a tool, a system or a person."""

LANGCHAIN_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant",
                   "tool": "tool", "system": "system", "function": "tool"}  # fmt: skip
"""LangChain's type of a message to the role that OpenAI's messages have."""


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class LoggedMessage:
    """One message of a conversation."""

    role: str
    name: str
    """Empty where the message has no name: the role then stands for the speaker."""
    text: str
    calls: tuple[ToolCall, ...]
    tool: str
    """The tool that answers, in a message of a tool; empty if the message does not name it."""
    call_id: str
    """The call that a message of a tool answers."""

    @property
    def speaker(self) -> str:
        """Returns the name, or the role if there is no name."""
        return self.name or self.role

    @property
    def is_unnamed(self) -> bool:
        """Returns whether a member wrote it whom only the role identifies."""
        return self.role in MEMBERS and self.speaker == self.role


def parse_message(value: Any, where: str) -> LoggedMessage:
    """Returns a message of OpenAI's format, or raises a LogError that names the place."""
    if not isinstance(value, dict) or not isinstance(value.get("role"), str):
        raise LogError(f'{where}: got {excerpt(value)}; wanted {{"role": text, "content": text}}')
    name = value.get("name")
    text = _text(value.get("content"), where)
    calls = value.get("tool_calls") or []
    if not isinstance(calls, list):
        raise LogError(f"{where}, tool_calls: got {excerpt(calls)}; wanted a list")
    return LoggedMessage(
        value["role"],
        name if isinstance(name, str) else "",
        text,
        tuple(_tool_call(call, where) for call in calls),
        str(name or value.get("function") or ""),
        str(value.get("tool_call_id")),
    )


def _tool_call(call: Any, where: str) -> ToolCall:
    function = call.get("function") if isinstance(call, dict) else None
    if isinstance(function, str):  # inspect_ai and LangChain have the name and arguments here
        function = {"name": function, "arguments": call.get("arguments", "")}
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise LogError(
            f"{where}, tool_calls: got {excerpt(call)}; wanted a function's name and arguments"
        )
    arguments = function.get("arguments", "")
    arguments = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(str(call.get("id")), function["name"], arguments)


def _text(content: Any, where: str) -> str:
    """Returns the text of a message; of a list of parts, the parts that have text."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        if all(part is None or isinstance(part, str) for part in parts):
            return "\n".join(part for part in parts if part)
    raise LogError(f"{where}, content: got {excerpt(content)}; wanted text or a list of parts")


def messages_in(value: Any) -> list[Any]:
    """Returns a list of messages, which may be in an object; an empty list if there is none."""
    messages = value.get("messages") if isinstance(value, dict) else value
    return messages if isinstance(messages, list) else []


def parse_messages(values: Sequence[object], where: str) -> list[LoggedMessage]:
    """Returns the messages of a conversation in OpenAI's format.

    Raises:
        LogError: One of them is no message; the error names it.
    """
    return [parse_message(value, f"{where}, message {i}") for i, value in enumerate(values)]


def events_of(messages: Sequence[LoggedMessage]) -> tuple[Event, ...]:
    """Returns the events of a conversation, in order: its texts and its calls of tools."""
    events: list[Event] = []
    called: dict[str, str] = {}
    for message in messages:
        agent = message.speaker
        if message.role in ("tool", "function"):
            agent = message.tool or called.get(message.call_id, message.role)
        if message.text or not message.calls:
            events.append(Event(len(events), agent, "message", message.text))
        for call in message.calls:
            called[call.id] = call.name
            meta = {"name": call.name}
            events.append(Event(len(events), agent, "action", call.arguments, meta=meta))
    return tuple(events)


def members_of(
    events: Sequence[Event], messages: Sequence[LoggedMessage]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of the team's members and of all others, in order of their first event.

    Args:
        events: the events of one conversation.
        messages: its messages. A name that once has the role of a member is a member.
    """
    named = {message.speaker for message in messages if message.role in MEMBERS}
    names = list(dict.fromkeys(event.agent for event in events))
    members = tuple(name for name in names if name in named)
    return members, tuple(name for name in names if name not in members)


def chat(
    messages: Sequence[LoggedMessage],
    name: str,
    kind: str,
    *,
    task: str = "",
    success: float | None = None,
    meta: Mapping[str, Json] | None = None,
) -> Episode:
    """Returns the episode of a conversation.

    If a text of an unnamed member directly follows another, several members may have written them.
    They cannot be distinguished: `meta["unnamed_messages"]` counts such messages.

    Args:
        messages: the messages, in order.
        name: the id of the episode.
        kind: the name of the log's format.
        task: what the team was to do; if it is empty, the first message of a person.
        success: how well it went, from 0 to 1.
        meta: what else the log says, beside the format.
    """
    events = events_of(messages)
    agents, tools = members_of(events, messages)
    meta = {"format": kind, **(meta or {})}
    unnamed = [message.is_unnamed and not message.calls for message in messages]
    # calls of tools are one member's own steps, so they do not count here
    if any(a and b for a, b in pairwise(unnamed)):
        meta["unnamed_messages"] = sum(message.is_unnamed for message in messages)
    task = task or next((e.text for e in events if e.agent in ("user", "human")), "")
    return Episode(name, events, agents, tools, task=task, success=success, meta=meta)


# LangGraph: the messages of a state, or the updates of a stream, which name the nodes


def is_langgraph(value: Any) -> bool:
    """Returns whether a value is LangChain's messages, plain or serialized."""
    messages = messages_in(value)
    if not messages or not isinstance(messages[0], dict):
        return False
    first = _unwrapped(messages[0])
    return "role" not in first and str(first.get("type")) in LANGCHAIN_ROLES and "content" in first


def langgraph(value: Any, where: str, name: str) -> list[Episode]:
    """Returns the messages of a state as one episode.

    A node does not sign its messages. All members without a name are counted as one member, and
    the episode says how many such messages there are (`meta["unnamed_messages"]`).
    """
    items = enumerate(messages_in(value))
    messages = [_langchain(item, f"{where}, message {i}") for i, item in items]
    episode = chat(messages, name, "langgraph")
    unnamed = sum(message.is_unnamed for message in messages)
    if unnamed > 1:  # even with tools in between: a state does not say which node spoke
        episode = replace(episode, meta={**episode.meta, "unnamed_messages": unnamed})
    return [episode]


def is_updates(value: Any) -> bool:
    """Returns whether a value is a list of what `graph.stream(stream_mode="updates")` yields."""
    if not isinstance(value, list) or not all(isinstance(each, dict) and each for each in value):
        return False
    parts = [part for update in value for part in update.values()]
    return all(part is None or isinstance(part, dict) for part in parts) and any(
        is_langgraph(_messages(part)) for part in parts
    )


def updates(value: Any, where: str, name: str) -> list[Episode]:
    """Returns the messages of all updates; a member without a name gets the name of its node."""
    messages = []
    for i, update in enumerate(value):
        for node, part in update.items():
            for item in _messages(part):
                message = _langchain(item, f"{where}, update {i}, node {node}")
                if message.role in MEMBERS and not message.name:
                    message = replace(message, name=node)
                messages.append(message)
    return [chat(messages, name, "langgraph updates")]


def _messages(part: Any) -> list[Any]:
    """Returns the messages of a node's update, which has a list, one message, or none."""
    messages = part.get("messages") if isinstance(part, dict) else None
    return messages if isinstance(messages, list) else [] if messages is None else [messages]


def _langchain(message: Any, where: str) -> LoggedMessage:
    """Returns a message of LangChain's."""
    message = _unwrapped(object_of(message, where))
    role = LANGCHAIN_ROLES.get(str(message.get("type")))
    if role is None:
        raise LogError(f"{where}, type: got {message.get('type')!r}")
    calls = [
        {"id": call.get("id"), "function": str(call.get("name")), "arguments": call.get("args", "")}
        for call in list_of(message.get("tool_calls") or [], f"{where}, tool_calls")
        if isinstance(call, dict)
    ]
    return parse_message({**message, "role": role, "tool_calls": calls}, where)


def _unwrapped(message: Any) -> Any:
    """Returns the fields of a message; LangChain's serialized messages have them in `kwargs`."""
    inner = message.get("kwargs")
    if isinstance(inner, dict) and message.get("type") == "constructor":
        kind = str((message.get("id") or ["?"])[-1]).replace("Message", "").lower()
        return {"type": kind.removesuffix("chunk"), **inner}
    return message
