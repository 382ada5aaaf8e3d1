"""Calls of a model, one a line: the request and the response, or the response alone.

Responses are OpenAI's (`choices`, or `output` of the responses API) or Anthropic's. A request
repeats the conversation so far, so each message counts once: a call whose request starts with an
earlier call's whole conversation goes on with it. Calls with the same `conversation_id`,
`session_id`, `thread_id` or `trace_id` are one episode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import Line, SessionFormat, seconds_of
from counterpoint.readers.content import error_of
from counterpoint.readers.formats.openai_chat import system_of
from counterpoint.readers.messages import (
    UNNAMED,
    Facts,
    LoggedMessage,
    chat,
    facts_of,
    parse_message,
    parse_messages,
)
from counterpoint.records import Episode

RESPONSES = ("response", "output", "completion", "result")
REQUESTS = ("request", "input", "kwargs", "body", "params")
CONVERSATIONS = ("conversation_id", "session_id", "thread_id", "trace_id")
AGENTS = ("agent", "agent_name", "agent_id")


def response_in(value: Any) -> Mapping[str, Any] | None:
    """Returns the response of a model in a line, or None."""
    if not isinstance(value, dict):
        return None
    inner = [value.get(name) for name in RESPONSES]
    inner += [each.get("body") for each in inner if isinstance(each, dict)]
    return next((each for each in (*inner, value) if _is_response(each)), None)


def _is_response(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    choices = value.get("choices")
    if isinstance(choices, list) and choices:
        return isinstance(choices[0], dict) and isinstance(choices[0].get("message"), dict)
    if isinstance(value.get("output"), list):
        return value.get("object") == "response"
    return value.get("type") == "message" and isinstance(value.get("content"), list) and (
        value.get("role") == "assistant" and "stop_reason" in value
    )  # fmt: skip


@dataclass
class _Call:
    """One call of a model."""

    key: str
    """The conversation that the line names; empty if it names none."""
    id: str
    previous: str
    """The id of the response that this one goes on from."""
    request: list[LoggedMessage]
    reply: list[LoggedMessage]
    ending: str


@dataclass
class _Talk:
    """A conversation: all of its messages in order."""

    name: str
    messages: list[LoggedMessage] = field(default_factory=list)
    ending: str = ""
    starts: int = 0
    """The number of its calls that go on with no earlier one."""


def _call(line: Line) -> _Call:
    value, where = line.value, line.where
    response = response_in(value)
    if response is None:
        raise LogError(f"{where}: got no response; wanted a call of a model")
    request = next((value[name] for name in REQUESTS if isinstance(value.get(name), dict)), None)
    request = {} if request is None and value is response else request or value
    about = value.get("metadata")
    sources = [value, about if isinstance(about, dict) else {}]
    agent = next((s[n] for s in sources for n in AGENTS if isinstance(s.get(n), str)), "")
    key = next((s[n] for s in sources for n in CONVERSATIONS if isinstance(s.get(n), str)), "")
    prompt = request.get("messages", request.get("input"))
    if isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    if isinstance(value.get("input"), list) and not prompt:
        prompt = value["input"]
    messages = system_of(request, where)
    messages += parse_messages(prompt, f"{where}, request") if isinstance(prompt, list) else []
    reply, ending = _reply(response, where)
    facts: Facts = facts_of({"timestamp": value.get("timestamp", value.get("created_at")),
                             **response})  # fmt: skip
    if (seconds := seconds_of(value.get("duration"))) is not None:
        facts["duration"] = seconds
    if reply:
        reply[0].facts = {**facts, **(reply[0].facts or {})}
    for message in reply if agent else ():
        message.name = agent
    return _Call(key, str(response.get("id") or ""), str(response.get("previous_response_id")
                 or ""), messages, reply, ending)  # fmt: skip


def _reply(response: Mapping[str, Any], where: str) -> tuple[list[LoggedMessage], str]:
    """Returns the messages of a response, and why the model stopped."""
    at = f"{where}, response"
    if isinstance(choices := response.get("choices"), list):
        first = choices[0]
        return [parse_message(first, at)], str(first.get("finish_reason") or "")
    if isinstance(items := response.get("output"), list):
        cut = response.get("incomplete_details")
        reason = cut.get("reason") if isinstance(cut, dict) else None
        ending = str(reason or error_of(response.get("error")) or response.get("status") or "")
        replies = parse_messages(items, at)
        if replies and ending != "completed":
            replies[0].facts = {**(replies[0].facts or {}), "finish": ending}
        return replies, ending
    message = {k: v for k, v in response.items() if k not in ("usage", "type", "id")}
    return [parse_message(message, at)], str(response.get("stop_reason") or "")


def _print_of(message: LoggedMessage) -> tuple[object, ...]:
    """Returns what is the same when a later request repeats a message."""
    calls = tuple([(call.id, call.name) for call in message.calls])
    results = tuple([(each.call_id, each.text) for each in message.results])
    return message.role, message.text, calls, results


def read(lines: Sequence[Line], name: str) -> Iterator[Episode]:
    """Yields an episode for each conversation."""
    talks: list[_Talk] = []
    keyed: dict[str, _Talk] = {}
    ends: dict[tuple[str, int], _Talk] = {}
    for line in lines:
        call = _call(line)
        # the running hash of the request, message by message: its longest start that is the end
        # of an earlier call's conversation was there before
        running, old, known = [0], 0, None
        for message in call.request:
            running.append(hash((running[-1], _print_of(message))))
        for i in range(len(running) - 1, 0, -1):
            if (known := ends.get((call.key, running[i]))) is not None:
                old = i
                break
        if known is None and call.previous:
            known = ends.get((call.previous, 0))
        talk = known or (keyed.get(call.key) if call.key else None)
        if talk is None:
            own = call.key or (f"{name}-{line.number}" if line.number else name)
            talk = _Talk(own)
            talks.append(talk)
            if call.key:
                keyed[call.key] = talk
        talk.starts += known is None
        fresh = call.request[old:]
        talk.messages += [*fresh, *call.reply]
        talk.ending = call.ending
        end = running[-1]
        for message in call.reply:
            end = hash((end, _print_of(message)))
        ends[call.key, end] = talk
        if call.id:
            ends[call.id, 0] = talk
    for talk in talks:
        one = chat(talk.messages, talk.name, "model calls", ending=talk.ending)
        if talk.starts > 1 and any(message.is_unnamed for message in talk.messages):
            one = replace(one, doubts=(UNNAMED,))
        yield one


FORMAT = SessionFormat(lambda value: response_in(value) is not None, read)
