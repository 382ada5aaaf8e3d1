"""Lines that are tables of one update, as ms-swift writes its completions: a list for each column.

`{"step": ["3", ...], "prompt": [...], "completion": [...], NAME: [1.0, ...], "advantages": [...]}`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from counterpoint.errors import LogError
from counterpoint.readers.columns import Decision, plain
from counterpoint.readers.fields import LONGEST_LENIENT_BYTES, Torn, lenient
from counterpoint.readers.kinds import LIST, kind_of, shown
from counterpoint.readers.names import ADVANTAGES, TEXTS
from counterpoint.readers.rows import Rows

LONGEST_COLUMN_BYTES = 16 * 2**20
"""The longest list of a table in one line."""

MOST_VALUES = 2**22
"""The most values in such a list; both bound the memory that a line takes."""

MOST_KEYS = 2**18
"""The most keys, at any depth, in a line that is looked at as a whole."""

_shallow = msgspec.json.Decoder(dict[str, msgspec.Raw])


def shallow(line: bytes) -> dict[str, msgspec.Raw]:
    """An object whose values are not parsed.

    Raises:
        MsgspecError, UnicodeDecodeError, RecursionError: it is no JSON object, or has NaN in it.
        ValueError: it has more than `MOST_KEYS` keys.
    """
    if line.count(b'":') > MOST_KEYS:
        raise ValueError(f"got more than {MOST_KEYS} keys")
    return _shallow.decode(line)


class Tables:
    """A line is a table of one update, as ms-swift writes it: a list for each column."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._lines = rows, 0

    def decisions(self, where: str, line: bytes) -> Iterator[Decision]:
        """The decisions of one line: labels and rewards by component."""
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


def is_table(first: Mapping[str, Any]) -> bool:
    """Whether a record is a table: its text and its step or advantages are lists."""
    lists = {name for name, value in first.items() if kind_of(value) == LIST}
    return bool(lists.intersection(TEXTS)) and bool(lists.intersection((*ADVANTAGES, "step")))


def _table(where: str, line: bytes) -> Mapping[str, Any]:
    try:
        return shallow(line)
    except (ValueError, RecursionError) as error:
        if len(line) > LONGEST_LENIENT_BYTES:
            raise Torn(f"{where}: {error}; wanted one JSON object a line") from error
    table = lenient(where, line)
    if not isinstance(table, dict):
        raise LogError(f"{where}: got {shown(table)}; wanted a JSON object")
    return table


def transposed(where: str, table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a table. Columns that hold texts are left out, but for the prompt."""
    columns: dict[str, list[Any]] = {}
    for name, value in table.items():
        if name in TEXTS or kind_of(value) != LIST:
            continue
        column = (
            value if isinstance(value, list) else _list(f"{where}, column '{plain(name)}'", value)
        )
        columns[name] = column
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        counts = ", ".join(f"{plain(name)} {len(column)}" for name, column in columns.items())
        raise LogError(f"{where}: got lists of different lengths ({counts}); wanted equal ones")
    names = list(columns)
    return [
        dict.fromkeys(name for name in table if name in TEXTS) | dict(zip(names, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def _list(at: str, raw: msgspec.Raw) -> list[Any]:
    data = bytes(raw)
    if len(data) > LONGEST_COLUMN_BYTES or data.count(b",") > MOST_VALUES:
        raise LogError(f"{at}: got {len(data)} bytes; wanted at most {LONGEST_COLUMN_BYTES}")
    try:
        items: list[Any] = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise LogError(f"{at}: {error}; wanted a list") from error
    return items
