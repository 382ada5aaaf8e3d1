"""OpenTelemetry spans of generative AI, by the names of their attributes; no SDK is needed.

A value is a span, or an OTLP document with `resourceSpans`. Spans of one conversation
(`gen_ai.conversation.id`, else the trace) are an episode, in order of their start.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import EventFields, Line, SessionFormat, episode
from counterpoint.records import Episode


@dataclass(frozen=True)
class Span:
    """One span."""

    conversation: str
    name: str
    start: str
    """In nanoseconds with leading zeros, or in ISO 8601; empty where it is not known."""
    attributes: Mapping[str, object]


def is_span(value: Any) -> bool:
    """Returns whether a value is a span with attributes, or an OTLP document."""
    return isinstance(value, dict) and (
        "resourceSpans" in value
        or (isinstance(value.get("attributes"), dict | list) and ("trace_id" in value
            or "traceId" in value or "context" in value))
    )  # fmt: skip


def spans_of(value: Any, where: str) -> Iterator[Span]:
    """Yields the spans of a line; a part of another type is a LogError that names it."""
    if "resourceSpans" not in value:
        yield _span(value, where)
        return
    for resource in _objects(value, "resourceSpans", where):
        for scope in _objects(resource, "scopeSpans", where):
            for span in _objects(scope, "spans", where):
                yield _span(span, where)


def _objects(value: Any, name: str, where: str) -> list[Any]:
    """Returns a field that must be a list of objects; a missing field is empty."""
    objects = value.get(name) or []
    if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
        raise LogError(f"{where}, {name}: got something else than a list of objects")
    return objects


def _span(value: Any, where: str) -> Span:
    attributes = value.get("attributes")
    if not isinstance(attributes, dict):  # OTLP writes a list of keys and typed values
        attributes = {}
        for each in _objects(value, "attributes", where):
            typed = each.get("value")
            plain = next(iter(typed.values()), None) if isinstance(typed, dict) else typed
            attributes[str(each.get("key", ""))] = plain
    trace, context = value.get("trace_id") or value.get("traceId"), value.get("context")
    if isinstance(context, dict):
        trace = trace or context.get("trace_id")
    names = ("start_time", "startTimeUnixNano", "start_time_unix_nano")
    start = str(next((value[name] for name in names if value.get(name)), ""))
    return Span(
        str(attributes.get("gen_ai.conversation.id") or trace or "trace"),
        str(value.get("name") or "agent"),
        start.zfill(30) if start.isdigit() else start,  # so that numbers sort as texts
        attributes,
    )


def episodes_of_spans(spans: Sequence[Span]) -> list[Episode]:
    """Returns an episode for each conversation; spans of other kinds of work are left out."""
    talks: dict[str, list[Span]] = {}
    for span in spans:
        if any(key.startswith("gen_ai.") for key in span.attributes):
            talks.setdefault(span.conversation, []).append(span)
    return [
        episode(name, [_event(span) for span in sorted(talk, key=lambda span: span.start)], "otel")
        for name, talk in talks.items()
    ]


def _seconds(start: str) -> float | None:
    """Returns the time of a start in nanoseconds or ISO 8601, if there is one."""
    if start.isdigit():
        return int(start) / 1e9
    try:
        return datetime.fromisoformat(start).timestamp()
    except (ValueError, OverflowError):
        return None


def _event(span: Span) -> EventFields:
    facts = span.attributes
    agent = str(facts.get("gen_ai.agent.name") or facts.get("gen_ai.agent.id")
                or facts.get("gen_ai.request.model") or span.name)  # fmt: skip
    seconds = _seconds(span.start)
    if facts.get("gen_ai.operation.name") == "execute_tool":
        name = str(facts.get("gen_ai.tool.name", "tool"))
        text = _text(facts.get("gen_ai.tool.call.arguments", ""))
        return {"agent": agent, "kind": "action", "text": text, "tool": name, "seconds": seconds}
    tokens = str(facts.get("gen_ai.usage.output_tokens") or "")
    text = _text(facts.get("gen_ai.output.messages", facts.get("gen_ai.completion", "")))
    return {"agent": agent, "kind": "message", "text": text, "seconds": seconds,
            "tokens": int(tokens) if tokens.isdigit() else None}  # fmt: skip


def _text(value: object) -> str:
    """Returns a text, or the text in messages and their parts, which may be JSON in a text."""
    if isinstance(value, str):
        if value[:1] in "[{":
            try:
                return _text(json.loads(value)) or value
            except (ValueError, RecursionError):
                return value
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_text, value)))
    if isinstance(value, dict):
        return _text(value.get("content", value.get("parts", value.get("text", ""))))
    return "" if value is None else str(value)


def _read(lines: Sequence[Line], name: str) -> list[Episode]:
    return episodes_of_spans([span for each in lines for span in spans_of(each.value, each.where)])


FORMAT = SessionFormat(is_span, _read, scope="folder")
