"""Reading a result document: what is there, what is absent, and text made safe to show.

`open_document` is the door: it refuses what is no document of ours and returns a copy in which
every string can be shown. Behind it `number`, `series`, `mapping` and `text` read one value and
answer None or empty where it is absent, so that a page never fails for a missing part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from counterpoint.errors import LogError, UnknownNameError
from counterpoint.results.saved import KINDS

COMPARISON = "counterpoint.comparison/1"
DIAGNOSIS = "counterpoint.diagnosis/1"
TRAINING = "counterpoint.training/1"
AUDIT = "counterpoint.audit/1"
TOPOLOGY = "counterpoint.topology/1"
GAME = "counterpoint.game/1"
POPULATION = "counterpoint.population/1"
TEAM = "counterpoint.team/1"
PARTS = {
    COMPARISON: "schemes",
    DIAGNOSIS: "agents",
    TRAINING: "curve",
    AUDIT: "findings",
    TOPOLOGY: "scores",
    GAME: "players",
    POPULATION: "arms",
    TEAM: "budget",
}
"""Schema to the one part without which there is nothing to show."""

Document = Mapping[str, Any]

# Characters that change the direction of the text after them, or that are drawn as nothing.
_INVISIBLE = frozenset("\u200b\u200e\u200f\u2028\u2029\u2060\ufeff\ufffe\uffff") | frozenset(
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
)


def open_document(document: Document, schema: str | None = None) -> Document:
    """The document with every string, keys included, made safe to show.

    A number that is infinite or undefined is None, as in its JSON file.

    Args:
        document: plain mappings, lists, numbers, strings and None, as in its JSON file.
        schema: the only schema to accept; None accepts every one in `PARTS`.

    Raises:
        UnknownNameError: the schema is another.
        LogError: this is no mapping, or there is nothing in it to show.
    """
    if not isinstance(document, Mapping):
        raise LogError(
            f"got a document of type {type(document).__name__}; wanted the mapping that "
            "'compare --json' or 'diagnose --json' prints"
        )
    found = document.get("schema")
    wanted = list(PARTS) if schema is None else [schema]
    if isinstance(found, str) and found in KINDS and found not in PARTS:
        raise UnknownNameError(f"got a document of schema {found!r}, which has no page")
    if found not in wanted:
        raise UnknownNameError(
            f"got a document of schema {found!r}; wanted {' or '.join(wanted)}: "
            "render a results.json of this version"
        )
    part = PARTS[str(found)]
    if not isinstance(document.get(part), Mapping | list) or not document[part]:
        raise LogError(f"got a document without '{part}'; wanted at least one of them")
    clean: Document = _clean(document)
    return clean


def visible(string: str) -> str:
    """The string with control, direction and surrogate characters written as escapes."""
    return "".join(_escape(c) if _hidden(c) else c for c in string)


def _hidden(character: str) -> bool:
    code = ord(character)
    control = code < 0x20 or 0x7F <= code < 0xA0
    return control or 0xD800 <= code <= 0xDFFF or character in _INVISIBLE


def _escape(character: str) -> str:
    if character in "\n\t\r":
        return " "
    return character.encode("unicode_escape").decode("ascii")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def number(value: Any) -> float | None:
    """The finite number, or None for everything else (None, NaN, infinite, text)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def mapping(document: Document, *path: str) -> Document:
    """The mapping found by following the keys, or an empty one."""
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def items(document: Document, *path: str) -> list[Any]:
    """The list found by following the keys, or an empty one."""
    value = mapping(document, *path[:-1]).get(path[-1])
    return value if isinstance(value, list) else []


def series(document: Document, *path: str) -> list[float | None]:
    """The list of numbers found by following the keys; None where one is missing."""
    return [number(value) for value in items(document, *path)]


def text(value: Any) -> str:
    """The value as text; nothing for None."""
    return "" if value is None else str(value)
