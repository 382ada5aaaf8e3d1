"""OpenTelemetry spans of agents and models, in every packing; no SDK is needed.

A value is a span, a document with `resourceSpans`, or an object or a list with spans: what the
exporters of OpenTelemetry, OpenInference (Phoenix), OpenLLMetry, MLflow and Logfire write. Spans
of one conversation (`gen_ai.conversation.id`, else the trace) are an episode, also if several
files of a folder hold them. A document with `resourceLogs` adds the messages that instrumentations
write as events of logs to the spans of their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.attributes import (
    ARGUMENTS,
    CALL_IDS,
    INPUTS,
    OUTPUTS,
    RESULTS,
    SESSIONS,
    TOKENS,
    TOKENS_IN,
    TOOLS,
    Facts,
    agent_of,
    cost_of,
    finish_of,
    kind_of,
    name_of,
    role_in,
)
from counterpoint.readers.build import LeftOut, Line, SessionFormat, count, seconds_of
from counterpoint.readers.replies import decoded, first_of, json_text, unquoted
from counterpoint.readers.scores import Score, check_traces, is_annotation, scores_in
from counterpoint.readers.spans import Span
from counterpoint.readers.traces import About, episodes_of
from counterpoint.records import Episode, Json

TRACES = ("trace_id", "traceId", "context.trace_id", "trace")
IDS = ("span_id", "spanId", "context.span_id", "id")
PARENTS = ("parent_id", "parentSpanId", "parent_span_id", "parentId")
STARTS = ("start_time", "startTimeUnixNano", "start_time_unix_nano", "start_timestamp",
          "startTime", "start_time_ns", "_start_time")  # fmt: skip
ENDS = ("end_time", "endTimeUnixNano", "end_time_unix_nano", "end_timestamp", "endTime",
        "end_time_ns", "_end_time")  # fmt: skip
CONTEXTS = ("context", "spanContext", "_spanContext")
"""The objects that hold a span's own ids; JavaScript's SDK writes the last two."""
_MESSAGES = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
"""The names of events that have what a model read, to the role of the message."""
DEEPEST = 30
"""A typed value that is nested deeper is left out."""


def is_span(value: Any) -> bool:
    """Returns whether a value is a span with attributes, a document of such spans, or of scores."""
    if isinstance(value, list):
        return _are_all(value, _is_document)
    return _is_document(value)


def _are_all(values: list[Any], fits: Callable[[Any], bool]) -> bool:
    return values != [] and all(map(fits, values[:20]))


def _is_document(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("resourceSpans") or value.get("resource_spans"), list):
        return True
    if isinstance(value.get("resourceLogs"), list):
        return any(event["name"].startswith("gen_ai.") for *_, event in _logged(value))
    if is_annotation(value):
        return True
    inner = _inner(value)
    return _is_one(value) if inner is None else _are_all(inner, _is_one)


def _is_one(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    has_trace = bool(value.keys() & {*TRACES[:3], *CONTEXTS})
    if isinstance(value.get("attributes"), dict | list):
        return has_trace
    # a table of Phoenix's has a column an attribute
    return has_trace and any(key.startswith("attributes.") for key in value)


def _inner(value: Mapping[str, Any]) -> list[Any] | None:
    """Returns the spans that a document holds beside what it says about them."""
    for holder in (value, value.get("data"), value.get("trace")):
        if isinstance(holder, list) and holder is value.get("data"):
            return holder
        if isinstance(holder, dict) and isinstance(holder.get("spans"), list):
            spans: list[Any] = holder["spans"]
            return spans
    return None


def _logged(value: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields the trace, the span and the event of each record of a document of logs."""
    for resource in value["resourceLogs"]:
        for scope in _list(resource, "scopeLogs"):
            for record in _list(scope, "logRecords"):
                if not isinstance(record, dict) or not isinstance(record.get("attributes"), list):
                    continue
                pairs = [pair for pair in record["attributes"] if isinstance(pair, dict)]
                facts = {str(pair.get("key")): _plain(pair.get("value"), 0) for pair in pairs}
                body = _plain(record.get("body"), 0)
                name = record.get("eventName") or facts.get("event.name")
                facts |= body if isinstance(body, dict) else {}
                event = {"name": str(name), "attributes": facts}
                yield _id(record, TRACES), _id(record, IDS), event


