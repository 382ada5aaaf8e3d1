"""The settings that are searched, read from `lr=1e-4..1e-2:log` and `entropy=0,0.01`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product

from msgspec.structs import replace

from counterpoint.errors import SettingError
from counterpoint.results.parts import Settings
from counterpoint.results.sweep import Dimension, Value
from counterpoint.settings import number_from, split_list, split_pairs

RANGE, LOG = "..", "log"
DIGITS = 4
"""Significant digits of a number that is tried, so that it can be typed."""


def read_over(texts: Iterable[str]) -> tuple[Dimension, ...]:
    """Returns the settings to search: `NAME=LOW..HIGH`, `NAME=LOW..HIGH:log` or `NAME=A,B,C`.

    A range between two whole numbers has whole numbers alone; `fitted` makes it one of fractions if
    the setting is a fraction.

    Raises:
        SettingError: there is none, or one is written otherwise.
    """
    pairs = split_pairs(texts, "--over", "NAME=LOW..HIGH or NAME=A,B")
    if not pairs:
        raise SettingError("got no --over; wanted a setting to search, such as lr=1e-4..1e-2:log")
    return tuple(_dimension(name, text) for name, text in pairs.items())


def _dimension(name: str, text: str) -> Dimension:
    body, _, scale = text.partition(":")
    if RANGE not in body:
        values = split_list(text)
        if len(set(values)) < 2:
            raise SettingError(f"got --over {name}={text}; wanted at least two different values")
        return Dimension(name=name, values=list(dict.fromkeys(values)))
    if scale not in ("", LOG):
        raise SettingError(f"got --over {name}={text}; wanted :log or nothing after the range")
    ends = [end.strip() for end in body.split(RANGE, 1)]
    low, high = (number_from(f"--over {name}", end, float) for end in ends)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SettingError(f"got --over {name}={text}; wanted a lower end below the higher one")
    if scale and low <= 0:
        raise SettingError(f"got --over {name}={text}; wanted a lower end above 0 for :log")
    whole = all(end.lstrip("+-").isdecimal() for end in ends)
    return Dimension(name=name, low=low, high=high, log=bool(scale), whole=whole)


def fitted(dimension: Dimension, config: Settings) -> Dimension:
    """Returns the dimension, with fractions in its range if the setting is one in a saved plan."""
    for part in config.values():
        if isinstance(part, dict) and isinstance(part.get(dimension.name), float):
            return replace(dimension, whole=False)
    return dimension


def rounded(value: Value) -> Value:
    """Returns a fraction with `DIGITS` significant digits; other values as they are."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def lowest(dimension: Dimension) -> Value:
    """Returns the first value of a list, or the lower end of a range."""
    if dimension.values:
        return dimension.values[0]
    low = dimension.low or 0.0
    return int(low) if dimension.whole else low


def combinations(over: Sequence[Dimension]) -> list[dict[str, Value]] | None:
    """Returns every choice of settings; None if one of them is a range."""
    if not all(dimension.values for dimension in over):
        return None
    names = [dimension.name for dimension in over]
    chosen = product(*(dimension.values for dimension in over))
    return [dict(zip(names, values, strict=True)) for values in chosen]
