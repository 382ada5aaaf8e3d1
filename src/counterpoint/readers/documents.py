"""Foreign logs that are one JSON value: a format is recognized by its content.

Start with `FORMATS`. Order matters: the first format that fits reads the value. A reader is strict:
a value that looks like its format and is broken gives an error that names the place. A package of
your own adds a format by a line in the group `counterpoint.readers` of its entry points.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from counterpoint.errors import LogError
from counterpoint.plugins import Registry
from counterpoint.readers.episodes import EventFields, decode, list_of, object_of, of_update
from counterpoint.readers.messages import (
    chat,
    is_langgraph,
    is_updates,
    langgraph,
    messages_in,
    parse_messages,
    updates,
)
from counterpoint.records import Episode, Event, Json

OUTSIDE = re.compile(
    r"^(user|human|system|developer|tool|function|environment|observation|computer[_ ]?terminal"
    r"|terminal|shell|code[_ ]?executor|executor|user[_ ]?proxy|admin|chat[_ ]?manager|router)$",
    re.IGNORECASE,
)
"""Names of tools, people or parts of a framework, which are not members of a team."""
Reader = Callable[[Any, str, str], list[Episode]]
"""Makes episodes of a value, its place in words for errors, and an id for the episodes."""


class Format(NamedTuple):
    """A format of logs."""

    fits: Callable[[Any], bool]
    """Returns whether a JSON value, of any kind, looks like this format."""
    read: Reader
    """Reads a value that fits; raises a LogError that names the place if it is broken."""


def episode(
    name: str,
    fields: Sequence[EventFields],
    kind: str,
    outside: Sequence[str] = (),
    *,
    run: str = "",
    task: str = "",
    success: float | None = None,
    meta: Mapping[str, Json] | None = None,
) -> Episode:
    """Returns an episode: it numbers the events, and separates members from tools by the rules.

    Args:
        name: the id of the episode.
        fields: the fields of each event, in order.
        kind: the name of the log's format.
        outside: speakers whom the format itself does not count as members.
        run, task, success, meta: as `Episode` has them.
    """
    events = tuple(Event(t=t, **each) for t, each in enumerate(fields))
    names = dict.fromkeys(event.agent for event in events)
    agents = tuple(name for name in names if name not in outside and not OUTSIDE.match(name))
    tools = tuple(name for name in names if name not in agents)
    meta = {"format": kind, **(meta or {})}
    return Episode(name, events, agents, tools, run=run, task=task, success=success, meta=meta)


# Who&When: history of a failed run, with people's labels

_ROLE = re.compile(r"([^()]++)\(([^)]*+)\)")


def who_and_when(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode; `name` or `role` has the speaker: `Orchestrator (-> WebSurfer)`."""
    events: list[EventFields] = []
    for i, message in enumerate(list_of(value.get("history"), f"{where}, history")):
        at = f"{where}, history {i}"
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise LogError(f"{at}: got no content; wanted an object with role and content")
        who = message.get("name") or message.get("role")
        if not isinstance(who, str):
            raise LogError(f"{at}: got neither name nor role; wanted one")
        event: EventFields = {"agent": who, "kind": "message", "text": message["content"]}
        if match := _ROLE.fullmatch(who):
            event["agent"] = match[1].rstrip() or match[1]
            to = match[2].removeprefix("->").strip()
            if match[2].startswith("->") and to:
                event["to"] = (to,)
            else:
                event["meta"] = {"note": match[2]}
        events.append(event)
    right = value.get("is_correct", value.get("is_corrected"))
    reasons = ("mistake_agent", "mistake_step", "mistake_reason")
    labels = {name: value[name] for name in reasons if name in value}
    meta = {"labels": labels, "gold": value.get("ground_truth"), "level": value.get("level")}
    success = None if right is None else float(bool(right))
    outside = ("Computer_terminal", "ComputerTerminal", "human")
    return [episode(name, events, "who_and_when", outside, task=str(value["question"]),
                    success=success, meta=meta)]  # fmt: skip


# inspect_ai: a log of samples


def is_inspect(value: Any) -> bool:
    """Returns whether a value is a log with samples, or one sample of an archive."""
    return isinstance(value, dict) and (
        ("samples" in value and "eval" in value) or {"epoch", "input", "messages"} <= set(value)
    )


def inspect(value: Any, where: str, name: str) -> list[Episode]:
    """Returns an episode for each sample; its first score is the success (C right, I wrong)."""
    samples = value.get("samples", [value])
    if samples is None:
        return []
    episodes = []
    for i, sample in enumerate(list_of(samples, f"{where}, samples")):
        at = f"{where}, sample {i}"
        values = list_of(object_of(sample, at).get("messages"), f"{at}, messages")
        messages = parse_messages(values, at)
        given = sample.get("input", "")
        task = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        own = f"{name}-{sample.get('id', i)}-{sample.get('epoch', 1)}"
        success, meta = _score(sample.get("scores")), {"gold": sample.get("target")}
        episodes.append(chat(messages, own, "inspect_ai", task=task, success=success, meta=meta))
    return episodes


_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}


def _score(scores: Any) -> float | None:
    first = next(iter(scores.values()), None) if isinstance(scores, dict) else None
    value = first.get("value") if isinstance(first, dict) else first
    return _GRADES.get(value) if isinstance(value, str) else _finite(value)


