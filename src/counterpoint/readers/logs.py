"""Logs of teams to episodes: `read_logs` finds the format by content, and reads file by file.

`noted_episodes` also collects notes on what was left out of a log. Rules say which speakers are
members of the team, and a small TOML file overrides them (`read_mapping`):

    agents = ["planner", "coder"]     # members, whatever the rules say
    tools = ["shell"]                 # not members
    ignore = ["logger"]               # their events are left out
    [rename]
    "assistant-1" = "planner"

Names may have `*` for any letters and `?` for one. Tables with paths (`custom`) read a log that is
of none of the known formats. A torn last line is left out with a warning; `walk` says what else may
be left out.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from counterpoint.errors import LogError
from counterpoint.marks import count_marks, counted_kinds, is_hidden
from counterpoint.readers.amounts import plausible
from counterpoint.readers.custom import (
    CallPaths,
    EpisodePaths,
    MessagePaths,
    Tables,
    custom_format,
)
from counterpoint.readers.lines import TornLogWarning
from counterpoint.readers.walk import Note, walk
from counterpoint.records import Episode, Event


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user's mapping of the names in a log."""

    agents: tuple[str, ...] = ()
    """Members, even against the rules."""
    tools: tuple[str, ...] = ()
    """Speakers that are not members."""
    ignore: tuple[str, ...] = ()
    """Speakers whose events are left out."""
    rename: dict[str, str] = {}
    """Old name to new name; the other fields have new names."""
    episode: EpisodePaths = EpisodePaths()
    message: MessagePaths | None = None
    """With this table, all logs are read by the paths of the mapping and by no known format."""
    call: CallPaths | None = None
    kinds: dict[str, str] = {}
    """The log's word for a kind of messages to our word."""

    def tables(self) -> Tables | None:
        """Returns the tables with paths, if there are any."""
        if self.message is None:
            return None
        return Tables(self.message, self.episode, self.call, self.kinds)


def read_mapping(path: Path) -> Names:
    """Returns the mapping in a TOML file.

    Raises:
        LogError: The file cannot be read, or has other keys or types.
    """
    try:
        names = msgspec.toml.decode(path.read_bytes(), type=Names)
        if names.message is None and (names.call or names.kinds or names.episode != EpisodePaths()):
            raise ValueError("there are tables with paths, and no table message")
        if names.message is not None and not names.message.agent:
            raise ValueError(
                'the table [message] has no agent; uncomment its line agent = "", and write the '
                "path to the name of the speaker"
            )
        return names
    except (OSError, ValueError, RecursionError) as error:
        wanted = (
            "a TOML file with lists agents, tools and ignore, and tables rename, episode, message, "
            "call and kinds"
        )
        raise LogError(f"got mapping {path}: {error}; wanted {wanted}") from None


def mapped(episode: Episode, mapping: Names) -> Episode:
    """Returns the episode under the user's mapping."""

    def renamed(name: str) -> str:
        return mapping.rename.get(name, name)

    kept: list[Event] = []
    for event in episode.events:
        agent = renamed(event.agent)
        if not _among(agent, mapping.ignore):
            to = tuple(map(renamed, event.to))
            kept.append(replace(event, t=len(kept), agent=agent, to=to))
    names = tuple(dict.fromkeys([*map(renamed, (*episode.agents, *episode.tools)),
                                 *(event.agent for event in kept)]))  # fmt: skip
    were = set(map(renamed, episode.agents))
    agents = tuple(
        name
        for name in names
        if not _among(name, mapping.ignore)
        and (_among(name, mapping.agents) or (name in were and not _among(name, mapping.tools)))
    )
    tools = tuple(n for n in names if n not in agents and not _among(n, mapping.ignore))
    return replace(episode, events=tuple(kept), agents=agents, tools=tools, doubts=())


def _among(name: str, patterns: Sequence[str]) -> bool:
    """Returns whether a name is one of a list, in which `*` and `?` stand for letters."""
    return any(
        name == pattern or fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns
    )


AGAIN = "episodes with the task and the events of an earlier one, which count as well"


