"""Archives of inspect_ai (.eval): a zip with a JSON file a sample, unpacked within bounds."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from counterpoint.errors import LogError
from counterpoint.optional import needs, pip_line
from counterpoint.readers.formats.inspect_ai import inspect
from counterpoint.readers.lines import json_value
from counterpoint.records import Episode

LARGEST_MEMBER = 64 * 2**20
"""The most unpacked bytes of a file in an archive."""
LARGEST_RATIO = 200
"""The most unpacked bytes for each packed byte of a file in an archive."""
MOST_MEMBERS = 100_000
ZSTANDARD = 93
"""The compression method of newer archives, which this Python's zipfile does not support."""


def read_archive(path: Path) -> Iterator[Episode]:
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
            head = _head(archive, members, path)
            for member in samples:
                where = f"{path}, {member.filename!r}"
                value = json_value(_unpacked(archive, member, where), where)
                yield from inspect({"eval": head, "samples": [value]}, where, path.stem)
    except (
        zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, zlib.error,
        lzma.LZMAError, ValueError,
    ) as error:  # fmt: skip
        if isinstance(error, LogError):
            raise
        raise LogError(f"{path}: got an archive that cannot be read ({error})") from None


def _head(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], path: Path) -> object:
    """Returns what the archive says of the run; a run that was broken off has only its start."""
    named = {member.filename: member for member in members}
    for name in ("header.json", "_journal/start.json"):
        if name in named:
            where = f"{path}, {name!r}"
            value = json_value(_unpacked(archive, named[name], where), where)
            return value.get("eval") if isinstance(value, dict) else None
    return None


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
