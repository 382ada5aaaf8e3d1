"""Text that is safe to show: it has no control character and no invisible character."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from counterpoint.results.parts import Document

# Characters that change the direction of the text after them, or that are drawn as nothing.
_INVISIBLE = frozenset("\u200b\u200e\u200f\u2028\u2029\u2060\ufeff\ufffe\uffff") | frozenset(
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
)


def safe(document: Document) -> Document:
    """Returns the document with every string, keys included, made safe to show.

    A number that is infinite or undefined becomes None, as in a JSON file.
    """
    return {visible(str(key)): _safe(item) for key, item in document.items()}


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return safe(value)
    if isinstance(value, Sequence):
        return [_safe(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def visible(string: str) -> str:
    """Returns the string with control, direction and surrogate characters written as escapes."""
    if string.isprintable():  # none of them is, and most texts have none
        return string
    return "".join(_visible(character) for character in string)


def visible_lines(text: str) -> str:
    """Returns a text of many lines, each of them made safe to show."""
    return "\n".join(visible(line.removesuffix("\r")) for line in text.split("\n"))


def cut(text: str, most: int) -> str:
    """Returns the text in at most so many characters, with an ellipsis where something is gone."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _visible(character: str) -> str:
    code = ord(character)
    control = code < 0x20 or 0x7F <= code < 0xA0
    if not (control or 0xD800 <= code <= 0xDFFF or character in _INVISIBLE):
        return character
    return " " if character in "\n\t\r" else character.encode("unicode_escape").decode("ascii")
