"""Paths into JSON values: `parse_path` and `values_at`.

A path is keys with dots between them, such as `who.name`. `log[*]` is every element of a list or
every value of an object, `log[0]` is one element, and `["a.b"]` is a key with other characters. A
path may start with `$`, the value itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

from counterpoint.errors import LogError

Step: TypeAlias = "str | int | Literal[True]"
"""A key, the number of an element, or True for all elements."""
Path: TypeAlias = "tuple[Step, ...]"
EVERY: Literal[True] = True


def parse_path(text: str) -> Path:
    """Returns the steps of a path.

    Raises:
        LogError: The text is no path.
    """
    rest = text.strip()
    steps: list[Step] = []
    if rest.startswith("$"):
        rest = rest[1:]
    elif rest and not rest.startswith("["):
        rest = f".{rest}"
    while rest:
        step, rest = _bracket(rest, text) if rest[0] == "[" else _key(rest, text)
        steps.append(step)
    return tuple(steps)


def _key(rest: str, text: str) -> tuple[Step, str]:
    """Returns the key behind a dot, and what follows it."""
    end = next((i for i, letter in enumerate(rest) if i > 0 and letter in ".["), len(rest))
    if rest[0] != "." or end == 1:
        raise _wrong(text)
    return rest[1:end], rest[end:]


def _bracket(rest: str, text: str) -> tuple[Step, str]:
    """Returns the step in brackets, and what follows them."""
    quote = rest[1:2]
    if quote in ("'", '"'):
        inner, end, after = rest[2:].partition(f"{quote}]")
        if not end or not inner:
            raise _wrong(text)
        return inner, after
    inner, end, after = rest[1:].partition("]")
    if end and inner == "*":
        return EVERY, after
    if not end or not inner.isascii() or not inner.isdigit() or len(inner) > 9:
        raise _wrong(text)
    return int(inner), after


def _wrong(text: str) -> LogError:
    return LogError(f"got the path {text!r}; wanted one such as 'runs[*].log', 'a[0]' or '[\"b\"]'")


def values_at(value: Any, path: Sequence[Step]) -> Iterator[Any]:
    """Yields what stands at a path, in the order of the value; nothing that is null."""
    if not path:
        if value is not None:
            yield value
        return
    step, rest = path[0], path[1:]
    if step is EVERY:
        inner = list(value.values()) if isinstance(value, dict) else value
        for each in inner if isinstance(inner, list) else ():
            yield from values_at(each, rest)
    elif isinstance(step, str):
        if isinstance(value, dict) and step in value:
            yield from values_at(value[step], rest)
    elif isinstance(value, list) and step < len(value):
        yield from values_at(value[step], rest)


def keys_of(value: Any, most: int = 12) -> str:
    """Returns in words what a value is: the keys of an object, or the kind of another value."""
    if isinstance(value, dict):
        keys = ", ".join(str(key)[:40] for key in list(value)[:most])
        more = ", ..." if len(value) > most else ""
        return f"an object with {keys}{more}" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {keys_of(value[0], most)}" if value else "an empty list"
    kinds = {str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")
