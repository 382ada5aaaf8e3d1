"""The page of an audit: its findings with their cases, timelines, and who spoke to whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from counterpoint.records import CANNOT_TELL, FOUND, NOT_COMPUTABLE, VERDICTS, Case, Cost, Finding
from counterpoint.report.toolkit.charts import Dot, interval_panel
from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page, setting_rows
from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.toolkit.svg import element, label, picture, shorten
from counterpoint.report.toolkit.tables import Cell, Column, Table, TableRow, text_columns
from counterpoint.results.audit import AuditResult, Timeline

NAME, STEP, LINE, HEAD = 150.0, 7.0, 18.0, 6.0
"""Pixels: of names, of an event, between lines, above them."""
DRAWN = 10
"""Maximum number of findings in the picture."""
CLASSES = {"message": "s0", "action": "s2", "other": "c-none"}
"""The type of an event to the class of its colour; idle events are hollow."""


def audit_headline(audit: AuditResult) -> str:
    """Returns what is the matter, in at most 15 words."""
    found = [f for f in audit.findings if f.verdict == FOUND and not is_measurement(f)]
    cases = sum(f.cases_total for f in audit.findings)
    episodes = counted(audit.episodes, "episode")
    if cases:
        problems = f"; the team has {counted(len(found), 'problem')}" if found else ""
        return f"{counted(cases, 'case')} in {episodes} to look at{problems}."
    if found:
        return f"{counted(len(found), 'problem')} of the team, and no single case."
    return f"No case in {episodes}, and no problem of the team."


def is_measurement(finding: Finding) -> bool:
    """Returns whether a finding is a number for which no value is right."""
    return finding.verdict == CANNOT_TELL and finding.null is None


def look_first(findings: Sequence[Finding], most: int) -> list[tuple[Finding, Case]]:
    """Returns the worst case of each finding, the longest first; then the next worst of each."""
    some = [(rank, f, case) for f in findings for rank, case in enumerate(f.cases[:most])]

    def order(each: tuple[int, Finding, Case]) -> tuple[int, int]:
        rank, _, case = each
        length = 1 if case.event is None or case.first is None else case.event - case.first + 1
        return rank, -max(length, case.times or 1)

    return [(finding, case) for _, finding, case in sorted(some, key=order)[:most]]


def audit_page(audit: AuditResult) -> Page:
    """Returns the page of an audit."""
    problems = [f for f in audit.findings if f.verdict == FOUND]
    sentence = audit_headline(audit)
    known = sum(f.verdict != NOT_COMPUTABLE for f in audit.findings)
    facts = (
        Fact("Episodes", str(audit.episodes), f"{audit.events} events"),
        Fact("Members", str(audit.agents), "tools and people are not counted"),
        Fact("Findings", str(len(problems)), f"of {known} that could be computed"),
    )
    why = "A finding says what is in the log. It does not name a cause."
    return Page(
        template="audit.html",
        title=f"{audit.source}: an audit",
        kind="Audit",
        subject=audit.source,
        file_name=Path(audit.source).stem,
        details=[audit.format],
        verdict=Headline(sentence, f"{audit.warning} {why}" if audit.warning else why, facts),
        definitions=DEFINITIONS,
        settings=setting_rows(audit.config),
        picture="panel",
        caption="Values with 95% intervals. The short upright line is the null: what chance or a "
        "harmless team gives.",
        contents={
            "panel": _panel(audit.findings),
            "findings": finding_table(audit.findings),
            "cases": case_table(audit.findings, audit.timelines),
            "timelines": [
                (timeline.episode, _drawn(timeline, i), _messages(timeline, i))
                for i, timeline in enumerate(audit.timelines)
            ],
            "skipped": audit.skipped,
        },
    )


def _panel(findings: Sequence[Finding]) -> Markup | None:
    """Returns the findings that are shares or differences of shares beside their nulls, those that
    found something first; None if there is none."""
    dots = [
        Dot(f.name.replace("_", " "), f.value, f.low, f.high,
            "s0" if f.verdict == FOUND else "s1", _number(f.value), f.verdict == FOUND, f.null)
        for f in sorted(findings, key=lambda f: VERDICTS.index(f.verdict))
        if f.null is not None and f.low is not None and f.high is not None and f.value is not None
        and min(f.low, f.null) >= -1 and max(f.high, f.null) <= 1
    ]  # fmt: skip
    if not dots:
        return None
    axis = "share, or difference of shares"
    return interval_panel("findings-panel", "Findings beside the null", axis, dots[:DRAWN])


def _title(finding: Finding) -> str:
    return f"{finding.audit}, {finding.name.replace('_', ' ')}"


def finding_table(findings: Sequence[Finding]) -> Table:
    """Returns a row for each finding; those that found something come first."""
    columns = (
        Column("Finding", ("audit", "name"), numeric=False),
        *text_columns("Verdict"),
        Column("Value", ("value", "low", "high"), missing="not computable; the meaning says why"),
        Column("Null", missing="this finding has no null"),
        Column("n"),
        Column("Meaning", ("reason",), numeric=False),
    )
    rows = []
    for f in sorted(findings, key=lambda f: VERDICTS.index(f.verdict)):
        is_found = f.verdict == FOUND
        bounded = f.low is not None and f.high is not None
        cells = (
            Cell(_title(f), (f.audit, f.name), link=_anchor(f) if f.cases else ""),
            Cell(verdict_words(f), (f.verdict,)),
            Cell(_number(f.value), (f.value, f.low, f.high),
                 below=f"{f.low:.3g} to {f.high:.3g}" if bounded else ""),
            Cell(_number(f.null), (f.null,)),
            Cell(str(f.n), (f.n,)),
            Cell(f.reason),
        )  # fmt: skip
        rows.append(TableRow(cells, "best" if is_found else ""))
    caption = "Every audit; intervals are 95%, over episodes or tasks."
    return Table("findings", caption, columns, rows)


def verdict_words(finding: Finding) -> str:
    """Returns the verdict; a value without a null is a measurement."""
    return "measurement" if is_measurement(finding) else finding.verdict.replace("_", " ")


def case_table(
    findings: Sequence[Finding], timelines: Sequence[Timeline], most: int | None = None
) -> Table | None:
    """Returns a row for each case, worst first; None if there are no cases.

    Args:
        findings: those of an audit.
        timelines: an event that one of them shows is linked to its mark there.
        most: the maximum number of cases of a finding.
    """
    marks: dict[tuple[str, int | None], str] = {}
    for i, timeline in enumerate(timelines):
        for mark in timeline.events:
            marks.setdefault((timeline.episode, mark.t), _mark(i, mark.t))
    rows = []
    for f in findings:
        for i, case in enumerate(f.cases[:most]):
            event = "" if case.event is None else str(case.event)
            rows.append(TableRow((
                Cell(_title(f), name="" if i else _anchor(f)),
                Cell(case.episode),
                Cell(event, link=marks.get((case.episode, case.event), "")),
                Cell(case.agent or ""),
                Cell(case.what),
                Cell(case.quote or ""),
                Cell(cost_words(case.cost)),
            )))  # fmt: skip
    if not rows:
        return None
    columns = text_columns("Finding", "Episode", "Event", "Who", "What", "Quotation", "Cost")
    caption = "The worst cases of each finding, worst first. An event is linked to its timeline."
    return Table("cases", caption, columns, rows)


def cost_words(cost: Cost | None) -> str:
    """Returns what is known of a cost, such as `3 calls, 1200 tokens, 0.04 dollars, 8 s`."""
    if cost is None:
        return ""
    words = [counted(cost.calls, "call")] if cost.calls else []
    if cost.tokens_in is not None or cost.tokens_out is not None:
        words.append(counted((cost.tokens_in or 0) + (cost.tokens_out or 0), "token"))
    if cost.dollars is not None:
        words.append(f"{cost.dollars:.2g} dollars")
    if cost.seconds is not None:
        words.append(f"{cost.seconds:.3g} s")
    return ", ".join(words)


def _anchor(finding: Finding) -> str:
    """Returns the name of a finding's worst case on the page."""
    return f"seen-{finding.audit}-{finding.name}"


