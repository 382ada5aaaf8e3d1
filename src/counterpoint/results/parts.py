"""What results are built from.

A result is a frozen value. Its JSON is its encoding: the keys are the names of its fields, and
`schema` says which kind of result it is. `counterpoint.results.read_result` is the way back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

Settings = dict[str, Any]
"""Settings by name, as the user gave them: the one part of a result that has no fixed shape."""

Document = Mapping[str, Any]
"""A result as plain JSON, before its fields are checked: it may hold anything."""


class Part(Struct, frozen=True, kw_only=True):
    """A part of a result."""


class SeedMean(Part, frozen=True, kw_only=True, omit_defaults=True):
    """An interquartile mean with its 95% interval; None is not known."""

    iqm: float | None
    low: float | None
    """Lower end of the interval; None with one seed."""
    high: float | None
    """Upper end of the interval; None with one seed."""
    n: int | None = None
    """Number of seeds."""


class Result(Part, frozen=True, kw_only=True, tag_field="schema"):
    """A whole result, with the name and the version of its kind under `schema`."""

    version: str = ""
    """Version of the program that made it."""


def expect(holds: bool, path: str, wanted: str) -> None:
    """Raises ValueError, with the path of a field, unless a field is as its neighbours need it.

    Call it in `__post_init__`: a saved file with such a field is then refused in one line.
    """
    if not holds:
        raise ValueError(f"Expected {wanted} - at `$.{path}`")


def encode_json(value: object, enc_hook: Callable[[Any], Any] | None = None) -> bytes:
    """Returns JSON of what a log or the name of a file may hold.

    Half of a surrogate pair, which is no text, becomes `?`.
    """
    try:
        return msgspec.json.encode(value, enc_hook=enc_hook)
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(msgspec.to_builtins(value, enc_hook=enc_hook)))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(each) for each in value]
    return value
