"""`counterpoint audit`: what a team does wrong, from its logs. `counterpoint compare-outcomes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from counterpoint import __version__
from counterpoint.audits import AUDITS, Report, audit
from counterpoint.audits.run import to_json
from counterpoint.audits.timeline import timeline
from counterpoint.cli.import_logs import told_episodes, warning_of
from counterpoint.cli.messages import say
from counterpoint.cli.output import print_json, print_result
from counterpoint.cli.results import save
from counterpoint.errors import SettingError
from counterpoint.readers.mapping import read_mapping
from counterpoint.readers.outcomes import read_outcomes
from counterpoint.records import FOUND, NOT_COMPUTABLE
from counterpoint.report.toolkit.document import visible


@dataclass(frozen=True)
class Audit:
    """Look through logs of a team, whatever wrote them, for what teams do wrong.

    Agreement, idleness, coordination, gamed metrics, worth, being stuck: each finding with its
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
        """Read, look, save, print; 1 where something of --fail-on is found."""
        watched = [self._watched(name) for name in self.fail_on]
        outcomes = read_outcomes(self.outcomes) if self.outcomes else []
        names = read_mapping(self.mapping) if self.mapping else None
        notes: list[str] = []
        report = audit(told_episodes(self.path, names, notes), outcomes, self.only)
        if report.episodes == 0:
            raise SettingError(f"got no episode in {self.path}; wanted a log of a team")
        document = document_of(report, self.path.name, notes)
        saved = save(document, self.out) if self.out else None
        if self.json:
            print_json(document)
        else:
            print_result(*tables(document))
        if saved:
            say(f"report: {saved}")
        found = [f for f in report.findings if f.verdict == FOUND]
        return int(any(f.audit == a and n in ("", f.name) for f in found for a, n in watched))

    def _watched(self, name: str) -> tuple[str, str]:
        """An audit and a finding of it, or all of them."""
        which, _, metric = name.partition(".")
        if which not in AUDITS:
            raise SettingError(f"got --fail-on {name}; wanted one of {', '.join(AUDITS)}")
        return which, metric


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
        """Read, compare, print."""
        report = audit([], read_outcomes(self.file), ("worth", "coordination", "agreement"))
        document = document_of(report, self.file.name, [])
        if self.json:
            print_json(document)
        else:
            print_result(*tables(document))
        return 0


@dataclass(frozen=True)
class Audits:
    """List the audits."""

    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Print name and summary of each."""
        if self.json:
            print_json({name: each.summary for name, each in AUDITS.items()})
        else:
            table = Table(box=SIMPLE_HEAD)
            table.add_column("audit")
            table.add_column("what it looks for")
            for name, each in AUDITS.items():
                package = AUDITS.package(name)
                table.add_row(name, f"{each.summary} ({package})" if package else each.summary)
            print_result(table)
        return 0


def document_of(report: Report, source: str, notes: Sequence[str]) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "schema": "counterpoint.audit/1",
        "version": __version__,
        "source": source,
        "config": {"source": source},
        "format": ", ".join(sorted(report.formats)),
        "formats": dict(report.formats),
        "episodes": report.episodes,
        "agents": report.agents,
        "events": report.events,
        "findings": [to_json(each) for each in report.findings],
        "timelines": [timeline(each) for each in report.sample],
        "warning": warning_of(notes),
        "skipped": list(notes),
    }


def tables(document: Mapping[str, Any]) -> list[Any]:
    """One row a finding, those that were found first; a line for each reason why others are not."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("finding", "verdict", "value", "95% interval", "null", "n", "meaning"):
        table.add_column(name)
    known = [each for each in document["findings"] if each["verdict"] != NOT_COMPUTABLE]
    for each in sorted(known, key=lambda f: f["verdict"] != FOUND):
        ends = f"{each['low']:.3f} to {each['high']:.3f}" if each["low"] is not None else ""
        table.add_row(
            Text(f"{each['audit']}: {each['name'].replace('_', ' ')}"),
            Text(
                each["verdict"].replace("_", " "), style="bold" if each["verdict"] == FOUND else ""
            ),
            f"{each['value']:.3f}",
            ends,
            "" if each["null"] is None else f"{each['null']:g}",
            str(each["n"]),
            Text(visible(each["reason"])),
        )
    warning = document.get("warning")
    parts: list[Any] = [*([Text(visible(warning), style="bold")] if warning else []), table]
    for each in document["findings"]:
        if each["verdict"] == FOUND:
            for place in each["evidence"][:2]:
                where = f"{place.get('episode', '')}, event {place.get('t', '')}"
                said = f"{place.get('agent', '')}: {place.get('quote', '')}"
                parts.append(Text(visible(f"  {each['name']} in {where}: {said}")))
    missing: dict[str, list[str]] = {}
    for each in document["findings"]:
        if each["verdict"] == NOT_COMPUTABLE:
            missing.setdefault(each["reason"], []).append(each["name"].replace("_", " "))
    parts += [Text(visible(f"{', '.join(names)}: {why}")) for why, names in missing.items()]
    parts.append(
        f"{document['episodes']} episodes ({document['format']}), {document['events']} events, "
        f"{document['agents']} agents"
    )
    return parts