def _mark(timeline: int, t: int) -> str:
    """Returns the name of an event's mark on the page."""
    return f"event-{timeline}-{t}"


def _drawn(timeline: Timeline, number: int) -> Markup:
    """Returns a line for each speaker, a mark for each event; idle turns are hollow."""
    agents, events = timeline.agents, timeline.events
    width = max(940.0, NAME + STEP * len(events) + 10)  # a page wide, so that nothing is enlarged
    marks = [label(shorten(a, NAME), 0, HEAD + LINE * i + 11) for i, a in enumerate(agents)]
    for e in events:
        if e.agent in agents:
            x, y = NAME + STEP * e.t, HEAD + LINE * agents.index(e.agent)
            marks.append(
                element(
                    "rect",
                    element("title", f"event {e.t}, {e.what}: {e.quote}"),
                    id=_mark(number, e.t), x=x, y=y + 2,
                    width=STEP - 2, height=LINE - 6, class_=CLASSES.get(e.what, "s1"),
                    fill="none" if e.what == "idle" else "var(--c)", stroke="var(--c)",
                )
            )  # fmt: skip
    size = (width, HEAD + LINE * len(agents) + 4)
    summary = f"{len(events)} events of {len(agents)} speakers"
    return picture(f"timeline-{number}", size, timeline.episode, summary, *marks)


def _messages(timeline: Timeline, number: int) -> Table | None:
    counts = timeline.messages
    rows = [
        TableRow((Cell(m.sender), Cell(m.receiver), Cell(str(m.count), (m.count,)))) for m in counts
    ]
    columns = (*text_columns("From", "To"), Column("Messages"))
    return Table(f"messages-{number}", "Who spoke to whom.", columns, rows) if rows else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


DEFINITIONS = (
    Definition("found", "Found",
        "Over all tests together, at most one in twenty audits of sound teams has a false "
        "finding."),
    Definition("not found", "Not found",
        "The whole interval is on the sound side of the null, or too near to it to matter."),
    Definition("cannot tell", "Cannot tell",
        "The interval reaches both sides: there are too few episodes to say it of the team. Single "
        "cases may stand below all the same."),
    Definition("measurement", "Measurement",
        "A number for which no value is right, so it has no verdict."),
    Definition("null", "Null",
        "It may be a share of episodes that is tolerated."),
    Definition("idle", "Idle",
        "A turn whose work is 0, if the log records work; otherwise a message that only greets, "
        "thanks, waits or rests. In the timelines such turns are hollow; actions have a colour "
        "of their own."),
)  # fmt: skip
