"""Logs of teams to episodes: `read_logs` finds the format by content, and reads file by file.

`noted_episodes` also collects notes on what was left out of a log. Rules say which speakers are
members of the team, and a small TOML file overrides them (`read_mapping`):

    agents = ["planner", "coder"]     # members, whatever the rules say
    tools = ["shell"]                 # not members
    ignore = ["logger"]               # their events are left out
    [rename]
    "assistant-1" = "planner"

A file is one JSON value, JSON lines, or an archive of inspect_ai's. A folder is read with all its
folders, hidden ones included. A file that is no log is skipped with a note. A broken log is an
error that names the place; a torn last line is left out with a warning.
"""

from __future__ import annotations

import os
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from counterpoint.errors import LogError
from counterpoint.optional import needs, pip_line
from counterpoint.readers.cooperbench import cooperbench, is_cooperbench
from counterpoint.readers.documents import FORMATS, format_of, inspect
from counterpoint.readers.lines import TornLogWarning, json_lines, json_value
from counterpoint.readers.spans import Span, episodes_of_spans, is_span, spans_of
from counterpoint.records import Episode, Event

LARGEST_DOCUMENT = 64 * 2**20
"""The most bytes of a file that is one JSON value; a larger log must be JSON lines."""
LARGEST_MEMBER = 64 * 2**20
"""The most unpacked bytes of a file in an archive."""
LARGEST_RATIO = 200
"""The most unpacked bytes for each packed byte of a file in an archive."""
MOST_MEMBERS = 100_000
ZSTANDARD = 93
"""The compression method of newer archives, which this Python's zipfile does not support."""

Note = Callable[[str], object]


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


def read_mapping(path: Path) -> Names:
    """Returns the mapping in a TOML file.

    Raises:
        LogError: The file cannot be read, or has other keys or types.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Names)
    except (OSError, ValueError) as error:
        wanted = "a TOML file with lists agents, tools and ignore, and a table rename"
        raise LogError(f"got mapping {path}: {error}; wanted {wanted}") from None


def mapped(episode: Episode, mapping: Names) -> Episode:
    """Returns the episode under the user's mapping."""

    def renamed(name: str) -> str:
        return mapping.rename.get(name, name)

    kept: list[Event] = []
    for event in episode.events:
        agent = renamed(event.agent)
        if agent not in mapping.ignore:
            to = tuple(map(renamed, event.to))
            kept.append(replace(event, t=len(kept), agent=agent, to=to))
    names = tuple(dict.fromkeys([*map(renamed, (*episode.agents, *episode.tools)),
                                 *(event.agent for event in kept)]))  # fmt: skip
    were = set(map(renamed, episode.agents))
    agents = tuple(
        name
        for name in names
        if name not in mapping.ignore
        and (name in mapping.agents or (name in were and name not in mapping.tools))
    )
    tools = tuple(n for n in names if n not in agents and n not in mapping.ignore)
    return replace(episode, events=tuple(kept), agents=agents, tools=tools)


def read_logs(
    path: str | os.PathLike[str], names: Names | None = None, note: Note = lambda line: None
) -> Iterator[Episode]:
    """Yields every episode of a file or a folder.

    Args:
        path: the file or folder.
        names: the user's mapping of names and members.
        note: called with a line for each file that is skipped.

    Raises:
        LogError: There is no log, or one is broken; the message names file, line and field.

    Warns:
        TornLogWarning: The last line of a file is incomplete; the lines before it were read.
    """
    root = Path(path)
    if not root.exists():
        raise LogError(f"got {root}: no such file or folder; wanted a log")
    for each in _walk(root, note, top=True):
        yield mapped(each, names) if names else each


@dataclass
class Notes:
    """What a person should know of a log; reading its episodes fills it."""

    on_note: Callable[[str], object] = lambda line: None
    """Called with each line about a file that was skipped or is incomplete."""
    lines: list[str] = field(default_factory=list)
    """What was left out, and the warning."""
    warning: str | None = None
    """The reason why findings about single members are not reliable."""

    def add(self, line: str) -> None:
        """Keeps a line about a part that was left out."""
        self.lines.append(line)
        self.on_note(line)


def noted_episodes(
    path: Path,
    names: Names | None,
    notes: Notes,
    on_episode: Callable[[int], object] = lambda count: None,
) -> Iterator[Episode]:
    """Yields the episodes of a log, and notes what was left out of it.

    If members cannot be distinguished, and no mapping identifies them, there is a warning in the
    end, which is the first line of the notes too.

    Args:
        path: a file or a folder.
        names: the user's mapping of names and members.
        notes: they are complete when the last episode has been taken.
        on_episode: called with the number of episodes that have been taken.

    Raises:
        LogError: There is no log, or one is broken; the message names file, line and field.
    """
    count = unnamed = 0
    with warnings.catch_warnings(record=True) as torn:
        warnings.simplefilter("always", TornLogWarning)
        for count, episode in enumerate(read_logs(path, names, notes.add), 1):
            unnamed += names is None and "unnamed_messages" in episode.meta
            yield episode
            on_episode(count)
    for warning in torn:
        notes.add(str(warning.message))
    if unnamed:
        notes.warning = (
            f"Messages carry no name in {unnamed} of {count} episodes. All messages of the role "
            "count as one member, so findings about single members are not reliable. Write names "
            "into the messages. For LangGraph, log the list of what graph.stream(..., "
            "stream_mode='updates') yields. If there is only one member, name it with --mapping."
        )
        notes.lines.insert(0, notes.warning)


