"""Lists of messages to events: messages of OpenAI's and Anthropic's, and items of responses.

Start with `parse_message` and `chat` (an episode of such messages).

A message is `{"role", "content"}`, with `name` where several agents share the role. Content is
text, or parts (`counterpoint.readers.content`). An assistant's calls of tools become actions of its
own; the result of a call is a message of the tool. An item of OpenAI's responses has a `type`
instead of a role: a reasoning, a call, or the output of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypedDict

from msgspec import Struct, structs

from counterpoint.errors import LogError
from counterpoint.marks import SOUND, hidden_reasoning, mark_of
from counterpoint.readers.build import EventFields, Line, finite, numbered, seconds_of
from counterpoint.readers.content import (
    Content,
    ToolCall,
    ToolResult,
    as_text,
    content_of,
    error_of,
    text_of,
    thought_of,
    usage_of,
)
from counterpoint.readers.lines import json_value
from counterpoint.readers.names import excerpt
from counterpoint.records import Episode, Event, Json, Location

MEMBERS = ("assistant", "agent", "ai", "model")
"""Roles of members of the team; every other role is a tool, a system or a person."""


UNNAMED = (
    "Messages carry no name. All messages of a role count as one member, so findings about single "
    "members are not reliable. Write names into the messages. If there is only one member, say so "
    """with a mapping: [rename] assistant = "solver"."""
)
"""What is uncertain about a conversation whose messages carry no name."""


class Facts(TypedDict, total=False):
    """Fields of an `Event` that belong to a message as a whole."""

    tokens: int
    tokens_in: int
    cost: float
    seconds: float
    duration: float
    finish: str
    error: str
    meta: Mapping[str, Json]
    location: Location | None


class LoggedMessage(Struct):
    """One message of a conversation; a struct is made in half the time of a dataclass."""

    role: str
    name: str
    """Empty where the message has no name: the role then stands for the speaker."""
    text: str
    calls: tuple[ToolCall, ...] = ()
    tool: str = ""
    """The tool that answers, in a message of a tool; empty if the message does not name it."""
    call_id: str = ""
    """The call that a message of a tool answers."""
    results: tuple[ToolResult, ...] = ()
    """Results of tools that the message holds beside its text."""
    thinking: str = ""
    facts: Facts | None = None
    """What the log says of the message as a whole."""
    is_thought: bool = False
    """Whether it is nothing but thinking, which may be empty because the log hides it."""

    @property
    def speaker(self) -> str:
        """Returns the name, or the role if there is no name."""
        return self.name or self.role

    @property
    def is_unnamed(self) -> bool:
        """Returns whether a member wrote it whom only the role identifies."""
        return self.role in MEMBERS and self.speaker == self.role


_PLAIN = frozenset(("role", "content", "name", "tool_calls", "tool_call_id", "function", "id"))
"""The keys that the messages of most logs have."""


def parse_message(value: Any, where: str) -> LoggedMessage:
    """Returns a message, or raises a LogError that names the place."""
    if not isinstance(value, dict):
        raise _no_message(value, where)
    role = value.get("role")
    if not isinstance(role, str):
        return _without_role(value, where)
    content = value.get("content")
    if len(value) == 2 and isinstance(content, str):  # most messages of most logs
        return LoggedMessage(role, "", content)
    name = value.get("name")
    name = name if isinstance(name, str) else ""
    if isinstance(content, str):
        text, whole = content, None
    elif content is None:
        text, whole = "", None
    else:
        whole = content_of(content, where)
        text = whole.text
    calls = value.get("tool_calls") or ()
    if calls:
        if not isinstance(calls, list):
            raise LogError(f"{where}, tool_calls: got {excerpt(calls)}; wanted a list")
        calls = tuple([_tool_call(call, where) for call in calls])
    if whole is None and value.keys() <= _PLAIN:
        if role != "tool":
            return LoggedMessage(role, name, text, calls, name)
        return LoggedMessage(
            role, name, text, calls, name or str(value.get("function") or ""),
            str(value.get("tool_call_id") or value.get("id") or ""),
        )  # fmt: skip
    return _with_facts(value, role, name, whole or Content(text), calls, where)


def _without_role(value: Any, where: str) -> LoggedMessage:
    """Returns the message in a choice of a chat completion, or an item of a response."""
    inner = value.get("message")
    if isinstance(inner, dict):
        named = {"finish_reason": value["finish_reason"]} if value.get("finish_reason") else {}
        return parse_message({**named, **inner}, where)
    if is_item(value):
        return _item(value, where)
    raise _no_message(value, where)


def _no_message(value: Any, where: str) -> LogError:
    return LogError(f'{where}: got {excerpt(value)}; wanted {{"role": text, "content": text}}')


def _with_facts(
    value: Any, role: str, name: str, whole: Content, calls: tuple[ToolCall, ...], where: str
) -> LoggedMessage:
    """Returns a message that has more than text and calls."""
    get, text, facts = value.get, whole.text, facts_of(value)
    if isinstance(old := get("function_call"), dict):  # of OpenAI's API before tools
        calls = (*calls, _tool_call({"function": old}, where))
    if isinstance(refusal := get("refusal"), str) and refusal:
        text = text if refusal in text else "\n".join(filter(None, (text, refusal)))
        facts = {"finish": "refusal", **facts}
    text = "\n".join(filter(None, (text, *_beside(value, text, where))))
    thinking = next((get(key) for key in ("reasoning_content", "reasoning", "thinking")
                     if isinstance(get(key), str) and get(key)), "")  # fmt: skip
    if not thinking and not whole.thinking:
        parts = next((get(key) for key in ("reasoning_details", "thinking_blocks")
                      if isinstance(get(key), list)), ())  # fmt: skip
        thoughts = [thought_of(part, where) for part in parts if isinstance(part, dict)]
        thinking = "\n".join(filter(None, thoughts))
    error = "" if isinstance(get("error"), bool) else error_of(get("error"))
    if (
        get("is_error") is True
        or get("error") is True
        or (role == "tool" and get("status") == "error")
    ):
        error = error or text or "error"
    if error:
        facts["error"] = error
    return LoggedMessage(
        role, name, text or ("" if calls or role in MEMBERS else error), (*whole.calls, *calls),
        str(name or get("function") or ""), str(get("tool_call_id") or get("id") or ""),
        whole.results,
        whole.thinking or thinking or "", facts or None,
    )  # fmt: skip


def _beside(value: Mapping[str, Any], text: str, where: str) -> list[str]:
    """Returns what a message holds beside its content: the words of a sound, and marks of sounds
    and pictures."""
    beside = [text_of(value.get("images") or None, f"{where}, images")]
    if isinstance(sound := value.get("audio"), dict):
        words = sound.get("transcript")
        beside += [words if isinstance(words, str) and words not in text else "",
                   mark_of(sound, SOUND)]  # fmt: skip
    return beside


def parse_line(line: Line) -> LoggedMessage:
    """Returns the message of a line, which knows its place.

    Raises:
        LogError: It is no message; the error names the line.
    """
    message = parse_message(line.value, line.where)
    message.facts = {**(message.facts or {}), "location": line.location}
    return message


def facts_of(value: Mapping[str, Any]) -> Facts:
    """Returns usage, cost, time and stop reason of an object that stands for a model call."""
    facts: Facts = {}
    get = value.get
    usage = usage_of(get("usage"))
    if usage.tokens is not None:
        facts["tokens"] = usage.tokens
    if usage.tokens_in is not None:
        facts["tokens_in"] = usage.tokens_in
    cost = next((c for c in (finite(get("cost")), finite(get("costUSD")), usage.cost)
                 if c is not None), None)  # fmt: skip
    if cost is not None:
        facts["cost"] = cost
    for key in ("timestamp", "created_at", "created"):
        if key in value and (seconds := seconds_of(get(key))) is not None:
            facts["seconds"] = seconds
            break
    finish = get("finish_reason") or get("stop_reason")
    if isinstance(finish, str):
        facts["finish"] = finish
    if isinstance(model := get("model"), str) and model:
        facts["meta"] = {"model": model}
    return facts


def _tool_call(call: Any, where: str) -> ToolCall:
    if isinstance(call, str) and call.startswith("{"):  # verifiers writes each call as a text
        call = json_value(call.encode(errors="replace"), f"{where}, tool_calls")
    function = call.get("function", call) if isinstance(call, dict) else None
    if isinstance(function, str):  # inspect_ai and LangChain have the name and arguments here
        function = {"name": function, "arguments": call.get("arguments", "")}
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise LogError(
            f"{where}, tool_calls: got {excerpt(call)}; wanted a function's name and arguments"
        )
    arguments = function.get("arguments", "")
    arguments = arguments if isinstance(arguments, str) else as_text(arguments)
    return ToolCall(str(call.get("id") or ""), function["name"], arguments)


ITEMS = ("reasoning", "function_call", "function_call_output")
"""The items without a role that OpenAI's responses have most; others end in the same words."""


