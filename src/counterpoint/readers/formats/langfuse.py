"""Langfuse: traces with their observations, or observations a line.

A value is `{"trace", "observations"}`, a trace of the API, which has its observations inside, a
list of either, one observation, or scores of traces. Observations of the type AGENT are members; in
older traces, and in those of OpenTelemetry, the attributes in `metadata` say who is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.attributes import (
    CALL_IDS,
    RESULTS,
    TOOLS,
    Facts,
    agent_of,
    finish_of,
    kind_of,
    name_of,
    number_of,
    role_in,
    step_kind,
)
from counterpoint.readers.build import LeftOut, Line, SessionFormat, count, seconds_of
from counterpoint.readers.replies import decoded, first_of, json_text, reply_of, role_of
from counterpoint.readers.scores import Score, check_traces, is_langfuse_score, scores_in
from counterpoint.readers.spans import Kind, Span
from counterpoint.readers.traces import About, episodes_of
from counterpoint.records import Episode

KINDS: Mapping[str, Kind] = {
    "AGENT": "agent", "GENERATION": "model", "TOOL": "tool", "RETRIEVER": "tool", "SPAN": "chain",
    "CHAIN": "chain", "GUARDRAIL": "guardrail", "EMBEDDING": "other", "EVALUATOR": "other",
    "EVENT": "other",
}  # fmt: skip
"""Langfuse's type of an observation to the kind of a span."""


def is_langfuse(value: Any) -> bool:
    """Returns whether a value is a trace with observations, or an observation."""
    if isinstance(value, list):
        return value != [] and all(map(_is_part, value[:20]))
    return _is_part(value)


