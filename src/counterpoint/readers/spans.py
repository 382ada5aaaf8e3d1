"""OpenTelemetry spans of generative AI, by the names of their attributes: no SDK is needed.

A line is a span, or an OTLP document with `resourceSpans`. Spans of one conversation
(`gen_ai.conversation.id`, else the trace) are an episode, in order of their start.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.documents import episode
from counterpoint.records import Episode


def is_span(value: Any) -> bool:
    """A span with attributes, or an OTLP document."""
    return isinstance(value, dict) and (
        "resourceSpans" in value
        or (isinstance(value.get("attributes"), dict | list) and ("trace_id" in value
            or "traceId" in value or "context" in value))
    )  # fmt: skip


def spans_of(value: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """The spans of a line, their attributes as a mapping.

    Raises:
        LogError: a part of it is of another type; the error names it.
    """
    if "resourceSpans" not in value:
        yield {**value, "attributes": _attributes(value["attributes"], where)}
        return
    for resource in _objects(value, "resourceSpans", where):
        for scope in _objects(resource, "scopeSpans", where):
            for span in _objects(scope, "spans", where):
                yield {**span, "attributes": _attributes(span.get("attributes"), where)}


def _objects(value: Mapping[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    found = value.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise LogError(f"{where}, {name}: got something else than a list of objects")
    return found


def episodes_of_spans(spans: Sequence[Mapping[str, Any]]) -> list[Episode]:
    """An episode for each conversation; spans that are not of generative AI are left out."""
    talks: dict[str, list[Mapping[str, Any]]] = {}
    for span in spans:
        if any(key.startswith("gen_ai.") for key in span["attributes"]):
            talks.setdefault(_conversation(span), []).append(span)
    found = []
    for name, talk in talks.items():
        talk.sort(key=_start)
        told = [(event, _seconds(span)) for span in talk for event in _events(span)]
        events = [{**event, "meta": {**event.get("meta", {}), **at}} for event, at in told]
        found.append(episode(name, events, "otel"))
    return found


def _attributes(given: Any, where: str) -> dict[str, Any]:
    """A mapping, also where OTLP writes a list of keys and typed values."""
    if isinstance(given, dict):
        return given
    found = {}
    for each in _objects({"attributes": given}, "attributes", where):
        value = each.get("value")
        value = next(iter(value.values()), None) if isinstance(value, dict) else value
        found[str(each.get("key", ""))] = value
    return found


def _conversation(span: Mapping[str, Any]) -> str:
    context = span.get("context")
    trace = span.get("trace_id") or span.get("traceId")
    if isinstance(context, dict):
        trace = trace or context.get("trace_id")
    return str(span["attributes"].get("gen_ai.conversation.id") or trace or "trace")


def _start(span: Mapping[str, Any]) -> str:
    at = span.get("start_time") or span.get("startTimeUnixNano") or span.get("start_time_unix_nano")
    told = str(at or "")
    return told.zfill(30) if told.isdigit() else told


def _seconds(span: Mapping[str, Any]) -> dict[str, float]:
    """The time of a span's start, from nanoseconds or ISO 8601, where it has one."""
    at = _start(span)
    if at.isdigit():
        return {"seconds": int(at) / 1e9}
    try:
        return {"seconds": datetime.fromisoformat(at).timestamp()}
    except (ValueError, OverflowError):
        return {}


def _events(span: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    told = span["attributes"]
    who = str(told.get("gen_ai.agent.name") or told.get("gen_ai.agent.id")
              or told.get("gen_ai.request.model") or span.get("name") or "agent")  # fmt: skip
    if told.get("gen_ai.operation.name") == "execute_tool":
        tool = str(told.get("gen_ai.tool.name", "tool"))
        text = _text(told.get("gen_ai.tool.call.arguments", ""))
        yield {"agent": who, "kind": "action", "text": text, "meta": {"name": tool}}
        return
    tokens = told.get("gen_ai.usage.output_tokens")
    counted = int(tokens) if str(tokens or "").isdigit() else None
    said = told.get("gen_ai.output.messages", told.get("gen_ai.completion", ""))
    yield {"agent": who, "kind": "message", "text": _text(said), "tokens": counted}


def _text(value: Any) -> str:
    """What was said: text, or the text inside of messages and their parts, also as JSON in text."""
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
