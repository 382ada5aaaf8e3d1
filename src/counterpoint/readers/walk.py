"""A file or a folder to episodes, file by file: `walk` finds the format of each by content.

A file is one JSON value, JSON lines, or an archive of inspect_ai's. A folder is read with all its
folders, hidden ones included. A file of a folder that cannot be read is noted, and the walk goes
on; the file that was asked for is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import msgspec

from counterpoint.errors import LogError
from counterpoint.readers.archive import read_archive
from counterpoint.readers.build import Format, LeftOut, Line, SessionFormat
from counterpoint.readers.formats.catalogue import FORMATS, format_of
from counterpoint.readers.formats.cooperbench import cooperbench, is_cooperbench
from counterpoint.readers.lines import json_lines, json_value
from counterpoint.readers.skeleton import refusal
from counterpoint.records import Episode, Location
from counterpoint.settings import NOT_JSON

LARGEST_DOCUMENT = 64 * 2**20
"""The most bytes of a file that is one JSON value; a larger log must be JSON lines."""
MOST_UNKNOWN = 50
"""The format of a file is found within so many of its first lines."""

Note = Callable[[str], object]


def walk(
    root: Path, note: Note, form: SessionFormat | None = None, without: Collection[Path] = ()
) -> Iterator[Episode]:
    """Yields all episodes of a file or a folder.

    Args:
        root: the file or folder.
        note: called with a line for each part that is left out.
        form: the format of all files; by default, that of each is found.
        without: files of the folder that are not read, and not noted.

    Raises:
        LogError: The file that was asked for is no log or is broken.
    """
    yield from _Walk(root, note, form, without).episodes()


class _Walk:
    """One walk; it remembers the files that were read together with another one."""

    def __init__(
        self, root: Path, note: Note, form: SessionFormat | None, without: Collection[Path]
    ) -> None:
        self._without = {path.absolute() for path in without}
        self._root, self._note, self._form = root, note, form
        self._done: set[Path] = set()

    def episodes(self) -> Iterator[Episode]:
        if self._root.is_dir():
            yield from self._folder(self._root)
        else:
            gathered: dict[str, list[Line]] = {}
            yield from self._file(self._root, gathered)
            yield from self._sessions(gathered, self._root.stem)

    def _folder(self, folder: Path) -> Iterator[Episode]:
        try:
            inner = sorted(folder.iterdir())
            if self._form is None and is_cooperbench(folder):
                yield cooperbench(folder, _load)
                return
        except OSError as error:
            raise LogError(f"{folder}: {error.strerror}") from None
        gathered: dict[str, list[Line]] = {}
        for path in inner:
            if path.absolute() in self._without:
                continue
            if path.is_symlink():
                self._note(f"{path}: a link, not followed")
            elif path.is_file():
                yield from self._noted(self._file(path, gathered))
            elif not path.is_dir():
                self._note(f"{path}: no file")
        name = folder.name if folder == self._root else str(folder.relative_to(self._root))
        yield from self._noted(self._sessions(gathered, name))
        for path in inner:
            if path.is_dir() and not path.is_symlink():
                yield from self._noted(self._folder(path))

    def _noted(self, episodes: Iterator[Episode]) -> Iterator[Episode]:
        """Yields episodes until there is an error, which is noted."""
        try:
            yield from episodes
        except LogError as error:
            self._note(f"{error}; skipped")

    def _name(self, path: Path) -> str:
        """Returns the id of what a file holds: its path below the root, without its suffix."""
        inner = path.relative_to(self._root) if self._root.is_dir() else Path(path.name)
        return str(inner.with_suffix(""))

    def _located(self, line: Line) -> Line:
        """Returns a line of a file with its place, from the folder that holds the log on."""
        return line._replace(location=Location(self._below(line.path), line.row))

    def _below(self, path: Path) -> str:
        return path.relative_to(self._root.parent).as_posix()

    def _file(self, path: Path, gathered: dict[str, list[Line]]) -> Iterator[Episode]:
        """Yields the episodes of a file; lines that belong to those of other files are gathered."""
        if path in self._done:
            return
        head = _head(path)
        if head.startswith(b"PK\x03\x04"):
            yield from read_archive(path)
            return
        if self._form is not None:
            whole = [self._located(line) for line in _lines(path, head, whole=True)]
            yield from self._read(self._form, whole, self._name(path), path)
            return
        is_json = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
        if not is_json and _text_format(head) is None:
            raise LogError(f"{path}: got no JSON; wanted a log")
        lines = _lines(path, head)
        first: list[Line] = []
        kind = None
        for line in lines:
            first.append(line)
            kind = format_of(line.value)
            if kind or len(first) == MOST_UNKNOWN:
                break
        if kind is None:
            problem = refusal(first[0]) if first else "got no value; wanted a log"
            raise LogError(f"{path}: {problem}")
        form = FORMATS[kind]
        fitting = self._fitting(path, kind, chain(first, lines))
        if isinstance(form, Format):
            name, count = self._name(path), 0
            for line in self._last(path, form, fitting):
                for episode in form.read(line.value, line.where, _numbered(name, line)):
                    count += 1
                    yield replace(episode, location=line.location)
            self._note_empty(path, count)
            return
        together = list(fitting)
        self._done.add(path)
        for other in form.companions(path):
            if other not in self._done and other.is_file() and not other.is_symlink():
                self._done.add(other)
                together += self._fitting(other, kind, _lines(other, _head(other)))
        if form.scope == "folder":
            gathered.setdefault(kind, []).extend(together)
        else:
            yield from self._read(form, together, self._name(path), path)

    def _last(self, path: Path, form: Format, lines: Iterable[Line]) -> Iterator[Line]:
        """Yields the lines that the next one does not repeat; others are counted in a note."""
        before: Line | None = None
        repeated = 0
        for line in lines:
            if before is not None and form.repeats(before.value, line.value):
                repeated += 1
            elif before is not None:
                yield before
            before = line
        if before is not None:
            yield before
        if repeated:
            noun = "snapshot" if repeated == 1 else "snapshots"
            self._note(f"{path}: left out {repeated} {noun} that the next one repeats")

    def _fitting(self, path: Path, kind: str, lines: Iterable[Line]) -> Iterator[Line]:
        """Yields the lines of a format; others are counted in a note."""
        others, fits = 0, FORMATS[kind].fits
        for line in lines:
            if fits(line.value):
                yield self._located(line)
            else:
                others += 1
        if others:
            noun = "line that is" if others == 1 else "lines that are"
            self._note(f"{path}: skipped {others} {noun} not of the format {kind}")

    def _sessions(self, gathered: dict[str, list[Line]], name: str) -> Iterator[Episode]:
        for kind, lines in gathered.items():
            form = FORMATS[kind]
            if isinstance(form, SessionFormat):
                paths = dict.fromkeys(line.path for line in lines)
                place = next(iter(paths)) if len(paths) == 1 else next(iter(paths)).parent
                yield from self._read(form, lines, name, place)

    def _read(
        self, form: SessionFormat, lines: Sequence[Line], name: str, place: Path
    ) -> Iterator[Episode]:
        """Yields the episodes of lines that belong together; what is in none is noted."""
        location, count = None if place.is_dir() else Location(self._below(place)), 0
        for each in form.read(lines, name):
            count += 1
            if isinstance(each, LeftOut):
                self._note(f"{place}: left out: {each.what} ({each.number})")
            else:
                yield replace(each, location=location)
        self._note_empty(place, count)

    def _note_empty(self, place: Path, count: int) -> None:
        """Notes that a log of a known format has no episode, if `count` says so."""
        if not count:
            self._note(f"{place}: no episode in it")


def document(path: Path) -> list[Line]:
    """Returns the first lines of a file, or the one value in it."""
    return list(islice(_lines(path, _head(path), whole=True), MOST_UNKNOWN))


def _numbered(name: str, line: Line) -> str:
    return f"{name}-{line.number}" if line.number else name


def _head(path: Path) -> bytes:
    """Returns the first bytes of a file."""
    if path.is_fifo():
        raise LogError(f"{path} is a pipe, and its format is found by reading twice; wanted a file")
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from None


def _lines(path: Path, head: bytes, whole: bool = False) -> Iterator[Line]:
    """Yields the values of a file: its lines, the elements of its list, or the one value in it.

    The value of a file that is the text of a known format is this text. With `whole`, a list is one
    value.
    """
    if not whole and _text_format(head) is not None:
        yield Line(_text(path), str(path), path, "")
        return
    if _is_lines(path, head):
        with path.open("rb") as file:
            for number, where, value in json_lines(file, f"{path}, "):
                yield Line(value, where, path, str(number), row=number)
        return
    value = _load(path)
    if not whole and isinstance(value, list) and format_of(value) is None:
        for i, each in enumerate(value):
            yield Line(each, f"{path}, {i}", path, str(i))
    else:
        yield Line(value, str(path), path, "")


def _is_lines(path: Path, head: bytes) -> bool:
    """Returns whether the first line is a JSON value by itself and more lines may follow."""
    if path.suffix == ".jsonl":
        return True
    first, end, rest = head.partition(b"\n")
    if not end:  # the first line may be longer than the head
        with path.open("rb") as file:
            first = file.readline(LARGEST_DOCUMENT)
            rest = file.read(len(head)) if first.endswith(b"\n") else b""
    if not rest.strip():
        return False
    try:
        msgspec.json.decode(first)
    except NOT_JSON:
        return False
    return True


def _text_format(head: bytes) -> str | None:
    """Returns the format of a file that is a text and no JSON, by its first bytes."""
    return format_of(head.decode(errors="ignore"))


def _text(path: Path) -> str:
    """Returns the text of a file; bytes that are not UTF-8 become question marks."""
    return _bytes(path, "as one text").decode(errors="replace")


def _load(path: Path) -> object:
    """Returns the value of a file that is one JSON value."""
    return json_value(_bytes(path, "in one JSON value; write JSON lines"), str(path))


def _bytes(path: Path, how: str) -> bytes:
    """Returns what is in a file that is read at once; a file that is too large is an error."""
    try:
        size = path.stat().st_size
        if size > LARGEST_DOCUMENT:
            most = LARGEST_DOCUMENT // 2**20
            raise LogError(f"{path}: got {size // 2**20} MB {how}; wanted at most {most} MB")
        return path.read_bytes()
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from None
