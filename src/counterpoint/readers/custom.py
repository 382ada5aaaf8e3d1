"""Logs of any shape: tables of a mapping say with paths where everything stands.

`[episode]` finds episodes and their messages, `[message]` the parts of a message, `[call]` the
calls of tools in it, and `[kinds]` says what the log's words for kinds mean. `custom_format` makes
a format of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from counterpoint.errors import LogError
from counterpoint.marks import mark_of
from counterpoint.readers.build import (
    EventFields,
    Line,
    SessionFormat,
    count,
    episode,
    finite,
    seconds_of,
)
from counterpoint.readers.handoffs import text_of
from counterpoint.readers.names import excerpt
from counterpoint.readers.paths import Path, keys_of, parse_path, values_at
from counterpoint.records import KINDS, Episode, Json

RESULT, IGNORED = "result", "ignore"
"""What a kind may mean beside `KINDS`: the result of a tool, and a message that is left out."""
UNKNOWN = "unknown"
"""The speaker of a message in which none is found; it is not counted as a team
member."""
Places = str | tuple[str, ...]
"""A path, or several of which the first that finds something counts."""


class EpisodePaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[episode]`. Without `each` and `messages`, the values of a file are messages."""

    each: str = ""
    """The episodes in a file's value."""
    by: str = ""
    """In a message: what all messages of an episode share."""
    messages: str = ""
    """The messages in an episode."""
    id: Places = ()
    task: Places = ()
    run: Places = ()
    success: Places = ()
    """A truth value or a number from 0 to 1."""
    success_words: tuple[str, ...] = ()
    """The texts that mean success, if it is a text; all others mean failure."""
    ending: Places = ()
    gold: Places = ()
    """The right answer."""


class MessagePaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[message]`: paths in a message."""

    agent: Places = ()
    """The name of the speaker; a mapping without it is refused."""
    text: Places = ()
    to: Places = ()
    kind: Places = ()
    time: Places = ()
    duration: Places = ()
    tokens: Places = ()
    tokens_in: Places = ()
    cost: Places = ()
    tool: Places = ()
    call: Places = ()
    answer: Places = ()
    error: Places = ()
    finish: Places = ()
    thinking: Places = ()


class CallPaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[call]`: calls of tools in a message, and paths in each."""

    each: str
    tool: Places
    id: Places = ()
    text: Places = ()


class Tables(msgspec.Struct, frozen=True):
    """The tables of a mapping that read a log of any shape."""

    message: MessagePaths
    episode: EpisodePaths = EpisodePaths()
    call: CallPaths | None = None
    kinds: Mapping[str, str] = {}


def custom_format(tables: Tables, note: Callable[[str], object]) -> SessionFormat:
    """Returns the format that the tables of a mapping describe; it fits every value.

    Args:
        tables: the tables.
        note: called for each file with what its paths did not find.

    Raises:
        LogError: A path is none, or a kind is unknown.
    """
    for word, kind in tables.kinds.items():
        if kind not in (*KINDS, RESULT, IGNORED):
            wanted = ", ".join((*KINDS, RESULT, IGNORED))
            raise LogError(f"got {word} = {kind!r} in [kinds] of the mapping; wanted {wanted}")
    reader = _Reader(tables, note)
    return SessionFormat(lambda value: True, lambda lines, name: list(reader.read(lines, name)))


@dataclass
class _Match:
    """Values of one episode."""

    about: Sequence[tuple[Any, str]]
    """The objects that may have the facts of the episode, and their places."""
    messages: list[tuple[Any, str]] = field(default_factory=list)
    id: str = ""


@dataclass
class _Reader:
    tables: Tables
    note: Callable[[str], object]
    paths: dict[str, list[Path]] = field(init=False)
    """`table.key` to its paths."""
    missed: Counter[str] = field(default_factory=Counter)
    spoken: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """The log's kinds that are left out or have no meaning in the mapping."""

    def __post_init__(self) -> None:
        self.paths = {}
        named = (("episode", self.tables.episode), ("message", self.tables.message),
                 ("call", self.tables.call))  # fmt: skip
        for table, struct in named:
            for key in struct.__struct_fields__ if struct else ():
                given = getattr(struct, key)
                if key != "success_words" and given:
                    texts = [given] if isinstance(given, str) else given
                    self.paths[f"{table}.{key}"] = [parse_path(text) for text in texts]

    def read(self, lines: Sequence[Line], name: str) -> Iterator[Episode]:
        """Yields the episodes of a file."""
        self.missed.clear()
        self.kinds.clear()
        self.spoken = 0
        episodes = [self._episode(match, name) for match in self._episodes(lines)]
        where = lines[0].path if lines else name
        if self.missed["message.agent"] == self.spoken:
            agent = self.tables.message.agent
            path = agent if isinstance(agent, str) else ", ".join(agent)
            what = f"no agent at {path}" if self.spoken else "no message"
            values = [m for m, _ in self._episodes(lines)[0].messages] if self.spoken else []
            seen = keys_of(values[0] if values else lines[0].value if lines else None)
            raise LogError(f"{where}: the mapping's paths found {what}; there is {seen}")
        if missed := ", ".join(f"{key} in {times}" for key, times in self.missed.items() if times):
            self.note(f"{where}: of {self.spoken} messages, not found: {missed}")
        for word, times in self.kinds.items():
            how = "left out" if self.tables.kinds.get(word) == IGNORED else "read as messages"
            self.note(f"{where}: {how}: {times} of the kind {word!r}")
        yield from episodes

    def _episodes(self, lines: Sequence[Line]) -> list[_Match]:
        """Returns the objects and the messages of each episode."""
        table = self.tables.episode
        if not table.each and not table.messages:
            values = [pair for line in lines for pair in _elements(line)]
            return self._grouped(values) if table.by else [_Match(values, values)]
        matches: list[_Match] = []
        for line in lines:
            (each,) = self.paths.get("episode.each", [()])
            for i, value in enumerate(values_at(line.value, each)):
                where = f"{line.where}, {table.each} {i}" if table.each else line.where
                (path,) = self.paths.get("episode.messages", [()])
                inner = [(message, f"{where}, message {n}")
                         for n, message in enumerate(self._messages(value, path))]  # fmt: skip
                matches.append(_Match([(value, where)], inner))
        if table.by:
            return self._grouped([pair for each in matches for pair in each.messages])
        return matches

    def _messages(self, value: Any, path: Path) -> Iterator[Any]:
        """Yields the messages of an episode, also if the path ends at their list."""
        for each in values_at(value, path):
            yield from each if isinstance(each, list) else [each]

    def _grouped(self, values: Sequence[tuple[Any, str]]) -> list[_Match]:
        """Returns the messages by what those of an episode share, in order of their first."""
        groups: dict[str, list[tuple[Any, str]]] = {}
        for value, where in values:
            own = self._first("episode.by", value)
            if own is None:
                self.missed["episode.by"] += 1
            groups.setdefault(text_of(own), []).append((value, where))
        return [_Match(group, group, own) for own, group in groups.items()]

    def _first(self, key: str, value: Any) -> Any:
        """Returns the first value at the paths of a key, or None."""
        for path in self.paths.get(key, ()):
            for each in values_at(value, path):
                return each
        return None

    def _fact(self, key: str, match: _Match, last: bool = False) -> tuple[Any, str]:
        """Returns a fact of an episode and its place: the first one, or the last one."""
        for value, where in reversed(match.about) if last else match.about:
            if (fact := self._first(f"episode.{key}", value)) is not None:
                return fact, where
        return None, ""

    def _episode(self, match: _Match, name: str) -> Episode:
        events = [event for value, where in match.messages for event in self._events(value, where)]
        outside = [UNKNOWN, *(e["agent"] for e in events if e["kind"] == "message"
                              and e.get("tool") == e["agent"])]  # fmt: skip
        own = text_of(self._fact("id", match)[0]) or match.id
        where = match.about[0][1] if match.about else ""
        if not own and self.tables.episode.each:
            own = f"{name}-{where.rpartition(' ')[2]}"
        success, at = self._fact("success", match, last=True)
        gold = self._fact("gold", match)[0]
        return episode(own or name, events, "mapping", outside,
                       run=text_of(self._fact("run", match)[0]),
                       task=text_of(self._fact("task", match)[0]), success=self._share(success, at),
                       meta={} if gold is None else {"gold": gold},
                       ending=text_of(self._fact("ending", match, last=True)[0]))  # fmt: skip

    def _share(self, value: Any, where: str) -> float | None:
        """Returns a success from 0 to 1."""
        words = self.tables.episode.success_words
        if isinstance(value, str) and words:
            return float(value in words)
        number = float(value) if isinstance(value, bool) else finite(value)
        if value is None or (number is not None and 0 <= number <= 1):
            return number
        raise self._wrong("episode.success", where, value, "true, false or a number from 0 to 1, "
                          "or a text with success_words in the mapping")  # fmt: skip

    def _events(self, value: Any, where: str) -> list[EventFields]:
        """Returns the message, and the calls in it."""
        self.spoken += 1
        word = self._text("kind", value, where)
        kind = self.tables.kinds.get(word, word if word in KINDS else "message")
        if kind == IGNORED:
            self.spoken -= 1
            self.kinds[word] += 1
            return []
        if word and word not in (*KINDS, *self.tables.kinds):
            self.kinds[word] += 1
        text, thinking = self._text("text", value, where), self._text("thinking", value, where)
        tool = self._text("tool", value, where)
        agent = self._text("agent", value, where) or UNKNOWN
        event: EventFields = {
            "agent": tool if kind == RESULT and tool else agent,
            "kind": "message" if kind == RESULT else kind,
            "text": text, "to": self._names("to", value), "tool": tool,
            "call": self._text("call", value, where), "error": self._text("error", value, where),
            "finish": self._text("finish", value, where),
            "seconds": self._number("time", value, where, seconds_of),
            "duration": self._number("duration", value, where, finite),
            "cost": self._number("cost", value, where, finite),
        }  # fmt: skip
        event["tokens"] = _whole(self._number("tokens", value, where, count))
        event["tokens_in"] = _whole(self._number("tokens_in", value, where, count))
        if answer := self._text("answer", value, where):
            event["answer"] = answer
        if thinking:
            event["meta"] = {"thinking": thinking}
        calls = self._calls(value, where, agent)
        return [event, *calls] if text or not calls else [_merged(event, calls[0]), *calls[1:]]

    def _calls(self, value: Any, where: str, agent: str) -> list[EventFields]:
        """Returns the calls of tools in a message."""
        made: list[EventFields] = []
        for path in self.paths.get("call.each", ()):
            for each in values_at(value, path):
                call, text = self._first("call.id", each), self._first("call.text", each)
                tool = self._first("call.tool", each)
                if not isinstance(tool, str):
                    raise self._wrong("call.tool", where, tool, "the name of a tool")
                made.append({"agent": agent, "kind": "action", "tool": tool, "call": text_of(call),
                             "text": text_of(text)})  # fmt: skip
        return made

    def _text(self, key: str, value: Any, where: str) -> str:
        """Returns what the paths of a key find, as a text; parts of a content are joined."""
        paths = self.paths.get(f"message.{key}")
        if not paths:
            return ""
        for path in paths:
            texts = [_plain(each) for each in values_at(value, path)]
            if texts:
                return "\n".join(text for text in texts if text)
        self.missed[f"message.{key}"] += 1
        return ""

    def _names(self, key: str, value: Any) -> tuple[str, ...]:
        names: list[str] = []
        for path in self.paths.get(f"message.{key}", ()):
            for each in values_at(value, path):
                names += map(text_of, each if isinstance(each, list) else [each])
            if names:
                break
        return tuple(name for name in names if name)

    def _number(
        self, key: str, value: Any, where: str, read: Callable[[Any], float | None]
    ) -> float | None:
        """Returns a number that the paths of a key find; another value there is an error."""
        name = f"message.{key}"
        if name not in self.paths:
            return None
        match = self._first(name, value)
        if match is None:
            self.missed[name] += 1
            return None
        number = read(match)
        if number is None:
            raise self._wrong(name, where, match, "a time" if key == "time" else "a number")
        return number

    def _wrong(self, key: str, where: str, value: Any, wanted: str) -> LogError:
        table, _, name = key.partition(".")
        given = getattr(getattr(self.tables, table), name)
        path = given if isinstance(given, str) else ", ".join(given)
        return LogError(f"{where}: got {excerpt(value)} at {path} ({key}); wanted {wanted}")


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _elements(line: Line) -> list[tuple[Any, str]]:
    """Returns the messages of a value: the elements of a list, or the value."""
    if isinstance(line.value, list):
        return [(each, f"{line.where}, {i}") for i, each in enumerate(line.value)]
    return [(line.value, line.where)]


def _plain(value: Json) -> str:
    """Returns a text; of a list of parts, their texts and marks; of another value, its JSON."""
    if isinstance(value, list) and any(
        isinstance(part, str) or (isinstance(part, dict) and part.keys() & {"text", "type"})
        for part in value
    ):
        parts = [part.get("text", mark_of(part)) if isinstance(part, dict) else part
                 for part in value]  # fmt: skip
        if all(part is None or isinstance(part, str) for part in parts):
            return "\n".join(str(part) for part in parts if part)
    return text_of(value)


def _merged(message: EventFields, call: EventFields) -> EventFields:
    """Returns a call with the facts of its message, which has no text."""
    return {**message, "kind": "action", "agent": call["agent"], "text": call["text"],
            "tool": call["tool"], "call": call["call"]}  # fmt: skip