def _walk(path: Path, note: Note, top: bool = False) -> Iterator[Episode]:
    if path.is_symlink() and not top:
        note(f"{path}: a link, not followed")
    elif path.is_dir():
        if is_cooperbench(path):
            yield cooperbench(path, _load)
            return
        for inner in sorted(path.iterdir()):
            yield from _walk(inner, note)
    elif not path.is_file():
        note(f"{path}: no file")
    else:
        yield from _file(path, note, top)


def _file(path: Path, note: Note, top: bool) -> Iterator[Episode]:
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from None
    if head.startswith(b"PK\x03\x04"):
        yield from _archive(path)
        return
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start not in (b"{", b"["):
        if top:
            raise LogError(
                f"{path}: got no JSON; wanted a log: 'counterpoint import --help' lists the formats"
            )
        note(f"{path}: no log, skipped")
        return
    yield from _lines(path, note, top) if _is_lines(path, head) else _document(path, note, top)


def _is_lines(path: Path, head: bytes) -> bool:
    """Returns whether the first line is a JSON value by itself and more lines may follow."""
    if path.suffix == ".jsonl":
        return True
    first, end, rest = head.partition(b"\n")
    if not end:
        return False
    try:
        msgspec.json.decode(first)
    except (msgspec.DecodeError, RecursionError):
        return False
    return bool(rest.strip())


def _document(path: Path, note: Note, top: bool) -> Iterator[Episode]:
    value = _load(path)
    if isinstance(value, dict) and is_span(value):
        yield from episodes_of_spans(list(spans_of(value, str(path))))
    elif kind := format_of(value):
        yield from FORMATS[kind].read(value, str(path), path.stem)
    elif isinstance(value, list) and value and all(format_of(each) for each in value):
        for i, each in enumerate(value):
            kind = format_of(each)
            yield from FORMATS[str(kind)].read(each, f"{path}, {i}", f"{path.stem}-{i}")
    elif isinstance(value, list) and value and all(is_span(each) for each in value):
        yield from episodes_of_spans([span for each in value for span in spans_of(each, str(path))])
    elif top:
        raise LogError(
            f"{path}: got JSON of no kind that is known; wanted one of {', '.join(FORMATS)}, otel"
        )
    else:
        note(f"{path}: JSON of no kind that is known, skipped")


def _lines(path: Path, note: Note, top: bool) -> Iterator[Episode]:
    """Yields the episodes of JSON lines of one format, which the first line decides."""
    kind: str | None = None
    spans: list[Span] = []
    with path.open("rb") as file:
        for number, where, value in json_lines(file, f"{path}, "):
            if kind is None:
                kind = "otel" if is_span(value) else format_of(value)
            if kind is None:
                if top:
                    raise LogError(f"{where}: got JSON of no kind that is known")
                note(f"{path}: JSON lines of no kind that is known, skipped")
                return
            if kind == "otel":
                if not is_span(value):
                    raise LogError(f"{where}: got no span in a file of spans")
                spans += spans_of(value, where)
                continue
            if not FORMATS[kind].fits(value):
                raise LogError(f"{where}: got something else than {kind}, as the first line is")
            yield from FORMATS[kind].read(value, where, f"{path.stem}-{number}")
    yield from episodes_of_spans(spans)


def _load(path: Path) -> Any:
    """Returns the value of a file that is one JSON value."""
    try:
        if path.stat().st_size > LARGEST_DOCUMENT:
            raise LogError(
                f"{path}: got {path.stat().st_size // 2**20} MB in one JSON value; wanted at most "
                f"{LARGEST_DOCUMENT // 2**20}: write JSON lines"
            )
        return json_value(path.read_bytes(), str(path))
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from None


def _archive(path: Path) -> Iterator[Episode]:
    """Yields the samples of an .eval file of inspect_ai, a zip with a JSON file for each sample."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise LogError(f"{path}: got {len(members)} files; wanted at most {MOST_MEMBERS}")
            samples = [m for m in members if m.filename.startswith("samples/")]
            if not samples:
                raise LogError(
                    f"{path}: got an archive without samples/; wanted a log of inspect_ai"
                )
            for member in samples:
                where = f"{path}, {member.filename!r}"
                value = json_value(_unpacked(archive, member, where), where)
                yield from inspect(value, where, path.stem)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"{path}: got an archive that cannot be read ({error})") from None


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    """Returns a member's bytes, and never more than the limit, even if its header is wrong."""
    if member.file_size > LARGEST_MEMBER or (
        member.file_size > 2**20 and member.file_size > LARGEST_RATIO * max(member.compress_size, 1)
    ):
        raise LogError(f"{where}: got {member.file_size} bytes unpacked; that may be a bomb")
    if member.compress_type == ZSTANDARD:
        data = _zstandard(archive, member)
    else:
        with archive.open(member) as file:
            data = file.read(LARGEST_MEMBER + 1)
    if len(data) > LARGEST_MEMBER:
        raise LogError(f"{where}: got more than {LARGEST_MEMBER} bytes unpacked")
    return data


def _zstandard(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Returns the bytes of a member that is packed with Zstandard, at most one over the limit."""
    with needs(f"{archive.filename}, which is packed with Zstandard,", pip_line("logs")):
        import zstandard
    file = archive.fp
    if file is None:
        raise LogError(f"{archive.filename}: got a closed archive")
    file.seek(member.header_offset)
    header = file.read(30)
    if len(header) < 30:
        raise zipfile.BadZipFile("a header is cut off")
    # a zip member: 30 bytes of header, its name, an extra field (both of given lengths), its data
    name, extra = struct.unpack("<HH", header[26:30])
    file.seek(member.header_offset + 30 + name + extra)
    packed = file.read(member.compress_size)
    try:
        with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
            data: bytes = reader.read(LARGEST_MEMBER + 1)
            return data
    except zstandard.ZstdError as error:
        raise zipfile.BadZipFile(str(error)) from None
