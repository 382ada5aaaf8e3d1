"""Lists of messages in OpenAI's format to events.

Start with `parse_message` (a message of OpenAI's) and `chat` (an episode of such messages).

A message is `{"role", "content"}`, with `name` where several agents share the role. Content is
text, or parts, whose text is kept. An assistant's `tool_calls` become actions of its own. A
message of the role `tool` is a message of the tool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.names import excerpt
from counterpoint.records import Episode, Event, Json

MEMBERS = ("assistant", "agent", "ai", "model")
"""Roles of members of the team; every other role is a tool, a system or a person."""


UNNAMED = (
    "Messages carry no name. All messages of a role count as one member, so findings about single "
    "members are not reliable. Write names into the messages. If there is only one member, say so "
    """with a mapping: [rename] assistant = "solver"."""
)
"""What is uncertain about a conversation whose messages carry no name."""


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
        str(value.get("tool_call_id") or ""),
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
    return ToolCall(str(call.get("id") or ""), function["name"], arguments)


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
        agent, tool = message.speaker, ""
        if message.role in ("tool", "function"):
            agent = tool = message.tool or called.get(message.call_id, message.role)
        if message.text or not message.calls:
            events.append(
                Event(len(events), agent, "message", message.text, tool=tool, call=message.call_id)
            )
        for call in message.calls:
            called[call.id] = call.name
            events.append(
                Event(len(events), agent, "action", call.arguments, tool=call.name, call=call.id)
            )
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
    They cannot be distinguished, and the episode has that as a doubt.

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
    unnamed = [message.is_unnamed and not message.calls for message in messages]
    # calls of tools are one member's own steps, so they do not count here
    doubts = (UNNAMED,) if any(a and b for a, b in pairwise(unnamed)) else ()
    task = task or next((e.text for e in events if e.agent in ("user", "human")), "")
    return Episode(name, events, agents, tools, task=task, success=success,
                   meta={"format": kind, **(meta or {})}, doubts=doubts)  # fmt: skip
