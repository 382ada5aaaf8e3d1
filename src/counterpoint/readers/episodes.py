"""Our own log of episodes, JSON lines. `encode` writes an episode as a line, `decode` reads it.

    {"schema": 1, "id", "run", "task", "agents", "tools", "success", "meta", "events": [...]}

`of_update` reads the file `episodes.jsonl` of a trainer, which has one line for each update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Required, TypedDict

import msgspec

from counterpoint.errors import LogError
from counterpoint.records import Episode, Event, Json

SCHEMA = 1
_encoder = msgspec.json.Encoder()
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
        fields: dict[str, object] = {"agent": event.agent, "kind": event.kind}
        for name in _FIELDS:
            value = getattr(event, name)
            if value or (value is not None and name in _KEPT_IF_EMPTY):
                fields[name] = value
        events.append(fields)
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
    return _encoder.encode(whole) + b"\n"


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
    events = _events(line, where)
    agents = names_field(line, "agents", where) or tuple(dict.fromkeys(e.agent for e in events))
    tools = names_field(line, "tools", where)
    success = line.get("success")
    if success is not None and (isinstance(success, bool) or not isinstance(success, int | float)):
        raise LogError(f"{where}, success: got {type(success).__name__}; wanted a number or null")
    meta = line.get("meta") or {}
    if not isinstance(meta, dict):
        raise LogError(f"{where}, meta: got {type(meta).__name__}; wanted an object")
    return Episode(
        text_field(line, "id", where),
        events,
        agents,
        tools,
        run=text_field(line, "run", where),
        task=text_field(line, "task", where),
        success=None if success is None else float(success),
        meta={"format": "counterpoint", **meta},
    )


def of_update(line: Any, where: str) -> list[Episode]:
    """Returns the episodes of one update of a trainer; an episode with a count is repeated."""
    episodes = []
    step = line.get("step")
    for i, item in enumerate(list_field(line, "episodes", where)):
        at = f"{where}, episode {i}"
        if not isinstance(item, dict):
            raise LogError(f"{at}: got {type(item).__name__}; wanted an object")
        events = _events(item, at)
        agents = tuple(dict.fromkeys(event.agent for event in events))
        task = item.get("task", "")
        task = " ".join(map(str, task)) if isinstance(task, list) else str(task)
        success, count = item.get("success"), item.get("count", 1)
        if not isinstance(count, int) or not 0 < count <= 1_000_000:
            raise LogError(f"{at}, count: got {count!r}; wanted a whole number from 1")
        success = float(success) if isinstance(success, int | float) else None
        meta = {"format": "counterpoint training"}
        episode = Episode(
            f"{step}-{i}", events, agents, run=str(step), task=task, success=success, meta=meta
        )
        episodes += [episode] * count
    return episodes


def _events(line: Any, where: str) -> tuple[Event, ...]:
    values = list_field(line, "events", where)
    return tuple(event_of(value, t, f"{where}, event {t}") for t, value in enumerate(values))


def event_of(value: Any, t: int, where: str) -> Event:
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
        return Event(
            t,
            value["agent"],
            value.get("kind", "message"),
            text,
            tuple(to),
            value.get("answer"),
            reward,
            value.get("work"),
            value.get("tokens"),
            value.get("meta") or {},
        )
    except LogError as error:
        raise LogError(f"{where}: {error}") from None


def list_field(line: Any, name: str, where: str) -> list[Any]:
    """Returns a field that must be a list."""
    value = line.get(name)
    if not isinstance(value, list):
        raise LogError(f"{where}, {name}: got {type(value).__name__}; wanted a list")
    return value


def names_field(line: Any, name: str, where: str) -> tuple[str, ...]:
    """Returns a field that must be a list of names; a missing field is empty."""
    value = line.get(name) or []
    if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
        raise LogError(f"{where}, {name}: got something else than names; wanted a list of text")
    return tuple(value)


def text_field(line: Any, name: str, where: str) -> str:
    """Returns a field that must be text; a missing field is empty."""
    value = line.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise LogError(f"{where}, {name}: got {type(value).__name__}; wanted text")
    return str(value)
