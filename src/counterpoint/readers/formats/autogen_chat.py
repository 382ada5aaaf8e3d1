"""AutoGen 0.2 and AG2: the history of a chat, whose messages have a role and a name.

An agent writes `assistant` for its own messages and `user` for all others, so only the name says
who spoke.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from counterpoint.errors import LogError
from counterpoint.marks import mark_of
from counterpoint.readers.build import EventFields, Format, episode, list_of, object_of
from counterpoint.readers.handoffs import handoff_target, matched, text_of
from counterpoint.records import Episode, Json

_FAILED = re.compile(r"exitcode: (?!0\b)-?\d++")
"""How a proxy reports that code has failed."""


def _history(value: Any) -> list[Any]:
    """Returns the history in a chat's result, in an object with messages, or the list itself."""
    if isinstance(value, dict):
        value = value.get("chat_history", value.get("messages"))
    return value if isinstance(value, list) else []


def is_autogen_chat(value: Any) -> bool:
    """Returns whether a value is a history in which names, and not roles, tell speakers apart.

    It is, if the messages of people or models all have names, and several names have the role
    `user`, or one name has two roles. The result of a chat may have any names.
    """
    spoken = [m for m in _history(value) if not (isinstance(m, dict) and m.get("role") in
              ("system", "developer", "tool", "function"))]  # fmt: skip
    if not spoken or not all(
        isinstance(m, dict) and m.get("role") in ("user", "assistant") and "content" in m
        for m in spoken
    ):
        return False
    if not all(isinstance(m.get("name"), str) and m["name"] for m in spoken):
        return False
    if isinstance(value, dict) and "chat_history" in value:
        return True
    users = {m["name"] for m in spoken if m["role"] == "user"}
    models = {m["name"] for m in spoken if m["role"] == "assistant"}
    return len(users) > 1 or bool(users & models)


def autogen_chat(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode; a person's proxy and tools are not counted as team members."""
    about = value if isinstance(value, dict) else {}
    events = chat_events(_history(value), where)
    meta = {key: about[key] for key in ("summary", "cost", "human_input") if about.get(key)}
    task = next((e["text"] for e in events if e.get("text")), "")
    return [episode(name, events, "autogen 0.2", tools_of(events), task=task, meta=meta)]


def chat_events(messages: Sequence[Any], where: str) -> list[EventFields]:
    """Returns the events of a history, message by message."""
    events: list[EventFields] = []
    tools: dict[str, str] = {}
    names = [m["name"] for m in messages if isinstance(m, dict) and isinstance(m.get("name"), str)]
    for i, each in enumerate(messages):
        at = f"{where}, message {i}"
        message = object_of(each, at)
        role, content = message.get("role"), message.get("content")
        who = message.get("name") or role
        if not isinstance(who, str):
            raise LogError(f"{at}: got neither name nor role; wanted one")
        if isinstance(responses := message.get("tool_responses"), list) and responses:
            events += [_result(object_of(each, at), tools) for each in responses]
            continue
        if role in ("tool", "function"):
            events.append(_result(message, tools))
            continue
        calls = list_of(message.get("tool_calls") or [], f"{at}, tool_calls")
        if isinstance(old := message.get("function_call"), dict):
            calls = [{"function": old}, *calls]
        text = content_text(content)
        if text or not calls:
            event: EventFields = {"agent": who, "kind": "message", "text": text}
            if _FAILED.match(text):
                event["error"] = text.partition("\n")[0]
            events.append(event)
        events += [_call(object_of(call, at), who, tools, names) for call in calls]
    return events


def tools_of(events: Sequence[EventFields]) -> list[str]:
    """Returns the tools that have answered, which are not counted as team members."""
    return [e["agent"] for e in events if e["kind"] == "message" and e.get("tool") == e["agent"]]


def content_text(content: object) -> str:
    """Returns a text, or the texts of a list of parts and marks of others."""
    if not isinstance(content, list):
        return text_of(content)
    parts = [part.get("text", mark_of(part)) if isinstance(part, dict) and part else part
             for part in content]  # fmt: skip
    return "\n".join(text_of(part) for part in parts if part)


def _call(
    call: Mapping[str, Json], who: str, tools: dict[str, str], names: Sequence[str]
) -> EventFields:
    function = call.get("function")
    function = function if isinstance(function, dict) else call
    tool, number = text_of(function.get("name")) or "tool", text_of(call.get("id"))
    tools[number] = tool
    arguments = text_of(function.get("arguments"))
    event: EventFields = {"agent": who, "kind": "action", "text": arguments, "tool": tool,
                          "call": number}  # fmt: skip
    if target := handoff_target(tool, arguments):
        event["kind"], event["to"] = "handoff", (matched(target, names),)
    return event


def _result(message: Mapping[str, Json], tools: Mapping[str, str]) -> EventFields:
    call, text = text_of(message.get("tool_call_id")), content_text(message.get("content"))
    tool = tools.get(call) or (
        text_of(message.get("name")) if "tool_call_id" not in message else ""
    )
    tool = tool or "tool"
    return {"agent": tool, "kind": "message", "text": text, "tool": tool, "call": call,
            "error": text if text.startswith("Error:") else ""}  # fmt: skip


FORMAT = Format(is_autogen_chat, autogen_chat)
