"""Our own log of episodes, JSON lines. `encode` writes an episode as a line, `decode` reads it.

    {"schema": 1, "id", "run", "task", "agents", "tools", "success", "meta", "events": [...]}

`of_update` reads the file `episodes.jsonl` of a trainer, which has one line for each update.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Required, TypedDict

import msgspec

from counterpoint.errors import LogError
from counterpoint.records import Episode, Event, Json

SCHEMA = 1
_KEPT_IF_EMPTY = ("answer", "work", "tokens")
_FIELDS = ("text", "to", "answer", "reward", "work", "tokens", "meta")


class EventFields(TypedDict, total=False):
    """The fields of an `Event` without its place, as a reader of a foreign log collects them."""

    agent: Required[str]
    kind: Required[str]
    text: str
    to: tuple[str, ...]
    answer: str | None
    reward: Mapping[str, float]
    work: float | None
    tokens: int | None
    meta: Mapping[str, Json]


def encode(episode: Episode) -> bytes:
    """Returns the episode as a line, with its line end."""
    events = []
    for event in episode.events:
        each = {name: getattr(event, name) for name in _FIELDS}
        each = {k: v for k, v in each.items() if v or (v is not None and k in _KEPT_IF_EMPTY)}
        events.append({"agent": event.agent, "kind": event.kind, **each})
    whole = {
        "schema": SCHEMA,
        "id": episode.id,
        "run": episode.run,
        "task": episode.task,
        "agents": episode.agents,
        "tools": episode.tools,
        "success": episode.success,
        "meta": episode.meta,
        "events": events,
    }
    return msgspec.json.encode(whole) + b"\n"


def decode(line: Any, where: str) -> Episode:
    """Returns the episode of a line.

    Args:
        line: the JSON object of the line.
        where: file and line, for messages of errors.

    Raises:
        LogError: The line is of another schema, or a field is of a wrong type.
    """
    if line.get("schema") != SCHEMA:
        raise LogError(f"{where}, schema: got {line.get('schema')!r}; this version reads {SCHEMA}")
    events = events_in(line.get("events"), where)
    agents = _names(line, "agents", where) or tuple(dict.fromkeys(e.agent for e in events))
    tools = _names(line, "tools", where)
    success = line.get("success")
    if success is not None and (isinstance(success, bool) or not isinstance(success, int | float)):
        raise LogError(f"{where}, success: got {type(success).__name__}; wanted a number or null")
    if success is not None and not math.isfinite(success):
        raise LogError(f"{where}, success: got {success}; wanted a finite number or null")
    meta = object_of(line.get("meta") or {}, f"{where}, meta")
    name, run, task = (_text(line, field, where) for field in ("id", "run", "task"))
    success = None if success is None else float(success)
    meta = {"format": "counterpoint", **meta}
    return Episode(name, events, agents, tools, run, task, success, meta)


def of_update(line: Any, where: str) -> list[Episode]:
    """Returns the episodes of one update of a trainer; an episode with a count is repeated."""
    episodes = []
    step = line.get("step")
    for i, item in enumerate(list_of(line.get("episodes"), f"{where}, episodes")):
        at = f"{where}, episode {i}"
        events = events_in(object_of(item, at).get("events"), at)
        agents = tuple(dict.fromkeys(event.agent for event in events))
        task = item.get("task", "")
        task = " ".join(map(str, task)) if isinstance(task, list) else str(task)
        success, count = item.get("success"), item.get("count", 1)
        if not isinstance(count, int) or not 0 < count <= 1_000_000:
            raise LogError(f"{at}, count: got {count!r}; wanted a whole number from 1")
        success = float(success) if isinstance(success, int | float) else None
        meta = {"format": "counterpoint training"}
        name, run = f"{step}-{i}", str(step)
        episodes += [Episode(name, events, agents, (), run, task, success, meta)] * count
    return episodes


def events_in(values: Any, where: str) -> tuple[Event, ...]:
    """Returns the events of a list in our own format.

    Raises:
        LogError: The value is no list, or one of its events is broken; the error names the place.
    """
    events = enumerate(list_of(values, f"{where}, events"))
    return tuple(_event(value, t, f"{where}, event {t}") for t, value in events)


def _event(value: Any, t: int, where: str) -> Event:
    """Returns the event that a JSON value describes; it stands at place `t`."""
    if not isinstance(value, dict) or not isinstance(value.get("agent"), str):
        raise LogError(f'{where}: got no "agent"; wanted an object with agent, kind and text')
    to = value.get("to") or ()
    to = (to,) if isinstance(to, str) else to
    if not isinstance(to, list | tuple) or not all(isinstance(x, str) for x in to):
        raise LogError(f"{where}, to: got {type(to).__name__}; wanted names")
    text = value.get("text", "")
    if not isinstance(text, str):
        raise LogError(f"{where}, text: got {type(text).__name__}; wanted text")
    for name, kind in (("reward", dict), ("meta", dict), ("answer", str),
                       ("work", (int, float)), ("tokens", int)):  # fmt: skip
        field = value.get(name)
        if field is not None and (isinstance(field, bool) or not isinstance(field, kind)):
            raise LogError(f"{where}, {name}: got {type(field).__name__}")
    reward = value.get("reward") or {}
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in reward.values()):
        raise LogError(f"{where}, reward: got values that are no numbers; wanted names and numbers")
    try:
        return Event(t, value["agent"], value.get("kind", "message"), text, tuple(to),
                     value.get("answer"), reward, value.get("work"), value.get("tokens"),
                     value.get("meta") or {})  # fmt: skip
    except LogError as error:
        raise LogError(f"{where}: {error}") from None


def list_of(value: Any, at: str) -> list[Any]:
    """Returns a value that must be a list."""
    if not isinstance(value, list):
        raise LogError(f"{at}: got {type(value).__name__}; wanted a list")
    return value


def object_of(value: Any, at: str) -> Mapping[str, Json]:
    """Returns a value that must be an object."""
    if not isinstance(value, dict):
        raise LogError(f"{at}: got {type(value).__name__}; wanted an object")
    return value


def _names(line: Any, name: str, where: str) -> tuple[str, ...]:
    """Returns a field that must be a list of names; a missing field is empty."""
    value = line.get(name) or []
    if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
        raise LogError(f"{where}, {name}: got something else than names; wanted a list of text")
    return tuple(value)


def _text(line: Any, name: str, where: str) -> str:
    """Returns a field that must be text; a missing field is empty."""
    value = line.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise LogError(f"{where}, {name}: got {type(value).__name__}; wanted text")
    return str(value)
