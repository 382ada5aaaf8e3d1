"""`counterpoint report`: draw the page of saved results again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from counterpoint.cli.output import print_json, print_result
from counterpoint.cli.results import PAGE, load
from counterpoint.report import render
from counterpoint.runs.files import write_atomically


@dataclass(frozen=True)
class Report:
    """Draw the report of saved results again: one HTML file that needs no network.

    Example:
      counterpoint report results --out page.html
    """

    results: Annotated[Path, tyro.conf.Positional]
    """A folder that `--out` wrote, or its results.json."""
    out: Path | None = None
    """The HTML file; default: report.html beside the results."""
    json: bool = False
    """Print the path as JSON alone."""

    def run(self) -> int:
        """Load, draw, write."""
        folder = self.results if self.results.is_dir() else self.results.parent
        target = self.out or folder / PAGE
        write_atomically(target, render(load(self.results)))
        print_json({"report": str(target)}) if self.json else print_result(f"report: {target}")
        return 0
