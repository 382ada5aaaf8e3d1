"""LangGraph: the messages of a state, or the updates of a stream, which name the nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import Format, list_of, object_of
from counterpoint.readers.messages import MEMBERS, LoggedMessage, chat, messages_in, parse_message
from counterpoint.records import Episode

LANGCHAIN_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant",
                   "tool": "tool", "system": "system", "function": "tool"}  # fmt: skip
"""LangChain's type of a message to the role that OpenAI's messages have."""


UNNAMED_NODES = (
    "Messages carry no name, because a node of LangGraph does not sign what it says. All of them "
    "count as one member, so findings about single members are not reliable. Log the list of what "
    "graph.stream(..., stream_mode='updates') yields, which names the nodes. If there is only one "
    """member, say so with a mapping: [rename] assistant = "solver"."""
)
"""What is uncertain about the messages of a state without names."""


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
    the episode has that as a doubt.
    """
    items = enumerate(messages_in(value))
    messages = [_langchain(item, f"{where}, message {i}") for i, item in items]
    episode = chat(messages, name, "langgraph")
    if sum(message.is_unnamed for message in messages) > 1:
        # even with tools in between: a state does not say which node spoke
        episode = replace(episode, doubts=(UNNAMED_NODES,))
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


FORMAT = Format(is_langgraph, langgraph)
UPDATES = Format(is_updates, updates)