def is_item(value: Any) -> bool:
    """Returns whether a value is an item of a response that has no role."""
    kind = value.get("type") if isinstance(value, dict) and "role" not in value else None
    if kind == "reasoning":  # parts of other tools' messages have this type too, and a text
        return "text" not in value
    return isinstance(kind, str) and (kind in ITEMS or kind.endswith(("_call", "_call_output")))


def _item(value: Any, where: str) -> LoggedMessage:
    """Returns an item of a response as a message."""
    get, kind = value.get, str(value["type"])
    call = str(get("call_id") or get("id") or "")
    facts = facts_of(value)
    if kind == "reasoning":
        thoughts = [text_of(get(key), f"{where}, {key}") for key in ("summary", "content")]
        thinking = "\n".join(filter(None, thoughts)) or hidden_reasoning(value)
        return LoggedMessage("assistant", "", "", thinking=thinking,
                             facts=facts or None, is_thought=True)  # fmt: skip
    if kind.endswith("_output"):
        given = get("output")
        text = _output(given, f"{where}, output")
        if get("status") == "failed":
            facts["error"] = text or "failed"
        return LoggedMessage("tool", "", text, call_id=call, facts=facts or None)
    name = get("name") or kind.removesuffix("_call")
    given = next((get(key) for key in ("arguments", "input", "action", "queries", "code")
                  if get(key) is not None), "")  # fmt: skip
    error, output = error_of(get("error")), _output(get("output"), f"{where}, output")
    if kind == "image_generation_call" and get("result"):
        output = mark_of({"type": kind, "result": get("result")})
    results = (ToolResult(call, output or error, error),) if output or error else ()
    return LoggedMessage("assistant", "", "", (ToolCall(call, str(name), as_text(given)),),
                         results=results, facts=facts or None)  # fmt: skip


