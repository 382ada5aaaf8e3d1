"""What a model or a tool returned, in any of the shapes that providers and tracers write.

Start with `reply_of`, which makes a `Reply` of a value: a text, a message, parts, choices, a state
with messages, or JSON in a text. `question_of` and `results_of` look into what a model read. A
value of no known shape is kept whole, as its JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from counterpoint.marks import hidden_reasoning, mark_of
from counterpoint.readers.build import count
from counterpoint.readers.content import ToolCall
from counterpoint.readers.messages import MEMBERS

DEEPEST = 24
"""A value that is nested deeper is kept as its JSON."""
_LISTS = ("choices", "candidates", "generations", "messages")
_INNER = ("content", "parts", "contents", "text", "output_text", "refusal")
_ONE = ("output", "text", "content", "answer", "result", "response", "final_output", "raw",
        "generation", "completion", "output_text")  # fmt: skip
"""An object with one field of such a name stands for the value of the field."""
_CALLS = ("tool_call", "tool_use", "function_call", "toolCall", "tool-call", "mcp_call",
          "server_tool_use")  # fmt: skip
_RESULTS = ("tool_result", "tool_call_response", "function_call_output", "tool-result", "tool",
            "ToolMessage", "tool_response")  # fmt: skip
_ANSWERS = ("function_response", "functionResponse", "toolResult")
_THINKING = ("thinking", "reasoning", "redacted_thinking", "thought")
_USAGES = ("usage", "usage_metadata", "usageMetadata", "token_usage")
TOKENS_IN = ("input_tokens", "prompt_tokens", "prompt_token_count", "promptTokenCount",
             "inputTokens", "promptTokens", "input")  # fmt: skip
TOKENS_OUT = ("output_tokens", "completion_tokens", "candidates_token_count",
              "candidatesTokenCount", "outputTokens", "completionTokens", "output")  # fmt: skip
_QUESTIONS = ("input", "question", "query", "task", "prompt", "new_message", "message", "text",
              "content", "user_input", "user_message", "goal", "topic")  # fmt: skip
_LANGCHAIN = ("ai", "human", "system", "AIMessage", "AIMessageChunk", "HumanMessage",
              "SystemMessage")  # fmt: skip
"""LangChain's types of messages that are no tool's."""
_PEOPLE = ("user", "human", "HumanMessage", "HumanMessageChunk")


@dataclass
class ToolResult:
    """What a tool returned."""

    call: str
    tool: str
    text: str


@dataclass
class Reply:
    """What one value says."""

    texts: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[ToolResult] = field(default_factory=list)
    finish: str = ""
    tokens: int | None = None
    tokens_in: int | None = None

    @property
    def text(self) -> str:
        """Returns all texts, a line each."""
        return "\n".join(text for text in self.texts if text)


def decoded(value: Any) -> Any:
    """Returns the object or list that a text holds as JSON; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def unquoted(text: str) -> str:
    """Returns the text that a text holds as JSON; any other text as it is."""
    if text[:1] != '"':
        return text
    try:
        inner = json.loads(text)
    except ValueError:
        return text
    return inner if isinstance(inner, str) else text


def json_text(value: Any) -> str:
    """Returns a text as it is, and any other value as its JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError, TypeError):
        return ""


def first_of(value: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Returns the first field that is there and is not null."""
    return next((value[name] for name in names if value.get(name) is not None), None)


def role_of(value: Any) -> str:
    """Returns the role of a message, or its type in LangChain's names; empty if it has none."""
    if not isinstance(value, dict):
        return ""
    inner = value.get("kwargs")
    if isinstance(inner, dict) and isinstance(value.get("id"), list) and value["id"]:
        return str(value["id"][-1])
    role = first_of(value, ("role", "message.role"))
    if role is None and ("content" in value or "parts" in value):
        role = value.get("type")
    if role is None and isinstance(value.get("message"), dict):
        return role_of(value["message"])
    return role if isinstance(role, str) else ""


def is_shaped(value: Any) -> bool:
    """Returns whether a value is certainly a message, parts or an answer of a provider's."""
    if isinstance(value, list):
        return value != [] and all(map(_is_item, value))
    return _is_item(value)


