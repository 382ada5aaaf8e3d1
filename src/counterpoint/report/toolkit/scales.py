"""From values to pixels: linear and logarithmic scales with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

DECADES = 1.5
"""A positive quantity that spans more powers of ten than this is drawn on a log axis."""

MOST_WRITTEN = 10_000_000
"""Whole numbers below this are written out at ticks, without a power of ten."""

LARGEST, SMALLEST = 1e300, 1e-300
"""Ends and span of an axis stay within these, where no arithmetic overflows."""


@dataclass(frozen=True)
class Scale:
    """One axis: `scale(value)` is its position in pixels."""

    low: float
    """Value at `start`."""
    high: float
    """Value at `end`; above `low`."""
    start: float
    """[px] where the axis begins."""
    end: float
    """[px] where it ends; below `start` for an axis that points up."""
    log: bool = False
    """Whether equal distances are equal ratios."""

    def __call__(self, value: float) -> float:
        value = _drawable(value)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * share

    def ticks(self, count: int = 5) -> list[float]:
        """Returns about so many round values inside the axis."""
        ticks = log_ticks if self.log else linear_ticks
        return ticks(self.low, self.high, count)


def spans_decades(values: Iterable[float | None]) -> bool:
    """Returns whether all values are positive and span over `DECADES` powers of ten."""
    known = [v for v in values if v is not None]
    if not known or min(known) <= 0:
        return False
    return math.log10(max(known) / min(known)) > DECADES


def fit(values: Iterable[float | None], start: float, end: float, *, log: bool = False) -> Scale:
    """Returns a scale with round ends that holds all values; 0 to 1 without values."""
    known = [v for v in values if v is not None and (v > SMALLEST or not log)]
    low, high = (min(known), max(known)) if known else (1.0 if log else 0.0, 1.0)
    low, high = _drawable(low), _drawable(high)
    if log:
        bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return Scale(10.0**bottom, 10.0 ** max(top, bottom + 1), start, end, log=True)
    if high - low <= max(1e-9 * max(abs(low), abs(high)), SMALLEST):
        low, high = low - 0.5 * max(abs(low), 1.0), high + 0.5 * max(abs(high), 1.0)
    step = _round_step(high - low, 5)
    return Scale(
        math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, end
    )


def across(low: float, high: float, start: float, end: float) -> Scale:
    """Returns a scale that ends at the two values, or a little later if they are equal."""
    low, high = _drawable(low), _drawable(high)
    return Scale(
        low, high if high - low > SMALLEST else low + max(1.0, 1e-3 * abs(low)), start, end
    )


def linear_ticks(low: float, high: float, count: int) -> list[float]:
    """Returns multiples of 1, 2 or 5 times a power of ten within [low, high]."""
    step = _round_step(high - low, count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Returns powers of ten within [low, high], thinned to about so many."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / count))
    return [10.0**power for power in range(first, last + 1, stride)]


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """Returns a tick's label, with only the digits that distinguish it from the other ticks."""
    step = min((b - a for a, b in pairwise(ticks)), default=abs(value))
    largest = max(map(abs, ticks), default=0.0)
    ratios = len(ticks) > 1 and ticks[0] > 0 and ticks[-1] / ticks[0] >= 10 ** (len(ticks) - 1)
    if largest < 10_000 and step >= 0.001 and not ratios:
        return f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}".replace("-", "−")
    if largest < MOST_WRITTEN and all(t == int(t) for t in ticks) and not ratios:
        return f"{value:,.0f}".replace("-", "−")
    digits = next((d for d in (3, 6, 9) if len({f"{t:.{d}g}" for t in ticks}) == len(ticks)), 17)
    written = f"{value:,.{digits}g}" if 0.001 <= abs(value) < 10_000 else f"{value:.{digits}g}"
    mantissa, e, exponent = written.partition("e")
    return (f"{mantissa}e{int(exponent)}" if e else written).replace("-", "−")


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Returns positions near the wanted ones, at least `gap` apart, within [low, high]."""
    # one pass upwards moves them apart, one downwards from the edge brings them back inside
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [min(max(wanted[i], low), high) for i in order]
    gap = min(gap, (high - low) / max(1, len(placed) - 1))
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    if placed and placed[-1] > high:
        placed[-1] = high
        for i in range(len(placed) - 2, -1, -1):
            placed[i] = min(placed[i], placed[i + 1] - gap)
    position = dict(zip(order, placed, strict=True))
    return [position[i] for i in range(len(wanted))]


def _drawable(value: float) -> float:
    return min(max(value, -LARGEST), LARGEST)


def _round_step(span: float, count: int) -> float:
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
