"""The content of a message as vendors write it, and the usage of a model call.

Start with `content_of`. Content is text, or a list of parts: text, thinking, a call of a tool, the
result of one. Of any other part, such as a picture, a mark is kept (`counterpoint.marks`).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from counterpoint.errors import LogError
from counterpoint.marks import hidden_reasoning, mark_of
from counterpoint.readers.build import count, finite
from counterpoint.readers.names import excerpt


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a tool."""

    id: str
    name: str
    arguments: str


class ToolResult(msgspec.Struct, frozen=True):
    """The result of a call that stands in a message of another speaker, as Anthropic has it."""

    call_id: str
    text: str
    error: str = ""
    """The error that the call ended with; empty if it did not fail."""


class Content(msgspec.Struct):
    """What the content of a message holds."""

    text: str = ""
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()


class Usage(msgspec.Struct, frozen=True):
    """What a model call used; None where the log does not have it."""

    tokens: int | None = None
    """Number of tokens that the model produced."""
    tokens_in: int | None = None
    """Number of tokens that it read, cached ones included."""
    cost: float | None = None
    """In US dollars."""


def content_of(content: Any, where: str) -> Content:
    """Returns what the content of a message holds.

    Raises:
        LogError: It is neither text nor a list of parts; the message names the place.
    """
    if content is None:
        return Content()
    if isinstance(content, str):
        return Content(content)
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise _unknown(content, where)
    texts: list[str] = []
    thinking: list[str] = []
    calls: list[ToolCall] = []
    results: list[ToolResult] = []
    for part in content:
        if not isinstance(part, dict):
            if not isinstance(part, str | None):
                raise _unknown(content, where)
            texts.append(part or "")
            continue
        kind = str(part.get("type") or "")
        if kind.endswith("tool_use"):
            calls.append(_call(part))
            if part.get("result") or part.get("error"):  # inspect_ai: a tool of the server
                results.append(_result({**part, "content": part.get("result")}, where))
        elif kind.endswith("tool_result"):
            results.append(_result(part, where))
        elif kind in ("thinking", "reasoning", "redacted_thinking"):
            thinking.append(thought_of(part, where))
        else:
            texts.append(_text(part, kind, where))
    return Content(
        "\n".join(filter(None, texts)), "\n".join(filter(None, thinking)),
        tuple(calls), tuple(results),
    )  # fmt: skip


def text_of(content: Any, where: str) -> str:
    """Returns the text of content; results of tools in it count as text."""
    whole = content_of(content, where)
    return "\n".join(filter(None, [whole.text, *(result.text for result in whole.results)]))


def as_text(value: Any) -> str:
    """Returns a text as it is, nothing as "", and any other value as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def error_of(value: Any) -> str:
    """Returns the words of an error: a text, or an object with a message and a type."""
    if isinstance(value, dict):
        names = ("message", "type", "code", "detail")
        words = [value[name] for name in names if isinstance(value.get(name), str | int)]
        return str(words[0]) if words else as_text(value) if value else ""
    return as_text(value) if value else ""


def usage_of(value: Any) -> Usage:
    """Returns the usage of a model call as OpenAI, Anthropic, LiteLLM and inspect_ai write it.

    Anthropic counts the tokens that it reads from a cache or writes into one apart from
    `input_tokens`; here they are included, as OpenAI counts them.
    """
    if not isinstance(value, dict):
        return Usage()
    get = value.get
    if "prompt_tokens" in value or "completion_tokens" in value:
        read, made = count(get("prompt_tokens")), count(get("completion_tokens"))
    else:
        read, made = count(get("input_tokens")), count(get("output_tokens"))
        if read is not None:
            read += sum(count(get(name)) or 0 for name in _CACHED)
            whole = count(get("total_tokens"))
            if whole is not None and made is not None and whole >= made:
                read = min(read, whole - made)
    cost = next((finite(get(name)) for name in _COSTS if finite(get(name)) is not None), None)
    return Usage(made, read, cost)


_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens", "input_tokens_cache_read",
           "input_tokens_cache_write")  # fmt: skip
_COSTS = ("cost", "total_cost", "cost_usd")


def _call(part: Any) -> ToolCall:
    given = part.get("input", part.get("arguments"))
    name = part.get("name") or part.get("tool_name") or "tool"
    return ToolCall(str(part.get("id") or ""), str(name), as_text({} if given is None else given))


def _result(part: Any, where: str) -> ToolResult:
    given = part.get("content")
    own = isinstance(given, dict) and "type" in given
    text = text_of(given, where) if own or isinstance(given, str | list) else as_text(given)
    error = error_of(part.get("error"))
    if part.get("is_error") is True:
        error = error or text or "error"
    return ToolResult(str(part.get("tool_use_id") or part.get("id") or ""), text or error, error)


def thought_of(part: Any, where: str) -> str:
    """Returns the text of a reasoning, or a mark if the log has it in a form that nobody can read.

    Raises:
        LogError: a list in it is no list of parts; the message names the place.
    """
    names = ("thinking", "reasoning", "text", "summary", "content")
    for name in names[2:] if part.get("redacted") is True else names:
        value = part.get(name)
        if text := text_of(value, where) if isinstance(value, str | list) else "":
            return text
    return hidden_reasoning(part)


def _text(part: Any, kind: str, where: str) -> str:
    text = part.get("text", part.get("refusal"))
    if isinstance(text, dict):  # the messages of OpenAI's assistants
        text = text.get("value")
    if isinstance(text, str):
        return text
    if text is not None:
        raise _unknown(part, where)
    inner = part.get("content")
    if isinstance(inner, str) and kind != "document":
        return inner
    return mark_of(part) if part.keys() - {"type"} or kind not in ("", "text") else ""


def _unknown(content: Any, where: str) -> LogError:
    return LogError(
        f"{where}, content: got {excerpt(content)}; wanted text or a list of parts"
    )  # fmt: skip
