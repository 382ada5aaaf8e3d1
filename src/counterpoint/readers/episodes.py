"""Our own log of episodes: JSON lines, one episode a line. `encode` writes one, `decode` reads one.

    {"schema": 1, "id", "run", "task", "agents", "tools", "success", "meta", "events": [...]}

What a trainer leaves behind, `episodes.jsonl` with a line an update, is read by `of_update`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from counterpoint.errors import LogError
from counterpoint.records import Episode, Event

SCHEMA = 1
_encoder = msgspec.json.Encoder()
_MAY_BE_NOTHING = ("answer", "work", "tokens")
_EVENT = ("text", "to", "answer", "reward", "work", "tokens", "meta")


def encode(episode: Episode) -> bytes:
    """The episode as a line, with its line end."""
    events = []
    for event in episode.events:
        told: dict[str, Any] = {"agent": event.agent, "kind": event.kind}
        for name in _EVENT:
            value = getattr(event, name)
            if value or (value is not None and name in _MAY_BE_NOTHING):
                told[name] = value
        events.append(told)
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


def decode(line: Mapping[str, Any], where: str) -> Episode:
    """The episode that a line says.

    Args:
        line: the parsed line.
        where: file and line, for messages of errors.

    Raises:
        LogError: it is of another schema, or a field is of a wrong type.
    """
    if line.get("schema") != SCHEMA:
        raise LogError(f"{where}, schema: got {line.get('schema')!r}; this version reads {SCHEMA}")
    events = tuple(
        event_of(e, t, f"{where}, event {t}") for t, e in enumerate(listed(line, "events", where))
    )
    agents = names(line, "agents", where) or tuple(dict.fromkeys(e.agent for e in events))
    tools = names(line, "tools", where)
    success = line.get("success")
    if success is not None and (isinstance(success, bool) or not isinstance(success, int | float)):
        raise LogError(f"{where}, success: got {type(success).__name__}; wanted a number or null")
    meta = line.get("meta") or {}
    if not isinstance(meta, dict):
        raise LogError(f"{where}, meta: got {type(meta).__name__}; wanted an object")
    return Episode(
        text(line, "id", where),
        events,
        agents,
        tools,
        run=text(line, "run", where),
        task=text(line, "task", where),
        success=None if success is None else float(success),
        meta={"format": "counterpoint", **meta},
    )


def of_update(line: Mapping[str, Any], where: str) -> list[Episode]:
    """The episodes of one update of a trainer, those that went alike as often as they did."""
    found = []
    step = line.get("step")
    for i, told in enumerate(listed(line, "episodes", where)):
        at = f"{where}, episode {i}"
        if not isinstance(told, dict):
            raise LogError(f"{at}: got {type(told).__name__}; wanted an object")
        events = tuple(
            event_of(e, t, f"{at}, event {t}") for t, e in enumerate(listed(told, "events", at))
        )
        agents = tuple(dict.fromkeys(event.agent for event in events))
        task = told.get("task", "")
        task = " ".join(map(str, task)) if isinstance(task, list) else str(task)
        success, count = told.get("success"), told.get("count", 1)
        if not isinstance(count, int) or not 0 < count <= 1_000_000:
            raise LogError(f"{at}, count: got {count!r}; wanted a whole number from 1")
        made = Episode(
            f"{step}-{i}", events, agents, run=str(step), task=task,
            success=float(success) if isinstance(success, int | float) else None,
            meta={"format": "counterpoint training"},
        )  # fmt: skip
        found += [made] * count
    return found


def event_of(told: Any, t: int, where: str) -> Event:
    """One event from its JSON."""
    if not isinstance(told, dict) or not isinstance(told.get("agent"), str):
        raise LogError(f'{where}: got no "agent"; wanted an object with agent, kind and text')
    to = told.get("to") or ()
    to = (to,) if isinstance(to, str) else to
    if not isinstance(to, list | tuple) or not all(isinstance(x, str) for x in to):
        raise LogError(f"{where}, to: got {type(to).__name__}; wanted names")
    said = told.get("text", "")
    if not isinstance(said, str):
        raise LogError(f"{where}, text: got {type(said).__name__}; wanted text")
    for name, kind in (("reward", dict), ("meta", dict), ("answer", str),
                       ("work", (int, float)), ("tokens", int)):  # fmt: skip
        value = told.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
            raise LogError(f"{where}, {name}: got {type(value).__name__}")
    reward = told.get("reward") or {}
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in reward.values()):
        raise LogError(f"{where}, reward: got values that are no numbers; wanted names and numbers")
    try:
        return Event(
            t,
            told["agent"],
            told.get("kind", "message"),
            said,
            tuple(to),
            told.get("answer"),
            reward,
            told.get("work"),
            told.get("tokens"),
            told.get("meta") or {},
        )
    except LogError as error:
        raise LogError(f"{where}: {error}") from None


def listed(told: Mapping[str, Any], name: str, where: str) -> list[Any]:
    """A field that is a list."""
    value = told.get(name)
    if not isinstance(value, list):
        raise LogError(f"{where}, {name}: got {type(value).__name__}; wanted a list")
    return value


def names(told: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    """A field that is a list of names; missing, it is empty."""
    value = told.get(name) or []
    if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
        raise LogError(f"{where}, {name}: got something else than names; wanted a list of text")
    return tuple(value)


def text(told: Mapping[str, Any], name: str, where: str) -> str:
    """A field that is text; missing, it is empty."""
    value = told.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise LogError(f"{where}, {name}: got {type(value).__name__}; wanted text")
    return str(value)