def _list(value: Any, name: str) -> list[Any]:
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, list) else []


Logs = Mapping[tuple[str, str], list[Any]]
"""Trace and span to the events that logs add to it."""


def spans_of(value: Any, where: str, logs: Logs) -> Iterator[Span]:
    """Yields the spans of a value; a part of another type is a LogError that names it."""
    if "resourceLogs" in value:
        return
    groups = value.get("resourceSpans") or value.get("resource_spans")
    if groups:
        for resource in _objects(value, ("resourceSpans", "resource_spans"), where):
            described = _object(resource.get("resource") or {}, f"{where}, resource")
            owner = _service(_attributes(described.get("attributes"), where))
            for scope in _objects(resource, ("scopeSpans", "scope_spans",
                                             "instrumentationLibrarySpans"), where):  # fmt: skip
                for i, span in enumerate(_objects(scope, ("spans",), where)):
                    yield _span(span, f"{where}, span {i}", owner, logs)
    elif (inner := _inner(value)) is not None:
        for i, each in enumerate(inner):
            yield _span(_object(each, f"{where}, span {i}"), f"{where}, span {i}", "", logs)
    else:
        yield _span(value, where, "", logs)


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise LogError(f"{where}: got {type(value).__name__}; wanted an object")
    return value


def _objects(value: Mapping[str, Any], names: Sequence[str], where: str) -> list[dict[str, Any]]:
    """Returns a field that must be a list of objects; a missing field is empty."""
    objects = first_of(value, names) or []
    if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
        raise LogError(f"{where}, {names[0]}: got something else than a list of objects")
    return objects


def _attributes(value: Any, where: str) -> dict[str, Any]:
    """Returns attributes; OTLP writes a list of keys and typed values."""
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    pairs = _objects({"attributes": value}, ("attributes",), where)
    return {str(pair.get("key", "")): _plain(pair.get("value"), 0) for pair in pairs}


def _plain(value: Any, depth: int) -> Any:
    """Returns the value of OTLP's typed value."""
    if not isinstance(value, dict) or len(value) != 1 or depth > DEEPEST:
        return value if depth <= DEEPEST else None
    kind, inner = next(iter(value.items()))
    if kind in ("arrayValue", "array_value") and isinstance(inner, dict):
        values = inner.get("values")
        return [_plain(each, depth + 1) for each in values] if isinstance(values, list) else []
    if kind in ("kvlistValue", "kvlist_value") and isinstance(inner, dict):
        pairs = inner.get("values")
        return {
            str(pair.get("key", "")): _plain(pair.get("value"), depth + 1)
            for pair in (pairs if isinstance(pairs, list) else ())
            if isinstance(pair, dict)
        }
    return inner if kind.endswith(("Value", "_value")) else value


def _service(resource: Mapping[str, Any]) -> str:
    """Returns the name of the service that wrote spans, or an empty text for a default one."""
    name = Facts(resource).text(("service.name", "service_name"))
    return "" if name.startswith("unknown_service") else name


def _id(value: Mapping[str, Any], names: Sequence[str]) -> str:
    """Returns an id, which may be a number; an empty text if there is none."""
    value_id = first_of(value, names)
    return str(value_id) if isinstance(value_id, str | int) and value_id else ""


