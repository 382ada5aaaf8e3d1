"""Groups of runs to be judged, from JSON lines or a JSON list, also in gzip: `read_groups`.

A line is a group, `{"id", "task", "runs": [run, ...]}`, or a run with the name of its `group`; runs
of one group then follow each other. A run is `{"id", "messages": [...]}` as OpenAI has them, or
`"events": [...]` as ours, or `"messages_and_choices": [...]` as ART's trajectories, or `"text"`. It
may have a `score` (else `success`, else `reward`), which programmatic judges and `judge check` look
at, an `author`, and `scores` of its agents; beside messages, Anthropic's `system`, definitions of
`tools`, which its group may have instead, and ART's `additional_histories`. Every other key of a
group or a run is kept where a result is written beside the runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from counterpoint.errors import CounterpointError, LogError
from counterpoint.judge.present import Candidate, Group
from counterpoint.readers.amounts import LARGEST_NUMBER
from counterpoint.readers.build import finite, list_of, object_of
from counterpoint.readers.content import as_text
from counterpoint.readers.episodes import events_in
from counterpoint.readers.lines import json_lines, opened
from counterpoint.readers.messages import events_of, members_of, parse_messages
from counterpoint.readers.packed import unpacked
from counterpoint.records import Episode, Event

RUNS = ("runs", "trajectories", "candidates")
"""The keys that may hold the runs of a group."""
TRUTHS = ("score", "success", "reward")
_EVENT = ("agent", "kind", "text", "to", "answer", "work", "tokens", "tool", "call")


@dataclass(frozen=True)
class GroupLine:
    """A group, and the JSON objects that it was read from."""

    group: Group
    record: Mapping[str, object]
    """The group as it stands in the file, without its runs."""
    records: tuple[Mapping[str, object], ...]
    """Each run as it stands in the file, in the order of the candidates."""


def read_groups(source: str | os.PathLike[str]) -> Iterator[GroupLine]:
    """Yields each group of a file while it is read.

    Args:
        source: a path, or "-" for standard input.

    Raises:
        LogError: The file cannot be read; the message has the line and the key.

    Warns:
        TornLogWarning: The last line is incomplete; the groups before it were returned.
    """
    with opened(source, "groups in JSON lines") as file:
        yield from _groups(file)


def _groups(stream: BinaryIO) -> Iterator[GroupLine]:
    waiting: list[tuple[str, Mapping[str, object]]] = []
    seen: set[str] = set()
    for _, where, line in json_lines(unpacked(stream)):
        if not isinstance(line, dict):
            raise LogError(f"{where}: got {type(line).__name__}; wanted a JSON object")
        key = next((key for key in RUNS if key in line), None)
        if key is None and "group" not in line:
            raise LogError(
                f'{where}: got keys {", ".join(line)[:60]}; wanted a group with "runs", or a run '
                'with "group"'
            )
        if waiting and (key is not None or line["group"] != waiting[0][1]["group"]):
            yield _gathered(waiting, seen)
            waiting = []
        if key is None:
            waiting.append((where, line))
        else:
            yield _group(where, line, line[key], seen)
    if waiting:
        yield _gathered(waiting, seen)


def _gathered(waiting: list[tuple[str, Mapping[str, object]]], seen: set[str]) -> GroupLine:
    """Returns the group of runs that stood in lines of their own."""
    (where, first), runs = waiting[0], [run for _, run in waiting]
    line = {"id": first["group"], "task": first.get("task", "")}
    return _group(where, line, runs, seen)


def _group(where: str, line: Mapping[str, Any], runs: Any, seen: set[str]) -> GroupLine:
    """Returns a group; its id is added to `seen`."""
    if not isinstance(runs, list) or not runs:
        raise LogError(f"{where}, runs: got {type(runs).__name__}; wanted a list of runs")
    name = _named(line, ("id", "group"), f"group-{len(seen)}")
    task = next((line[key] for key in ("task", "prompt") if line.get(key) is not None), "")
    task = task if isinstance(task, str) else json.dumps(task, ensure_ascii=False)
    records = tuple(run if isinstance(run, dict) else {"messages": run} for run in runs)
    shared = _definitions(line)
    candidates = tuple(_candidate(f"{where}, run {i}", r, i, shared) for i, r in enumerate(records))
    if name in seen:
        raise LogError(f"{where}: got group '{name}' again; wanted different ids")
    seen.add(name)
    try:
        record = {key: value for key, value in line.items() if key not in RUNS}
        return GroupLine(Group(name, task, candidates), record, records)
    except CounterpointError as error:
        raise LogError(f"{where}: {error}") from None


def _named(value: Mapping[str, Any], keys: tuple[str, ...], otherwise: str) -> str:
    """Returns the first known of some keys as a text."""
    return next((str(value[key]) for key in keys if value.get(key) is not None), otherwise)


def _candidate(where: str, run: Any, number: int, shared: tuple[str, ...]) -> Candidate:
    name = _named(run, ("id",), f"run-{number}")
    events, agents, tools = _events(where, run)
    truth = next(
        (_number(where, key, run[key]) for key in TRUTHS if run.get(key) is not None), None
    )
    scores = run.get("scores") or {}
    if not isinstance(scores, dict):
        raise LogError(f"{where}, scores: got {type(scores).__name__}; wanted agents and numbers")
    numbers = {str(k): _number(where, "scores", v) for k, v in scores.items()}
    episode = Episode(name, events, agents, tools, scores=numbers)
    author = str(run.get("author", run.get("model", "")))
    own = () if "events" in run else _definitions(run)  # there, they are names of speakers
    return Candidate(name, episode, truth, author, own or shared)


def _definitions(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the definitions of tools that stand in a run or a group, each as a text."""
    given = value.get("tools") or value.get("functions") or []
    return tuple(map(as_text, given if isinstance(given, list) else [given]))


