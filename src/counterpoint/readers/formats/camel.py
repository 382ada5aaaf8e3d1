"""CAMEL: records of a memory, a list of messages with role names, or a conversation of two roles.

A conversation has `role_1`, `role_2`, `message_1`, `message_2` and so on, as the data sets have it,
or is the list of turns that OWL writes, with what both roles said and the calls of the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from counterpoint.errors import LogError
from counterpoint.marks import IMAGE, VIDEO, mark_of
from counterpoint.readers.build import (
    EventFields,
    Format,
    Line,
    SessionFormat,
    count,
    episode,
    list_of,
    object_of,
    seconds_of,
)
from counterpoint.readers.formats.autogen_chat import content_text
from counterpoint.readers.handoffs import text_of
from counterpoint.records import Episode, Json

ROLES = ("user", "assistant")
"""The two members of a society in OWL's turns: a model plays the user."""


def is_record(value: Any) -> bool:
    """Returns whether a value is a message with a role name, plain or in a record of a memory."""
    if not isinstance(value, dict):
        return False
    inner = value["message"] if isinstance(value.get("message"), dict) else value
    return isinstance(inner.get("role_name"), str) and "content" in inner


def _records(value: Any) -> list[Any]:
    """Returns the records of a list or of an object that has them."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("messages", "history", "records", "msgs")
                      if isinstance(value.get(key), list)), [])  # fmt: skip
    return value if isinstance(value, list) else []


def is_pair(value: Any) -> bool:
    """Returns whether a value is a conversation of two roles, as CAMEL's data sets have it."""
    return isinstance(value, dict) and "role_1" in value and is_record(value.get("message_1"))


def is_turns(value: Any) -> bool:
    """Returns whether a value is the list of turns of a society, as OWL writes it."""
    return (
        isinstance(value, list)
        and value != []
        and all(
            isinstance(turn, dict)
            and all(isinstance(turn.get(role), str) for role in ROLES)
            and isinstance(turn.get("tool_calls"), list)
            for turn in value[:3]
        )
    )


def is_camel(value: Any) -> bool:
    """Returns whether a value is a conversation of CAMEL's."""
    if is_pair(value) or is_turns(value):
        return True
    first = _records(value)[:3]
    return first != [] and all(map(is_record, first))


