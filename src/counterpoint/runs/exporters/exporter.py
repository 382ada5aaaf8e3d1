"""`Exporter`: a destination of the rows of a run, and the numbers in a row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Protocol

from counterpoint.runs.metrics import Loggable


class Exporter(Protocol):
    """A destination of the rows of a run.

    It is made from a run directory, which has the settings in run.json, and when the exporter is
    closed also the end of the run in status.json.
    """

    def log(self, row: Mapping[str, Loggable]) -> None:
        """Sends one row; it has a whole number `step`."""

    def close(self) -> None:
        """Sends the remaining rows."""


def scalars(row: Mapping[str, Loggable], within: str = "") -> Iterator[tuple[str, float]]:
    """Returns the finite numbers of a row: `{"gap": {"a": 1}, "p": [2]}` gives `gap/a`, `p/0`."""
    for key, value in row.items():
        name = f"{within}{key}"
        of_array = getattr(value, "tolist", None)
        value = value if of_array is None else of_array()
        if isinstance(value, Mapping):
            yield from scalars(value, f"{name}/")
        elif isinstance(value, list | tuple):
            yield from scalars({str(i): inner for i, inner in enumerate(value)}, f"{name}/")
        elif isinstance(value, int | float) and math.isfinite(value):
            yield name, float(value)