def _output(value: Any, where: str) -> str:
    """Returns what a tool returned: a text, parts, one part such as a screenshot, or JSON."""
    is_parts = isinstance(value, list) or (isinstance(value, dict) and "type" in value)
    return text_of(value, where) if is_parts else as_text(value)


def messages_in(value: Any) -> list[Any]:
    """Returns a list of messages, which may be in an object; an empty list if there is none."""
    if isinstance(value, dict):  # data sets for training have conversations
        value = value.get("messages", value.get("conversations"))
    return value if isinstance(value, list) else []


def parse_messages(values: Sequence[object], where: str) -> list[LoggedMessage]:
    """Returns the messages of a conversation.

    Raises:
        LogError: One of them is no message; the error names it.
    """
    return [parse_message(value, f"{where}, message {i}") for i, value in enumerate(values)]


def fields_of(
    messages: Iterable[LoggedMessage], called: dict[str, str] | None = None
) -> list[EventFields]:
    """Returns the fields of the events of a conversation: its texts, its calls and their results.

    Args:
        messages: the messages, in order.
        called: the id of each earlier call to the name of its tool; calls are added.
    """
    fields: list[EventFields] = []
    called = {} if called is None else called
    waiting: LoggedMessage | None = None  # only thinking: it belongs to what the speaker does next
    for message in messages:
        own, thinking, calls = message.name or message.role, message.thinking, message.calls
        facts = message.facts
        if waiting is not None:
            if (waiting.name or waiting.role) == own:
                thinking = "\n".join(filter(None, [waiting.thinking, thinking]))
                facts = {**(waiting.facts or {}), **(facts or {})}
            else:
                fields += _thought(waiting)
            waiting = None
        first = len(fields)
        if not calls:
            fields += [_result(result, called) for result in message.results]
        if message.role == "tool" or message.role == "function":
            tool = message.tool or called.get(message.call_id, message.role)
            fields.append({"agent": tool, "kind": "message", "text": message.text, "tool": tool,
                           "call": message.call_id})  # fmt: skip
        elif message.text or not (calls or message.results):
            if message.is_thought or (thinking and not message.text):
                waiting = structs.replace(message, thinking=thinking, facts=facts)
                continue
            fields.append({"agent": own, "kind": "message", "text": message.text})
        for call in calls:
            called[call.id] = call.name
            fields.append({"agent": own, "kind": "action", "text": call.arguments,
                           "tool": call.name, "call": call.id})  # fmt: skip
        if calls:
            fields += [_result(result, called) for result in message.results]
        if facts or thinking:
            _add_facts(fields, first, facts or {}, thinking)
    if waiting is not None:
        fields += _thought(waiting)
    return fields


