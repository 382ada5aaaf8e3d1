"""JSON lines to columns: rows of one decision, or groups of one agent's rollouts.

A row is `{"prompt", "rollout", "agent", "reward"}`, or `"rewards": {component: number}`. A group
is `{"prompt_id", "agent", "rewards": [number, ...]}`: each element is a rollout, and lines with
the same prompt_id and different agents line up by position. A prompt that comes back for the
same agent (and step, turn, role, context) is a group of its own. Other tools' names and nestings
are in `counterpoint.readers.names` and `.nested`.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.columnar import Tables, is_table, shallow, transposed
from counterpoint.readers.columns import Columns
from counterpoint.readers.fields import LONGEST_LENIENT_BYTES, Fields, Torn, lenient
from counterpoint.readers.kinds import kind_of, kinds_of
from counterpoint.readers.lines import Block, TornLogWarning
from counterpoint.readers.names import plan_columns
from counterpoint.readers.nested import Nested, nested_of
from counterpoint.readers.rows import Rows

PEEKED_LINES = 64
"""Lines at the start of a log from which the meaning of its columns is judged."""

LONGEST_PEEKED_BYTES = 16 * 2**20
"""Longer lines are not looked at for that."""


def read_jsonl(blocks: Iterable[Block], chosen: Mapping[str, str] | None = None) -> Columns:
    """Read every line into columns; warns (`TornLogWarning`) if the last one is incomplete.

    Args:
        blocks: the lines.
        chosen: what the user says that columns mean: the log's names to ours.

    Raises:
        LogError: a line that is no such record, with its number and the column.
    """
    stream = iter(blocks)
    first = next(stream, None)
    if first is None:
        return Columns()
    reader = _reader(first, chosen)
    columns = Columns()
    for block in itertools.chain([first], stream):
        for number, line in block.lines():
            where = f"line {number}"
            try:
                for labels, rewards in reader.decisions(where, line):
                    columns.add(where, labels, rewards)
            except Torn as torn:
                if block.unended and columns.rows:
                    _warn(where, columns.rows)
                    break
                raise LogError(str(torn)) from torn
    columns.guesses, columns.facts = reader.guesses, reader.facts
    return columns


def _warn(where: str, rows: int) -> None:
    warnings.warn(
        f"{where}: the last line is incomplete and was left out; decisions read: {rows}",
        TornLogWarning,
        stacklevel=5,
    )


def _reader(first: Block, chosen: Mapping[str, str] | None) -> Nested:
    peeked = list(_peeked(first))
    nested = nested_of(peeked[0]) if peeked and not chosen else None
    if nested is not None:
        return nested
    is_tabular = bool(peeked) and is_table(peeked[0])
    rows = transposed("line 1", peeked[0]) if is_tabular else peeked
    kinds = kinds_of({name: kind_of(value) for name, value in row.items()} for row in rows)
    reader = Rows(Fields(plan_columns(kinds, chosen), kinds))
    return Tables(reader) if is_tabular else reader


def _peeked(block: Block) -> Iterator[dict[str, Any]]:
    """The first lines that are JSON objects, their values not parsed where that can be."""
    for number, line in itertools.islice(block.lines(), PEEKED_LINES):
        if len(line) > LONGEST_PEEKED_BYTES:
            continue
        try:
            yield shallow(line)
            continue
        except (ValueError, RecursionError):
            if len(line) > LONGEST_LENIENT_BYTES:
                continue
        try:
            record = lenient(f"line {number}", line)
        except (Torn, LogError):
            continue  # whoever reads the line says so
        if isinstance(record, dict):
            yield record
