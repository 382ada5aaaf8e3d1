"""`counterpoint report`: draw the page of saved results, or of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.text import Text

from counterpoint.cli.results import PAGE, RESULTS, finish, load
from counterpoint.report import render
from counterpoint.runs.files import write_atomically
from counterpoint.runs.status import RUN
from counterpoint.train.result import training_result


@dataclass(frozen=True)
class Report:
    """Draw the report of saved results again, or of a run as far as it has come.

    The page is one HTML file that needs no network.

    Examples:
      counterpoint report results --out page.html
      counterpoint report counterpoint-out/train/spread-mappo_pooled-0
    """

    results: Annotated[Path, tyro.conf.Positional]
    """A folder that `--out` wrote, its results.json, or the run directory of a training."""
    out: Path | None = None
    """The HTML file; default: report.html beside the results."""
    json: bool = False
    """Print the path as JSON alone."""

    def run(self) -> int:
        """Loads, draws and writes."""
        folder = self.results if self.results.is_dir() else self.results.parent
        target = self.out or folder / PAGE
        is_run = (self.results / RUN).is_file() and not (self.results / RESULTS).exists()
        result = training_result(self.results) if is_run else load(self.results)
        write_atomically(target, render(result))
        sentence = Text(f"report: {target}")
        finish({"report": str(target)}, lambda _: [sentence], None, self.json)
        return 0
