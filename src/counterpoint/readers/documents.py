"""Foreign logs that are one JSON value: a format is recognized by its content.

Start with `FORMATS`. Order matters: the first format that fits reads. A reader is strict: what
looks like its format and is not is an error that names the place. A package of your own adds a
format by a line in the group `counterpoint.readers` of its entry points.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from counterpoint.errors import LogError
from counterpoint.plugins import Registry
from counterpoint.readers.episodes import decode, listed, of_update
from counterpoint.readers.langgraph import is_langgraph, is_updates, langgraph, updates
from counterpoint.readers.mapping import split
from counterpoint.readers.messages import chat
from counterpoint.records import Episode, Event

Reader = Callable[[Any, str, str], list[Episode]]
"""A value, its place in words for errors, and the id of what it becomes, to episodes."""


class Format(NamedTuple):
    """A format of logs."""

    fits: Callable[[Any], bool]
    """Whether a JSON value, of any kind, looks like it."""
    read: Reader
    """Reads a value that fits; raises a LogError that names the place where it is broken."""


def episode(
    name: str,
    told: Sequence[Mapping[str, Any]],
    kind: str,
    outside: Sequence[str] = (),
    **more: Any,
) -> Episode:
    """An episode of events that are told without their place; speakers told apart by the rules."""
    events = tuple(Event(t=t, **each) for t, each in enumerate(told))
    speakers = tuple(dict.fromkeys(event.agent for event in events))
    agents, tools = split(speakers, outside)
    meta = {"format": kind, **more.pop("meta", {})}
    return Episode(name, events, agents, tools, meta=meta, **more)


# Who&When: history of a failed run, with people's labels

_ROLE = re.compile(r"([^()]++)\(([^)]*+)\)")


def is_who_and_when(value: Any) -> bool:
    """Has a history and a question."""
    return isinstance(value, dict) and "history" in value and "question" in value


def who_and_when(value: Any, where: str, name: str) -> list[Episode]:
    """Both kinds: the speaker is `name`, or stands in `role`, as `Orchestrator (-> WebSurfer)`."""
    told: list[dict[str, Any]] = []
    for i, message in enumerate(listed(value, "history", where)):
        at = f"{where}, history {i}"
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise LogError(f"{at}: got no content; wanted an object with role and content")
        who = message.get("name") or message.get("role")
        if not isinstance(who, str):
            raise LogError(f"{at}: got neither name nor role; wanted one")
        event: dict[str, Any] = {"agent": who, "kind": "message", "text": message["content"]}
        if found := _ROLE.fullmatch(who):
            event["agent"] = found[1].rstrip() or found[1]
            to = found[2].removeprefix("->").strip()
            if found[2].startswith("->") and to:
                event["to"] = (to,)
            else:
                event["meta"] = {"note": found[2]}
        told.append(event)
    right = value.get("is_correct", value.get("is_corrected"))
    labels = {
        k: value[k] for k in ("mistake_agent", "mistake_step", "mistake_reason") if k in value
    }
    meta = {"labels": labels, "gold": value.get("ground_truth"), "level": value.get("level")}
    success = None if right is None else float(bool(right))
    outside = ("Computer_terminal", "ComputerTerminal", "human")
    return [episode(name, told, "who_and_when", outside, task=str(value["question"]),
                    success=success, meta=meta)]  # fmt: skip


# inspect_ai: a log of samples


def is_inspect(value: Any) -> bool:
    """Has samples and what was evaluated; or is one sample of an archive."""
    return isinstance(value, dict) and (
        ("samples" in value and "eval" in value) or {"epoch", "input", "messages"} <= set(value)
    )


def inspect(value: Any, where: str, name: str) -> list[Episode]:
    """A sample an episode; success is its first score, C and I for right and wrong."""
    samples = value.get("samples", [value])
    if samples is None:
        return []
    if not isinstance(samples, list):
        raise LogError(f"{where}, samples: got {type(samples).__name__}; wanted a list")
    found = []
    for i, sample in enumerate(samples):
        at = f"{where}, sample {i}"
        if not isinstance(sample, dict):
            raise LogError(f"{at}: got {type(sample).__name__}; wanted an object")
        messages = listed(sample, "messages", at)
        given = sample.get("input", "")
        task = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        own = f"{name}-{sample.get('id', i)}-{sample.get('epoch', 1)}"
        found.append(chat(messages, at, own, "inspect_ai", task=task, success=_score(sample),
                           meta={"gold": sample.get("target")}))  # fmt: skip
    return found


_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}


def _score(sample: Mapping[str, Any]) -> float | None:
    scores = sample.get("scores") or {}
    if isinstance(scores, dict) and scores:
        first = next(iter(scores.values()))
        value = first.get("value") if isinstance(first, dict) else first
        if isinstance(value, str):
            return _GRADES.get(value)
        return finite(value)
    return None


def finite(value: Any) -> float | None:
    """A number as one; None for anything else, NaN and infinity included."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


# AutoGen: messages with a source


def is_autogen(value: Any) -> bool:
    """Messages, or an object with them, that say their source."""
    messages = value.get("messages") if isinstance(value, dict) else value
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(isinstance(m, dict) and "source" in m and "content" in m for m in messages[:3])
    )


