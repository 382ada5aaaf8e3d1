"""Numbers as a reader should see them: three significant digits and no invented precision.

`significant` writes one number alone, `fixed` one of a column whose decimals `decimals_for` chose.
A number that is absent is never written as 0: it is a dash, and its table says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from counterpoint.results.parts import SeedMean

MINUS = "\N{MINUS SIGN}"
ABSENT = "\N{EN DASH}"
NOISE = 1e-9
"""Differences up to here are rounding."""
UNREADABLE = 1e7
"""Numbers from here on are written with a power of ten, in columns too."""


def counted(count: int, noun: str) -> str:
    """Returns `1 agent`, `1,480 agents`, `2 replies`."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{count:,} {noun if count == 1 else several}"


def with_article(noun: str) -> str:
    """Returns `a step`, `an update`."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def significant(value: float | None, digits: int = 3) -> str:
    """Returns the number to some significant digits: `12.4`, `1,480`, `3.30e−16`."""
    if value is None:
        return ABSENT
    if value == 0:
        return "0"
    magnitude = _magnitude(value, digits)
    if magnitude < -4 or magnitude > 5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    return fixed(round(value, digits - 1 - magnitude), max(0, digits - 1 - magnitude))


def fixed(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """Returns the number to so many decimals, with a true minus; `signed` writes the plus too."""
    if value is None:
        return ABSENT
    if abs(value) >= UNREADABLE:
        return ("+" if signed and value > 0 else "") + significant(value)
    written = f"{value:{'+' if signed else ''},.{decimals}f}"
    if not any(c in "123456789" for c in written):  # −0.00 has no sign
        written = written.lstrip("+-")
    return written.replace("-", MINUS)


def decimals_for(values: Iterable[float | None]) -> int:
    """Returns the decimals for a column: three up to 10, fewer above, more where all are tiny."""
    largest = max((abs(v) for v in values if v is not None), default=0.0)
    if largest == 0:
        return 3
    magnitude = _magnitude(largest, 3)
    return min(8, max(0, 3 - magnitude if magnitude >= 0 else max(3, 2 - magnitude)))


def interval(low: float | None, high: float | None, decimals: int, *, signed: bool = False) -> str:
    """Returns `[0.870, 0.899]`, or nothing where an end is unknown."""
    if low is None or high is None:
        return ""
    return f"[{_end(low, decimals, signed)}, {_end(high, decimals, signed)}]"


def _end(value: float, decimals: int, signed: bool) -> str:
    """Returns an end of an interval; it is written as 0 only if it is 0."""
    if NOISE < abs(value) < 0.5 * 10.0**-decimals:
        return ("+" if signed and value > 0 else "") + significant(value, 1)
    return fixed(value, decimals, signed=signed)


def percent(share: float | None) -> str:
    """Returns a share as whole percent; only 0 and 1 become 0% and 100%."""
    if share is None:
        return ABSENT
    if 0 < share < 0.005:
        return "< 1%"
    if 0.995 < share < 1:
        return "> 99%"
    return f"{100 * share:.0f}%"


def probability(p: float | None) -> str:
    """Returns a p or q value: three decimals, `< 0.001` below."""
    if p is None:
        return ABSENT
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def ranges(numbers: Sequence[int]) -> str:
    """Returns `0–9` for consecutive integers, commas between the runs: `0–3, 7`."""
    runs: list[list[int]] = []
    for value in numbers:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(f"{r[0]}–{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)


def _magnitude(value: float, digits: int) -> int:
    """Returns the power of ten of the leading digit, after rounding to so many digits."""
    return int(f"{abs(value):.{digits - 1}e}".split("e")[1])


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its 95% interval; None for what is not known."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """Number of seeds."""

    @property
    def exact(self) -> tuple[float | None, float | None, float | None]:
        """The three numbers as a CSV file wants them."""
        return self.value, self.low, self.high

    def shown(self, decimals: int | None = None, *, signed: bool = False) -> str:
        """Returns the number alone."""
        places = decimals_for([self.value]) if decimals is None else decimals
        return fixed(self.value, places, signed=signed)

    def bounds(self, decimals: int | None = None, *, signed: bool = False) -> str:
        """Returns the interval alone, or the reason why there is none."""
        places = decimals_for(self.exact) if decimals is None else decimals
        ends = interval(self.low, self.high, places, signed=signed)
        if ends or self.value is None:
            return ends
        return "one seed: no interval" if self.n == 1 else "no interval"


def estimate_of(mean: SeedMean | None) -> Estimate:
    """Returns a mean over seeds as a number to show; nothing is known of None."""
    return Estimate(mean.iqm, mean.low, mean.high, mean.n) if mean else Estimate()
