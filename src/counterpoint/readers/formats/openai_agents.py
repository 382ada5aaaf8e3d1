"""OpenAI Agents SDK: traces, as the SDK exports them, and saved states of runs.

A trace is lines, or a list, of objects `trace` and `trace.span`. A state has `$schemaVersion` and
the items of a run. Agents are members, handoffs are handoffs, a guardrail's verdict is a message
of the guardrail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import (
    EventFields,
    Format,
    LeftOut,
    Line,
    SessionFormat,
    count,
    episode,
    list_of,
    object_of,
    seconds_of,
)
from counterpoint.readers.replies import first_of, json_text, question_of, reply_of, result_text
from counterpoint.readers.spans import Kind, Span
from counterpoint.readers.traces import About, episodes_of
from counterpoint.records import Episode, Json

KINDS: Mapping[str, Kind] = {
    "agent": "agent", "generation": "model", "response": "model", "function": "tool",
    "handoff": "handoff", "guardrail": "guardrail",
}  # fmt: skip
"""The SDK's type of a span to ours."""


def is_trace(value: Any) -> bool:
    """Returns whether a value is a trace, a span, or a list of both."""
    if isinstance(value, list):
        return _are_objects(value)
    if not isinstance(value, dict):
        return False
    for name in ("data", "spans"):  # what the exporter sends, and what wraps it
        if isinstance(value.get(name), list):
            return _are_objects(value[name])
    return _is_object(value)


def _are_objects(values: list[Any]) -> bool:
    return values != [] and all(map(_is_object, values[:20]))


def _is_object(value: Any) -> bool:
    data = value.get("span_data") if isinstance(value, dict) else None
    is_span = isinstance(data, dict) and isinstance(data.get("type"), str)
    return is_span or (isinstance(value, dict) and value.get("object") == "trace")


def _objects(value: Any, where: str) -> Iterator[dict[str, Any]]:
    """Yields the traces and spans of a value."""
    if isinstance(value, dict):
        inner = first_of(value, ("data", "spans"))
        if not isinstance(inner, list):
            yield value
            return
        about = value["trace"] if isinstance(value.get("trace"), dict) else value
        yield {"id": about.get("trace_id"), **about, "object": "trace"}
        value = inner
    for i, each in enumerate(list_of(value, where)):
        if not isinstance(each, dict):
            raise LogError(f"{where}, {i}: got {type(each).__name__}; wanted an object")
        yield each


def _read_trace(lines: Sequence[Line], name: str) -> Iterator[Episode | LeftOut]:
    spans: list[Span] = []
    about: dict[str, About] = {}
    for line in lines:
        for value in _objects(line.value, line.where):
            if value.get("object") == "trace":
                about[str(value.get("id"))] = _about(value)
            elif isinstance(value.get("span_data"), dict):
                spans.append(_span(value))
    return episodes_of(spans, "openai agents", about)


def _about(trace: Mapping[str, Any]) -> About:
    group = trace.get("group_id")
    meta = {key: trace[key] for key in ("workflow_name", "metadata") if trace.get(key)}
    return About(run=group if isinstance(group, str) else "", meta=meta)


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    return text if isinstance(text, str) else ""


def _span(value: Mapping[str, Any]) -> Span:
    data = value["span_data"]
    kind = KINDS.get(_text(data, "type"), "other")
    name = _text(data, "name") or _text(data, "type") or "span"
    error = value.get("error")
    message = error.get("message") if isinstance(error, dict) else error
    usage = data.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    output = first_of(data, ("output", "response"))
    if kind == "guardrail":
        output = "triggered" if data.get("triggered") is True else "not triggered"
    return Span(
        id=str(first_of(value, ("id", "span_id")) or ""),
        trace=str(value.get("trace_id") or "trace"),
        parent=_text(value, "parent_id"),
        kind=kind,
        name=name,
        agent=_text(data, "from_agent") if kind == "handoff" else name if kind == "agent" else "",
        tool=name if kind in ("tool", "guardrail") else "",
        to=_text(data, "to_agent"),
        start=seconds_of(value.get("started_at")),
        end=seconds_of(value.get("ended_at")),
        input=data.get("input"),
        output=output,
        tokens=count(first_of(usage, ("output_tokens", "completion_tokens"))),
        tokens_in=count(first_of(usage, ("input_tokens", "prompt_tokens"))),
        error=json_text(message),
        declared=_names(data.get("handoffs")) + _names([data.get("to_agent")]),
    )


def _names(value: Any) -> tuple[str, ...]:
    names = value if isinstance(value, list) else []
    return tuple(name for name in names if isinstance(name, str) and name)


TRACE = SessionFormat(is_trace, _read_trace, scope="folder")


