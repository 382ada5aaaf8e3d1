"""LangChain's messages, plain or serialized, to events: `Messages` collects a conversation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counterpoint.errors import LogError
from counterpoint.marks import hidden_reasoning, mark_of
from counterpoint.readers.build import EventFields, count, list_of, object_of
from counterpoint.readers.handoffs import handoff_target, matched, text_of
from counterpoint.records import Json

ROLES = {"human": "user", "ai": "assistant", "tool": "tool", "system": "system",
         "function": "tool", "chat": "chat", "remove": "remove"}  # fmt: skip
"""LangChain's type of a message to its role; a `chat` message has a role of its own."""
CHUNK = "MessageChunk"


def role_of(message: Mapping[str, Json]) -> str | None:
    """Returns the role of a message, or None if its type is unknown."""
    kind = str(message.get("type"))
    return ROLES.get(kind.removesuffix(CHUNK).lower() if kind.endswith(CHUNK) else kind)


def unwrapped(message: Any) -> Any:
    """Returns the fields of a message; LangChain's serialized messages have them in `kwargs`."""
    inner = message.get("kwargs")
    if isinstance(inner, dict) and message.get("type") == "constructor":
        path = message.get("id")
        name = str(path[-1] if isinstance(path, list) and path else "?").removesuffix("Chunk")
        return {"type": name.removesuffix("Message").lower(), **inner}
    data = message.get("data")
    if isinstance(data, dict) and "content" in data:  # as messages_to_dict writes it
        return {"type": message.get("type"), **data}
    return message


def is_message(value: Any) -> bool:
    """Returns whether a value is a message of LangChain's."""
    if not isinstance(value, dict):
        return False
    message = unwrapped(value)
    role = role_of(message)
    return role is not None and ("role" not in message or role == "chat") and "content" in message


@dataclass
class Messages:
    """The events of a conversation, collected message by message."""

    events: list[EventFields] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    outside: set[str] = field(default_factory=set)
    members: dict[str, None] = field(default_factory=dict)
    unnamed: int = 0
    """Number of members' messages without a name."""
    _tools: dict[str, str] = field(default_factory=dict)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def add(self, value: Any, at: str, node: str = "") -> None:
        """Adds a message; a member without a name is called after its node."""
        message = unwrapped(object_of(value, at))
        role = role_of(message)
        if role is None:
            raise LogError(f"{at}, type: got {str(message.get('type'))[:60]!r}")
        if role == "remove":
            self.left_out["removals of messages"] += 1
            return
        own = (text_of(message.get("id")), text_of(message.get("content")))
        if own[0] and own in self._seen:
            self.left_out["messages that came again"] += 1
            return
        self._seen.add(own)
        name = message.get("name") if isinstance(message.get("name"), str) else ""
        if role == "chat":
            role = text_of(message.get("role")) or "assistant"
            name = name or role
            role = role if role in ("user", "system", "tool") else "assistant"
        if role == "tool":
            self.events.append(self._result(message, name, at))
        elif role in ("user", "system"):
            who = name or role
            self.outside.add(who)
            self.events.append({"agent": who, "kind": "message",
                                "text": content_text(message.get("content"), at)})  # fmt: skip
        else:
            who = name or node or role
            self.unnamed += who == role
            self.members.setdefault(who)
            self.events += self._said(message, who, at)

    def _result(self, message: Mapping[str, Json], name: str, at: str) -> EventFields:
        call, text = text_of(message.get("tool_call_id")), content_text(message.get("content"), at)
        tool = name or self._tools.get(call) or "tool"
        self.outside.add(tool)
        error = text or "error" if message.get("status") == "error" else ""
        return {"agent": tool, "kind": "message", "text": text, "tool": tool, "call": call,
                "error": error}  # fmt: skip

    def _said(self, message: Mapping[str, Json], who: str, at: str) -> list[EventFields]:
        """Returns a text, calls of tools, and what the model used."""
        text, calls = content_text(message.get("content"), at), self._calls(message, at)
        events: list[EventFields] = []
        if text or not calls:
            events.append({"agent": who, "kind": "message", "text": text})
        for call in calls:
            tool, number = text_of(call.get("name")) or "tool", text_of(call.get("id"))
            self._tools[number] = tool
            event: EventFields = {"agent": who, "kind": "action", "tool": tool, "call": number,
                                  "text": text_of(call.get("args")),
                                  "error": text_of(call.get("error"))}  # fmt: skip
            if target := handoff_target(tool, call.get("args")):
                event["kind"], event["to"] = "handoff", (target,)
            events.append(event)
        extra, about = _object(message, "additional_kwargs"), _object(message, "response_metadata")
        thinking = thoughts(message.get("content")) or text_of(extra.get("reasoning_content"))
        usage = _object(message, "usage_metadata")
        old = _object(about, "token_usage") or _object(about, "usage")
        first = events[0]
        first["tokens"] = count(usage.get("output_tokens", old.get("completion_tokens")))
        first["tokens_in"] = count(usage.get("input_tokens", old.get("prompt_tokens")))
        reasons = ("finish_reason", "stop_reason", "done_reason")
        first["finish"] = next((text_of(about[key]) for key in reasons if about.get(key)), "")
        if thinking:
            first["meta"] = {"thinking": thinking}
        return events

    def _calls(self, message: Mapping[str, Json], at: str) -> list[Mapping[str, Json]]:
        """Returns the calls of a message; those that only the provider's fields have, too."""
        calls = [
            object_of(call, f"{at}, {key}")
            for key in ("tool_calls", "invalid_tool_calls")
            for call in list_of(message.get(key) or [], f"{at}, {key}")
        ]
        if calls:
            return calls
        raw = _object(message, "additional_kwargs").get("tool_calls")
        functions = [(each, each.get("function")) for each in (raw if isinstance(raw, list) else [])
                     if isinstance(each, dict)]  # fmt: skip
        return [{"id": each.get("id"), "name": function.get("name"),
                 "args": function.get("arguments")}
                for each, function in functions if isinstance(function, dict)]  # fmt: skip

    def finish(self) -> None:
        """Names the members to whom handoffs go as they call themselves."""
        for event in self.events:
            if event["kind"] == "handoff":
                event["to"] = tuple(matched(name, self.members) for name in event["to"])


def content_text(content: object, at: str) -> str:
    """Returns a text, or the texts of parts and marks of others; calls and thoughts are read
    elsewhere."""
    if content is None or isinstance(content, str):
        return content or ""
    texts: list[str] = []
    for part in list_of(content, f"{at}, content"):
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif isinstance(part, dict) and part and not str(part.get("type")).endswith(_ELSEWHERE):
            texts.append(mark_of(part))
    return "\n".join(text for text in texts if text)


def thoughts(content: object) -> str:
    """Returns the thoughts of a model among the parts of a content."""
    messages = [
        part.get("thinking") or part.get("reasoning") or hidden_reasoning(part)
        for part in (content if isinstance(content, list) else [])
        if isinstance(part, dict) and str(part.get("type")).endswith(("thinking", "reasoning"))
    ]
    return "\n".join(text for text in messages if isinstance(text, str) and text)


_ELSEWHERE = ("text", "thinking", "reasoning", "_call", "_use", "_result", "_call_chunk",
              "json_delta")  # fmt: skip
"""The ends of types of parts that have no mark: they are empty, or read elsewhere."""


def _object(value: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}


def same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Returns whether a list of messages starts with the first and last of another one."""
    return 0 < len(one) <= len(other) and one[0] == other[0] and one[-1] == other[len(one) - 1]
