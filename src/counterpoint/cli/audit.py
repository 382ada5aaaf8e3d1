"""`counterpoint audit`: what a team does wrong, from its logs. `counterpoint compare-outcomes`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from msgspec.structs import replace

from counterpoint.audits import AUDITS, audit, audit_logs
from counterpoint.cli.import_logs import NotePrinter
from counterpoint.cli.progress import ReadingDisplay
from counterpoint.cli.results import command_line, finish, first_step
from counterpoint.errors import SettingError, choices
from counterpoint.readers.logs import read_mapping
from counterpoint.readers.outcomes import read_outcomes
from counterpoint.records import FOUND
from counterpoint.report.terminal.parts import audit_parts
from counterpoint.report.terminal.tables import text_table

COMPARED = ("worth", "coordination", "agreement")
"""The audits that say something about a table of outcomes."""


@dataclass(frozen=True)
class Audit:
    """Search the logs of a team, written by any tool, for known failures of teams.

    The audits are agreement, idleness, coordination, reward hacking, worth and being stuck. Each
    finding is printed with its value, its interval, the null that it is compared with, and examples
    from the logs, or with the reason why it is not computable. No model is run and nothing leaves
    this machine. A finding does not name a cause.

    Examples:
      counterpoint audit
      counterpoint audit runs/
      counterpoint audit chat.jsonl --outcomes outcomes.csv --out audit
      counterpoint audit runs/ --fail-on stuck --fail-on idleness.contagion --json
    """

    path: Annotated[Path | None, tyro.conf.Positional] = None
    """A log or a folder of logs; `counterpoint import --help` lists the formats. Without it, the
    audits are listed."""
    outcomes: Path | None = None
    """A table with the scores of one agent, of isolated members and of the team on each task (CSV
    or JSON lines: task, setting, score, members, budget, answer)."""
    only: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg()] = ()
    """An audit to run; may be repeated. Default: all audits."""
    fail_on: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg()] = ()
    """Exit with 1 if this audit, or its finding AUDIT.NAME, finds something; may be repeated."""
    mapping: Path | None = None
    """A TOML file that names the members: lists `agents`, `tools`, `ignore`, a table [rename]."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    json: bool = False
    """Print the findings as JSON alone."""

    def run(self) -> int:
        """Reads, audits, saves and prints; returns 1 if an audit of --fail-on found something."""
        if self.path is None:
            if self != Audit(json=self.json):  # a forgotten log is no audit that found nothing
                raise SettingError("got options and no log; wanted counterpoint audit LOG")
            return list_audits(self.json)
        watched = [name.partition(".")[::2] for name in self.fail_on]
        for name, (which, _) in zip(self.fail_on, watched, strict=True):
            if which not in AUDITS:
                raise SettingError(f"got --fail-on {name}{choices(which, AUDITS)}")
        outcomes = read_outcomes(self.outcomes) if self.outcomes else []
        names = read_mapping(self.mapping) if self.mapping else None
        printer = NotePrinter()
        with ReadingDisplay() as counter:
            result = audit_logs(self.path, outcomes, self.only, names, printer, counter)
        printer.finish()
        # a saved result has the name of the log alone, and the next command needs its path
        then = "" if self.outcomes else first_step(replace(result, source=str(self.path)))
        finish(result, audit_parts, self.out, self.json, then)
        problems = [f for f in result.findings if f.verdict == FOUND]
        return int(any(f.audit == a and n in ("", f.name) for f in problems for a, n in watched))


@dataclass(frozen=True)
class CompareOutcomes:
    """Compare a team with its members and with one agent, from a table of outcomes alone.

    FILE is CSV with a header or JSON lines: task, setting (solo, team, isolated), score from 0 to
    1, and, if known, members (names separated by ;), budget and answer. The team is compared with
    its mean member, its best member (chosen on other tasks than those of the comparison), each
    task's best answer, and one agent.

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
        then = command_line("audit", "LOG", "--outcomes", self.file)
        finish(result, audit_parts, None, self.json, then)
        return 0


def list_audits(json: bool) -> int:
    """Prints the name and the summary of each audit; returns the exit status."""
    facts = {name: each.summary for name, each in AUDITS.items()}
    packages = {name: f" ({package})" for name in facts if (package := AUDITS.package(name))}
    rows = [(name, summary + packages.get(name, "")) for name, summary in facts.items()]
    table = text_table(("audit", "what it looks for"), rows)
    finish(facts, lambda _: [table], None, json, "counterpoint audit LOG --only NAME")
    return 0
