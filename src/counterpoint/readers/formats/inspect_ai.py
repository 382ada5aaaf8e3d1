"""inspect_ai: a log of samples, as JSON or as an archive of samples.

A sample has the last conversation in `messages`, and all model and tool calls in `events`. If spans
or steps of the type `agent` hold the calls, the events tell the members apart (`inspect_events`);
otherwise the messages are one member's, and the events add usage and times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from counterpoint.readers.build import Format, count, episode, finite, list_of, object_of
from counterpoint.readers.content import as_text, error_of, usage_of
from counterpoint.readers.formats.inspect_events import Calls, calls_of, resolved
from counterpoint.readers.messages import (
    MEMBERS,
    LoggedMessage,
    chat,
    outsiders,
    parse_messages,
)
from counterpoint.records import Episode, Json

IN_ORDER = (
    "The log does not say which agent wrote which message: as many messages as spans of agents "
    "are there, so each message counts for one span, in order. If they are one member, say so with "
    "a mapping: "
)
"""What is uncertain where only the order of spans names the members."""
UNKNOWN = (
    "Spans name the agents {agents}, but the log does not say which of them wrote which message. "
    "All messages count as one member, so findings about single members are not reliable. Log "
    "model events with their outputs. If there is only one member, say so with a mapping: "
    """rename = {{"assistant" = "{first}"}}."""
)
"""What is uncertain where spans name agents whose messages cannot be distinguished."""


def is_inspect(value: Any) -> bool:
    """Returns whether a value is a log with samples, a sample of an archive, or its events."""
    return isinstance(value, dict) and (
        ("samples" in value and "eval" in value)
        or {"epoch", "input", "messages"} <= set(value)
        or _has_events(value.get("events"))
    )


def _has_events(events: object) -> bool:
    """Returns whether a value is the events of a sample."""
    return isinstance(events, list) and any(
        isinstance(event, dict) and "event" in event and "working_start" in event
        for event in events[:3]
    )


def inspect(value: Any, where: str, name: str) -> list[Episode]:
    """Returns an episode for each sample; its first score is the success (C right, I wrong)."""
    samples = value.get("samples", [value])
    if samples is None:
        return []
    about = value.get("eval")
    run = as_text(about.get("run_id")) if isinstance(about, dict) else ""
    return [
        _sample(object_of(sample, f"{where}, sample {i}"), f"{where}, sample {i}", name, i, run)
        for i, sample in enumerate(list_of(samples, f"{where}, samples"))
    ]


def _sample(sample: Mapping[str, Any], at: str, name: str, number: int, run: str) -> Episode:
    """Returns a sample as an episode."""
    attached = sample.get("attachments")
    attached = attached if isinstance(attached, dict) else {}
    # the events of a sample alone, without its conversation, are a log too
    given = [] if "messages" not in sample and "events" in sample else sample.get("messages")
    values = list_of(given, f"{at}, messages")
    messages = parse_messages(resolved(values, attached), at)
    calls = calls_of(sample.get("events"), attached, f"{at}, events")
    own = f"{name}-{sample.get('id', number)}-{sample.get('epoch', 1)}"
    given = sample.get("input", "")
    given = next((m.text for m in parse_messages(given, f"{at}, input") if m.role == "user"), "") \
        if isinstance(given, list) and given else as_text(given)  # fmt: skip
    success, scores = _scores(sample.get("scores"))
    meta = _meta(sample)
    if calls.others:
        meta["other_events"] = dict(calls.others)
    ending = _ending(sample)
    if len(calls.agents) > 1 and calls.are_whole:
        calls.messages = _with_prompts(messages, calls.messages)
        fields = calls.fields()
        members = list(calls.agents)
        if any(f["agent"] == "assistant" for f in fields):  # a call outside all agents
            members.append("assistant")
        return episode(
            own, fields, "inspect_ai", outsiders(fields, members), members=members,
            run=run, task=given, success=success, meta=meta, ending=ending, scores=scores,
        )  # fmt: skip
    _add_usage(messages, calls)
    written = [message for message in messages if message.role in MEMBERS]
    doubt = ""
    if len(calls.agents) > 1 and len(calls.spans) == len(written):
        for message, agent in zip(written, calls.spans, strict=True):
            message.name = agent
        names = ", ".join(f'"{agent}" = "team"' for agent in calls.agents)
        doubt = f"{IN_ORDER}rename = {{{names}}}."
    elif len(calls.agents) > 1 and written:
        doubt = UNKNOWN.format(agents=", ".join(calls.agents), first=calls.agents[0])
    elif len(calls.agents) == 1:
        for message in written:
            message.name = message.name or calls.agents[0]
    one = chat(messages, own, "inspect_ai", task=given, success=success, meta=meta, run=run,
               ending=ending, scores=scores)  # fmt: skip
    silent = tuple(agent for agent in calls.agents if agent not in (*one.agents, *one.tools))
    doubts = (doubt,) if doubt else one.doubts
    return replace(one, agents=(*one.agents, *silent), doubts=doubts)


def _key(message: LoggedMessage) -> tuple[object, ...]:
    """Returns what the message of a model call and the same in the conversation share."""
    if message.role == "tool":
        return "tool", message.call_id
    return message.text, tuple([call.id for call in message.calls])


def _with_prompts(messages: list[LoggedMessage], made: list[LoggedMessage]) -> list[LoggedMessage]:
    """Returns what models and tools said, with the prompts of people and of the system.

    A prompt stands behind what it follows in the conversation.
    """
    places = {_key(message): i for i, message in enumerate(made)}
    after: dict[int, list[LoggedMessage]] = {}
    at = -1
    for message in messages:
        if message.role in (*MEMBERS, "tool"):
            at = places.get(_key(message), at)
        else:
            after.setdefault(at, []).append(message)
    whole = list(after.get(-1, []))
    for i, message in enumerate(made):
        whole += [message, *after.get(i, [])]
    return whole


def _add_usage(messages: list[LoggedMessage], calls: Calls) -> None:
    """Adds the usage, time and stop reason of each model call to the message it made.

    A message is found by its text and calls of tools. The same again, as in a retry, is taken in
    order.
    """
    made: dict[tuple[object, ...], list[LoggedMessage]] = {}
    for call in calls.messages:
        if call.role in MEMBERS:
            made.setdefault(_key(call), []).append(call)
    for message in messages:
        if message.role in MEMBERS and (known := made.get(_key(message))):
            first = known.pop(0)
            message.facts = {**(first.facts or {}), **(message.facts or {})}
    results = {m.call_id: m for m in calls.messages if m.role == "tool" and m.call_id}
    for message in messages:
        if message.role == "tool" and (known_one := results.get(message.call_id)):
            message.facts = {**(known_one.facts or {}), **(message.facts or {})}


_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}


def _number(score: Any) -> float | None:
    value = score.get("value") if isinstance(score, dict) else score
    if isinstance(value, bool):
        return float(value)
    return _GRADES.get(value) if isinstance(value, str) else finite(value)


def _scores(scores: Any) -> tuple[float | None, dict[str, float]]:
    """Returns the first score as the success, and all scores; parts of a score have its name."""
    named: dict[str, float] = {}
    if not isinstance(scores, dict):
        return None, named
    for name, score in scores.items():
        value = score.get("value") if isinstance(score, dict) else score
        parts = {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {
            name: score
        }  # fmt: skip
        for key, part in parts.items():
            if (number := _number(part)) is not None:
                named[str(key)] = number
    first = _number(next(iter(scores.values()), None))
    return first, named


def _ending(sample: Mapping[str, Any]) -> str:
    """Returns how a sample ended: its error, its limit, or the last stop reason."""
    if error := error_of(sample.get("error")):
        return f"error: {error}"
    limit = sample.get("limit")
    if isinstance(limit, dict):
        return f"limit: {as_text(limit.get('type'))} {as_text(limit.get('limit'))}".rstrip()
    output = sample.get("output")
    choices = output.get("choices") if isinstance(output, dict) else None
    last = choices[0] if isinstance(choices, list) and choices else None
    return as_text(last.get("stop_reason")) if isinstance(last, dict) else ""


def _meta(sample: Mapping[str, Any]) -> dict[str, Json]:
    """Returns the right answer, the usage by model, the times and the retries of a sample."""
    meta: dict[str, Json] = {"gold": sample.get("target")}
    for key in ("total_time", "working_time"):
        if (seconds := finite(sample.get(key))) is not None:
            meta[key] = seconds
    models = sample.get("model_usage")
    usage: dict[str, Json] = {}
    for model, each in (models if isinstance(models, dict) else {}).items():
        one = usage_of(each)
        usage[str(model)] = {"tokens": one.tokens, "tokens_in": one.tokens_in}
    if usage:
        meta["model_usage"] = usage
    retries = sample.get("error_retries")
    if isinstance(retries, list) and retries:
        meta["error_retries"] = len(retries)
    if (turns := count(sample.get("turns"))) is not None:
        meta["turns"] = turns
    return meta


FORMAT = Format(is_inspect, inspect)
