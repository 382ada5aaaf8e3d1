"""Logs of teams to episodes: `read_logs` finds the format by content, and reads file by file.

A file is one JSON value, JSON lines, or an archive of inspect_ai's; a folder is read to its bottom,
dot-folders included. What is no log is skipped with a note; what is one and is broken is an error
that names the place, except for a torn last line, which is left out with a warning.
"""

from __future__ import annotations

import json
import os
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from counterpoint.errors import LogError
from counterpoint.optional import needs, pip_line
from counterpoint.readers.cooperbench import cooperbench, is_cooperbench
from counterpoint.readers.documents import FORMATS, format_of, inspect
from counterpoint.readers.lines import TornLogWarning, blocks
from counterpoint.readers.mapping import Names, mapped
from counterpoint.readers.spans import episodes_of_spans, is_span, spans_of
from counterpoint.records import Episode

LARGEST_DOCUMENT = 64 * 2**20
"""Bytes of a file that is one JSON value; more belong into JSON lines."""
LARGEST_MEMBER = 64 * 2**20
"""Bytes of a file in an archive, unpacked."""
LARGEST_RATIO = 200
"""Of an archive's file, unpacked to packed."""
MOST_MEMBERS = 100_000
ZSTANDARD = 93
"""How newer archives are packed; this Python's zipfile does not know it."""
_decoder = msgspec.json.Decoder()

Note = Callable[[str], object]


def read_logs(
    path: str | os.PathLike[str], names: Names | None = None, note: Note = lambda line: None
) -> Iterator[Episode]:
    """Every episode of a file or a folder.

    Args:
        path: of the file or folder.
        names: what the user says of who is a member.
        note: called with a line for each file that is skipped.

    Raises:
        LogError: there is nothing, or a log is broken; file, line and field are named.

    Warns:
        TornLogWarning: the last line of a file is incomplete; what stands before it is there.
    """
    root = Path(path)
    if not root.exists():
        raise LogError(f"got {root}: no such file or folder; wanted a log")
    for each in _found(root, note, top=True):
        yield mapped(each, names) if names else each


def _found(path: Path, note: Note, top: bool = False) -> Iterator[Episode]:
    if path.is_symlink() and not top:
        note(f"{path}: a link, not followed")
    elif path.is_dir():
        if is_cooperbench(path):
            yield cooperbench(path, _load)
            return
        for inner in sorted(path.iterdir()):
            yield from _found(inner, note)
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
            raise LogError(f"{path}: got no JSON; wanted a log: see docs/how-to/audit-logs.md")
        note(f"{path}: no log, skipped")
        return
    yield from _lines(path, note, top) if _is_lines(path, head) else _document(path, note, top)


def _is_lines(path: Path, head: bytes) -> bool:
    """Whether the first line is a JSON value by itself and more may follow."""
    if path.suffix == ".jsonl":
        return True
    first, end, rest = head.partition(b"\n")
    if not end:
        return False
    try:
        _decoder.decode(first)
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
    """Lines of one kind; the first line says which."""
    kind: str | None = None
    spans: list[dict[str, Any]] = []
    read = 0
    with path.open("rb") as file:
        for block in _blocks(path, file):
            for number, line in block.lines():
                where = f"{path}, line {number}"
                try:
                    value = _value(line, where)
                except LogError:
                    if block.unended and read:
                        warnings.warn(
                            f"{where}: the last line is incomplete and was left out",
                            TornLogWarning,
                            stacklevel=2,
                        )
                        break
                    raise
                if read == 0:
                    kind = "otel" if is_span(value) else format_of(value)
                    if kind is None:
                        if top:
                            raise LogError(f"{where}: got JSON of no kind that is known")
                        note(f"{path}: JSON lines of no kind that is known, skipped")
                        return
                read += 1
                if kind == "otel":
                    if not is_span(value):
                        raise LogError(f"{where}: got no span in a file of spans")
                    spans += spans_of(value, where)
                    continue
                fits, reader = FORMATS[str(kind)]
                if not fits(value):
                    raise LogError(f"{where}: got something else than {kind}, as the first line is")
                yield from reader(value, where, f"{path.stem}-{number}")
    yield from episodes_of_spans(spans)


def _blocks(path: Path, file: Any) -> Iterator[Any]:
    try:
        yield from blocks(file)
    except LogError as error:
        raise LogError(f"{path}, {error}") from None


def _load(path: Path) -> Any:
    """A file that is one JSON value."""
    try:
        if path.stat().st_size > LARGEST_DOCUMENT:
            raise LogError(
                f"{path}: got {path.stat().st_size // 2**20} MB in one JSON value; wanted at most "
                f"{LARGEST_DOCUMENT // 2**20}: write JSON lines"
            )
        return _value(path.read_bytes(), str(path))
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from None


def _value(data: bytes, where: str) -> Any:
    """A JSON value; NaN and Infinity, which some tools write, are numbers."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return _decoder.decode(data)
    except RecursionError:
        raise LogError(f"{where}: got JSON that is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            return json.loads(data)
        except RecursionError:
            raise LogError(f"{where}: got JSON that is nested too deeply") from None
        except (ValueError, UnicodeDecodeError):
            raise LogError(f"{where}: got no JSON ({error})") from None


def _archive(path: Path) -> Iterator[Episode]:
    """An .eval file of inspect_ai: a zip with a JSON file for each sample. Nothing is unpacked."""
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
                value = _value(_unpacked(archive, member, where), where)
                yield from inspect(value, where, path.stem)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"{path}: got an archive that cannot be read ({error})") from None


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    """The member's bytes, never more than it may have, whatever it says of itself."""
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
    """The bytes of a member that is packed with Zstandard, no more than one too many."""
    with needs(f"{archive.filename}, which is packed with Zstandard,", pip_line("logs")):
        import zstandard
    file = archive.fp
    if file is None:
        raise LogError(f"{archive.filename}: got a closed archive")
    file.seek(member.header_offset)
    header = file.read(30)
    if len(header) < 30:
        raise zipfile.BadZipFile("a header is cut off")
    name, extra = struct.unpack("<HH", header[26:30])
    file.seek(member.header_offset + 30 + name + extra)
    packed = file.read(member.compress_size)
    try:
        with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
            found: bytes = reader.read(LARGEST_MEMBER + 1)
            return found
    except zstandard.ZstdError as error:
        raise zipfile.BadZipFile(str(error)) from None