def is_state(value: Any) -> bool:
    """Returns whether a value is the saved state of a run."""
    return isinstance(value, dict) and {"$schemaVersion", "current_agent", "original_input"} <= (
        value.keys()
    )


def read_state(value: Any, where: str, name: str) -> list[Episode]:
    """Returns the items of a run as one episode."""
    items = list_of(
        value.get("session_items") or value.get("generated_items") or [], f"{where}, session_items"
    )
    usages = _usages(value.get("model_responses") or [], where)
    question = question_of(value["original_input"])
    events: list[EventFields] = []
    if question:
        events.append({"agent": "user", "kind": "message", "text": question})
    members: dict[str, None] = {}
    tools: dict[str, str] = {}
    for i, item in enumerate(items):
        at = f"{where}, item {i}"
        item = object_of(item, at)
        raw = item.get("raw_item")
        raw = raw if isinstance(raw, dict) else {}
        who = _agent(item.get("agent"))
        kind = _text(item, "type")
        if kind == "handoff_output_item":
            who, to = _agent(item.get("source_agent")), _agent(item.get("target_agent"))
            members |= {each: None for each in (who, to) if each}
            if who and to:
                events.append({"agent": who, "kind": "handoff", "to": (to,),
                               "call": _text(raw, "call_id")})  # fmt: skip
            continue
        if not who:
            raise LogError(f"{at}, agent: got no name; wanted {{'name': text}}")
        members[who] = None
        usage: Mapping[str, Any] = usages.pop(_text(raw, "id"), {"agent": "", "kind": ""})
        if kind != "handoff_call_item":
            events += _item(kind, who, item, raw, usage, tools)
    current = _agent(value.get("current_agent"))
    if current:
        members[current] = None
    step = value.get("current_step")
    ending = step.get("type") if isinstance(step, dict) else ""
    if ending == "next_step_interruption":
        ending = "awaits approval"  # of a call of a tool: a person goes on with the run later
    if not ending and count(value.get("current_turn")) == count(value.get("max_turns")):
        ending = "max_turns"
    outside = ["user", *(each for each in tools.values() if each not in members)]
    meta: dict[str, Json] = {"schema": value["$schemaVersion"]}
    ending = ending if isinstance(ending, str) else ""
    return [episode(name, events, "openai agents state", outside, members=list(members),
                    task=question, meta=meta, ending=ending)]  # fmt: skip


def _agent(value: Any) -> str:
    """Returns the name of an agent; of two with the same name, its identity."""
    if not isinstance(value, dict):
        return ""
    return _text(value, "identity") or _text(value, "name")


def _usages(responses: Any, where: str) -> dict[str, EventFields]:
    """Returns the id of the first item of each response to what the response used."""
    usages: dict[str, EventFields] = {}
    for i, response in enumerate(list_of(responses, f"{where}, model_responses")):
        inner = object_of(response, f"{where}, model_responses {i}")
        usage, output = inner.get("usage"), inner.get("output")
        first = output[0] if isinstance(output, list) and output else None
        if isinstance(usage, dict) and isinstance(first, dict) and _text(first, "id"):
            usages[_text(first, "id")] = {
                "agent": "", "kind": "", "tokens": count(usage.get("output_tokens")),
                "tokens_in": count(usage.get("input_tokens")),
            }  # fmt: skip
    return usages


def _item(
    kind: str,
    who: str,
    item: Mapping[str, Any],
    raw: Mapping[str, Any],
    usage: Mapping[str, Any],
    tools: dict[str, str],
) -> list[EventFields]:
    """Returns the events of one item: a message, a call, or a result."""
    call = str(first_of(raw, ("call_id", "id")) or "")
    used: EventFields = {"agent": who, "kind": "message", "tokens": usage.get("tokens"),
                         "tokens_in": usage.get("tokens_in")}  # fmt: skip
    if kind.endswith("_call_item"):
        tool = _text(raw, "name") or _text(raw, "type").removesuffix("_call") or "tool"
        tools[call] = tool
        text = json_text(first_of(raw, ("arguments", "action", "input", "queries", "code")))
        return [{**used, "kind": "action", "text": text, "tool": tool, "call": call}]
    if kind.endswith("call_output_item") or kind == "tool_search_output_item":
        tool = tools.setdefault(call, "tool")
        text = result_text(first_of(item, ("output",)) or raw.get("output"))
        return [{"agent": tool, "kind": "message", "text": text, "tool": tool, "call": call}]
    reply = reply_of(dict(raw))
    if kind == "reasoning_item":
        thought = reply.thinking or reply.texts
        used["meta"] = {"thinking": "\n".join(thought)}
        return [used] if thought or used["tokens"] else []
    return [{**used, "text": reply.text}]


STATE = Format(is_state, read_state)
