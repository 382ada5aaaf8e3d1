"""Groups of runs to be judged, from JSON lines: `read_groups`.

A line is a group, `{"id", "task", "runs": [run, ...]}`, or a run with the name of its `group`; runs
of one group then follow each other. A run is `{"id", "messages": [...]}` as OpenAI has them, or
`"events": [...]` as ours, or `"messages_and_choices": [...]` as ART's trajectories, or `"text"`. It
may have a `score` (else `success`, else `reward`), which programmatic judges and `judge check` look
at, an `author`, and `scores` of its agents. Every other key is kept where a result is written
beside the run.
"""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from counterpoint.errors import CounterpointError, LogError
from counterpoint.judge.present import Candidate, Group
from counterpoint.readers.lines import Block, TornLogWarning, blocks
from counterpoint.readers.messages import events_of, members_of, roles_of
from counterpoint.records import Episode, Event

RUNS = ("runs", "trajectories", "candidates")
"""Keys under which a group may have its runs."""
TRUTHS = ("score", "success", "reward")
_EVENT = ("agent", "kind", "text", "to", "answer", "work", "tokens")


@dataclass(frozen=True)
class GroupLine:
    """A group, and the JSON that it was read from."""

    group: Group
    records: tuple[dict[str, Any], ...]
    """Of each run, as it stands in the file, in the order of the candidates."""


def read_groups(source: str | os.PathLike[str]) -> Iterator[GroupLine]:
    """Each group of a file, as it is read.

    Args:
        source: a path, or "-" for standard input.

    Raises:
        LogError: the file cannot be read, with the line and the key.

    Warns:
        TornLogWarning: the last line is incomplete; the groups before it were returned.
    """
    if source == "-":
        yield from _groups(blocks(sys.stdin.buffer))
        return
    try:
        with Path(source).open("rb") as file:
            yield from _groups(blocks(file))
    except OSError as error:
        reason = error.strerror
        raise LogError(
            f"got {os.fspath(source)!r}: {reason}; wanted groups in JSON lines"
        ) from None


def _groups(read: Iterable[Block]) -> Iterator[GroupLine]:
    waiting: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    for where, line in _objects(read):
        key = next((key for key in RUNS if key in line), None)
        if key is None and "group" not in line:
            raise LogError(
                f'{where}: got keys {", ".join(line)[:60]}; wanted a group with "runs", or a run '
                'with "group"'
            )
        if waiting and (key is not None or line["group"] != waiting[0][1]["group"]):
            yield _group(*_gathered(waiting), seen)
            waiting = []
        if key is None:
            waiting.append((where, line))
        else:
            yield _group(where, {**line, "runs": line[key]}, seen)
    if waiting:
        yield _group(*_gathered(waiting), seen)


def _gathered(waiting: list[tuple[str, dict[str, Any]]]) -> tuple[str, dict[str, Any]]:
    where, first = waiting[0]
    runs = [run for _, run in waiting]
    return where, {"id": str(first["group"]), "task": first.get("task", ""), "runs": runs}


def _objects(read: Iterable[Block]) -> Iterator[tuple[str, dict[str, Any]]]:
    for block in read:
        for number, line in block.lines():
            where = f"line {number}"
            try:
                found = json.loads(line)
            except RecursionError:
                raise LogError(f"{where}: got JSON that is nested too deeply") from None
            except (ValueError, UnicodeDecodeError) as error:
                if block.unended and number > 1:
                    warnings.warn(
                        f"{where}: the last line is incomplete and was left out",
                        TornLogWarning,
                        stacklevel=4,
                    )
                    return
                raise LogError(
                    f"{where}: got no JSON ({error}); wanted one object a line"
                ) from None
            if not isinstance(found, dict):
                raise LogError(f"{where}: got {type(found).__name__}; wanted a JSON object")
            yield where, found


