"""The page of an audit: what was found and where it can be seen, timelines, who spoke to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from counterpoint.report.pages.definitions import Definition
from counterpoint.report.pages.verdicts import Fact, Verdict
from counterpoint.report.toolkit.document import Document
from counterpoint.report.toolkit.settings import flatten, short_first
from counterpoint.report.toolkit.svg import element, label, picture, shorten
from counterpoint.report.toolkit.tables import Cell, Column, Row, Table

ORDER = {"found": 0, "clear": 1, "not_computable": 2}
NAME, STEP, LINE, HEAD = 150.0, 7.0, 18.0, 6.0
"""Pixels: of names, of an event, between lines, above them."""
CLASSES = {"message": "s0", "action": "s2", "other": "c-none"}
"""What an event was to the class of its colour; idle ones are hollow."""


def audit_page(document: Document, prefix: str) -> dict[str, Any]:
    """What the template `audit.html` is filled with."""
    findings = sorted(document["findings"], key=lambda f: ORDER.get(str(f["verdict"]), 9))
    found = [f for f in findings if f["verdict"] == "found"]
    source = str(document.get("source", ""))
    return {
        "title": f"{source}: an audit",
        "kind": "Audit",
        "subject": source,
        "details": [str(document.get("format", ""))],
        "version": str(document.get("version", "")),
        "verdict": _verdict(document, found),
        "findings": _findings(findings, prefix),
        "evidence": _evidence(found, document.get("timelines", []), prefix),
        "timelines": [
            (str(t["episode"]), _drawn(t, i), _messages(t, prefix, i))
            for i, t in enumerate(document.get("timelines", []))
        ],
        "skipped": [str(line) for line in document.get("skipped", [])],
        "definitions": DEFINITIONS,
        "settings": short_first(list(flatten(document.get("config", {})).items())),
    }


def _verdict(document: Document, found: Sequence[Mapping[str, Any]]) -> Verdict:
    told = ", ".join(dict.fromkeys(_named(f) for f in found))
    sentence = f"Found: {told}." if found else "Nothing was found in what could be computed."
    known = sum(f["verdict"] != "not_computable" for f in document["findings"])
    facts = (
        Fact("Episodes", str(document.get("episodes", 0)), f"{document.get('events', 0)} events"),
        Fact("Members", str(document.get("agents", 0)), "tools and people are none"),
        Fact("Findings", str(len(found)), f"of {known} that could be computed"),
    )
    why = "A finding says what is in the log. It names no cause."
    warning = document.get("warning")
    return Verdict(sentence, f"{warning} {why}" if warning else why, facts)


def _named(finding: Mapping[str, Any]) -> str:
    return f"{finding['audit']}, {str(finding['name']).replace('_', ' ')}"


def _findings(findings: Sequence[Mapping[str, Any]], prefix: str) -> Table:
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
                    _named(f),
                    (str(f["audit"]), str(f["name"])),
                    link=_first(f) if f["verdict"] == "found" and f["evidence"] else "",
                ),
                Cell(str(f["verdict"]).replace("_", " "), (str(f["verdict"]),)),
                Cell(_number(f["value"]), (f["value"], f["low"], f["high"]), below=_ends(f)),
                Cell(_number(f["null"]), (f["null"],)),
                Cell(str(f["n"]), (f["n"],)),
                Cell(str(f["reason"]), (str(f["reason"]),)),
            ),
            tone="best" if f["verdict"] == "found" else "",
        )
        for f in findings
    ]
    caption = "Every audit; intervals are 95%, over episodes or tasks."
    return Table("findings", caption, columns, tuple(rows), f"{prefix}-findings.csv")


def _evidence(
    found: Sequence[Mapping[str, Any]], timelines: Sequence[Mapping[str, Any]], prefix: str
) -> Table | None:
    """A row a place; its event leads to the mark in the timeline, where that is drawn."""
    columns = tuple(
        Column(title, (title.lower(),), numeric=False)
        for title in ("Finding", "Episode", "Event", "Who", "What stands there")
    )
    drawn: dict[tuple[str, Any], str] = {}
    for i, timeline in enumerate(timelines):
        for event in timeline["events"]:
            drawn.setdefault((str(timeline["episode"]), event["t"]), _mark(i, event["t"]))
    rows = []
    for f in found:
        for i, place in enumerate(f["evidence"]):
            told = [str(place.get(key, "")) for key in ("episode", "t", "agent", "quote")]
            there = drawn.get((told[0], place.get("t")), "")
            first = Cell(_named(f), (_named(f),), name=_first(f) if i == 0 else "")
            event = Cell(told[1], (told[1],), link=there)
            rest = [Cell(text, (text,)) for text in told[2:]]
            rows.append(Row((first, Cell(told[0], (told[0],)), event, *rest)))
    if not rows:
        return None
    caption = "Where the findings can be seen: the first places. An event leads to its timeline."
    return Table("evidence", caption, columns, tuple(rows), f"{prefix}-evidence.csv")


def _first(finding: Mapping[str, Any]) -> str:
    """The name of a finding's first place on the page."""
    return f"seen-{finding['audit']}-{finding['name']}"


def _mark(timeline: int, t: Any) -> str:
    """The name of an event's mark on the page."""
    return f"event-{timeline}-{t}"


def _drawn(timeline: Mapping[str, Any], number: int) -> Markup:
    """A line for each speaker, a mark for each event; idle turns are hollow."""
    agents = [str(a) for a in timeline["agents"]]
    events = timeline["events"]
    width = max(940.0, NAME + STEP * len(events) + 10)  # a page wide, so that nothing is enlarged
    marks = []
    for i, agent in enumerate(agents):
        y = HEAD + LINE * i
        marks.append(label(shorten(agent, NAME), 0, y + 11))
    for e in events:
        if e["agent"] in agents:
            x, y = NAME + STEP * int(e["t"]), HEAD + LINE * agents.index(e["agent"])
            idle = e["what"] == "idle"
            tone = CLASSES.get(str(e["what"]), "s1")
            marks.append(
                element(
                    "rect",
                    element("title", f"event {e['t']}, {e['what']}: {e['quote']}"),
                    id=_mark(number, e["t"]), x=x, y=y + 2,
                    width=STEP - 2, height=LINE - 6, class_=tone,
                    fill="none" if idle else "var(--c)", stroke="var(--c)",
                )
            )  # fmt: skip
    size = (width, HEAD + LINE * len(agents) + 4)
    told = f"{len(events)} events of {len(agents)} speakers"
    return picture(f"timeline-{number}", size, str(timeline["episode"]), told, *marks)


def _messages(timeline: Mapping[str, Any], prefix: str, number: int) -> Table | None:
    rows = [
        Row((Cell(str(m["from"]), (str(m["from"]),)), Cell(str(m["to"]), (str(m["to"]),)),
             Cell(str(m["count"]), (m["count"],))))
        for m in timeline["messages"]
    ]  # fmt: skip
    if not rows:
        return None
    columns = (Column("From", ("from",), numeric=False), Column("To", ("to",), numeric=False),
               Column("Messages", ("messages",)))  # fmt: skip
    return Table(f"messages-{number}", "Who spoke to whom.", columns, tuple(rows),
                 f"{prefix}-messages-{number}.csv")  # fmt: skip


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}"


def _ends(finding: Mapping[str, Any]) -> str:
    if finding["low"] is None or finding["high"] is None:
        return ""
    return f"{finding['low']:.3g} to {finding['high']:.3g}"


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
