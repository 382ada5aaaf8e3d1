"""Our own log of episodes, JSON lines. `encode` writes an episode as a line, `decode` reads it.

    {"schema": 1, "id", "run", "task", "agents", "tools", "success", "meta", "events": [...],
     "ending", "scores", "labels", "doubts"}

The keys of the second line, and those of an event beyond `agent` and `kind`, are there if they have
a value.

`of_update` reads the file `episodes.jsonl` of a trainer, which has one line for each update.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import msgspec

from counterpoint.errors import LogError
from counterpoint.readers.build import Format, finite, list_of, object_of
from counterpoint.records import Episode, Event, Json
from counterpoint.results.parts import encode_json

SCHEMA = 1
_TEXTS = ("tool", "call", "error", "finish")
_NUMBERS = ("work", "seconds", "duration", "cost")
_COUNTS = ("tokens", "tokens_in")


class _Line(msgspec.Struct, omit_defaults=True, gc=False):
    """The keys of an event in their order; those without a value are left out."""

    agent: str
    kind: str
    text: str = ""
    to: tuple[str, ...] = ()
    answer: str | None = None
    reward: Mapping[str, float] = {}
    meta: Mapping[str, Json] = {}
    tool: str = ""
    call: str = ""
    error: str = ""
    finish: str = ""
    work: float | None = None
    seconds: float | None = None
    duration: float | None = None
    cost: float | None = None
    tokens: int | None = None
    tokens_in: int | None = None


_values = attrgetter(*_Line.__struct_fields__)


def encode(episode: Episode) -> bytes:
    """Returns the episode as a line, with its line end."""
    whole: dict[str, Any] = {
        "schema": SCHEMA,
        "id": episode.id,
        "run": episode.run,
        "task": episode.task,
        "agents": episode.agents,
        "tools": episode.tools,
        "success": episode.success,
        "meta": episode.meta,
        "events": [_Line(*_values(event)) for event in episode.events],
    }
    for name in ("ending", "scores", "labels", "doubts"):
        if value := getattr(episode, name):
            whole[name] = value
    return encode_json(whole) + b"\n"


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
    agents = _names(line, "agents", where)
    if line.get("agents") is None:
        agents = tuple(dict.fromkeys(e.agent for e in events))
    tools = _names(line, "tools", where)
    success = line.get("success")
    if success is not None and finite(success) is None:
        raise LogError(f"{where}, success: got {success!r:.40}; wanted a finite number or null")
    meta = object_of(line.get("meta") or {}, f"{where}, meta")
    name, run, task, ending = (_text(line, f, where) for f in ("id", "run", "task", "ending"))
    success = None if success is None else float(success)
    scores = object_of(line.get("scores") or {}, f"{where}, scores")
    if not all(finite(x) is not None for x in scores.values()):
        raise LogError(f"{where}, scores: got values that are no numbers; wanted finite numbers")
    return Episode(
        name, events, agents, tools, run, task, success, {"format": "counterpoint", **meta},
        ending=ending, scores={k: float(v) for k, v in scores.items()},  # type: ignore[arg-type]
        labels=object_of(line.get("labels") or {}, f"{where}, labels"),
        doubts=_names(line, "doubts", where),
    )  # fmt: skip


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
        success = float(success) if isinstance(success, bool) else finite(success)
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
    for name, kind in _TYPES:
        field = value.get(name)
        if field is not None and (isinstance(field, bool) or not isinstance(field, kind)):
            raise LogError(f"{where}, {name}: got {type(field).__name__}")
    reward, meta = value.get("reward") or {}, dict(value.get("meta") or {})
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in reward.values()):
        raise LogError(f"{where}, reward: got values that are no numbers; wanted names and numbers")
    own = {name: value[name] for name in (*_TEXTS, *_NUMBERS, *_COUNTS) if value.get(name)
           is not None}  # fmt: skip
    # earlier versions wrote these two into `meta`
    if "tool" not in own and isinstance(meta.get("name"), str):
        own["tool"] = meta.pop("name")
    if "seconds" not in own and finite(meta.get("seconds")) is not None:
        own["seconds"] = meta.pop("seconds")
    try:
        return Event(t, value["agent"], value.get("kind", "message"), text, tuple(to),
                     value.get("answer"), reward, meta=meta, **own)  # fmt: skip
    except LogError as error:
        raise LogError(f"{where}: {error}") from None


_TYPES: tuple[tuple[str, type | tuple[type, ...]], ...] = (
    ("reward", dict), ("meta", dict), ("answer", str),
    *((name, str) for name in _TEXTS),
    *((name, (int, float)) for name in _NUMBERS),
    *((name, int) for name in _COUNTS),
)  # fmt: skip


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


FORMAT = Format(
    lambda value: isinstance(value, dict) and "schema" in value and "events" in value,
    lambda value, where, name: [decode(value, where)],
)
TRAINING = Format(
    lambda value: isinstance(value, dict) and "step" in value and "episodes" in value,
    lambda value, where, name: of_update(value, where),
)
