"""Codex: rollouts, one file for each thread of an agent.

A line is `{"timestamp", "type", "payload"}`. The items of responses are the events; messages of the
program (`event_msg`) repeat them, and add usage, errors and how a turn ended. A thread that another
thread started is a member of the same episode.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counterpoint.marks import is_hidden
from counterpoint.readers.build import (
    EventFields,
    Line,
    SessionFormat,
    count,
    episode,
    finite,
    object_of,
    seconds_of,
)
from counterpoint.readers.content import as_text, error_of, usage_of
from counterpoint.readers.formats.openai_chat import is_message
from counterpoint.readers.messages import LoggedMessage, fields_of, outsiders, parse_line
from counterpoint.records import Episode, Json

MAIN = "main"
TYPES = ("session_meta", "response_item", "event_msg", "turn_context", "compacted")
SPOKEN = {"user_message": "user", "agent_message": "assistant"}
"""What the program says that an item says too, in most versions, and the role of the item."""
REPEATED = ("agent_reasoning", "agent_reasoning_raw_content", "agent_reasoning_section_break",
            "task_started", "exec_command_begin", "exec_command_end")  # fmt: skip
_EXIT = re.compile(r"Exit code: (-?\d{1,9})\n|Process exited with code (-?\d{1,9})\n")


def is_codex(value: Any) -> bool:
    """Returns whether a value is a line of a rollout."""
    return (
        isinstance(value, dict)
        and value.get("type") in TYPES
        and isinstance(value.get("payload"), dict)
    )


@dataclass
class _Thread:
    """One file: the thread of one agent."""

    id: str
    parent: str = ""
    name: str = ""
    fields: list[EventFields] = field(default_factory=list)
    called: dict[str, str] = field(default_factory=dict)
    since: int = 0
    """The number of its events at the last model call."""
    total: str = ""
    """The usage so far, to recognize the same report."""
    spoken: list[tuple[int, EventFields]] = field(default_factory=list)
    """Messages of the program, with the number of events before each."""
    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    """Number of reasonings that are encrypted."""
    meta: dict[str, Json] = field(default_factory=dict)
    ending: str = ""


def read(lines: Sequence[Line], name: str) -> Iterator[Episode]:
    """Yields an episode for each thread that no other thread started, with those it started."""
    files: dict[str, list[Line]] = {}
    for line in lines:
        files.setdefault(str(line.path), []).append(line)
    threads: dict[str, _Thread] = {}
    for each in files.values():
        thread = _Thread(f"{name}-{len(threads)}" if len(files) > 1 else name)
        for line in each:
            _add(thread, line)
        items = {f["agent"] for f in thread.fields if f["kind"] == "message"}
        for at, one in reversed(thread.spoken):
            if one["agent"] not in items:  # no item repeats it
                thread.fields.insert(at, one)
        threads.setdefault(thread.id, thread)
    roots: dict[str, list[_Thread]] = {}
    for thread in threads.values():
        root, seen = thread, {thread.id}
        while root.parent in threads and root.parent not in seen:
            root = threads[root.parent]
            seen.add(root.id)
        roots.setdefault(root.id, []).append(thread)
    for key, each_thread in roots.items():
        yield _episode(threads[key], each_thread)


def _add(thread: _Thread, line: Line) -> None:
    """Adds a line to its thread."""
    kind, where = line.value["type"], line.where
    payload, seconds = line.value["payload"], seconds_of(line.value.get("timestamp"))
    if kind == "response_item":
        if not is_message(payload):
            thread.others[str(payload.get("type") or "response_item")] += 1
            return
        message = _checked(parse_line(line._replace(value=payload)))
        if seconds is not None:
            message.facts = {**(message.facts or {}), "seconds": seconds}
        if message.is_thought and is_hidden(message.thinking):  # every turn has one: no event
            thread.hidden += bool(message.thinking)
            return
        thread.fields += fields_of([message], thread.called)
    elif kind == "session_meta":
        if "thread" not in thread.meta:  # a fork repeats that of the thread it comes from
            _start(thread, payload, where)
    elif kind == "turn_context":
        if isinstance(payload.get("model"), str):
            thread.meta["model"] = payload["model"]
    elif kind == "compacted":
        each: EventFields = {
            "agent": "system",
            "kind": "message",
            "seconds": seconds,
            "text": as_text(payload.get("message")),
            "meta": {"compaction": True},
        }
        thread.fields.append(each)  # fmt: skip
    else:
        _report(thread, payload, where, seconds)


def _start(thread: _Thread, about: Mapping[str, Any], where: str) -> None:
    if isinstance(about.get("id"), str) and about["id"]:
        thread.id = about["id"]
    thread.meta["thread"] = thread.id
    for key in ("cwd", "cli_version", "originator"):
        if isinstance(about.get(key), str):
            thread.meta[key] = about[key]
    source = about.get("source")
    inner = source.get("subagent") if isinstance(source, dict) else None
    spawned = inner.get("thread_spawn") if isinstance(inner, dict) else None
    for place in (about, spawned if isinstance(spawned, dict) else {}):
        for key in ("parent_thread_id", "agent_nickname", "agent_role"):
            if isinstance(place.get(key), str) and place[key]:
                if key == "parent_thread_id":
                    thread.parent = place[key]
                else:
                    thread.name = thread.name or place[key]


def _checked(message: LoggedMessage) -> LoggedMessage:
    """Returns a message; the exit code in the output of a command becomes its error."""
    if message.role != "tool":
        return message
    text, facts = message.text, message.facts or {}
    if text.startswith("{"):
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, dict):
            about = inner.get("metadata")
            if isinstance(inner.get("output"), str) and isinstance(about, dict):
                text = inner["output"]
                if (code := finite(about.get("exit_code"))) is not None and code:
                    facts["error"] = f"exit code {code:g}"
                if (took := finite(about.get("duration_seconds"))) is not None:
                    facts["duration"] = took
            elif inner.get("success") is False:
                facts["error"] = error_of(inner.get("content")) or "failed"
    elif match := _EXIT.search(text[:400]):
        code = float(match[1] or match[2])
        if code:
            facts["error"] = f"exit code {code:g}"
    message.text, message.facts = text, facts or None
    return message


def _report(thread: _Thread, payload: Mapping[str, Any], where: str, seconds: float | None) -> None:
    """Adds a message of the program."""
    kind = str(payload.get("type"))
    if kind == "token_count":
        info = payload.get("info")
        if info is not None:
            _count(thread, object_of(info, f"{where}, info"))
    elif kind in ("error", "stream_error"):
        error = error_of(payload.get("message")) or kind
        thread.fields.append({"agent": "assistant", "kind": "message", "text": "", "error": error,
                              "seconds": seconds})  # fmt: skip
        thread.ending = error
    elif kind == "turn_aborted":
        thread.ending = f"turn_aborted: {as_text(payload.get('reason'))}"
    elif kind in SPOKEN:
        each: EventFields = {"agent": SPOKEN[kind], "kind": "message", "seconds": seconds,
                             "text": as_text(payload.get("message"))}  # fmt: skip
        thread.spoken.append((len(thread.fields), each))
    elif kind == "task_complete":
        thread.ending = kind
    elif kind not in REPEATED:
        thread.others[kind] += 1


def _count(thread: _Thread, info: Mapping[str, Any]) -> None:
    """Adds the usage of the last model call to its first event."""
    total = info.get("total_token_usage")
    if isinstance(total, dict):
        if (now := json.dumps(total, sort_keys=True)) == thread.total:
            return
        thread.total = now
        if (whole := count(total.get("total_tokens"))) is not None:
            thread.meta["total_tokens"] = whole
    usage = usage_of(info.get("last_token_usage"))
    own = (f for f in thread.fields[thread.since :] if f["agent"] == "assistant")
    thread.since = len(thread.fields)
    if (first := next(own, None)) is not None and usage.tokens is not None:
        first["tokens"], first["tokens_in"] = usage.tokens, usage.tokens_in


def _episode(root: _Thread, threads: Sequence[_Thread]) -> Episode:
    """Returns the threads of one team as an episode."""
    names = {thread.id: thread.name or (MAIN if thread is root else f"agent-{thread.id}")
             for thread in threads}  # fmt: skip
    handed = {t.id: list(_handoffs(t, names)) for t in threads}
    orders = {f.get("text", "").strip() for each in handed.values() for f in each}
    timed: list[tuple[float, EventFields]] = []
    others: Counter[str] = Counter()
    for thread in threads:
        others += thread.others
        last = 0.0
        for each in thread.fields:
            last = each.get("seconds") or last
            if each["agent"] == "assistant":
                each["agent"] = names[thread.id]
            elif thread is not root and each["agent"] == "user":
                if each.get("text", "").strip() in orders:
                    continue  # the handoff has it
                each["to"] = (names[thread.id],)
            timed.append((last, each))
    timed.sort(key=lambda pair: pair[0])
    fields = [each for _, each in timed]
    members = list(dict.fromkeys([*names.values(), *(n for each in handed.values() for f in each
                                                     for n in f.get("to", ()))]))  # fmt: skip
    texts = (f.get("text", "") for f in root.fields if f["agent"] == "user")
    task = next((text for text in texts if text and not text.startswith("<")), "")
    meta: dict[str, Json] = {k: v for k, v in root.meta.items() if k != "thread"}
    if others:
        meta["other_lines"] = dict(others)
    if hidden := sum(thread.hidden for thread in threads):
        meta["left_out"] = {"hidden reasoning texts": hidden}
    return episode(root.id, fields, "codex", outsiders(fields, members), members=members,
                   task=task, meta=meta, ending=root.ending)  # fmt: skip


def _handoffs(thread: _Thread, names: Mapping[str, str]) -> Iterator[EventFields]:
    """Yields the calls that start another agent, as handoffs."""
    results = {f["call"]: f.get("text", "") for f in thread.fields
               if f["kind"] == "message" and f.get("call")}  # fmt: skip
    for each in thread.fields:
        if each["kind"] != "action" or each.get("tool") != "spawn_agent":
            continue
        started = _object(results.get(each.get("call", ""), ""))
        id_ = str(started.get("agent_id") or started.get("id") or "")
        if id_:
            nick = started.get("nickname")
            own = nick if isinstance(nick, str) and nick else f"agent-{id_}"
            each["kind"], each["to"] = "handoff", (names.get(id_, own),)
            order = _object(each["text"]).get("message")
            each["text"] = order if isinstance(order, str) else each["text"]
            yield each


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


FORMAT = SessionFormat(is_codex, read, "folder")
