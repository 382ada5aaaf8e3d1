"""The page of an audit: what was found and where it can be seen, timelines, who spoke to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from counterpoint.records import CLEAR, FOUND, NOT_COMPUTABLE, Finding
from counterpoint.report.pages.definitions import Definition
from counterpoint.report.pages.verdicts import Fact, Verdict
from counterpoint.report.toolkit.settings import flatten, short_first
from counterpoint.report.toolkit.svg import element, label, picture, shorten
from counterpoint.report.toolkit.tables import Cell, Column, Row, Table
from counterpoint.results.audit import AuditResult, Timeline

ORDER = (FOUND, CLEAR, NOT_COMPUTABLE)
NAME, STEP, LINE, HEAD = 150.0, 7.0, 18.0, 6.0
"""Pixels: of names, of an event, between lines, above them."""
CLASSES = {"message": "s0", "action": "s2", "other": "c-none"}
"""What an event was to the class of its colour; idle ones are hollow."""


def audit_page(audit: AuditResult, prefix: str) -> dict[str, Any]:
    """Returns what the template `audit.html` is filled with."""
    return {
        "title": f"{audit.source}: an audit",
        "kind": "Audit",
        "subject": audit.source,
        "details": [audit.format],
        "version": audit.version,
        "verdict": _verdict(audit),
        "findings": finding_table(audit.findings, prefix),
        "evidence": evidence_table(audit.findings, audit.timelines, prefix),
        "timelines": [
            (timeline.episode, _drawn(timeline, i), _messages(timeline, prefix, i))
            for i, timeline in enumerate(audit.timelines)
        ],
        "skipped": audit.skipped,
        "definitions": DEFINITIONS,
        "settings": short_first(list(flatten(audit.config).items())),
    }


def _verdict(audit: AuditResult) -> Verdict:
    problems = [f for f in audit.findings if f.verdict == FOUND]
    names = ", ".join(dict.fromkeys(_title(f) for f in problems))
    sentence = f"Found: {names}." if names else "Nothing was found in what could be computed."
    known = sum(f.verdict != NOT_COMPUTABLE for f in audit.findings)
    facts = (
        Fact("Episodes", str(audit.episodes), f"{audit.events} events"),
        Fact("Members", str(audit.agents), "tools and people are none"),
        Fact("Findings", str(len(problems)), f"of {known} that could be computed"),
    )
    why = "A finding says what is in the log. It names no cause."
    return Verdict(sentence, f"{audit.warning} {why}" if audit.warning else why, facts)


def _title(finding: Finding) -> str:
    return f"{finding.audit}, {finding.name.replace('_', ' ')}"


def finding_table(findings: Sequence[Finding], prefix: str) -> Table:
    """Returns a row for each finding, those first that are found."""
    columns = (
        Column("Finding", ("audit", "name"), numeric=False),
        Column("Verdict", ("verdict",), numeric=False),
        Column("Value", ("value", "low", "high"), missing="not computable; the meaning says why"),
        Column("Null", ("null",), missing="there is nothing to compare with"),
        Column("n", ("n",)),
        Column("Meaning", ("reason",), numeric=False),
    )
    rows = [
        Row(
            (
                Cell(
                    _title(f),
                    (f.audit, f.name),
                    link=_anchor(f) if f.verdict == FOUND and f.evidence else "",
                ),
                Cell(f.verdict.replace("_", " "), (f.verdict,)),
                Cell(_number(f.value), (f.value, f.low, f.high), below=_interval(f)),
                Cell(_number(f.null), (f.null,)),
                Cell(str(f.n), (f.n,)),
                Cell(f.reason, (f.reason,)),
            ),
            tone="best" if f.verdict == FOUND else "",
        )
        for f in sorted(findings, key=lambda f: ORDER.index(f.verdict))
    ]
    caption = "Every audit; intervals are 95%, over episodes or tasks."
    return Table("findings", caption, columns, tuple(rows), f"{prefix}-findings.csv")


def evidence_table(
    findings: Sequence[Finding], timelines: Sequence[Timeline], prefix: str, most: int | None = None
) -> Table | None:
    """Returns a row for each place of what is found; None if there is none.

    Args:
        findings: of an audit; those that are not found have no rows.
        timelines: an event that one of them shows leads to its mark there.
        prefix: what the name of the file begins with.
        most: places of a finding at most.
    """
    columns = tuple(
        Column(title, (title.lower(),), numeric=False)
        for title in ("Finding", "Episode", "Event", "Who", "What stands there")
    )
    marks: dict[tuple[str, int | None], str] = {}
    for i, timeline in enumerate(timelines):
        for mark in timeline.events:
            marks.setdefault((timeline.episode, mark.t), _mark(i, mark.t))
    rows = []
    for f in findings:
        for i, place in enumerate(f.evidence[:most] if f.verdict == FOUND else ()):
            event = "" if place.t is None else str(place.t)
            texts = (place.agent or "", place.quote or "")
            rows.append(
                Row(
                    (
                        Cell(_title(f), (_title(f),), name="" if i else _anchor(f)),
                        Cell(place.episode, (place.episode,)),
                        Cell(event, (event,), link=marks.get((place.episode, place.t), "")),
                        *(Cell(text, (text,)) for text in texts),
                    )
                )
            )
    if not rows:
        return None
    caption = "Where the findings can be seen: the first places. An event leads to its timeline."
    return Table("evidence", caption, columns, tuple(rows), f"{prefix}-evidence.csv")


def _anchor(finding: Finding) -> str:
    """Returns the name of a finding's first place on the page."""
    return f"seen-{finding.audit}-{finding.name}"


def _mark(timeline: int, t: int) -> str:
    """Returns the name of an event's mark on the page."""
    return f"event-{timeline}-{t}"


def _drawn(timeline: Timeline, number: int) -> Markup:
    """Returns a line for each speaker, a mark for each event; idle turns are hollow."""
    agents, events = timeline.agents, timeline.events
    width = max(940.0, NAME + STEP * len(events) + 10)  # a page wide, so that nothing is enlarged
    marks = []
    for i, agent in enumerate(agents):
        y = HEAD + LINE * i
        marks.append(label(shorten(agent, NAME), 0, y + 11))
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


def _messages(timeline: Timeline, prefix: str, number: int) -> Table | None:
    rows = [
        Row((Cell(m.sender, (m.sender,)), Cell(m.receiver, (m.receiver,)),
             Cell(str(m.count), (m.count,))))
        for m in timeline.messages
    ]  # fmt: skip
    if not rows:
        return None
    columns = (Column("From", ("from",), numeric=False), Column("To", ("to",), numeric=False),
               Column("Messages", ("messages",)))  # fmt: skip
    return Table(f"messages-{number}", "Who spoke to whom.", columns, tuple(rows),
                 f"{prefix}-messages-{number}.csv")  # fmt: skip


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _interval(finding: Finding) -> str:
    if finding.low is None or finding.high is None:
        return ""
    return f"{finding.low:.3g} to {finding.high:.3g}"


DEFINITIONS = (
    Definition(
        "found",
        "Found",
        "The whole interval is on the wrong side of the null, and, where there is a test, chance "
        "does not give as much in one of twenty audits of sound teams, all tests together.",
    ),
    Definition(
        "null",
        "Null",
        "What the value would be if nothing were the matter: chance, or the share of episodes that "
        "is tolerated.",
    ),
    Definition(
        "idle",
        "Idle",
        "A turn whose work is 0 where the log says so; else a message of courtesies, of waiting or "
        "of rest. In the timelines such turns are hollow; actions have a colour of their own.",
    ),
)
