"""What kind of value a column of a log holds, judged by its first values; and rewards as numbers.

Kinds are coarse on purpose: they decide which column can be a reward or a label, and nothing else.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from counterpoint.errors import LogError

NUMBER, TRUTH, MISSING, FIGURE, TEXT, LIST, TABLE = (
    "number", "truth", "missing", "figure", "text", "list", "table",
)  # fmt: skip
"""Kinds of values; a figure is a number that is written as text, a table a JSON object."""

NO_VALUE = frozenset(("", "nan", "null", "none", "na"))
"""How a missing reward may be written, in any case."""

_TRUTHS = {"true": 1.0, "false": 0.0}
_KINDS: Mapping[type, str] = {
    bool: TRUTH, int: NUMBER, float: NUMBER, str: TEXT, list: LIST, dict: TABLE,
    type(None): MISSING,
}  # fmt: skip
_FIRST_BYTES = {b'"': TEXT, b"[": LIST, b"{": TABLE, b"t": TRUTH, b"f": TRUTH, b"n": MISSING}


def kind_of(value: Any) -> str:
    """The kind of a value that JSON can hold; one that is still JSON text is not parsed."""
    if isinstance(value, msgspec.Raw):
        data = bytes(value)
        kind = _FIRST_BYTES.get(data[:1], NUMBER)
        return (
            kind_of_cell(data[1:401].rstrip(b'"').decode(errors="replace"))
            if kind == TEXT
            else kind
        )
    kind = _KINDS.get(type(value), TEXT)
    if kind == TEXT:
        return kind_of_cell(str(value))
    return MISSING if kind == NUMBER and value != value else kind


def kind_of_cell(cell: str) -> str:
    """The kind of a cell of a table."""
    text = cell.strip()[:400]
    if text.lower() in NO_VALUE:
        return MISSING
    if text.lower() in _TRUTHS:
        return TRUTH
    return TEXT if as_number(text) is None else FIGURE


def kinds_of(rows: Iterable[Mapping[str, str]]) -> dict[str, set[str]]:
    """Column to the kinds of its values in some rows, `MISSING` where a row has no such column."""
    kinds: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    total = 0
    for row in rows:
        total += 1
        counts.update(row.keys())
        for name, kind in row.items():
            kinds.setdefault(name, set()).add(kind)
    for name, count in counts.items():
        if count < total:
            kinds[name].add(MISSING)
    return kinds


def as_number(text: str) -> float | None:
    """The number that a text is, true and false being 1 and 0; None if it is none, NaN if empty."""
    lowered = text.strip().lower()
    if lowered in NO_VALUE:
        return math.nan
    if lowered in _TRUTHS:
        return _TRUTHS[lowered]
    try:
        return float(lowered) if "_" not in lowered else None
    except ValueError:
        return None


def reward_of(at: str, value: Any) -> float:
    """A reward as a float: NaN where it is null or NaN, 1 and 0 for true and false.

    Args:
        at: the line and the column, for the message.
        value: as JSON or a cell of a table has it; numbers may be written as text.

    Raises:
        LogError: it is no number, or infinite.
    """
    number: float | None
    if value is None:
        return math.nan
    if isinstance(value, str):
        number = as_number(value)
    elif isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    else:
        number = None
    if number is None:
        raise LogError(
            f"{at}: got {shown(value)}; wanted a number, true or false, or null where it is missing"
        )
    if math.isinf(number):
        raise LogError(f"{at}: got an infinite reward; wanted a finite number, or null")
    return number


def shown(value: Any) -> str:
    """A value as it looks in a message: short, and on one line."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
