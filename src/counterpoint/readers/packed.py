"""What a table may be packed in: gzip, and a JSON list instead of JSON lines."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from typing import BinaryIO, cast

from counterpoint.errors import LogError
from counterpoint.readers.lines import json_value

GZIP = b"\x1f\x8b"
"""The first bytes of a gzip file."""
LARGEST_LIST = 256 * 2**20
"""The most bytes of a JSON list, which is held in memory."""


def read_at_most(stream: BinaryIO, most: int) -> bytes:
    """Returns what a stream has, up to so many bytes. `read(most)` would reserve all of them."""
    whole = bytearray()
    while len(whole) < most and (block := stream.read(min(1 << 20, most - len(whole)))):
        whole += block
    return bytes(whole)


class _Unzipped(gzip.GzipFile):
    """What a gzip file holds; a broken file is a LogError."""

    def read(self, size: int | None = -1) -> bytes:
        try:
            return super().read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise LogError(f"got a broken gzip file ({error}); wanted a whole one") from None


def unpacked(stream: BinaryIO) -> BinaryIO:
    """Returns the lines of a stream: of what a gzip file holds, or one for each object of a list.

    An error in an object of a list names its number as that of a line. A stream that is neither
    a file nor in memory is returned as it is.

    Raises:
        LogError: A list is too large, or a gzip file is broken, also while the result is read.
    """
    if not isinstance(stream, io.BufferedReader | io.BytesIO):
        return stream
    buffered = _buffered(stream)
    if buffered.peek(64).startswith(GZIP):
        buffered = _buffered(_Unzipped(fileobj=buffered))
    if buffered.peek(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"[":
        return buffered
    data = read_at_most(buffered, LARGEST_LIST + 1)
    if len(data) > LARGEST_LIST:
        raise LogError(
            f"got a JSON list of more than {LARGEST_LIST // 2**20} MB; wanted JSON lines"
        )
    try:
        rows = json_value(data, "the list")
    except LogError:
        rows = None  # lines that are lists: the reader of the lines raises the error
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return io.BytesIO(data)


def _buffered(stream: object) -> io.BufferedReader:
    if isinstance(stream, io.BufferedReader):
        return stream
    return io.BufferedReader(cast(io.RawIOBase, stream))