def _finite(value: Any) -> float | None:
    """Returns a finite number; None for anything else."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


# AutoGen: messages with a source


def is_autogen(value: Any) -> bool:
    """Returns whether a value is messages with a source, or an object with such messages."""
    first = messages_in(value)[:3]
    return first != [] and all(
        isinstance(m, dict) and {"source", "content"} <= set(m) for m in first
    )


def autogen(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode: texts and results of tools are messages, calls are actions."""
    events: list[EventFields] = []
    for i, message in enumerate(messages_in(value)):
        at = f"{where}, message {i}"
        if not isinstance(message, dict) or not isinstance(message.get("source"), str):
            raise LogError(f"{at}: got no source; wanted source, content and type")
        who, content = message["source"], message.get("content")
        usage = message.get("models_usage") or {}
        tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
        base: EventFields = {"agent": who, "kind": "message"}
        if isinstance(tokens, int) and not isinstance(tokens, bool):
            base["tokens"] = tokens
        if target := message.get("target"):
            base["to"] = (str(target),)
        if isinstance(content, str):
            events.append({**base, "text": content})
        elif isinstance(content, list):
            events += [_autogen_part(part, base, at) for part in content]
        else:
            raise LogError(f"{at}, content: got {type(content).__name__}; wanted text or a list")
    stop = value.get("stop_reason") if isinstance(value, dict) else None
    return [episode(name, events, "autogen", meta={"stop_reason": stop} if stop else {})]


def _autogen_part(part: Any, base: EventFields, at: str) -> EventFields:
    if isinstance(part, str):
        return {**base, "text": part}
    if not isinstance(part, dict):
        raise LogError(f"{at}, content: got a part that is {type(part).__name__}")
    meta = {"name": str(part.get("name", "tool"))}
    if "arguments" in part:
        arguments = part["arguments"]
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return {**base, "kind": "action", "text": text, "meta": meta}
    if "content" in part:
        return {"agent": "tool", "kind": "message", "text": str(part["content"]), "meta": meta}
    return {**base, "text": json.dumps(part)}


# CrewAI: the result of each task


def is_crewai(value: Any) -> bool:
    """Returns whether a value is the output of a crew, or its log of tasks."""
    tasks = value.get("tasks_output") if isinstance(value, dict) else value
    tasks = tasks if isinstance(tasks, list) else []
    return tasks != [] and all(
        isinstance(t, dict) and "agent" in t and ("raw" in t or "output" in t) for t in tasks
    )


def crewai(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode; each task is a message of its agent, with the request in `meta`."""
    tasks = value["tasks_output"] if isinstance(value, dict) else value
    events, first = list[EventFields](), ""
    for i, task in enumerate(tasks):
        output = task.get("raw", task.get("output"))
        if not isinstance(task["agent"], str):
            raise LogError(f"{where}, task {i}, agent: got {type(task['agent']).__name__}")
        request = str(task.get("description", task.get("task", "")))
        first = first or request
        events.append({"agent": task["agent"].strip(), "kind": "message",
                       "text": str(output or ""), "meta": {"asked": request}})  # fmt: skip
    return [episode(name, events, "crewai", task=first)]


# MAST: a trace as one text, with people's labels


def mast(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one event with the whole trace: each system marks its speakers in its own way."""
    trace = value["trace"]
    inner = trace.get("trajectory") if isinstance(trace, dict) else trace
    if not isinstance(inner, str):
        raise LogError(f"{where}, trace: got {type(inner).__name__}; wanted text")
    labels = value.get("mast_annotation") or {}
    event: EventFields = {"agent": str(value["mas_name"]), "kind": "message", "text": inner}
    return [episode(name, [event], "mast", meta={"labels": labels})]


# OpenAI: a conversation


def is_openai(value: Any) -> bool:
    """Returns whether a value is messages with roles, or an object with such messages."""
    first = messages_in(value)[:3]
    return first != [] and all(
        isinstance(m, dict) and isinstance(m.get("role"), str) for m in first
    )


def openai(value: Any, where: str, name: str) -> list[Episode]:
    """Returns a conversation; an object may also have `id`, `task`, `success` (or `score`)."""
    about = value if isinstance(value, dict) else {}
    messages = parse_messages(messages_in(value), where)
    name, task = str(about.get("id", name)), str(about.get("task", ""))
    success = _finite(about.get("success", about.get("score")))
    return [chat(messages, name, "openai", task=task, success=success)]


FORMATS = Registry[Format](
    "counterpoint.readers",
    {
        "counterpoint": Format(
            lambda value: isinstance(value, dict) and "schema" in value and "events" in value,
            lambda value, where, name: [decode(value, where)],
        ),
        "counterpoint training": Format(
            lambda value: isinstance(value, dict) and "step" in value and "episodes" in value,
            lambda value, where, name: of_update(value, where),
        ),
        "who_and_when": Format(
            lambda value: isinstance(value, dict) and "history" in value and "question" in value,
            who_and_when,
        ),
        "inspect_ai": Format(is_inspect, inspect),
        "mast": Format(
            lambda value: isinstance(value, dict) and "mas_name" in value and "trace" in value, mast
        ),
        "autogen": Format(is_autogen, autogen),
        "langgraph": Format(is_langgraph, langgraph),
        "langgraph updates": Format(is_updates, updates),
        "crewai": Format(is_crewai, crewai),
        "openai": Format(is_openai, openai),
    },
    "a counterpoint.readers.Format that is not called otel",  # spans are collected over lines
    lambda name, part: isinstance(part, Format) and name != "otel",
)
"""Name to format. Formats of plug-ins come last, and read values that none of ours fits."""


def format_of(value: Any) -> str | None:
    """Returns the name of the first format that fits; None if none does."""
    return next((name for name, each in FORMATS.items() if each.fits(value)), None)