def _is_part(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    inside = value.get("observations")
    if isinstance(inside, list):
        return inside != [] and all(map(_is_observation, inside[:20]))
    if is_langfuse_score(value):
        return True
    return _is_observation(value) and bool(value.keys() & {"traceId", "trace_id"})


def _is_observation(value: Any) -> bool:
    kind = value.get("type") if isinstance(value, dict) else None
    return isinstance(kind, str) and kind in KINDS and bool(
        value.keys() & {"startTime", "start_time"})  # fmt: skip


def _read(lines: Sequence[Line], name: str) -> Iterator[Episode | LeftOut]:
    spans: list[Span] = []
    about: dict[str, About] = {}
    scores: list[Score] = []
    for line in lines:
        values = line.value if isinstance(line.value, list) else [line.value]
        for i, value in enumerate(values):
            where = f"{line.where}, {i}" if isinstance(line.value, list) else line.where
            if not isinstance(value, dict):
                raise LogError(f"{where}: got {type(value).__name__}; wanted an object")
            if is_langfuse_score(value):
                scores += scores_in(value)
            else:
                spans += _trace(value, where, about, scores)
    check_traces(lines, spans, scores)
    yield from episodes_of(spans, "langfuse", about, scores)


def _trace(
    value: dict[str, Any], where: str, about: dict[str, About], scores: list[Score]
) -> Iterator[Span]:
    """Yields the spans of a trace, or of one observation; adds what is known about the trace."""
    observations = value.get("observations")
    if observations is None:
        yield _span(value, "")
        return
    trace = value["trace"] if isinstance(value.get("trace"), dict) else value
    if not isinstance(observations, list):
        raise LogError(f"{where}, observations: got something else than a list")
    known = trace.get("id")
    trace_id = known if isinstance(known, str) else ""
    for i, each in enumerate(observations):
        at = f"{where}, observation {i}"
        if not isinstance(each, dict):
            raise LogError(f"{at}: got {type(each).__name__}; wanted an object")
        span = _span(each, trace_id)
        trace_id = trace_id or span.trace
        about.setdefault(span.trace, _about(trace))
        yield span
    given = first_of(trace, ("scores",)) or first_of(value, ("scores",)) or []
    if not isinstance(given, list):
        raise LogError(f"{where}, scores: got {type(given).__name__}; wanted a list")
    scores += [replace(score, place=trace_id) for row in given for score in scores_in(row)]


def _about(trace: Mapping[str, Any]) -> About:
    session = first_of(trace, ("sessionId", "session_id"))
    facts = {key: trace[key] for key in ("name", "tags", "release", "version") if trace.get(key)}
    return About(run=session if isinstance(session, str) else "", meta=facts)


def _span(value: dict[str, Any], trace: str) -> Span:
    metadata = decoded(value.get("metadata"))
    metadata = metadata if isinstance(metadata, dict) else {}
    attributes = decoded(metadata.get("attributes"))
    attributes = attributes if isinstance(attributes, dict) else {}
    rest = {key: each for key, each in metadata.items() if key != "attributes"}
    facts = Facts({**attributes, "metadata": rest})
    name = value["name"] if isinstance(value.get("name"), str) and value["name"] else "span"
    output, call, tool = value.get("output"), facts.text(CALL_IDS), facts.text(TOOLS)
    kind = _kind(str(value.get("type")), facts, name)
    returned = decoded(output)
    if kind in ("chain", "other") and role_of(returned) in ("tool", "ToolMessage"):
        kind = "tool"  # a tool of LangChain's
    if kind == "tool" and returned in (None, "", {}):
        output = facts.first(RESULTS) or output
    if kind == "tool" and role_of(returned) in ("tool", "ToolMessage"):
        results = reply_of(returned).results
        call = call or (results[0].call if results else "")
        tool = tool or (results[0].tool if results else "")
    agent = agent_of(facts, kind, name) or (role_in(output) if kind == "agent" else "")
    level, status = value.get("level"), first_of(value, ("statusMessage", "status_message"))
    failed = level == "ERROR"
    trace_id = first_of(value, ("traceId", "trace_id"))
    resource = rest.get("resourceAttributes")
    service = resource.get("service.name") if isinstance(resource, dict) else None
    is_unknown = not isinstance(service, str) or service.startswith("unknown_service")
    crew = decoded(facts.get(("crew_agents",)))
    parent = first_of(value, ("parentObservationId", "parent_observation_id"))
    cost = _cost(value)
    return Span(
        id=str(value.get("id") or ""),
        trace=trace_id if isinstance(trace_id, str) and trace_id else trace or "trace",
        parent=parent if isinstance(parent, str) else "",
        kind=kind,
        name=name if agent or kind != "agent" else name_of(name),
        agent=agent,
        owner="" if is_unknown else str(service),
        tool=(tool or name.removeprefix("execute_tool ").removeprefix("running tool: "))
        if kind in ("tool", "guardrail") else "",
        call=call,
        start=seconds_of(first_of(value, ("startTime", "start_time"))),
        end=seconds_of(first_of(value, ("endTime", "end_time"))),
        input=value.get("input"),
        output=output,
        tokens=_counted(kind, _tokens(value, "output", "completion")),
        tokens_in=_counted(kind, _tokens(value, "input", "prompt")),
        cost=None if kind != "model" and cost == 0 else cost,
        error=(json_text(status) or "error") if failed else "",
        finish=finish_of(facts),
        is_step=agent == "" and facts.text(("openinference.span.kind",)) != "",
        declared=tuple(each["role"] for each in crew if isinstance(each, dict)
                       and isinstance(each.get("role"), str))
        if isinstance(crew, list) else (),
        meta={"warning": json_text(status)} if level == "WARNING" and status else {},
    )  # fmt: skip


def _kind(named: str, facts: Facts, name: str) -> Kind:
    """Returns the kind of an observation; a plain span's may be in its attributes."""
    kind: Kind = KINDS.get(named, "other")
    if named == "SPAN":
        inner = kind_of(facts, name)
        kind = inner if inner not in ("other", "model") else "chain"
    return step_kind(name, facts, "metadata.") if kind == "chain" else kind


def _counted(kind: Kind, tokens: int | None) -> int | None:
    """Returns a count; the 0 of an observation that is no model's means that none was taken."""
    return None if kind != "model" and tokens == 0 else tokens


def _tokens(value: Mapping[str, Any], name: str, other: str) -> int | None:
    """Returns a sum of tokens; Langfuse counts cached and reasoning ones beside the others."""
    for key in ("usageDetails", "usage_details", "providedUsageDetails"):
        details = decoded(value.get(key))
        if isinstance(details, dict) and details:
            parts = [n for part, each in details.items()
                     if part.startswith(name) and (n := count(each)) is not None]  # fmt: skip
            if parts:
                return sum(parts)
    usage = decoded(value.get("usage"))
    tokens = count(usage.get(name)) if isinstance(usage, dict) else None
    if tokens is not None:
        return tokens
    return count(first_of(value, (f"{name}Usage", f"{other}Tokens", f"{other}_tokens")))


def _cost(value: Mapping[str, Any]) -> float | None:
    details = decoded(first_of(value, ("costDetails", "cost_details")))
    total = first_of(value, ("totalCost", "calculatedTotalCost", "total_cost"))
    if total is None and isinstance(details, dict):
        total = details.get("total")
    return number_of(total)


FORMAT = SessionFormat(is_langfuse, _read, scope="folder")