def _is_item(value: Any) -> bool:
    if isinstance(value, list):  # LangChain has lists of lists of generations
        return value != [] and all(map(_is_item, value))
    if not isinstance(value, dict):
        return False
    kind, content = value.get("type"), value.get("content")
    return bool(
        ("role" in value
         and value.keys() & {"content", "contents", "parts", "text", "tool_calls", "message"})
        or any(isinstance(value.get(name), list) and value[name] for name in _LISTS[:3])
        or (isinstance(value.get("messages"), list) and any(map(role_of, value["messages"])))
        or (kind in (*_CALLS, *_RESULTS, *_THINKING, "function"))
        or (kind in ("text", "output_text", "message", *_LANGCHAIN)
            and value.keys() & {"text", "content"})
        or (isinstance(content, dict) and "parts" in content)
        or (isinstance(content, list) and is_shaped(content))
        or (isinstance(value.get("message"), dict) and _is_item(value["message"]))
        or (isinstance(value.get("kwargs"), dict) and isinstance(value.get("id"), list))
        or value.get("object") == "response"
        or (isinstance(value.get("raw"), str) and value.keys() & {"agent", "tasks_output"})
        or value.keys() & {"tool.name", "toolName", "functionCall", "function_call",
                           "function_response", "functionResponse", "message.role", "toolUse",
                           "toolResult"}
    )  # fmt: skip


def reply_of(value: Any) -> Reply:
    """Returns what a value says; of a conversation, what stands behind its last question."""
    try:
        return _one(value)
    except RecursionError:  # messages in messages: nobody writes that
        return Reply([json_text(value)])


def result_text(value: Any) -> str:
    """Returns what a tool returned as a text."""
    if isinstance(value, str):
        value = unquoted(value)
    reply = reply_of(value)
    return "\n".join(text for text in (*reply.texts, *(r.text for r in reply.results)) if text)


def question_of(value: Any) -> str:
    """Returns the last text of a person in what a model or a program read."""
    read = _read_by_model(value)
    if isinstance(read, str):
        return read
    with suppress(RecursionError):
        for message in reversed(read):
            if role_of(message) in _PEOPLE and (text := _one(message).text):
                return text
    return ""


def results_of(value: Any) -> list[ToolResult]:
    """Returns the newest results of tools in what a model read: those behind all else."""
    results: list[ToolResult] = []
    read = _read_by_model(value)
    with suppress(RecursionError):
        for message in reversed(read if isinstance(read, list) else []):
            newer = _one(message).results
            if not newer and role_of(message) not in ("", "system", "developer"):
                break
            results[:0] = newer
    return results


def _one(message: Any) -> Reply:
    reply = Reply()
    _add(message, reply, 0)
    return reply


def _read_by_model(value: Any) -> list[Any] | str:
    """Returns the messages that a model read, or the text."""
    value = decoded(value)
    if isinstance(value, dict):
        inner = first_of(value, ("messages", "contents", "new_message"))
        values = list(value.values())
        alone = values[0] if len(values) == 1 and isinstance(values[0], str) else None
        question = first_of(value, _QUESTIONS)
        value = decoded((alone if question is None else question) if inner is None else inner)
        value = [value] if isinstance(value, dict) else value
    if not isinstance(value, list):
        return value if isinstance(value, str) else []
    messages: list[Any] = value
    while len(messages) == 1 and isinstance(messages[0], list):  # LangChain has batches of them
        messages = messages[0]
    return messages


def _add(value: Any, reply: Reply, depth: int) -> None:
    """Adds what a value says to a reply."""
    if isinstance(value, str):
        inner = decoded(value)
        if inner is not value and is_shaped(inner) and depth < DEEPEST:
            _add(inner, reply, depth + 1)
        else:
            reply.texts.append(value)
    elif depth >= DEEPEST or not isinstance(value, list | dict):
        reply.texts.append(json_text(value))
    elif isinstance(value, list):
        _add_list(value, reply, depth)
    else:
        _add_object(value, reply, depth + 1)


def _add_list(values: list[Any], reply: Reply, depth: int) -> None:
    if not values:
        return
    if not all(isinstance(each, str | list) or _is_item(each) for each in values):
        if all(isinstance(each, dict) and isinstance(each.get("text"), str) for each in values):
            reply.texts += [each["text"] for each in values]
        else:
            reply.texts.append(json_text(values))
        return
    roles = [role_of(each) for each in values]
    others = [i for i, role in enumerate(roles)
              if role and not role.startswith(("ai", "AI")) and role not in MEMBERS
              and role not in ("text", "message", *_THINKING, *_CALLS)]  # fmt: skip
    if others and len(values) > 1:
        # a conversation: only what stands behind the last message of somebody else is new
        values = values[others[-1] + 1 :] or values[-1:]
    for each in values:
        _add(each, reply, depth + 1)