def read_logs(
    path: str | os.PathLike[str],
    names: Names | None = None,
    note: Note = lambda line: None,
    without: Collection[Path] = (),
) -> Iterator[Episode]:
    """Yields every episode of a file or a folder, each with an id of its own.

    Args:
        path: the file or folder.
        names: the user's mapping of names and members.
        note: called with a line for each part that is left out: a file of a folder that is no log
            or is broken, lines of another kind.
        without: files of a folder that are not read.

    Raises:
        LogError: There is no log, or the file that was asked for is broken; the message names file,
            line and field.

    Warns:
        TornLogWarning: The last line of a file is incomplete; the lines before it were read.
    """
    root = Path(path)
    if not root.exists():
        raise LogError(f"got {root}: no such file or folder; wanted a log")
    times: dict[int, int] = {}  # by hash: a log may have millions of ids
    tables = names.tables() if names else None
    form = custom_format(tables, note) if tables else None
    odd: Counter[str] = Counter()
    known: set[int] = set()
    again = 0
    for episode in walk(root, note, form, without):
        episode = plausible(episode, odd)
        content = hash((episode.task, tuple((e.agent, e.kind, e.text) for e in episode.events)))
        again += content in known
        known.add(content)
        key = hash(episode.id)
        times[key] = times.get(key, 0) + 1
        if times[key] > 1:
            episode = replace(episode, id=f"{episode.id} ({times[key]})")
        yield mapped(episode, names) if names else episode
    if again:
        note(f"{AGAIN} ({again}); is a log there twice?")
    for field_name, count in (+odd).items():
        note(f"not a possible number, and taken for unknown: {field_name} ({count})")


def is_original(path: Path) -> bool:
    """Returns whether a file is a log, and not one that was converted from another tool's."""
    try:
        with warnings.catch_warnings(action="ignore", category=TornLogWarning):
            first = next(read_logs(path), None)
    except LogError:
        return False
    if first is None:
        return False
    with path.open("rb") as file:
        is_ours = b'"schema"' in file.read(100)  # our own format keeps the name of the other one
    return not is_ours or first.meta.get("format") == "counterpoint"


@dataclass
class Notes:
    """What a person should know of a log; reading its episodes fills it."""

    on_note: Callable[[str], object] = lambda line: None
    """Called with each line about a part that was left out."""
    lines: list[str] = field(default_factory=list)
    """The warning, and what was left out."""
    warning: str | None = None
    """The reason why findings about single members are not reliable."""
    reasoning: int = 0
    """Number of events with a reasoning that can be read: it stands in their `meta`."""

    def add(self, line: str) -> None:
        """Keeps a line about a part that was left out."""
        self.lines.append(line)
        self.on_note(line)


def noted_episodes(
    path: Path,
    names: Names | None,
    notes: Notes,
    on_episode: Callable[[int], object] = lambda count: None,
    without: Collection[Path] = (),
) -> Iterator[Episode]:
    """Yields the episodes of a log, and notes what was left out of it.

    If it is uncertain who the members are, and no mapping says it, there is a warning in the end,
    which is the first line of the notes too.

    Args:
        path: a file or a folder.
        names: the user's mapping of names and members.
        notes: they are complete when the last episode has been taken.
        on_episode: called with the number of episodes that have been taken.
        without: files of a folder that are not read.

    Raises:
        LogError: There is no log, or the file that was asked for is broken; the message names file,
            line and field.
    """
    count = 0
    doubts: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    with warnings.catch_warnings(record=True) as torn:
        warnings.simplefilter("always", TornLogWarning)
        for count, episode in enumerate(read_logs(path, names, notes.add, without), 1):
            doubts.update(episode.doubts)
            parts = episode.meta.get("left_out")
            for part, number in parts.items() if isinstance(parts, Mapping) else ():
                left_out[part] += number if isinstance(number, int) else 1
            for event in episode.events:
                thinking = event.meta.get("thinking") if event.meta else None
                thinking = thinking if isinstance(thinking, str) else ""
                notes.reasoning += not is_hidden(thinking)
                for text in (event.text, thinking):
                    if " #" in text:
                        unread.update(count_marks([text]))
            yield episode
            on_episode(count)
    for warning in torn:
        notes.add(str(warning.message))
    if unread:
        notes.add(f"not read, a mark stands for each: {counted_kinds(unread)}")
    for part, times in left_out.items():
        notes.add(f"left out: {part} ({times})")
    if doubts:
        notes.warning = " ".join(
            f"In {times} of {count} episodes: {sentence}" if count > 1 else sentence
            for sentence, times in doubts.most_common()
        )
        notes.lines.insert(0, notes.warning)