def _group(where: str, line: Mapping[str, Any], seen: set[str]) -> GroupLine:
    """A group; its id joins those `seen`."""
    runs = line["runs"]
    if not isinstance(runs, list) or not runs:
        raise LogError(f"{where}, runs: got {type(runs).__name__}; wanted a list of runs")
    name = str(line.get("id", line.get("group", f"group-{len(seen)}")))
    task = line.get("task", line.get("prompt", ""))
    task = task if isinstance(task, str) else json.dumps(task, ensure_ascii=False)
    records = tuple(run if isinstance(run, dict) else {"messages": run} for run in runs)
    candidates = tuple(_candidate(f"{where}, run {i}", r, i) for i, r in enumerate(records))
    if name in seen:
        raise LogError(f"{where}: got group '{name}' again; wanted different ids")
    seen.add(name)
    try:
        return GroupLine(Group(name, task, candidates), records)
    except CounterpointError as error:
        raise LogError(f"{where}: {error}") from None


def _candidate(where: str, run: Mapping[str, Any], number: int) -> Candidate:
    name = str(run.get("id", f"run-{number}"))
    events, agents, tools = _events(where, run)
    truth = next(
        (_number(where, key, run[key]) for key in TRUTHS if run.get(key) is not None), None
    )
    scores = run.get("scores") or {}
    if not isinstance(scores, dict):
        raise LogError(f"{where}, scores: got {type(scores).__name__}; wanted agents and numbers")
    meta = {"scores": {str(k): _number(where, "scores", v) for k, v in scores.items()}}
    episode = Episode(name, tuple(events), agents, tools, meta=meta)
    return Candidate(name, episode, truth, str(run.get("author", run.get("model", ""))))


def _events(
    where: str, run: Mapping[str, Any]
) -> tuple[list[Event], tuple[str, ...], tuple[str, ...]]:
    if "events" in run:
        found = _own(where, run["events"])
        names = tuple(dict.fromkeys(event.agent for event in found))
        agents = tuple(map(str, run.get("agents") or names))
        return found, agents, tuple(name for name in names if name not in agents)
    if "messages" in run or "messages_and_choices" in run:
        messages = run.get("messages", run.get("messages_and_choices"))
        if not isinstance(messages, list):
            raise LogError(f"{where}, messages: got {type(messages).__name__}; wanted a list")
        # a choice of a chat completion, as ART keeps it, has its message inside
        messages = [m.get("message", m) if isinstance(m, dict) else m for m in messages]
        found = events_of(messages, where)
        agents, tools = members_of(found, roles_of(messages))
        return found, agents, tools
    if isinstance(run.get("text"), str):
        return [Event(0, "assistant", "message", run["text"])], ("assistant",), ()
    raise LogError(f"{where}: got no messages, events, messages_and_choices or text; wanted one")


def _own(where: str, events: Any) -> list[Event]:
    if not isinstance(events, list):
        raise LogError(f"{where}, events: got {type(events).__name__}; wanted a list")
    found = []
    for t, event in enumerate(events):
        at = f"{where}, event {t}"
        if not isinstance(event, dict) or not isinstance(event.get("agent"), str):
            raise LogError(f'{at}: got no "agent"; wanted {{"agent", "text", "kind"?, "to"?}}')
        told = {key: event[key] for key in _EVENT if event.get(key) is not None}
        told.setdefault("kind", "message")
        to = told.get("to", ())
        told["to"] = (to,) if isinstance(to, str) else tuple(map(str, to))
        if not isinstance(told.get("text", ""), str):
            raise LogError(f"{at}, text: got {type(told['text']).__name__}; wanted text")
        try:
            found.append(Event(t=t, **told))
        except CounterpointError as error:
            raise LogError(f"{at}: {error}") from None
    return found


def _number(where: str, key: str, value: Any) -> float:
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise LogError(f"{where}, {key}: got {value!r:.60}; wanted a finite number")
    return float(value)