def _add_object(value: dict[str, Any], reply: Reply, depth: int) -> None:
    _add_usage(value, reply)
    kind, inner = value.get("type"), value.get("kwargs")
    if isinstance(inner, dict) and isinstance(value.get("id"), list) and value["id"]:
        _add_object({**inner, "type": str(value["id"][-1])}, reply, depth + 1)
    elif call := _call(value):
        reply.calls.append(call)
    elif kind in _RESULTS or role_of(value) in ("tool", "function"):
        parts = first_of(value, ("parts", "content"))
        inner = [part for part in parts if isinstance(part, dict) and part.get("type") in _RESULTS]\
            if isinstance(parts, list) else []  # fmt: skip
        reply.results += [_result(each) for each in inner or [value]]
    elif isinstance(response := first_of(value, _ANSWERS), dict):
        reply.results.append(_result(response))
    elif kind in _THINKING or value.get("thought") is True:
        names = ("thinking", "reasoning", "text", "content", "summary")
        thought = reply_of(first_of(value, names)) if depth < DEEPEST else Reply()
        texts = [text for text in thought.texts if text] or [hidden_reasoning(value)]
        reply.thinking += filter(None, texts)
    elif name := next((n for n in _LISTS if isinstance(value.get(n), list) and value[n]), ""):
        _add(value[name], reply, depth)
    elif isinstance(value.get("message"), dict | list) and not value.get("content"):
        _add(value["message"], reply, depth)
    elif value.get("object") == "response" or isinstance(value.get("raw"), str):
        _add(first_of(value, ("output", "raw")), reply, depth)
    elif isinstance(value.get("message.content"), str):
        reply.texts.append(value["message.content"])
    elif _is_item(value) or "tool_calls" in value:
        _add_message(value, reply, depth)
    elif len(value) == 1 and next(iter(value)) in _ONE:
        _add(next(iter(value.values())), reply, depth)
    else:
        reply.texts.append(json_text(value))


def _add_message(value: dict[str, Any], reply: Reply, depth: int) -> None:
    content = first_of(value, _INNER)
    if isinstance(content, list) and any(isinstance(part, dict) for part in content):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("message_content"), dict):
                part = part["message_content"]  # OpenInference
            if isinstance(part, str) or _is_item(part):
                _add(part, reply, depth)
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                reply.texts.append(part["text"])
            elif isinstance(part, dict) and part:
                reply.texts.append(mark_of(part))
    elif content is not None:
        _add(content, reply, depth)
    if isinstance(thought := first_of(value, ("reasoning_content", "reasoning")), str) and thought:
        reply.thinking.append(thought)
    extra = value.get("additional_kwargs")
    for holder in (value, extra if isinstance(extra, dict) else {}):
        before = {(call.id, call.name) for call in reply.calls if call.id}
        calls = holder.get("tool_calls")
        for each in calls if isinstance(calls, list) else ():
            call = _call({"type": "tool_call", **each}) if isinstance(each, dict) else None
            if call and (call.id, call.name) not in before:
                reply.calls.append(call)


def _call(value: dict[str, Any]) -> ToolCall | None:
    """Returns a call of a tool, or None if the value is no call."""
    inner = first_of(value, ("function_call", "functionCall", "tool_call", "toolUse"))
    if isinstance(inner, dict) and "content" not in value:
        return _call({"type": "tool_call", **inner})
    names = ("tool.name", "toolName", "name", "tool_name")
    kind = value.get("type")
    if kind not in (*_CALLS, "function") and not value.keys() & {"tool.name", "toolName"}:
        return None
    if kind == "tool" or "result" in value:
        return None
    function = value.get("function")
    holder = {**value, **function} if isinstance(function, dict) else value
    name = first_of(holder, names)
    if isinstance(function, str):
        name = function
    if not isinstance(name, str) or not name:
        return None
    arguments = first_of(holder, ("arguments", "args", "input", "tool.args", "parameters"))
    ids = ("call_id", "id", "toolCallId", "toolUseId", "tool_call_id", "tool_call.id")
    return ToolCall(str(first_of(value, ids) or ""), name, json_text(arguments))


def _result(value: Mapping[str, Any]) -> ToolResult:
    names = ("content", "output", "result", "response", "text", "parts")
    given = first_of(value, names)
    if isinstance(given, list) and is_shaped(given):
        given = result_text(given)
    ids = ("tool_call_id", "call_id", "tool_use_id", "toolCallId", "toolUseId", "id")
    tool = first_of(value, ("name", "tool_name", "toolName"))
    return ToolResult(str(first_of(value, ids) or ""), str(tool or ""), json_text(given))


def _add_usage(value: Mapping[str, Any], reply: Reply) -> None:
    """Adds the tokens and the stop reason that an object has beside its text."""
    for holder in (value, *(value[n] for n in ("response_metadata", "generation_info", "llm_output")
                            if isinstance(value.get(n), dict))):  # fmt: skip
        names = ("finish_reason", "stop_reason", "finishReason", "done_reason")
        reason = first_of(holder, names)
        if isinstance(reason, str) and reason and not reply.finish:
            reply.finish = reason
        used = first_of(holder, _USAGES)
        if isinstance(used, dict):
            if reply.tokens is None:
                reply.tokens = count(first_of(used, TOKENS_OUT))
            if reply.tokens_in is None:
                reply.tokens_in = count(first_of(used, TOKENS_IN))
