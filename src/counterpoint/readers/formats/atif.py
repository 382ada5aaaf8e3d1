"""ATIF: trajectories of one agent (the Agent Trajectory Interchange Format of Harbor).

A trajectory has `steps` of the system, the user and the agent. A step's observation may name the
trajectory of a subagent, in the same document or in a file beside it: it is a member of the same
episode, and its steps stand before the result. A trajectory that goes on in another file is one
episode too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import (
    EventFields,
    Line,
    SessionFormat,
    count,
    episode,
    finite,
    list_of,
    object_of,
    seconds_of,
)
from counterpoint.readers.content import ToolCall, as_text, content_of, text_of
from counterpoint.readers.messages import Facts, LoggedMessage, fields_of, outsiders
from counterpoint.records import Episode, Json

DEEPEST = 20
"""The most subagents of subagents."""


def is_atif(value: Any) -> bool:
    """Returns whether a value is a trajectory."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("schema_version"), str)
        and value["schema_version"].startswith("ATIF")
        and "steps" in value
    )


@dataclass
class _Team:
    """The trajectories of a folder, and what is known of the episode that is being made."""

    lines: dict[str, Line]
    """File name, session id or trajectory id to a trajectory."""
    used: set[int] = field(default_factory=set)
    members: list[str] = field(default_factory=list)
    copied: int = 0
    """The number of steps that were copied from an earlier part."""
    missing: list[str] = field(default_factory=list)
    """The names of subagents' trajectories that are not there."""


def read(lines: Sequence[Line], name: str) -> Iterator[Episode]:
    """Yields an episode for each trajectory that no other one names."""
    known: dict[str, Line] = {}
    for line in lines:
        for key in _names(line.value):
            known.setdefault(key, line)
    for line in lines:
        if len(lines) == 1 or not line.number:
            known[line.path.name] = line
    inner = {id(known[key]) for line in lines for key in _referred(line.value) if key in known
             and known[key] is not line}  # fmt: skip
    roots = [line for line in lines if id(line) not in inner] or list(lines)
    for line in roots:
        own = line.path.stem if len({each.path for each in lines}) > 1 else name
        yield _episode(line, f"{own}-{line.number}" if line.number else own, _Team(known))


def _names(value: Mapping[str, Any]) -> Iterator[str]:
    for key in ("trajectory_id", "session_id"):
        if isinstance(value.get(key), str):
            yield value[key]


def _referred(value: Mapping[str, Any]) -> Iterator[str]:
    """Yields the names of the trajectories that a trajectory names."""
    if isinstance(next_one := value.get("continued_trajectory_ref"), str):
        yield Path(next_one).name
    for step in value["steps"] if isinstance(value.get("steps"), list) else ():
        seen = step.get("observation") if isinstance(step, dict) else None
        results = seen.get("results") if isinstance(seen, dict) else None
        for result in results if isinstance(results, list) else ():
            for names in _refs(result):
                yield from names


def _refs(result: Any) -> Iterator[list[str]]:
    """Yields the names of each subagent's trajectory that a result names."""
    refs = result.get("subagent_trajectory_ref") if isinstance(result, dict) else None
    for ref in refs if isinstance(refs, list) else ():
        if isinstance(ref, dict):
            keys = ("trajectory_id", "trajectory_path", "session_id")
            names = [ref[key] for key in keys if isinstance(ref.get(key), str)]
            yield [Path(name).name or name for name in names]


def _episode(line: Line, name: str, team: _Team) -> Episode:
    value = line.value
    fields = _fields(line, team, "", 0)
    steps = [f for f in fields if f["agent"] == "user"]
    meta: dict[str, Json] = {"schema_version": value["schema_version"]}
    final, about = value.get("final_metrics"), value.get("agent")
    for key, number in (final if isinstance(final, dict) else {}).items():
        if (whole := finite(number)) is not None:
            meta[str(key)] = whole
    for key in ("version", "model_name"):
        if isinstance(about, dict) and isinstance(about.get(key), str):
            meta[key] = about[key]
    if isinstance(value.get("notes"), str):
        meta["notes"] = value["notes"]
    if team.missing:
        meta["missing_trajectories"] = list(dict.fromkeys(team.missing))
    if team.copied:
        meta["copied_steps"] = team.copied
    return episode(
        name, fields, "atif", outsiders(fields, team.members), members=team.members,
        task=steps[0].get("text", "") if steps else "", meta=meta,
    )  # fmt: skip


