"""An estimate with its interval, and the same along a training; the words both reports share."""

from __future__ import annotations

from dataclasses import dataclass

from counterpoint.report.toolkit.document import Document, mapping, number, series
from counterpoint.report.toolkit.numerals import decimals_for, fixed, interval

Values = list[float | None]


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its 95% interval; None for what is not known."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """How many seeds stand behind it."""

    @property
    def exact(self) -> tuple[float | None, float | None, float | None]:
        """The three numbers as a CSV file wants them."""
        return self.value, self.low, self.high

    def shown(self, decimals: int | None = None, *, signed: bool = False) -> str:
        """The number alone."""
        places = decimals_for([self.value]) if decimals is None else decimals
        return fixed(self.value, places, signed=signed)

    def bounds(self, decimals: int | None = None, *, signed: bool = False) -> str:
        """The interval alone, or the reason why there is none."""
        places = decimals_for(self.exact) if decimals is None else decimals
        ends = interval(self.low, self.high, places, signed=signed)
        if ends or self.value is None:
            return ends
        return "one seed: no interval" if self.n == 1 else "no interval"


@dataclass(frozen=True)
class Band:
    """An estimate along a training: lists as long as `at`, None where nothing is known."""

    at: Values
    """Updates or steps."""
    iqm: Values
    low: Values
    high: Values


def read_estimate(document: Document, *path: str) -> Estimate:
    """The estimate at this path: `{"iqm", "low", "high", "n"}`, all of them optional."""
    found = mapping(document, *path)
    n = number(found.get("n"))
    value, low, high = (number(found.get(k)) for k in ("iqm", "low", "high"))
    return Estimate(value, low, high, None if n is None else int(n))


def read_band(curves: Document, axis: str = "update") -> Band:
    """The return over updates or steps, with an interval or as a bare list."""
    at = series(curves, axis)
    iqm = series(curves, "return", "iqm") or series(curves, "return")
    low, high = series(curves, "return", "low"), series(curves, "return", "high")
    return Band(at, *(padded(values, len(at)) for values in (iqm, low, high)))


def padded(values: Values, count: int) -> Values:
    """Exactly so many values, so that a short column is a gap and not a shift."""
    return (values + [None] * count)[:count]
