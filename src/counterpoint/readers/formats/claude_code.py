"""Claude Code: sessions with their subagents, as the program stores and streams them.

A session is a file of lines; its subagents have files beside it (`agent-ID.jsonl`) or in the folder
`SESSION/subagents`, with their type in `agent-ID.meta.json`. Lines of one session are an episode:
the member `main`, and a member for each subagent, named by its type. A session that was resumed
repeats the lines of the earlier one; both are one episode, and each line counts once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import Line, SessionFormat, episode, finite, seconds_of
from counterpoint.readers.content import as_text, text_of
from counterpoint.readers.formats.claude_team import Entry, Team
from counterpoint.readers.messages import facts_of, outsiders
from counterpoint.records import Episode, Json

SAYING = ("user", "assistant")
OTHERS = frozenset((
    "summary", "system", "result", "progress", "attachment", "file-history-snapshot",
    "queue-operation", "custom-title", "ai-title", "last-prompt", "agent-name", "pr-link", "mode",
    "permission-mode", "stream_event", "rate_limit_event",
))  # fmt: skip
"""The types of lines that are no messages."""
IDS = ("sessionId", "session_id", "leafUuid", "uuid", "messageId")


def is_claude_code(value: Any) -> bool:
    """Returns whether a value is a line of a session, or the type of a subagent."""
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    if kind in SAYING:
        return isinstance(value.get("message"), dict) and any(name in value for name in IDS)
    if kind is None:
        return isinstance(value.get("agentType"), str) and "messages" not in value
    return isinstance(kind, str) and kind in OTHERS and any(name in value for name in IDS)


@dataclass
class _Session:
    """What is known of one session."""

    entries: list[Entry] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    """Type of a line that is no message to the number of such lines."""
    meta: dict[str, Json] = field(default_factory=dict)
    ending: str = ""
    success: float | None = None


def read(lines: Sequence[Line], name: str) -> Iterator[Episode]:
    """Yields an episode for each session."""
    types: dict[str, str] = {}
    whole: dict[str, list[Line]] = {}
    for line in lines:
        value = line.value
        if isinstance(kind := value.get("agentType"), str) and "type" not in value:
            types[line.path.name.removesuffix(".json").removesuffix(".meta")] = kind
            continue
        session = value.get("sessionId", value.get("session_id"))
        whole.setdefault(session if isinstance(session, str) else "", []).append(line)
    nameless = whole.pop("", [])  # a summary names no session: it belongs to its file's first
    if not whole:
        whole[name] = []
    by_path = {line.path: each for each in whole.values() for line in reversed(each)}
    for line in nameless:
        by_path.get(line.path, next(iter(whole.values()))).append(line)
    for key, each in _joined(whole).items():
        session = _Session()
        seen: set[str] = set()
        for i, line in enumerate(each):
            uuid = line.value.get("uuid")
            if isinstance(uuid, str):
                if uuid in seen:
                    session.others["repeated"] += 1
                    continue
                seen.add(uuid)
            _add(session, line, i)
        if session.entries:
            yield _episode(session, key, types)


def _joined(whole: dict[str, list[Line]]) -> dict[str, list[Line]]:
    """Returns the sessions, each with those that repeat its lines because they resumed it."""
    home: dict[str, str] = {}  # uuid of a line to the session that has it first
    joined: dict[str, list[Line]] = {}
    for key, lines in whole.items():
        uuids = [line.value.get("uuid") for line in lines]
        own = next((home[u] for u in uuids if isinstance(u, str) and u in home), key)
        for uuid in uuids:
            if isinstance(uuid, str):
                home.setdefault(uuid, own)
        joined.setdefault(own, []).extend(lines)
    return joined


def _add(session: _Session, line: Line, number: int) -> None:
    """Adds what a line says to its session."""
    value, where = line.value, line.where
    kind = value.get("type")
    for key in ("cwd", "gitBranch", "version"):
        if isinstance(value.get(key), str):
            session.meta.setdefault(key, value[key])
    if kind in SAYING:
        session.entries.append(_entry(line, number))
        return
    session.others[str(kind)] += 1
    if kind == "summary":
        session.meta.setdefault("summary", as_text(value.get("summary")))
    elif kind == "system" and isinstance(value.get("content"), str):
        session.entries.append(_entry(line, number))
    elif kind == "result":
        session.ending = as_text(value.get("subtype"))
        for key in ("total_cost_usd", "duration_ms", "num_turns"):
            if (number_ := finite(value.get(key))) is not None:
                session.meta[key] = number_
        if value.get("is_error") is True and value.get("result"):
            session.meta["error"] = text_of(value["result"], f"{where}, result")


def _entry(line: Line, number: int) -> Entry:
    """Returns a line as an entry of the team's talk."""
    value, where, get = line.value, line.where, line.value.get
    kind, inner = str(value["type"]), get("message")
    inner = inner if isinstance(inner, dict) else {"role": "system", "content": get("content")}
    role = inner.get("role", kind)
    if role not in (*SAYING, "system"):
        raise LogError(f"{where}, role: got {role!r:.40}; wanted user or assistant")
    if kind == "user" and (get("isMeta") is True or get("isCompactSummary") is True):
        role = "system"
    file = line.path.stem
    agent = file.removeprefix("agent-") if file.startswith("agent-") else ""
    started = get("agentId")
    if get("isSidechain") is True:  # elsewhere, it is the subagent whose result the line has
        agent = started if isinstance(started, str) else agent or "sidechain"
    facts = facts_of({**inner, "timestamp": get("timestamp"), "cost": get("costUSD")})
    facts["location"] = line.location
    if (ms := finite(get("durationMs"))) is not None:
        facts["duration"] = ms / 1000
    text = text_of(inner.get("content"), where) if get("isApiErrorMessage") is True else ""
    if text or get("subtype") == "api_error":
        facts["error"] = text or as_text(get("error")) or as_text(get("content"))
    if get("isCompactSummary") is True or get("subtype") == "compact_boundary":
        about = get("compactMetadata")
        facts["meta"] = {"compaction": about if isinstance(about, dict) else True}
    result = get("toolUseResult")
    result = result if isinstance(result, dict) else {}
    if not agent and isinstance(started, str):
        result = {"agentId": started, **result}
    return Entry(
        number=number, role=role, agent=agent, content=inner.get("content"), where=where,
        facts=facts, time=seconds_of(get("timestamp")),
        message=str(inner.get("id") or "") if role == "assistant" else "",
        uuid=str(get("uuid") or ""), parent=str(get("parentUuid") or ""),
        parent_call=str(get("parent_tool_use_id") or ""), named=str(get("agentName") or ""),
        result=result,
    )  # fmt: skip


