"""Settings from text: conversion to the types of fields, and suggestions for unknown names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from counterpoint.errors import CounterpointError, SettingError, UnknownNameError

S = TypeVar("S")


def settings_from(given: Mapping[str, object] | None, settings: type[S], world: str) -> S:
    """Returns settings of the world called `world`; text is converted to the field's type
    (`scale="10"`).

    Raises:
        UnknownNameError: there is no setting of that name.
        SettingError: a value of a wrong type or out of range.
    """
    values = {name: _written_out(value) for name, value in (given or {}).items()}
    known = [field.name for field in fields(settings)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UnknownNameError(
            f"got setting {', '.join(unknown)} for world '{world}'; "
            f"wanted one of {', '.join(known)}{did_you_mean(unknown[0], known)}"
        )
    try:
        return msgspec.convert(values, settings, strict=False)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, CounterpointError):
            raise error.__cause__ from None
        raise SettingError(wanted(error, values, settings, world)) from None


def _written_out(value: Any) -> Any:
    """Returns `.5` as `0.5`, since the converter needs a digit before the point."""
    return re.sub(r"^(-?)\.(?=\d)", r"\g<1>0.", value) if isinstance(value, str) else value


def wanted(error: Exception, values: Mapping[str, object], settings: type, world: str) -> str:
    """Returns what a conversion refused, and what the field takes."""
    name = str(error).rpartition("$.")[2].rstrip("`")
    if name not in values:
        return f"got settings {dict(values)} for world '{world}'; {error}"
    kind = get_type_hints(settings)[name]
    choices = [str(choice) for choice in get_args(kind)]
    choice = f"one of {', '.join(choices)}" if choices else WANTED.get(kind, str(kind))
    return f"got {name}={values[name]!r} for world '{world}'; wanted {choice}"


WANTED = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def require(name: str, value: float, low: float, high: float) -> None:
    """Raises SettingError unless the value of the setting called `name` lies in [low, high]."""
    if not low <= value <= high:
        raise SettingError(f"got {name}={value}; wanted a number from {low} to {high}")


def require_choices(settings: object) -> None:
    """Raises SettingError unless every field of a Literal type has one of its values."""
    for name, hint in get_type_hints(type(settings)).items():
        value, wanted = getattr(settings, name), get_args(hint)
        if get_origin(hint) is Literal and value not in wanted:
            raise SettingError(f"got {name}={value!r}; wanted one of {', '.join(wanted)}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns `; did you mean x?` for the known name that is most like `name`, or nothing."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def from_text(value: Any) -> Any:
    """Returns what text says as Python would read it: `3`, `.5`, `true`, `none`; other text is
    itself."""
    if not isinstance(value, str):
        return value
    words: dict[str, Any] = {"true": True, "false": False, "none": None}
    if value.lower() in words:
        return words[value.lower()]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
