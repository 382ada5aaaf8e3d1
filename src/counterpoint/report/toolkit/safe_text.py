"""Text that is safe to show: no character of it is obeyed, and none is invisible."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

# Characters that change the direction of the text after them, or that are drawn as nothing.
_INVISIBLE = frozenset("\u200b\u200e\u200f\u2028\u2029\u2060\ufeff\ufffe\uffff") | frozenset(
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
)


def safe(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the document with every string, keys included, made safe to show.

    A number that is infinite or undefined becomes None, as in a JSON file.
    """
    return {visible(str(key)): _safe(item) for key, item in document.items()}


def visible(string: str) -> str:
    """Returns the string with control, direction and surrogate characters written as escapes."""
    return "".join(_escape(c) if _hidden(c) else c for c in string)


def _hidden(character: str) -> bool:
    code = ord(character)
    control = code < 0x20 or 0x7F <= code < 0xA0
    return control or 0xD800 <= code <= 0xDFFF or character in _INVISIBLE


def _escape(character: str) -> str:
    if character in "\n\t\r":
        return " "
    return character.encode("unicode_escape").decode("ascii")


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return safe(value)
    if isinstance(value, Sequence):
        return [_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