def _episode(session: _Session, name: str, types: dict[str, str]) -> Episode:
    last = None
    for entry in session.entries:  # a line without a time stands where the line before it stands
        entry.time = last = entry.time if entry.time is not None else last
    session.entries.sort(key=lambda entry: (entry.time or 0.0, entry.number))
    team = Team(session.entries, types)
    fields = team.fields()
    first = (e for e in session.entries if e.role == "user" and not e.agent and not e.parent_call)
    task = next(filter(None, (text_of(e.content, e.where) for e in first if not e.holds_results)),
                "")  # fmt: skip
    others = {k: n for k, n in session.others.items() if k not in ("summary", "result")}
    meta = {**session.meta, **({"other_lines": json.loads(json.dumps(others))} if others else {})}
    finishes = [f["finish"] for f in fields if f.get("finish") and f["agent"] == team.main]
    return episode(
        name, fields, "claude_code", outsiders(fields, team.members), members=team.members,
        task=task, meta=meta, ending=session.ending or (finishes[-1] if finishes else ""),
    )  # fmt: skip


def companions(path: Path) -> Iterator[Path]:
    """Yields the files of the subagents of a session."""
    inner = path.with_suffix("") / "subagents"
    if inner.is_dir() and not inner.is_symlink():
        yield from sorted(inner.glob("agent-*.json*"))
    if not path.name.startswith("agent-"):
        own = _session_in(path)
        for other in sorted(path.parent.glob("agent-*.jsonl")):
            if own and _session_in(other) == own:
                yield other
                yield other.with_suffix(".meta.json")


def _session_in(path: Path) -> str:
    """Returns the session that the first lines of a file name."""
    try:
        with path.open("rb") as file:
            head = file.read(65536).split(b"\n")[:5]
    except OSError:
        return ""
    for line in head:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and isinstance(value.get("sessionId"), str):
            return str(value["sessionId"])
    return ""


FORMAT = SessionFormat(is_claude_code, read, "folder", companions)
