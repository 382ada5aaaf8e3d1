"""AutoGen: messages with a source."""

from __future__ import annotations

import json
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import EventFields, Format, episode
from counterpoint.readers.messages import messages_in
from counterpoint.records import Episode


def is_autogen(value: Any) -> bool:
    """Returns whether a value is messages with a source, or an object with such messages."""
    first = messages_in(value)[:3]
    return first != [] and all(
        isinstance(m, dict) and {"source", "content"} <= set(m) for m in first
    )


def autogen(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode: texts and results of tools are messages, calls are actions."""
    events: list[EventFields] = []
    for i, message in enumerate(messages_in(value)):
        at = f"{where}, message {i}"
        if not isinstance(message, dict) or not isinstance(message.get("source"), str):
            raise LogError(f"{at}: got no source; wanted source, content and type")
        who, content = message["source"], message.get("content")
        usage = message.get("models_usage") or {}
        tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
        base: EventFields = {"agent": who, "kind": "message"}
        if isinstance(tokens, int) and not isinstance(tokens, bool):
            base["tokens"] = tokens
        if target := message.get("target"):
            base["to"] = (str(target),)
        if isinstance(content, str):
            events.append({**base, "text": content})
        elif isinstance(content, list):
            events += [_autogen_part(part, base, at) for part in content]
        else:
            raise LogError(f"{at}, content: got {type(content).__name__}; wanted text or a list")
    stop = value.get("stop_reason") if isinstance(value, dict) else None
    return [episode(name, events, "autogen", ending=str(stop or ""))]


def _autogen_part(part: Any, base: EventFields, at: str) -> EventFields:
    if isinstance(part, str):
        return {**base, "text": part}
    if not isinstance(part, dict):
        raise LogError(f"{at}, content: got a part that is {type(part).__name__}")
    tool, call = str(part.get("name", "tool")), str(part.get("id") or part.get("call_id") or "")
    if "arguments" in part:
        arguments = part["arguments"]
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return {**base, "kind": "action", "text": text, "tool": tool, "call": call}
    if "content" in part:
        return {"agent": "tool", "kind": "message", "text": str(part["content"]), "tool": tool,
                "call": call}  # fmt: skip
    return {**base, "text": json.dumps(part)}


FORMAT = Format(is_autogen, autogen)