def autogen(value: Any, where: str, name: str) -> list[Episode]:
    """Texts are messages, requests of tools actions, their results messages of the tool."""
    messages = value["messages"] if isinstance(value, dict) else value
    told: list[dict[str, Any]] = []
    for i, message in enumerate(messages):
        at = f"{where}, message {i}"
        if not isinstance(message, dict) or not isinstance(message.get("source"), str):
            raise LogError(f"{at}: got no source; wanted source, content and type")
        who, content = message["source"], message.get("content")
        usage = message.get("models_usage") or {}
        tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
        is_count = isinstance(tokens, int) and not isinstance(tokens, bool)
        base: dict[str, Any] = {"tokens": tokens} if is_count else {}
        if target := message.get("target"):
            base["to"] = (str(target),)
        if isinstance(content, str):
            told.append({"agent": who, "kind": "message", "text": content, **base})
        elif isinstance(content, list):
            told += [_autogen_part(part, who, base, at) for part in content]
        else:
            raise LogError(f"{at}, content: got {type(content).__name__}; wanted text or a list")
    stop = value.get("stop_reason") if isinstance(value, dict) else None
    return [episode(name, told, "autogen", meta={"stop_reason": stop} if stop else {})]


def _autogen_part(part: Any, who: str, base: dict[str, Any], at: str) -> dict[str, Any]:
    if isinstance(part, str):
        return {"agent": who, "kind": "message", "text": part, **base}
    if isinstance(part, dict) and "arguments" in part:
        arguments = part["arguments"]
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return {"agent": who, "kind": "action", "text": text, **base,
                "meta": {"name": str(part.get("name", "tool"))}}  # fmt: skip
    if isinstance(part, dict) and "content" in part:
        return {"agent": "tool", "kind": "message", "text": str(part["content"]),
                "meta": {"name": str(part.get("name", "tool"))}}  # fmt: skip
    if isinstance(part, dict):
        return {"agent": who, "kind": "message", "text": json.dumps(part), **base}
    raise LogError(f"{at}, content: got a part that is {type(part).__name__}")


# CrewAI: what came of each task


def is_crewai(value: Any) -> bool:
    """The output of a crew, or its log of tasks."""
    tasks = value.get("tasks_output") if isinstance(value, dict) else value
    return (
        isinstance(tasks, list)
        and bool(tasks)
        and all(
            isinstance(t, dict) and "agent" in t and ("raw" in t or "output" in t) for t in tasks
        )
    )


def crewai(value: Any, where: str, name: str) -> list[Episode]:
    """A task is an answer of its agent; what it was asked is kept beside it."""
    tasks = value["tasks_output"] if isinstance(value, dict) else value
    told, first = list[dict[str, Any]](), ""
    for i, task in enumerate(tasks):
        output = task.get("raw", task.get("output"))
        if not isinstance(task["agent"], str):
            raise LogError(f"{where}, task {i}, agent: got {type(task['agent']).__name__}")
        asked = str(task.get("description", task.get("task", "")))
        first = first or asked
        told.append({"agent": task["agent"].strip(), "kind": "message", "text": str(output or ""),
                     "meta": {"asked": asked}})  # fmt: skip
    return [episode(name, told, "crewai", task=first)]


# MAST: a trace as one text, with people's labels


def is_mast(value: Any) -> bool:
    """A row of the MAST data."""
    return isinstance(value, dict) and "mas_name" in value and "trace" in value


def mast(value: Any, where: str, name: str) -> list[Episode]:
    """One event with the whole trace: who speaks in it differs by system and is not told apart."""
    trace = value["trace"]
    inner = trace.get("trajectory") if isinstance(trace, dict) else trace
    if not isinstance(inner, str):
        raise LogError(f"{where}, trace: got {type(inner).__name__}; wanted text")
    labels = value.get("mast_annotation") or {}
    told = [{"agent": str(value["mas_name"]), "kind": "message", "text": inner}]
    return [episode(name, told, "mast", meta={"labels": labels})]


# OpenAI: a conversation


def is_openai(value: Any) -> bool:
    """Messages with roles, or an object with them."""
    messages = value.get("messages") if isinstance(value, dict) else value
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages[:3])
    )


def openai(value: Any, where: str, name: str) -> list[Episode]:
    """A conversation; an object may also have `id`, `task` and `success` (or `score`)."""
    more: dict[str, Any] = {}
    if isinstance(value, dict):
        name = str(value.get("id", name))
        more["success"] = finite(value.get("success", value.get("score")))
        more["task"] = str(value.get("task", ""))
        value = value["messages"]
    return [chat(value, where, name, "openai", **more)]


def is_own(value: Any) -> bool:
    """An episode of ours."""
    return isinstance(value, dict) and "schema" in value and "events" in value


def is_update(value: Any) -> bool:
    """A line of a trainer's episodes.jsonl."""
    return isinstance(value, dict) and "step" in value and "episodes" in value


FORMATS = Registry[Format](
    "counterpoint.readers",
    {
        "counterpoint": Format(is_own, lambda value, where, name: [decode(value, where)]),
        "counterpoint training": Format(
            is_update, lambda value, where, name: of_update(value, where)
        ),
        "who_and_when": Format(is_who_and_when, who_and_when),
        "inspect_ai": Format(is_inspect, inspect),
        "mast": Format(is_mast, mast),
        "autogen": Format(is_autogen, autogen),
        "langgraph": Format(is_langgraph, langgraph),
        "langgraph updates": Format(is_updates, updates),
        "crewai": Format(is_crewai, crewai),
        "openai": Format(is_openai, openai),
    },
    "a counterpoint.readers.Format that is not called otel",  # spans are collected over lines
    lambda name, part: isinstance(part, Format) and name != "otel",
)
"""Name to format: those of plug-ins stand behind ours, and read what none of ours fits."""


def format_of(value: Any) -> str | None:
    """Returns the name of the first format that fits; None if none does."""
    return next((name for name, each in FORMATS.items() if each.fits(value)), None)
