"""`sparkline`: the course of a series in a few characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24
"""Characters of a sparkline."""


def sparkline(values: Sequence[float | None], width: int = WIDTH) -> str:
    """Returns the series from its lowest to its highest value; a character is a stretch's mean."""
    known = [v for v in values if v is not None]
    if not known:
        return ""
    count = min(width, len(known))
    cuts = [len(known) * i // count for i in range(count + 1)]
    means = [sum(known[a:b]) / (b - a) for a, b in pairwise(cuts)]
    low, span = min(means), max(means) - min(means)
    return "".join(BARS[round((len(BARS) - 1) * (m - low) / span) if span else 3] for m in means)