def _span(value: dict[str, Any], where: str, owner: str, logs: Logs) -> Span:
    attributes = _attributes(value.get("attributes"), where)
    columns = {key.removeprefix("attributes."): each for key, each in value.items()
               if key.startswith("attributes.")}  # fmt: skip
    facts = Facts({**attributes, **columns})
    context = first_of(value, CONTEXTS)
    parent = first_of(value, ("parent", "parentSpanContext"))
    ids = {**(context if isinstance(context, dict) else {}), **value}
    trace, own = _id(ids, TRACES) or "trace", _id(ids, IDS)
    own_events = decoded(value.get("events") or [])
    own_events = own_events if isinstance(own_events, list) else []
    events = _events([*own_events, *logs.get((trace, own), ())], facts, where)
    name = str(first_of(value, ("name", "span_name")) or "span")
    kind = kind_of(facts, name)
    kind = "agent" if kind == "other" and _text(value, "span_kind") == "AGENT" else kind
    agent = agent_of(facts, kind, name)
    resource = value.get("resource")
    if isinstance(resource, dict):
        inner = resource.get("attributes")
        owner = owner or _service(inner if isinstance(inner, dict) else resource)
    is_tool = kind in ("tool", "guardrail")
    arguments, results = (ARGUMENTS, RESULTS) if is_tool else (INPUTS, OUTPUTS)
    output = _signed(facts.first(results)) if not is_tool else facts.first(results)
    agent = agent or (role_in(output) if kind == "agent" else "")
    calls = facts.get(("ai.response.toolCalls",))
    return Span(
        id=own,
        trace=unquoted(facts.text(("mlflow.traceRequestId",))) or trace,
        parent=_id(value, PARENTS) or _id(parent if isinstance(parent, dict) else {}, IDS),
        kind=kind,
        name=name if agent or kind not in ("agent", "declared") else name_of(name),
        agent=agent,
        owner=owner or _text(value, "service_name"),
        tool=_tool(facts, name) if is_tool else "",
        call=facts.text(CALL_IDS) if is_tool else "",
        start=_time(value, STARTS),
        end=_time(value, ENDS),
        input=_input(facts.first(arguments), events.get("input"), is_tool),
        output=calls if calls and output is None else events.get("output", output),
        tokens=facts.count(TOKENS),
        tokens_in=facts.count(TOKENS_IN),
        cost=cost_of(facts),
        error=_error(value, facts, events),
        finish=finish_of(facts),
        conversation=facts.text(("gen_ai.conversation.id",)),
        run=facts.text(SESSIONS),
        is_step=agent == "" and facts.text(("openinference.span.kind",)) != "",
        declared=_declared(facts),
        meta=_scores(value),
    )


def _time(value: Mapping[str, Any], names: Sequence[str]) -> float | None:
    """Returns a time in seconds; the unit follows from the name, or else from the size."""
    name = next((name for name in names if value.get(name) is not None), "")
    if name.casefold().endswith(("nano", "_ns")):
        exact = count(value[name])
        return None if exact is None else exact / 10**9
    moment = value.get(name)
    if isinstance(moment, list) and len(moment) == 2:  # seconds and nanoseconds
        whole, part = count(moment[0]), count(moment[1])
        return None if whole is None or part is None else whole + part / 1e9
    return seconds_of(moment)


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    return text if isinstance(text, str) else ""


def _input(value: Any, messages: Any, is_tool: bool) -> Any:
    """Returns what a span read: its messages, or the arguments of a tool without a wrapping."""
    if not is_tool:
        return value if messages is None else messages
    inner = decoded(value)
    if isinstance(inner, dict) and isinstance(inner.get("inputs"), dict):
        return inner["inputs"]
    return messages[0].get("content") if value is None and messages else value


def _tool(facts: Facts, name: str) -> str:
    named = facts.text(TOOLS)
    return named or name.removeprefix("execute_tool ").removesuffix(".tool").strip() or "tool"


def _declared(facts: Facts) -> tuple[str, ...]:
    """Returns the roles of a crew."""
    crew = decoded(facts.get(("crew_agents", "crewai.crew.agents")))
    roles = [each.get("role") for each in crew if isinstance(each, dict)] \
        if isinstance(crew, list) else []  # fmt: skip
    return tuple(role.strip() for role in roles if isinstance(role, str) and role.strip())


def _scores(value: Mapping[str, Any]) -> dict[str, Json]:
    notes = value.get("annotations")
    return {"annotations": notes} if isinstance(notes, list) and notes else {}


