"""inspect_ai: the calls in a sample's events, with the agent that made each.

Start with `calls_of`. An event stands in a span (`span_id`), and spans are nested. The agent of a
call is the innermost span of the type `agent`. Older logs have steps instead, which begin and end
like brackets. A tool that is itself an agent is a handoff.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from counterpoint.readers.build import EventFields, finite, list_of, object_of, seconds_of
from counterpoint.readers.content import as_text, error_of, text_of
from counterpoint.readers.messages import LoggedMessage, facts_of, fields_of, parse_message

ATTACHED = "attachment://"
SCORER = "scorer"
"""The name of whoever calls a model to grade: no member."""
SCORERS = ("scorer", "scorers")
KNOWN = ("state", "store", "sample_init", "sample_limit", "score", "error", "input")
"""Kinds of events that the sample itself has in other words."""


def resolved(value: Any, attached: Mapping[str, Any], depth: int = 0) -> Any:
    """Returns a value in which each text that refers to an attachment is that attachment."""
    if not attached or depth > 50:
        return value
    if isinstance(value, str):
        if value.startswith(ATTACHED):
            return attached.get(value.removeprefix(ATTACHED), value)
        return value
    if isinstance(value, list):
        return [resolved(each, attached, depth + 1) for each in value]
    if isinstance(value, dict):
        return {key: resolved(each, attached, depth + 1) for key, each in value.items()}
    return value


@dataclass
class _Span:
    id: str
    agent: str
    """The innermost agent that it stands in; empty if there is none."""


@dataclass
class Calls:
    """The calls of one sample, in order."""

    messages: list[LoggedMessage] = field(default_factory=list)
    """What models and tools said; the name of a model's message is that of its agent."""
    spans: list[str] = field(default_factory=list)
    """The agent of each span of an agent, in order."""
    handoffs: dict[str, str] = field(default_factory=dict)
    """The id of a call to the agent that it hands over to."""
    others: Counter[str] = field(default_factory=Counter)
    """Kind of an event that is not read to the number of such events."""
    are_whole: bool = True
    """Whether every model call has an output, and an agent made one of them."""

    @property
    def agents(self) -> list[str]:
        """Returns the names of all agents, in order."""
        return list(dict.fromkeys(self.spans))

    def fields(self) -> list[EventFields]:
        """Returns the fields of the events; calls of agents become handoffs."""
        fields = fields_of(self.messages)
        for each in fields:
            agent = self.handoffs.get(each.get("call", ""))
            if agent and each["kind"] == "action":
                each["kind"], each["to"] = "handoff", (agent,)
        return fields


def calls_of(events: Any, attached: Mapping[str, Any], where: str) -> Calls:
    """Returns the calls in the events of a sample; None stands for no events."""
    calls = Calls()
    if events is None:
        return calls
    known: dict[str, _Span] = {}
    stack: list[tuple[str, str]] = []  # of steps: name and type, and the agent
    timed: list[tuple[float, int, LoggedMessage]] = []
    spoken: set[str] = set()
    _walk(list_of(events, where), where, attached, calls, known, stack, timed, spoken, "", 0)
    timed.sort(key=lambda each: each[:2])
    calls.messages = [message for _, _, message in timed]
    if not spoken & set(calls.agents):
        calls.are_whole = False
    return calls


