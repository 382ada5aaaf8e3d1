"""`counterpoint compare-outcomes` and `counterpoint contribution`: decisions from a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from msgspec.structs import replace

from counterpoint.audits.outcomes import MARGIN, compare_outcomes, contribution, read_scores
from counterpoint.cli.import_logs import NotePrinter
from counterpoint.cli.messages import say_note
from counterpoint.cli.results import finish, first_step
from counterpoint.errors import SettingError
from counterpoint.readers.outcomes import read_outcomes
from counterpoint.records import Outcome
from counterpoint.report.terminal.outcomes import contribution_parts, outcomes_parts
from counterpoint.report.toolkit.numerals import counted


@dataclass(frozen=True)
class CompareOutcomes:
    """Decide whether a team is better than one agent and than its members, from their scores.

    FILE is CSV with a header or JSON lines: task, setting (solo, team, isolated), score from 0 to
    1, and, if known, members (names separated by ;), cost and answer. The answer is better, not
    worse within the margin, worse, or cannot tell and how many more tasks would, with the cost of a
    success beside it.

    Example:
      counterpoint compare-outcomes outcomes.csv --margin 0.1
    """

    file: Annotated[Path, tyro.conf.Positional]
    """The table."""
    margin: float = MARGIN
    """The largest loss of score that does not matter."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Reads, compares, saves and prints."""
        _check(self.margin)
        result = compare_outcomes(read_outcomes(self.file, say_note), self.margin, self.file.name)
        then = first_step(replace(result, source=str(self.file)))
        finish(result, outcomes_parts, self.out, self.json, then)
        return 0


@dataclass(frozen=True)
class Contribution:
    """Show what each member adds to a team, from the scores of the team and of its subsets.

    FILE is a table (CSV with a header or JSON lines) with the columns task, members (those who were
    present, separated by ;), score from 0 to 1, and cost if known; or logs of teams whose episodes
    have a task and a success. Leave-one-out needs the whole team with and without a member on the
    same tasks; Shapley values need all subsets, of up to 10 members.

    Example:
      counterpoint contribution ablations.csv --out contribution
    """

    file: Annotated[Path, tyro.conf.Positional]
    """The table, a log, or a folder of logs."""
    margin: float = MARGIN
    """The largest effect on the score that does not matter."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Reads, computes, saves and prints."""
        _check(self.margin)
        printer = NotePrinter()
        outcomes: list[Outcome] = read_scores(self.file, printer)
        if nameless := sum(not each.members for each in outcomes):
            printer(f"{nameless} of {counted(len(outcomes), 'row')} without members left out")
        printer.finish()
        result = contribution(outcomes, self.margin, self.file.name)
        then = first_step(replace(result, source=str(self.file)))
        finish(result, contribution_parts, self.out, self.json, then)
        return 0


def _check(margin: float) -> None:
    if not 0 <= margin <= 1:
        raise SettingError(f"got --margin {margin}; wanted a number from 0 to 1")
