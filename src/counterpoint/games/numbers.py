"""Exact numbers: integers of any size, decimals as written and fractions as text, in tables.

A payoff is the number that somebody wrote: 0.1 is a tenth, and 9007199254740993 is not
9007199254740992, though floating point holds them alike. Start with `exact_table`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Rational, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import SettingError

MOST_DIGITS = 400
"""Characters of a number as text, and the largest exponent: 1e400 has 401 digits."""
MOST_AXES = 32
EXACT_INTEGERS = 2**53
"""Floating-point numbers hold all integers up to this one."""


def as_fraction(value: float) -> Fraction:
    """Returns the fraction that a decimal means: 0.1 is a tenth."""
    return Fraction(repr(float(value)))


def number_from_text(text: str) -> Fraction:
    """Returns the number that a text such as 3, 0.25, 1e3 or 1/3 means, exactly.

    Raises:
        SettingError: it is no number, divides by 0, or is longer than 400 characters.
    """
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    wanted = "wanted a number such as 3, 0.25, 1e3 or 1/3"
    if len(text) > MOST_DIGITS:
        raise SettingError(f"got a number of {len(text):,} characters ({shown!r}); {wanted}")
    exponent = text.lower().partition("e")[2].strip()
    try:
        # 1e999999999 would fill the memory
        if exponent and abs(int(exponent)) > MOST_DIGITS:
            raise SettingError(f"got {shown!r}; wanted an exponent up to {MOST_DIGITS}")
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise SettingError(f"got {shown!r}; {wanted}") from None


def exact_number(value: Any) -> Fraction:
    """Returns a number as the fraction that it was written as.

    Args:
        value: an integer, a fraction, a decimal, a floating-point number or a text.

    Raises:
        SettingError: it is none of these, or not finite.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool):
        raise SettingError(f"got {_kind(value)}; wanted a number")
    if isinstance(value, str):
        return number_from_text(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise SettingError(f"got {value}, which is not finite; wanted a number")
        return number_from_text(str(value))
    if isinstance(value, np.bool_ | Integral):
        return Fraction(int(value))
    if isinstance(value, Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, Real):
        if not math.isfinite(value):
            raise SettingError(f"got {float(value)}, which is not finite; wanted a number")
        return as_fraction(float(value))
    raise SettingError(f"got {_kind(value)}; wanted a number")


def table_shape(values: Any, name: str) -> tuple[int, ...]:
    """Returns the lengths of nested lists, by the first entry of each, or the shape of an array.

    Raises:
        SettingError: they are nested deeper than an array can be.
    """
    if isinstance(values, np.ndarray):
        return tuple(map(int, values.shape))
    shape: list[int] = []
    while isinstance(values, list | tuple | np.ndarray):
        shape.append(len(values))
        if len(shape) > MOST_AXES:
            raise SettingError(f"got {name} of more than {MOST_AXES} nested lists; wanted fewer")
        if not len(values):
            break
        values = values[0]
    return tuple(shape)


def exact_table(values: Any, name: str) -> NDArray[Any]:
    """Returns a table of numbers as an array: of floating point if that holds them exactly, or else
    of fractions.

    Args:
        values: nested lists of numbers, or an array.
        name: what the table is, for messages.

    Raises:
        SettingError: the lists differ in length, or an entry is no number; the message has its
            place.
    """
    array = values if isinstance(values, np.ndarray) else None
    if array is not None and array.dtype.kind == "f":
        return np.array(array, dtype=np.float64)
    if array is not None and array.dtype.kind in "biu" and _is_small(array):
        return np.array(array, dtype=np.float64)
    shape = table_shape(values, name)
    table = np.empty(math.prod(shape), dtype=object)
    place = [name]
    for at, value in enumerate(_entries(values, shape, place)):
        try:
            table[at] = exact_number(value)
        except SettingError as error:
            raise SettingError(f"in {''.join(place)}: {error}") from None
    return table.reshape(shape)


def as_fractions(table: NDArray[Any]) -> NDArray[Any]:
    """Returns a table of numbers as fractions, of decimals as they are written."""
    if table.dtype == object:
        return table
    exact = np.empty(table.size, dtype=object)
    exact[:] = [exact_number(float(value)) for value in table.ravel()]
    return exact.reshape(table.shape)


def as_floats(table: NDArray[Any]) -> NDArray[np.float64]:
    """Returns a table of fractions as the nearest floating-point numbers; infinite beyond them."""
    if table.dtype != object:
        return np.asarray(table, dtype=np.float64)
    flat = np.array([_nearest(value) for value in table.ravel()], dtype=np.float64)
    return flat.reshape(table.shape)


def as_integers(values: Sequence[Fraction], most_bits: int) -> list[int]:
    """Returns numbers times their least common denominator.

    Raises:
        SettingError: a result would have more than `most_bits` binary digits.
    """
    common = 1
    for denominator in {value.denominator for value in values}:
        common = math.lcm(common, denominator)
        if common.bit_length() > most_bits:
            raise SettingError(
                f"got payoffs with a common denominator of more than {most_bits:,} binary digits; "
                "wanted simpler fractions for an exact result"
            )
    return [value.numerator * (common // value.denominator) for value in values]


def _is_small(array: NDArray[Any]) -> bool:
    """Returns whether floating point holds all integers of an array."""
    return not array.size or max(-int(array.min()), int(array.max())) <= EXACT_INTEGERS


def _nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _entries(values: Any, shape: tuple[int, ...], place: list[str]) -> Any:
    """Yields the entries of nested lists; `place` is that of the entry, or of a wrong list."""
    if not shape:
        if isinstance(values, list | tuple | np.ndarray):
            raise SettingError(f"in {''.join(place)}: got {_kind(values)}; wanted a number")
        yield values
        return
    if not isinstance(values, list | tuple | np.ndarray) or len(values) != shape[0]:
        raise SettingError(
            f"got no table of numbers: {''.join(place)} is {_kind(values)}; wanted a list of "
            f"{shape[0]}, as its neighbors are"
        )
    place.append("")
    for at, value in enumerate(values):
        place[-1] = f"[{at}]"
        yield from _entries(value, shape[1:], place)
    place.pop()


def _kind(value: Any) -> str:
    if isinstance(value, list | tuple | np.ndarray):
        return f"a list of {len(value)}"
    return {"NoneType": "nothing (null)", "dict": "an object", "bool": str(value).lower()}.get(
        type(value).__name__, f"{type(value).__name__} {str(value)[:40]!r}"
    )
