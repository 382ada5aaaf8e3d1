"""A reward log of any tool to `Decisions`: JSON lines, a JSON list, CSV or a NumPy archive.

Start at `read_decisions`. Nothing is executed, unpickled or fetched. A line may have 64 MB, and a
hostile file takes bounded memory.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from counterpoint.errors import LogError
from counterpoint.readers.jsonl import read_jsonl
from counterpoint.readers.lines import LogNotice, blocks, opened
from counterpoint.readers.npz import read_npz
from counterpoint.readers.packed import read_at_most, unpacked
from counterpoint.readers.table import read_table
from counterpoint.records import Decisions

ZIP = b"PK\x03\x04"
"""The first bytes of an npz archive."""

PARQUET = b"PAR1"
"""The first bytes of a Parquet file, such as TRL's completions."""

LARGEST_PIPED_NPZ_BYTES = 256 * 2**20
"""An archive from standard input is held in memory; a larger archive must be a file."""


def read_decisions(
    source: str | os.PathLike[str] | BinaryIO, columns: Mapping[str, str] | None = None
) -> Decisions:
    """Returns the decisions of a log.

    Args:
        source: a path, "-" for standard input, or a binary stream. The content decides the
            format: an npz archive, lines that begin with `{`, a list of objects, or else CSV, each
            also in gzip. The formats are described in `counterpoint.readers.jsonl`, `.table` and
            `.npz`; the names that other tools give to columns are in `.names`.
        columns: what columns mean, the log's name to ours: prompt, rollout, agent, role, turn,
            context, step, action, reward, `rewards.NAME` (a component), or ignore. Other columns
            are understood by their names.

    Returns:
        One row for each decision, NaN where a reward is missing, labels as the log has them.

    Raises:
        LogError: The log cannot be read; the message has the line and column if they are known.

    Warns:
        TornLogWarning: The last line is incomplete; the records before it are returned.
        LogNotice: The meaning of a column with a foreign name was guessed. `Decisions.notices` has
            the same sentences, and those about absent columns and columns that are not read.
    """
    if isinstance(source, str | os.PathLike):
        with opened(source, "a log file, or -") as file:
            decisions, guesses = _read(file, columns)
    else:
        decisions, guesses = _read(source, columns)
    for guess in guesses:
        warnings.warn(guess, LogNotice, stacklevel=2)
    return decisions


def example_log() -> Path:
    """Returns the shipped example, a language-model team that collapsed."""
    return Path(__file__).parent / "examples" / "collapsed_pooled.jsonl"


def _read(stream: BinaryIO, chosen: Mapping[str, str] | None) -> tuple[Decisions, list[str]]:
    """Returns the decisions of a stream, and sentences about guessed meanings."""
    stream = unpacked(stream)
    head = stream.read(len(ZIP))
    while len(head) < len(ZIP) and (more := stream.read(len(ZIP) - len(head))):
        head += more
    if head == ZIP:
        if stream.seekable():
            stream.seek(0)
            return read_npz(stream, chosen)
        data = head + read_at_most(stream, LARGEST_PIPED_NPZ_BYTES)
        if len(data) > LARGEST_PIPED_NPZ_BYTES:
            raise LogError(
                f"got an npz archive of more than {LARGEST_PIPED_NPZ_BYTES // 2**20} MB on "
                "standard input; wanted the path of a file"
            )
        return read_npz(io.BytesIO(data), chosen)
    if head == PARQUET:
        raise LogError(
            "got a Parquet file; wanted JSON lines, CSV or npz: write it anew with "
            "pandas.read_parquet(FILE).to_json('log.jsonl', orient='records', lines=True)"
        )
    head = head.removeprefix(b"\xef\xbb\xbf")
    empty = 0
    while not head.strip():
        empty += head.count(b"\n")
        head = stream.read(2**16)
        if not head:
            raise LogError("got an empty log; wanted at least one record")
    head = b"\n" * empty + head  # so that lines keep their numbers
    reader = read_jsonl if head.strip()[:1] in b"{[" else read_table
    columns = reader(blocks(stream, head), chosen)
    return columns.decisions(), columns.guesses