def _result(result: ToolResult, called: Mapping[str, str]) -> EventFields:
    tool = called.get(result.call_id, "tool")
    each: EventFields = {"agent": tool, "kind": "message", "text": result.text, "tool": tool,
                         "call": result.call_id}  # fmt: skip
    if result.error:
        each["error"] = result.error
    return each


def _thought(message: LoggedMessage) -> list[EventFields]:
    """Returns the event of a message that is nothing but thinking; none if that is hidden."""
    if message.is_thought and not (message.thinking or message.facts):
        return []
    each: list[EventFields] = [{"agent": message.speaker, "kind": "message", "text": ""}]
    _add_facts(each, 0, message.facts or {}, message.thinking)
    return each


def _add_facts(fields: list[EventFields], first: int, facts: Facts, thinking: str) -> None:
    """Adds what is known of a message to its first event; its time and place to all of them."""
    one = fields[first]
    one.update(facts)  # type: ignore[typeddict-item]
    if thinking:
        one["meta"] = {**facts.get("meta", {}), "thinking": thinking}
    for each in fields[first + 1 :]:
        if "seconds" in facts:
            each["seconds"] = facts["seconds"]
        if "location" in facts:
            each["location"] = facts["location"]


def events_of(messages: Sequence[LoggedMessage]) -> tuple[Event, ...]:
    """Returns the events of a conversation, in order: its texts and its calls of tools."""
    return numbered(fields_of(messages))


def outsiders(fields: Iterable[EventFields], members: Iterable[str]) -> tuple[str, ...]:
    """Returns the authors of events who are none of the members: tools, people, the system."""
    known = set(members)
    return tuple(dict.fromkeys([f["agent"] for f in fields if f["agent"] not in known]))


def members_of(
    events: Sequence[Event], messages: Sequence[LoggedMessage]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of the team's members and of all others, in order of their first event.

    Args:
        events: the events of one conversation.
        messages: its messages. A name that once has the role of a member is a member.
    """
    named = {message.name or message.role for message in messages if message.role in MEMBERS}
    names = list(dict.fromkeys([event.agent for event in events]))
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
    ending: str = "",
    scores: Mapping[str, float] | None = None,
    run: str = "",
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
        ending, scores, run: as `Episode` has them.
    """
    events = events_of(messages)
    agents, tools = members_of(events, messages)
    unnamed = [
        (m.name or m.role) == m.role and m.role in MEMBERS and m.text != "" and not m.calls
        for m in messages
    ]
    # calls of tools are one member's own steps, so they do not count here
    doubts = (UNNAMED,) if any(a and b for a, b in pairwise(unnamed)) else ()
    if not task:
        task = next((m.text for m in messages if m.role in ("user", "human") and m.text), "")
    return Episode(name, events, agents, tools, task=task, success=success, run=run,
                   meta={"format": kind, **(meta or {})}, ending=ending, scores=scores or {},
                   doubts=doubts)  # fmt: skip