def _fields(line: Line, team: _Team, known_as: str, depth: int) -> list[EventFields]:
    """Returns the fields of a trajectory's events, those of its subagents among them."""
    value, where = line.value, line.where
    team.used.add(id(value))
    about = value.get("agent")
    name = as_text(about.get("name")) if isinstance(about, dict) else ""
    name = known_as or _free(name or "agent", team.members)
    if name not in team.members:
        team.members.append(name)
    fields: list[EventFields] = []
    called: dict[str, str] = {}
    for i, step in enumerate(list_of(value.get("steps"), f"{where}, steps")):
        at = f"{where}, step {i}"
        step = object_of(step, at)
        if step.get("is_copied_context") is True:
            team.copied += 1
            continue
        fields += fields_of([_message(step, name, at)], called)
        seen = step.get("observation")
        if seen is not None:
            results = object_of(seen, f"{at}, observation").get("results")
            for result in list_of(results, f"{at}, observation, results"):
                fields += _result(object_of(result, at), line, name, team, called, at, depth)
    after = value.get("continued_trajectory_ref")
    next_one = team.lines.get(Path(after).name) if isinstance(after, str) else None
    if next_one is not None and id(next_one.value) not in team.used and depth < DEEPEST:
        fields += _fields(next_one, team, name, depth + 1)
    return fields


def _free(name: str, members: Sequence[str]) -> str:
    """Returns the name, with a number if another member has it."""
    tries = (name, *(f"{name}-{i}" for i in range(2, len(members) + 2)))
    return next(each for each in tries if each not in members)


def _message(step: Mapping[str, Any], name: str, at: str) -> LoggedMessage:
    """Returns what a step says and calls."""
    source = step.get("source")
    if source not in ("system", "user", "agent"):
        raise LogError(f"{at}, source: got {source!r:.40}; wanted system, user or agent")
    calls = []
    for call in list_of(step.get("tool_calls") or [], f"{at}, tool_calls"):
        call = object_of(call, f"{at}, tool_calls")
        calls.append(ToolCall(as_text(call.get("tool_call_id")), as_text(call.get("function_name"))
                              or "tool", as_text(call.get("arguments"))))  # fmt: skip
    facts: Facts = {}
    metrics = step.get("metrics")
    if isinstance(metrics, dict):
        if (made := count(metrics.get("completion_tokens"))) is not None:
            facts["tokens"] = made
        if (taken := count(metrics.get("prompt_tokens"))) is not None:
            facts["tokens_in"] = taken
        if (cost := finite(metrics.get("cost_usd"))) is not None:
            facts["cost"] = cost
    if (seconds := seconds_of(step.get("timestamp"))) is not None:
        facts["seconds"] = seconds
    if isinstance(model := step.get("model_name"), str):
        facts["meta"] = {"model": model}
    whole = content_of(step.get("message"), at)
    return LoggedMessage(
        source, name if source == "agent" else "", whole.text, tuple(calls),
        thinking=as_text(step.get("reasoning_content")), facts=facts or None,
    )  # fmt: skip


def _result(
    result: Mapping[str, Any], line: Line, name: str, team: _Team, called: Mapping[str, str],
    at: str, depth: int,
) -> list[EventFields]:  # fmt: skip
    """Returns the fields of a result, after those of the subagents that it names."""
    call = as_text(result.get("source_call_id"))
    tool = called.get(call, "tool" if call else "environment")
    inside = line.value.get("subagent_trajectories")
    embedded = {key: Line(each, f"{at}, subagent", line.path, "")
                for each in (inside if isinstance(inside, list) else []) if is_atif(each)
                for key in _names(each)}  # fmt: skip
    fields: list[EventFields] = []
    for names in _refs(result):
        known = [embedded.get(key) or team.lines.get(key) for key in names]
        other = next((x for x in known if x and id(x.value) not in team.used), None)
        if other is None or depth >= DEEPEST:
            team.missing += names[:1]
            continue
        start: EventFields = {"agent": name, "kind": "handoff", "tool": tool, "call": call}
        fields.append(start)
        inner = _fields(other, team, "", depth + 1)
        first = next((f["agent"] for f in inner if f["agent"] in team.members), None)
        start["to"] = (first,) if first else ()
        fields += inner
    text = text_of(result.get("content"), at)
    if text or not (fields or any(_refs(result))):
        fields.append({"agent": tool, "kind": "message", "text": text, "tool": tool, "call": call})
    return fields


def companions(path: Path) -> Iterator[Path]:
    """Yields the files that Harbor names after a trajectory which goes on or was summarized."""
    base = path.name.removesuffix(".json")
    for kind in ("cont", "summarization"):
        yield from sorted(path.parent.glob(f"{base}.{kind}-*.json"))


FORMAT = SessionFormat(is_atif, read, "folder", companions)