def _events(events: Sequence[Any], facts: Facts, where: str) -> dict[str, Any]:
    """Returns what the events of a span say: its input, its output, and an exception."""
    parts: dict[str, Any] = {}
    prompt: list[Any] = []
    choices: list[Any] = []
    for event in events:
        if not isinstance(event, dict):
            continue
        inner = Facts(_attributes(event.get("attributes"), where))
        name = _text(event, "name") or inner.text(("event.name",))
        if name == "exception":
            named = inner.text(("exception.message", "exception.type"))
            parts["error"] = named or "exception"
        logged = inner.first(("gen_ai.output.messages", "gen_ai.completion"))
        if logged is not None:
            choices.append(logged)
        elif name == "gen_ai.choice":
            body = decoded(inner.first(("message", "content", "gen_ai.event.content")))
            message = (
                {"role": "assistant", "content": body} if isinstance(body, str | list) else body
            )
            choices.append({"message": message or {"role": "assistant", **inner.flat},
                            "finish_reason": inner.text(("finish_reason",))})  # fmt: skip
        elif name in _MESSAGES:
            prompt.append({"role": _MESSAGES[name], **inner.flat})
    logged = decoded(facts.get(("events",)))  # Logfire has them in an attribute
    for each in logged if isinstance(logged, list) else ():
        name = _text(each, "event.name") if isinstance(each, dict) else ""
        if name == "gen_ai.choice":
            choices.append(each)
        elif name in _MESSAGES:
            prompt.append({"role": _MESSAGES[name], **each})
    if choices:
        parts["output"] = choices if len(choices) > 1 else choices[0]
    if prompt:
        parts["input"] = prompt
    return parts


def _signed(output: Any) -> Any:
    """Returns completions with the role that older conventions leave out."""
    if isinstance(output, list) and all(
        isinstance(each, dict) and each.keys() & {"content", "tool_calls"} for each in output
    ):
        return [{"role": "assistant", **each} for each in output]
    return output


def _error(value: Mapping[str, Any], facts: Facts, events: Mapping[str, Any]) -> str:
    """Returns the error that a span ended with, or an empty text."""
    status = value.get("status")
    status = status if isinstance(status, dict) else {}
    code = first_of(status, ("code", "status_code"))
    code = first_of(value, ("status_code", "otel_status_code")) if code is None else code
    message = first_of(status, ("message", "description"))
    message = (
        first_of(value, ("status_message", "otel_status_message")) if message is None else message
    )
    is_error = code == 2 or (isinstance(code, str) and code.upper().endswith("ERROR"))
    kind = facts.text(("error.type", "error.message"))
    if not is_error and not kind:
        return ""
    return json_text(message) or str(events.get("error", "")) or kind or "error"


def _read(lines: Sequence[Line], name: str) -> Iterator[Episode | LeftOut]:
    logs: dict[tuple[str, str], list[Any]] = {}
    for line in lines:
        if isinstance(line.value, dict) and isinstance(line.value.get("resourceLogs"), list):
            for trace, span, event in _logged(line.value):
                logs.setdefault((trace, span), []).append(event)
    spans: list[Span] = []
    about: dict[str, About] = {}
    scores: list[Score] = []
    for line in lines:
        for i, value in enumerate(line.value if isinstance(line.value, list) else [line.value]):
            where = f"{line.where}, {i}" if isinstance(line.value, list) else line.where
            if is_annotation(value):
                scores += scores_in(value)
                continue
            own = list(spans_of(_object(value, where), where, logs))
            spans += own
            final = value.get("final_output")
            if final is not None and own:  # any-agent writes the answer beside the spans
                about[own[0].trace] = About(meta={"answer": final})
            info = value.get("info")
            given = info.get("assessments") if isinstance(info, dict) else None
            for each in given if isinstance(given, list) and own else ():
                scores += scores_in(each, own[0].trace)
    check_traces(lines, spans, scores)
    yield from episodes_of(spans, "otel", about, scores)


FORMAT = SessionFormat(is_span, _read, scope="folder")