def camel(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode; both roles of a conversation are members."""
    if is_turns(value):
        return [_society(value, where, name)]
    if not is_pair(value):
        items = [(item, f"{where}, message {i}") for i, item in enumerate(_records(value))]
        return [_episode(items, name)]
    total = count(value.get("num_messages"))
    numbers = range(1, (total if total is not None and total <= len(value) else len(value)) + 1)
    keys = [key for i in numbers if (key := f"message_{i}") in value]
    items = [(value[key], f"{where}, {key}") for key in keys]
    ending = text_of(value.get("termination_reason"))
    own = text_of(value.get("id")) or name
    return [_episode(items, own, task=_task(value), ending=ending)]


def _society(turns: Sequence[Any], where: str, name: str) -> Episode:
    """Returns the episode of a society: in each turn, one role instructs and the other one acts."""
    user, assistant = ROLES
    events: list[EventFields] = []
    tools: list[str] = []
    for i, each in enumerate(turns):
        at = f"{where}, turn {i}"
        turn = object_of(each, at)
        events.append({"agent": user, "kind": "message", "to": (assistant,),
                       "text": text_of(turn.get("user"))})  # fmt: skip
        for each_call in list_of(turn.get("tool_calls") or [], f"{at}, tool_calls"):
            call = object_of(each_call, f"{at}, tool_calls")
            tool = text_of(call.get("tool_name")) or "tool"
            number = text_of(call.get("tool_call_id"))
            events.append({"agent": assistant, "kind": "action", "tool": tool, "call": number,
                           "text": text_of(call.get("args"))})  # fmt: skip
            if "result" in call:
                tools.append(tool)
                events.append({"agent": tool, "kind": "message", "tool": tool, "call": number,
                               "text": text_of(call["result"])})  # fmt: skip
        events.append({"agent": assistant, "kind": "message", "to": (user,),
                       "text": text_of(turn.get("assistant"))})  # fmt: skip
    return episode(name, events, "camel", tools, members=ROLES, task=events[0].get("text", ""))


def _task(value: Mapping[str, Json]) -> str:
    """Returns the specified task, or the original one."""
    task = value.get("specified_task") or value.get("original_task") or value.get("task")
    return text_of(task)


def _lines(lines: Sequence[Line], name: str) -> list[Episode]:
    return [_episode([(line.value, line.where) for line in lines], name)]


def _episode(
    items: Sequence[tuple[Any, str]], name: str, task: str = "", ending: str = ""
) -> Episode:
    events: list[EventFields] = []
    outside: list[str] = []
    tools: dict[str, str] = {}
    for item, at in items:
        events += _events(object_of(item, at), at, outside, tools)
    members = {e["agent"] for e in events} - set(outside)
    order = [e["agent"] for e in events if e["agent"] in members]
    task = task or next((e["text"] for e in events if e["agent"] != "system"), "")
    return episode(name, events, "camel", outside, members=list(dict.fromkeys(order)), task=task,
                   ending=ending)  # fmt: skip


def _events(
    record: Mapping[str, Json], at: str, outside: list[str], tools: dict[str, str]
) -> list[EventFields]:
    """Returns the events of a record; whoever is outside the team is added to `outside`."""
    inner = record.get("message")
    message = inner if isinstance(inner, dict) else record
    who, backend = message.get("role_name"), str(record.get("role_at_backend") or "").lower()
    if not isinstance(who, str) or not who:
        raise LogError(f"{at}: got no role_name; wanted the speaker's")
    base: EventFields = {"agent": who, "kind": "message",
                         "seconds": seconds_of(record.get("timestamp"))}  # fmt: skip
    if thinking := text_of(message.get("reasoning_content")):
        base["meta"] = {"thinking": thinking}
    if backend in ("system", "developer"):
        outside.append("system")
        return [{**base, "agent": "system", "text": content_text(message.get("content"))}]
    tool, call = text_of(message.get("func_name")), text_of(message.get("tool_call_id"))
    if backend in ("function", "tool") or (
        tool and "result" in message and not message.get("args")
    ):
        tool = tool or tools.get(call) or "tool"
        outside.append(tool)
        text = text_of(message.get("result")) or content_text(message.get("content"))
        return [{**base, "agent": tool, "tool": tool, "call": call, "text": text}]
    if tool:
        tools[call] = tool
        return [{**base, "kind": "action", "tool": tool, "call": call,
                 "text": text_of(message.get("args"))}]  # fmt: skip
    kind = str(message.get("role_type") or "").lower()
    if kind in ("default", "system") or who.lower() in ("user", "human"):
        outside.append(who)
    calls = list_of(_calls(message), f"{at}, tool_calls")
    texts = (content_text(message.get("content")), *_pictures(message))
    text = "\n".join(filter(None, texts))
    events: list[EventFields] = [{**base, "text": text}] if text or not calls else []
    for each in calls:
        function = object_of(object_of(each, at).get("function", each), at)
        name, number = text_of(function.get("name")), text_of(each.get("id"))
        tools[number] = name
        events.append({**base, "kind": "action", "tool": name or "tool", "call": number,
                       "text": text_of(function.get("arguments"))})  # fmt: skip
    return events


def _pictures(message: Mapping[str, Json]) -> list[str]:
    """Returns the marks of the pictures and the film of a message."""
    images, video = message.get("image_list"), message.get("video_bytes")
    images = images if isinstance(images, list) else []
    return [*(mark_of({"image": image}, IMAGE) for image in images),
            *([mark_of({"video": video}, VIDEO)] if video else [])]  # fmt: skip


def _calls(message: Mapping[str, Json]) -> Json:
    meta = message.get("meta_dict")
    inner = meta.get("tool_calls") if isinstance(meta, dict) else None
    return message.get("tool_calls") or inner or []


FORMAT = Format(is_camel, camel)
RECORDS = SessionFormat(is_record, _lines)