def _walk(
    events: list[Any], where: str, attached: Mapping[str, Any], calls: Calls,
    known: dict[str, _Span], stack: list[tuple[str, str]],
    timed: list[tuple[float, int, LoggedMessage]], spoken: set[str], outer: str, depth: int,
) -> None:  # fmt: skip
    are_bracketed = not any(isinstance(e, dict) and e.get("event") == "model" and e.get("span_id")
                            for e in events)  # fmt: skip
    for i, value in enumerate(events):
        at = f"{where} {i}"
        event = object_of(value, at)
        get, kind = event.get, event.get("event")
        span = known.get(as_text(get("span_id")))
        agent = span.agent if span else (stack[-1][1] if stack else outer)
        if kind == "span_begin":
            above = known.get(as_text(get("parent_id")))
            inner = above.agent if above else agent
            if get("type") == "agent" and get("name"):
                inner = as_text(get("name"))
                calls.spans.append(inner)
            elif get("type") in SCORERS:
                inner = SCORER
            known[as_text(get("id"))] = _Span(as_text(get("id")), inner)
            if are_bracketed:  # no event names its span
                stack.append((as_text(get("id")), inner))
        elif kind == "span_end":
            if stack and stack[-1][0] == as_text(get("id")):
                stack.pop()
        elif kind == "step":
            key = f"{as_text(get('type'))} {as_text(get('name'))}"
            if get("action") == "begin":
                inner = as_text(get("name")) if get("type") == "agent" else agent
                inner = SCORER if get("type") in SCORERS else inner
                if get("type") == "agent":
                    calls.spans.append(inner)
                stack.append((key, inner))
            elif stack:
                stack.pop()
        elif kind == "model":
            message = _model(event, attached, at)
            if message is None:
                calls.are_whole = False
                continue
            message.name = agent if agent == SCORER else message.name or agent
            spoken.add(agent)
            timed.append((_time(event, timed), len(timed), message))
        elif kind not in ("tool", "subtask"):
            if kind not in KNOWN:
                calls.others[as_text(kind)] += 1
        else:
            if kind == "tool":
                message = _tool(event, attached, at)
                handed = get("agent")
                if isinstance(handed, str) and handed:
                    calls.handoffs[message.call_id] = handed
                # a result stands where its call ended, after what its agents did
                end = seconds_of(get("completed")) or _time(event, timed)
                timed.append((end, len(timed), message))
            inner_events = get("events")
            if isinstance(inner_events, list) and depth < 20:
                _walk(inner_events, f"{at}, events", attached, calls, known, list(stack), timed,
                      spoken, agent, depth + 1)  # fmt: skip


def _time(event: Mapping[str, Any], timed: list[tuple[float, int, LoggedMessage]]) -> float:
    """Returns the time of an event; without one, it stands where the event before it stands."""
    seconds = seconds_of(event.get("timestamp"))
    return seconds if seconds is not None else (timed[-1][0] if timed else 0.0)


def _model(
    event: Mapping[str, Any], attached: Mapping[str, Any], where: str
) -> LoggedMessage | None:
    """Returns what a model said; None if the event does not have it."""
    output = event.get("output")
    output = output if isinstance(output, dict) else {}
    choices = output.get("choices")
    error = error_of(event.get("error")) or error_of(output.get("error"))
    first = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(first, dict) and isinstance(first.get("message"), dict):
        message = parse_message(resolved(first["message"], attached), where)
        stop = first.get("stop_reason")
    elif error:
        message, stop = LoggedMessage("assistant", "", ""), None
    else:
        return None
    facts = facts_of({"usage": output.get("usage"), "timestamp": event.get("timestamp"),
                      "model": event.get("model"), "stop_reason": stop})  # fmt: skip
    took = finite(output.get("time")) or finite(event.get("working_time"))
    if took is not None:
        facts["duration"] = took
    if error:
        facts["error"] = error
    message.facts = {**facts, **(message.facts or {})}
    return message


def _tool(event: Mapping[str, Any], attached: Mapping[str, Any], where: str) -> LoggedMessage:
    """Returns the result of a tool."""
    given = resolved(event.get("result"), attached)
    text = text_of(given, f"{where}, result") if isinstance(given, list) else as_text(given)
    facts = facts_of({"timestamp": event.get("timestamp")})
    took = finite(event.get("working_time"))
    if took is not None:
        facts["duration"] = took
    if error := error_of(event.get("error")):
        facts["error"] = error
        text = text or error
    return LoggedMessage("tool", "", text, tool=as_text(event.get("function")) or "tool",
                         call_id=as_text(event.get("id")), facts=facts or None)  # fmt: skip
