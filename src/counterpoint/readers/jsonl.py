"""JSON lines to columns: rows of one decision, groups of one agent's rollouts, or tables.

A row is `{"prompt", "rollout", "agent", "reward"}`, or `"rewards": {component: number}`. A group
is `{"prompt_id", "agent", "rewards": [number, ...]}`: each element is a rollout, and lines with
the same prompt_id and different agents line up by position. If a prompt occurs again for the
same agent (and step, turn, role, context), the record is a group of its own.

A table is one update, as ms-swift writes its completions, with a list for each column:
`{"step": ["3", ...], "prompt": [...], "completion": [...], NAME: [1.0, ...], "advantages": [...]}`.
Other tools' names and nestings are in `counterpoint.readers.names` and `.nested`.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from counterpoint.errors import LogError
from counterpoint.readers.columns import Columns, Decision, printable
from counterpoint.readers.lines import Block, TornLogWarning
from counterpoint.readers.names import (
    ADVANTAGES,
    LIST,
    TEXTS,
    excerpt,
    kind_of,
    kinds_of,
    plan_columns,
)
from counterpoint.readers.nested import NestReader, nested_of
from counterpoint.readers.rows import LONGEST_LENIENT_BYTES, Fields, RowReader, Torn, lenient

PEEKED_LINES = 64
"""The number of lines at the start of a log that decide what its columns mean."""

LONGEST_PEEKED_BYTES = 16 * 2**20
"""Longer lines are left out of that decision."""

LONGEST_COLUMN_BYTES = 16 * 2**20
"""The longest list of a table in one line."""

MOST_VALUES = 2**22
"""The most values in such a list; both bound the memory that a line takes."""

MOST_KEYS = 2**18
"""The most keys, at any depth, in a line that is looked at as a whole."""

_shallow = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_jsonl(blocks: Iterable[Block], chosen: Mapping[str, str] | None = None) -> Columns:
    """Returns the columns of all lines; warns (`TornLogWarning`) if the last line is incomplete.

    Args:
        blocks: the lines.
        chosen: the user's meanings of columns: the log's names to ours.

    Raises:
        LogError: A line is no such record; the message has its number and the column.
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


def _reader(first: Block, chosen: Mapping[str, str] | None) -> NestReader | RowReader | TableReader:
    peeked = list(_peeked(first))
    nested = nested_of(peeked[0]) if peeked and not chosen else None
    if nested is not None:
        return nested
    is_tabular = bool(peeked) and is_table(peeked[0])
    rows = transposed("line 1", peeked[0]) if is_tabular else peeked
    kinds = kinds_of({name: kind_of(value) for name, value in row.items()} for row in rows)
    reader = RowReader(Fields(plan_columns(kinds, chosen), kinds))
    return TableReader(reader) if is_tabular else reader


def _peeked(block: Block) -> Iterator[Mapping[str, object]]:
    """Yields the first lines that are JSON objects, with unparsed values if possible."""
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
            continue  # the reader of this line raises the error
        if isinstance(record, dict):
            yield record


def shallow(line: bytes) -> dict[str, msgspec.Raw]:
    """Returns a JSON object whose values are not parsed.

    Raises:
        MsgspecError, UnicodeDecodeError, RecursionError: The line is no JSON object, or has NaN.
        ValueError: The object has more than `MOST_KEYS` keys.
    """
    if line.count(b'":') > MOST_KEYS:
        raise ValueError(f"got more than {MOST_KEYS} keys")
    return _shallow.decode(line)


class TableReader:
    """Reads lines that are tables of one update."""

    def __init__(self, rows: RowReader) -> None:
        self._rows, self._lines = rows, 0

    def decisions(self, where: str, line: bytes) -> Iterator[Decision]:
        """Yields the decisions of one line: labels, and rewards by component."""
        for i, row in enumerate(transposed(where, _table(where, line))):
            yield from self._rows.of_values(f"{where}, row {i}", row)
        self._lines += 1

    @property
    def guesses(self) -> list[str]:
        """What was guessed, in sentences."""
        tables = f"lines that are tables: {self._lines}; each position of their lists is a row"
        return [tables, *self._rows.guesses]

    @property
    def facts(self) -> list[str]:
        """What is absent or not read, in sentences."""
        return self._rows.facts


def is_table(first: Mapping[str, object]) -> bool:
    """Returns whether a record is a table: its text and its step or advantages are lists."""
    lists = {name for name, value in first.items() if kind_of(value) == LIST}
    return bool(lists.intersection(TEXTS)) and bool(lists.intersection((*ADVANTAGES, "step")))


def _table(where: str, line: bytes) -> Mapping[str, object]:
    try:
        return shallow(line)
    except (ValueError, RecursionError) as error:
        if len(line) > LONGEST_LENIENT_BYTES:
            raise Torn(f"{where}: {error}; wanted one JSON object a line") from error
    table = lenient(where, line)
    if not isinstance(table, dict):
        raise LogError(f"{where}: got {excerpt(table)}; wanted a JSON object")
    return table


def transposed(where: str, table: Mapping[str, object]) -> list[dict[str, object]]:
    """Returns the rows of a table. Texts are replaced by None, except for the prompt."""
    columns: dict[str, list[object]] = {}
    for name, value in table.items():
        if name in TEXTS or kind_of(value) != LIST:
            continue
        columns[name] = _list(f"{where}, column '{printable(name)}'", value)
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        counts = ", ".join(f"{printable(name)} {len(column)}" for name, column in columns.items())
        raise LogError(f"{where}: got lists of different lengths ({counts}); wanted equal ones")
    names = list(columns)
    return [
        dict.fromkeys(name for name in table if name in TEXTS) | dict(zip(names, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def _list(at: str, raw: Any) -> list[object]:
    """Returns the values of a list, which may still be JSON text."""
    if isinstance(raw, list):
        return raw
    data = bytes(raw)
    # every value of a short list takes far more memory than its text, so both are bounded
    if len(data) > LONGEST_COLUMN_BYTES or data.count(b",") > MOST_VALUES:
        raise LogError(f"{at}: got {len(data)} bytes; wanted at most {LONGEST_COLUMN_BYTES}")
    try:
        items: list[object] = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise LogError(f"{at}: {error}; wanted a list") from error
    return items
