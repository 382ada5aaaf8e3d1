"""`counterpoint audit`: what a team does wrong, from its logs. `counterpoint compare-outcomes`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from counterpoint.audits import AUDITS, audit, audit_logs
from counterpoint.cli.import_logs import NotePrinter
from counterpoint.cli.progress import ReadingDisplay
from counterpoint.cli.results import finish
from counterpoint.errors import SettingError
from counterpoint.readers.logs import read_mapping
from counterpoint.readers.outcomes import read_outcomes
from counterpoint.records import FOUND
from counterpoint.report.terminal.parts import audit_parts
from counterpoint.report.terminal.tables import text_table

COMPARED = ("worth", "coordination", "agreement")
"""The audits that say something about a table of outcomes."""


@dataclass(frozen=True)
class Audit:
    """Look through logs of a team, whatever wrote them, for what teams do wrong.

    Agreement, idleness, coordination, reward hacking, worth, being stuck: each finding with its
    value, interval, the null that it is compared with, and where it can be seen; or "not computable
    because". No model is run and nothing leaves this machine. A finding is no cause.

    Examples:
      counterpoint audit runs/
      counterpoint audit chat.jsonl --outcomes outcomes.csv --out audit
      counterpoint audit runs/ --fail-on stuck --fail-on idleness.contagion --json
    """

    path: Annotated[Path, tyro.conf.Positional]
    """A log, or a folder of logs: see `counterpoint import --help`."""
    outcomes: Path | None = None
    """A table of what one agent, isolated members and the team made of each task (CSV or JSON
    lines: task, setting, score, members, budget, answer)."""
    only: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg()] = ()
    """An audit to make; may be repeated. All, if none is named."""
    fail_on: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg()] = ()
    """Exit with 1 where this is found: an audit, or AUDIT.NAME; may be repeated."""
    mapping: Path | None = None
    """A TOML file that says who is a member: lists `agents`, `tools`, `ignore`, a table
    [rename]."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    json: bool = False
    """Print the findings as JSON alone."""

    def run(self) -> int:
        """Reads, audits, saves and prints; returns 1 if an audit of --fail-on found something."""
        watched = [name.partition(".")[::2] for name in self.fail_on]
        for name, (which, _) in zip(self.fail_on, watched, strict=True):
            if which not in AUDITS:
                raise SettingError(f"got --fail-on {name}; wanted one of {', '.join(AUDITS)}")
        outcomes = read_outcomes(self.outcomes) if self.outcomes else []
        names = read_mapping(self.mapping) if self.mapping else None
        printer = NotePrinter()
        with ReadingDisplay() as counter:
            result = audit_logs(self.path, outcomes, self.only, names, printer, counter)
        printer.finish()
        finish(result, audit_parts, self.out, self.json)
        problems = [f for f in result.findings if f.verdict == FOUND]
        return int(any(f.audit == a and n in ("", f.name) for f in problems for a, n in watched))


@dataclass(frozen=True)
class CompareOutcomes:
    """Is the team worth having? From a table of outcomes alone.

    FILE is CSV with a header or JSON lines: task, setting (solo, team, isolated), score from 0 to
    1, and where known members (names with ; between), budget, answer. The team is compared with its
    mean member, its best member (chosen on other tasks than it is judged on), each task's best
    answer, and one agent.

    Example:
      counterpoint compare-outcomes outcomes.csv
    """

    file: Annotated[Path, tyro.conf.Positional]
    """The table."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Reads, compares and prints."""
        outcomes = read_outcomes(self.file)
        result = audit([], outcomes, COMPARED, source=self.file.name)
        finish(result, audit_parts, None, self.json)
        return 0


@dataclass(frozen=True)
class Audits:
    """List the audits."""

    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Prints name and summary of each."""
        facts = {name: each.summary for name, each in AUDITS.items()}
        packages = {name: f" ({package})" for name in facts if (package := AUDITS.package(name))}
        rows = [(name, summary + packages.get(name, "")) for name, summary in facts.items()]
        table = text_table(("audit", "what it looks for"), rows)
        finish(facts, lambda _: [table], None, self.json)
        return 0