def _events(where: str, run: Any) -> tuple[tuple[Event, ...], tuple[str, ...], tuple[str, ...]]:
    """Returns the events of a run, its agents, and its other speakers."""
    if "events" in run:
        values = list_of(run["events"], f"{where}, events")
        # without rewards and the other fields of a log: a judge is not shown them
        known = [_known(v) if isinstance(v, dict) else v for v in values]
        events = events_in(known, where)
        names = tuple(dict.fromkeys(event.agent for event in events))
        agents = tuple(map(str, run.get("agents") or names))
        return events, agents, tuple(name for name in names if name not in agents)
    if "messages" in run or "messages_and_choices" in run:
        messages = parse_messages(messages_of(run, where), where)
        events = events_of(messages)
        return events, *members_of(events, messages)
    if isinstance(run.get("text"), str):
        return (Event(0, "assistant", "message", run["text"]),), ("assistant",), ()
    raise LogError(f"{where}: got no messages, events, messages_and_choices or text; wanted one")


def messages_of(run: Mapping[str, Any], where: str) -> list[Any]:
    """Returns the messages of a run: those of all its histories, after Anthropic's `system`.

    Args:
        run: an object with `messages` or `messages_and_choices`.
        where: its place, for errors.
    """
    values = [{"role": "system", "content": run["system"]}] if run.get("system") else []
    for i, each in enumerate([run, *list_of(run.get("additional_histories") or [], where)]):
        at = f"{where}, additional_histories {i - 1}" if i else where
        each = object_of(each, at)
        given = each.get("messages", each.get("messages_and_choices"))
        # a choice of a chat completion, as ART keeps it, has its message inside
        values += [m.get("message", m) if isinstance(m, dict) else m
                   for m in list_of(given, f"{at}, messages")]  # fmt: skip
    return values


def _known(event: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of an event that a judge may be shown."""
    known = {key: event[key] for key in _EVENT if event.get(key) is not None}
    meta = event.get("meta")
    if isinstance(meta, dict) and isinstance(meta.get("thinking"), str):
        known["meta"] = {"thinking": meta["thinking"]}
    return known


def _number(where: str, key: str, value: Any) -> float:
    if isinstance(value, bool):
        return float(value)
    number = finite(value)
    if number is None or abs(number) > LARGEST_NUMBER:
        raise LogError(f"{where}, {key}: got {value!r:.60}; wanted a number up to 1e100")
    return number
