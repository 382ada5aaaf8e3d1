"""What an audit has found, for a terminal: start at `audit_parts`."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from counterpoint.records import NOT_COMPUTABLE
from counterpoint.report.pages.audit import evidence_table, finding_table
from counterpoint.report.terminal.tables import terminal_table
from counterpoint.report.toolkit.document import visible
from counterpoint.results.audit import AuditResult

PLACES = 2
"""Most places of a finding that are listed; all are in the JSON."""


def audit_parts(audit: AuditResult) -> list[RenderableType]:
    """Returns what was computed, where it can be seen, and why the rest was not computed."""
    known = [f for f in audit.findings if f.verdict != NOT_COMPUTABLE]
    parts: list[RenderableType] = []
    if audit.warning:
        parts.append(Text(visible(audit.warning), style="bold"))
    parts.append(terminal_table(finding_table(known, "")))
    if evidence := evidence_table(known, (), "", PLACES):
        parts.append(terminal_table(evidence))
    reasons: dict[str, list[str]] = {}
    for finding in audit.findings:
        if finding.verdict == NOT_COMPUTABLE:
            reasons.setdefault(finding.reason, []).append(finding.name.replace("_", " "))
    parts += [Text(visible(f"{', '.join(names)}: {why}")) for why, names in reasons.items()]
    parts.append(
        f"{audit.episodes} episodes ({audit.format}), {audit.events} events, {audit.agents} agents"
    )
    return parts
