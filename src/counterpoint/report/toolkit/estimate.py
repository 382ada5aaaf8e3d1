"""An estimate with its interval, as the page and the terminal write it."""

from __future__ import annotations

from dataclasses import dataclass

from counterpoint.report.toolkit.numerals import decimals_for, fixed, interval
from counterpoint.results.parts import SeedMean


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


def estimate_of(mean: SeedMean | None) -> Estimate:
    """Returns a mean over seeds as a number to show; nothing is known of None."""
    return Estimate(mean.iqm, mean.low, mean.high, mean.n) if mean else Estimate()
