"""An audit for a terminal: doubts, what to look at first, the verdicts about the team."""

from __future__ import annotations

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from counterpoint.records import CANNOT_TELL, FOUND, NOT_COMPUTABLE, NOT_FOUND, Case, Finding
from counterpoint.report.pages.audit import (
    audit_headline,
    finding_table,
    is_measurement,
    look_first,
)
from counterpoint.report.pages.episodes import cost_words, is_known
from counterpoint.report.terminal.tables import terminal_table
from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.toolkit.safe_text import cut, visible
from counterpoint.results.audit import AuditResult

LOOKED_AT = 5
"""Number of cases to look at first."""
AGENTS_SHOWN = 5
"""Number of agents whose cost is listed."""


def audit_parts(audit: AuditResult) -> list[RenderableType]:
    """Returns the doubts, the worst cases, the findings, and a line for what is not known."""
    parts: list[RenderableType] = []
    if audit.warning:
        parts.append(Text(visible(audit.warning), style="bold"))
    parts.append(Text(audit_headline(audit), style="bold"))
    parts += [_case(finding, case) for finding, case in look_first(audit.findings, LOOKED_AT)]
    known = [f for f in audit.findings if f.verdict != NOT_COMPUTABLE]
    verdicts = [f for f in known if not is_measurement(f)]
    measured = [f for f in known if is_measurement(f)]
    if shown := [f for f in verdicts if f.verdict == FOUND or f.cases]:
        parts.append(terminal_table(finding_table(shown)))
    quiet = [f for f in verdicts if f.verdict != FOUND and not f.cases]
    for verdict, title in ((CANNOT_TELL, "No case, but too few to tell"), (NOT_FOUND, "Not found")):
        if names := [f.name.replace("_", " ") for f in quiet if f.verdict == verdict]:
            parts.append(Text(f"{title}: {', '.join(names)}"))
    if measured:
        parts.append(Text("Measured: " + "; ".join(_measured(f) for f in measured)))
    parts += _costs(audit)
    parts += _failures(audit)
    parts += _labels(audit)
    unknown = len(audit.findings) - len(known)
    if unknown:
        parts.append(f"{counted(unknown, 'finding')} could not be computed (--json says why)")
    parts.append(
        f"{counted(audit.episodes, 'episode')} ({audit.format}), "
        f"{counted(audit.events, 'event')}, {counted(audit.agents, 'agent')}"
    )
    return parts


def _case(finding: Finding, case: Case) -> RenderableType:
    """Returns a case in two lines: what and where, then the quotation and the cost."""
    title = f"{finding.audit}.{finding.name}"
    more = f" (1 of {finding.cases_total})" if finding.cases_total > 1 else ""
    at = "" if case.event is None else f", event {case.event}"
    if case.first is not None:
        at = f", events {case.first} to {case.event}"
    head = Text.assemble((title, "bold"), visible(f"{more}: {case.what or finding.reason}"))
    where = f"{cut(case.episode, 60)}{at}" + (f", {case.agent}" if case.agent else "")
    cost = cost_words(case.cost)
    quoted = f': "{case.quote}"' if case.quote else ""
    body = Text(visible(where + quoted + (f"; cost {cost}" if cost else "")), style="dim")
    return Padding(Text("\n").join([head, body]), (0, 0, 0, 2))


def _measured(finding: Finding) -> str:
    value = "" if finding.value is None else f"{finding.value:.4g}"
    return f"{finding.audit} {finding.name.replace('_', ' ')} {value}"


def _costs(audit: AuditResult) -> list[RenderableType]:
    """Returns a line with the dearest agents, if the log says what they cost."""
    known = [each for each in audit.costs if is_known(each.cost)]
    if not known:
        return []
    shown = [f"{each.agent}: {cost_words(each.cost)}" for each in known[:AGENTS_SHOWN]]
    rest = len(known) - len(shown)
    more = f"; {rest} more" if rest else ""
    return [Text(visible(f"Cost by agent: {'; '.join(shown)}{more}"))]


def _failures(audit: AuditResult) -> list[RenderableType]:
    """Returns a line for what failed episodes have more often, and how episodes end."""
    parts: list[RenderableType] = []
    endings = [each for each in audit.endings if each.ending != "not known"]
    if endings:
        said = "; ".join(f"{cut(each.ending, 60)} ({each.episodes})" for each in endings[:5])
        parts.append(Text(visible(f"Endings: {said}")))
    more = [each for each in audit.associations if each.verdict == FOUND]
    parts += [Text(f"{each.audit}.{each.name} is in {each.failed_with} of {each.failed} failed "
                   f"episodes and {each.successful_with} of {each.successful} successful ones "
                   f"(p {each.p:.2g})") for each in more]  # fmt: skip
    if audit.associations and not more:
        rows = audit.associations
        parts.append(
            f"No finding is more frequent in the {rows[0].failed} failed episodes than in the "
            f"{rows[0].successful} successful ones beyond chance"
        )
    return parts


def _labels(audit: AuditResult) -> list[RenderableType]:
    """Returns a line for each label and score: how cases agree with it, beside chance."""
    labels = dict.fromkeys(each.label for each in audit.agreements)
    means = [
        f"Score {each.score}: mean {each.mean_with:.3g} in {each.episodes_with} with a case of "
        f"{each.audit}.{each.name}, {each.mean_without:.3g} in {each.episodes_without} without"
        for each in audit.score_means
    ]
    return [Text(visible(line)) for line in (*(_label(audit, each) for each in labels), *means)]


def _label(audit: AuditResult, label: str) -> str:
    rows = [each for each in audit.agreements if each.label == label]
    said = "; ".join(
        f"{each.name.replace('_', ' ')} {each.agree} of {each.episodes} (chance {each.chance:.1f})"
        for each in rows
    )
    return f"Agreement with the label {label}: {said}"
