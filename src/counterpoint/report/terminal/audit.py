"""An audit for a terminal: doubts, what to look at first, the verdicts about the team."""

from __future__ import annotations

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from counterpoint.records import CANNOT_TELL, FOUND, NOT_COMPUTABLE, NOT_FOUND, Finding
from counterpoint.report.pages.audit import (
    Worst,
    among_words,
    audit_headline,
    finding_table,
    is_measurement,
    look_first,
)
from counterpoint.report.pages.episodes import across_lines, cost_words, is_known
from counterpoint.report.pages.judged import (
    agreement_table,
    judged_sentences,
    mode_trust,
    mode_words,
)
from counterpoint.report.pages.talks import topology_line
from counterpoint.report.terminal.tables import terminal_table
from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.toolkit.safe_text import cut, visible, visible_lines
from counterpoint.results.audit import AuditResult
from counterpoint.results.judged import JudgeReport

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
    first = look_first(audit.findings, LOOKED_AT)
    parts += map(_case, first)
    seen = [worst.finding for worst in first]
    if rest := [f for f in audit.findings if f.cases_total and f not in seen]:
        titles = (f"{f.audit}.{f.name} ({f.cases_total:,})" for f in rest)
        parts.append(Text(f"More cases (--json, --out): {', '.join(titles)}"))
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
    parts += [Text(visible(line)) for line in across_lines(audit)]
    if audit.talk_shape:
        parts.append(Text(visible_lines(topology_line(audit.talk_shape))))
    if audit.judge:
        parts += _judged(audit.judge)
    unknown = len(audit.findings) - len(known)
    if unknown:
        parts.append(f"{counted(unknown, 'finding')} could not be computed (--json says why)")
    parts.append(
        f"{counted(audit.episodes, 'episode')} ({audit.format}), "
        f"{counted(audit.events, 'event')}, {counted(audit.agents, 'agent')}"
    )
    return parts


def _case(worst: Worst) -> RenderableType:
    """Returns a case in two lines: what and where, then the quotation and the cost."""
    finding, case, _, _ = worst
    title, more = f"{finding.audit}.{finding.name}", among_words(worst)
    at = "" if case.event is None else f", event {case.event}"
    if case.first is not None:
        at = f", events {case.first} to {case.event}"
    head = Text.assemble((title, "bold"), visible(f"{more}: {case.what or finding.reason}"))
    where = f"{cut(case.episode, 60)}{at}" + (f", {case.agent}" if case.agent else "")
    cost = cost_words(case.cost)
    quoted = f': "{case.quote}"' if case.quote else ""
    body = Text(visible(where + quoted + (f"; cost {cost}" if cost else "")), style="dim")
    return Padding(Text("\n").join([head, body]), (0, 0, 0, 2))


def _judged(report: JudgeReport) -> list[RenderableType]:
    """Returns what a judge says: how far it can be trusted, then the first episodes."""
    first, *rest = judged_sentences(report)
    parts: list[RenderableType] = [Text(visible(first), style="bold")]
    named = [each for each in report.episodes if each.agent is not None]
    meanings = {row.mode: row for row in report.modes}
    for each in named[:LOOKED_AT]:
        at = "" if each.event is None else f", event {each.event}"
        where = f"{cut(each.episode, 60)}{at}, {each.agent}: {mode_words(each, meanings)}"
        quoted = f'; "{each.quote}"' if each.quote else ""
        parts.append(Padding(Text(visible(where + quoted), style="dim"), (0, 0, 0, 2)))
    if len(named) > LOOKED_AT:
        parts.append(f"{counted(len(named) - LOOKED_AT, 'more episode')} (--json, --out)")
    if table := agreement_table(report):
        parts.append(terminal_table(table))
    if shown := [
        f"{row.mode} {row.meaning} {row.episodes}" for row in report.modes if row.episodes
    ]:
        parts.append(Text(f"Modes by episodes: {'; '.join(shown)}. {mode_trust(report)}"))
    return [*parts, *(Text(visible(line)) for line in rest)]


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
