"""Settings that a user typed: lists, pairs and numbers from text, and text as typed fields.

Start at `settings_from`; `split_list` and `split_pairs` read one string.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from counterpoint.errors import CounterpointError, SettingError, UnknownNameError, choices

NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON of a type; for text that is not UTF-8 the second,
which is no error of its own."""

GivenSettings = Mapping[str, object]
"""Settings by name, as the user gave them: text, or values of the fields' types."""
S = TypeVar("S")
N = TypeVar("N", int, float)
WANTED: Mapping[type, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "text",
}  # fmt: skip


def split_list(text: str, separator: str = ",") -> tuple[str, ...]:
    """Returns the parts of `a, b` without the spaces around them; empty parts are left out."""
    return tuple(part.strip() for part in text.split(separator) if part.strip())


def split_pairs(
    parts: Iterable[str], name: str, form: str = "key=value", sign: str = "="
) -> dict[str, str]:
    """Returns `a=1` and `b=2` as a mapping; the first sign ends the key.

    Args:
        parts: one pair each.
        name: the setting or flag that the pairs were given to.
        form: how to write a pair.
        sign: the text between key and value.

    Raises:
        SettingError: a part is no pair, or a key has two different values.
    """
    pairs: dict[str, str] = {}
    for part in parts:
        key, between, value = (piece.strip() for piece in part.partition(sign))
        if not (key and between):
            raise SettingError(f"got {name} {part!r}; wanted {form}")
        if pairs.setdefault(key, value) != value:
            raise SettingError(f"got {key!r} with two values in {name}; wanted one")
    return pairs


def number_from(name: str, text: str, kind: type[N]) -> N:
    """Returns the number that stands in a text.

    Raises:
        SettingError: the text is no number of that kind.
    """
    try:
        return kind(text)
    except ValueError:  # also a number of more digits than Python converts
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        raise SettingError(f"got {name}={shown!r}; wanted {WANTED[kind]}") from None


def settings_from(given: GivenSettings | None, settings: type[S], owner: str) -> S:
    """Returns the settings of `owner`; text is converted to the field's type (`scale="10"`).

    Raises:
        UnknownNameError: there is no setting of that name.
        SettingError: a value of a wrong type or out of range.
    """
    # the converter wants a digit before the point: `.5` is `0.5`
    values = {
        name: re.sub(r"^(-?)\.(?=\d)", r"\g<1>0.", value) if isinstance(value, str) else value
        for name, value in (given or {}).items()
    }
    known = [field.name for field in fields(settings)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UnknownNameError(
            f"got setting {', '.join(unknown)} of '{owner}'{choices(unknown[0], known)}"
        )
    try:
        return msgspec.convert(values, settings, strict=False)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, CounterpointError):
            raise error.__cause__ from None
        raise SettingError(_complaint(error, values, settings, owner)) from None


def _complaint(error: Exception, values: GivenSettings, settings: type, owner: str) -> str:
    """Returns the value that a conversion refused, and the type of the field."""
    name = str(error).rpartition("$.")[2].rstrip("`")
    if name not in values:
        return f"got settings {dict(values)} of '{owner}'; {error}"
    kind = get_type_hints(settings)[name]
    choices = [choice for choice in get_args(kind) if choice is not NoneType] or [kind]
    known = [WANTED.get(choice, str(choice)) for choice in choices]
    listed = known[0] if len(known) == 1 else f"one of {', '.join(known)}"
    return f"got {name}={values[name]!r} of '{owner}'; wanted {listed}"


MOST_SEEDS = 10_000
"""Most seeds, trials or repeats of one command: more are a slip of the keyboard."""
LAST_SEED = 2**31 - 1
"""The largest first seed."""


def require(name: str, value: float, low: float, high: float) -> None:
    """Raises SettingError unless the value of the setting called `name` lies in [low, high]."""
    if not low <= value <= high:
        raise SettingError(f"got {name}={value}; wanted a number from {low} to {high}")


def require_choices(settings: object) -> None:
    """Raises SettingError unless every field of a Literal type has one of its values."""
    for name, hint in get_type_hints(type(settings)).items():
        value, wanted = getattr(settings, name), get_args(hint)
        if get_origin(hint) is Literal and value not in wanted:
            raise SettingError(f"got {name}={value!r}{choices(str(value), map(str, wanted))}")


@dataclass(frozen=True)
class Range:
    """The least and the largest value of a field: `lr: Annotated[float, Range(0.0, 1.0)] = 0.1`."""

    low: float
    high: float


class CheckedSettings:
    """Base of frozen dataclasses of settings whose fields are checked when one is made.

    A field of a Literal type has one of its values; a field with a `Range` lies in it or is None.
    The ranges of base classes hold too, so a subclass may give a field another default alone.

    Raises:
        SettingError: a field has another value.
    """

    def __post_init__(self) -> None:
        require_choices(self)
        for name, limits in _ranges(type(self)):  # type: ignore[arg-type]  # a class has a hash
            if getattr(self, name) is not None:
                self.require(name, limits.low, limits.high)

    def require(self, name: str, low: float, high: float) -> None:
        """Raises SettingError unless the setting called `name` lies in [low, high]."""
        require(name, getattr(self, name), low, high)


@cache
def _ranges(settings: type) -> list[tuple[str, Range]]:
    """Returns the fields that have a `Range`, those of base classes first."""
    hints = [get_type_hints(cls, include_extras=True) for cls in reversed(settings.__mro__)]
    ranges = [
        (name, part)
        for named in hints
        for name, hint in named.items()
        for part in getattr(hint, "__metadata__", ())
        if isinstance(part, Range)
    ]
    return list(dict.fromkeys(ranges))  # each class repeats the fields of its bases


def from_text(value: Any) -> Any:
    """Returns text as Python would read it: `3`, `.5`, `true`, `none`; other text stays."""
    if not isinstance(value, str):
        return value
    constants = {"true": True, "false": False, "none": None}
    if value.lower() in constants:
        return constants[value.lower()]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
