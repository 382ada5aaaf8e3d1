"""What every function of this room returns: an `Estimate`, or a `Band` of them.

An estimate never travels without its interval and its number of runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Estimate:
    """One number with the interval that belongs to it."""

    value: float
    """The estimate, in the unit of the samples."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    n: int
    """How many independent runs (or trials, for a rate) stand behind it."""


@dataclass(frozen=True)
class Band:
    """An estimate at each of T points; the intervals are pointwise, not simultaneous."""

    value: NDArray[np.float64]
    """[T] the estimates."""
    low: NDArray[np.float64]
    """[T] lower ends."""
    high: NDArray[np.float64]
    """[T] upper ends."""
    n: int
    """How many independent runs stand behind every point."""
