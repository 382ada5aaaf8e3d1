"""The page of an audit: its findings with their cases, timelines, and who spoke to whom."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from counterpoint.records import CANNOT_TELL, FOUND, NOT_COMPUTABLE, VERDICTS, Case, Finding
from counterpoint.report.pages.episodes import (
    across_lines,
    address_of,
    cost_words,
    episode_table,
    member_table,
)
from counterpoint.report.pages.judged import (
    agreement_table,
    judged_sentences,
    judged_table,
    mode_table,
)
from counterpoint.report.pages.lanes import Bar, lanes, talk_picture
from counterpoint.report.pages.talks import talk_table, talk_words, topology_table, topology_words
from counterpoint.report.toolkit.charts import Dot, interval_panel, interval_rows
from counterpoint.report.toolkit.frame import (
    Definition,
    Fact,
    Headline,
    Page,
    Place,
    setting_rows,
)
from counterpoint.report.toolkit.numerals import MINUS, counted
from counterpoint.report.toolkit.tables import Cell, Column, Figure, Table, TableRow, text_columns
from counterpoint.results.audit import AuditResult, Timeline

_DIGITS = re.compile(r"\d+")
LOOKED_AT, CASES_SHOWN, MOST_TIMELINES = 5, 5, 20
"""The most cases to look at first, cases of a finding, and timelines."""
DRAWN = 10
"""Maximum number of findings in the picture."""


def audit_headline(audit: AuditResult) -> str:
    """Returns what is the matter, in at most 15 words."""
    of_team = [f for f in audit.findings if f.verdict == FOUND and not is_measurement(f)]
    cases = sum(f.cases_total for f in audit.findings)
    episodes = counted(audit.episodes, "episode")
    if cases:
        problems = f"; the team has {counted(len(of_team), 'problem')}" if of_team else ""
        return f"{counted(cases, 'case')} in {episodes} to look at{problems}."
    if of_team:
        return f"{counted(len(of_team), 'problem')} of the team, and no single case."
    return f"No case in {episodes}, and no problem of the team."


def is_measurement(finding: Finding) -> bool:
    """Returns whether a finding is a number for which no value is right."""
    return finding.verdict == CANNOT_TELL and finding.null is None


class Worst(NamedTuple):
    """A case to look at first, with those that look the same."""

    finding: Finding
    case: Case
    """The worst of them."""
    episodes: int
    """Number of episodes with the same, among the cases that are kept."""
    is_worst: bool
    """Whether it is the worst case of its finding."""


def look_first(findings: Sequence[Finding], most: int) -> list[Worst]:
    """Returns the worst case of each finding, the longest first; then the next worst of each.

    Cases of a finding that differ in numbers alone are one here, such as a loop in many episodes.
    """
    ranked: list[tuple[int, int, Worst]] = []
    for finding in findings:
        alike: dict[tuple[str, str], list[Case]] = {}
        for case in finding.cases:
            alike.setdefault((_DIGITS.sub("#", case.what), case.quote or ""), []).append(case)
        for rank, cases in enumerate(alike.values()):
            case, episodes = cases[0], len({each.episode for each in cases})
            length = 1 if case.event is None or case.first is None else case.event - case.first + 1
            worst = Worst(finding, case, episodes, rank == 0)
            ranked.append((rank, -max(length, case.times or 1), worst))
    return [worst for _, _, worst in sorted(ranked, key=lambda each: each[:2])[:most]]


def audit_page(audit: AuditResult) -> Page:
    """Returns the page of an audit."""
    problems = [f for f in audit.findings if f.verdict == FOUND]
    sentence = audit_headline(audit)
    known = [f for f in audit.findings if f.verdict != NOT_COMPUTABLE]
    unknown = [f for f in audit.findings if f.verdict == NOT_COMPUTABLE]
    facts = (
        Fact("Episodes", str(audit.episodes), f"{audit.events} events"),
        Fact("Members", str(audit.agents), "tools and people are not counted"),
        Fact("Findings", str(len(problems)), f"of {len(known)} that could be computed"),
    )
    why = "A finding says what is in the log. It does not name a cause."
    has_pages = any(row.has_page for row in audit.episode_rows)
    drawn = [] if has_pages else audit.timelines[:MOST_TIMELINES]
    undrawn = 0 if has_pages else len(audit.timelines) - len(drawn)
    links = _links(audit, drawn)
    by_name = any(talk.messages or talk.handoffs for talk in audit.talks)
    talks = [t for t in audit.talks if t.messages or t.handoffs or not by_name]
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
        contents={
            "panel": _panel(audit.findings),
            "places": [_place(each, links) for each in look_first(audit.findings, LOOKED_AT)],
            "episodes": episode_table(audit),
            "findings": finding_table(known),
            "unknown": _unknown_table(unknown),
            "across": across_lines(audit),
            "members": member_table(audit),
            "talks": talk_table(audit.talks),
            "talk_drawn": talk_picture(talks, by_name) if talks else None,
            "talk_words": talk_words(talks, by_name) if talks else "",
            "topology": topology_table(audit.talk_shape) if audit.talk_shape else None,
            "topology_words": topology_words(audit.talk_shape) if audit.talk_shape else "",
            "cases": case_table(audit.findings, links, CASES_SHOWN),
            "judged": judged_sentences(audit.judge) if audit.judge else [],
            "judge_agreements": agreement_table(audit.judge) if audit.judge else None,
            "judge_modes": mode_table(audit.judge) if audit.judge else None,
            "judge_episodes": judged_table(audit.judge, links) if audit.judge else None,
            "timelines": [
                (timeline.episode, _drawn(timeline, i), _messages(timeline, i))
                for i, timeline in enumerate(drawn)
            ],
            "undrawn": f"{counted(undrawn, 'more timeline')} in results.json." if undrawn else "",
            "skipped": audit.skipped,
        },
    )


Links = Mapping[tuple[str, int | None], str]
"""An episode and an event, or None for the episode as a whole, to the place that shows it."""


def _links(audit: AuditResult, drawn: Sequence[Timeline]) -> Links:
    """Returns where the cases can be looked at: on pages of episodes, or in timelines."""
    links: dict[tuple[str, int | None], str] = {}
    for row in audit.episode_rows:
        if address := address_of(row):
            links.setdefault((row.episode, None), address)
    for i, timeline in enumerate(drawn):
        for mark in timeline.events:
            links.setdefault((timeline.episode, mark.t), f"#{_mark(i, mark.t)}")
    return links


def _link(case: Case, links: Links) -> str:
    if page := links.get((case.episode, None)):
        return page if case.event is None else f"{page}#t{case.event}"
    return links.get((case.episode, case.event), "")


def _place(worst: Worst, links: Links) -> Place:
    finding, case, _, _ = worst
    at = "" if case.event is None else f", event {case.event}"
    if case.first is not None:
        at = f", events {case.first} to {case.event}"
    where = case.episode + at + (f", {case.agent}" if case.agent else "")
    return Place(_title(finding) + among_words(worst), case.what or finding.reason,
                 case.quote or "", where, cost_words(case.cost), _link(case, links))  # fmt: skip


def among_words(worst: Worst) -> str:
    """Returns how many cases there are beside a worst one: ` (the worst of 24; in 12 episodes)`."""
    total = worst.finding.cases_total
    words = [f"the worst of {total:,}"] if worst.is_worst and total > 1 else []
    if worst.episodes > 1:
        least = "at least " if total > len(worst.finding.cases) else ""
        words.append(f"in {least}{counted(worst.episodes, 'episode')}")
    return f" ({'; '.join(words)})" if words else ""


def _unknown_table(findings: Sequence[Finding]) -> Table:
    rows = [TableRow((Cell(_title(f), (f.audit, f.name)), Cell(f.reason))) for f in findings]
    columns = (Column("Finding", ("audit", "name"), numeric=False), *text_columns("Why"))
    caption = f"{counted(len(rows), 'finding')} could not be computed from this log"
    return Table("unknown", caption, columns, rows)


def _panel(findings: Sequence[Finding]) -> Figure | None:
    """Returns the findings that are shares or differences of shares beside their nulls, those that
    found something first; None if there is none."""
    shares = [
        f for f in sorted(findings, key=lambda f: VERDICTS.index(f.verdict))
        if f.null is not None and f.low is not None and f.high is not None and f.value is not None
        and min(f.low, f.null) >= -1 and max(f.high, f.null) <= 1
    ][:DRAWN]  # fmt: skip
    if not shares:
        return None
    dots = [
        Dot(f.name.replace("_", " "), f.value, f.low, f.high,
            "s0" if f.verdict == FOUND else "s1", _number(f.value), f.verdict == FOUND, f.null)
        for f in shares
    ]  # fmt: skip
    title, axis = "Findings beside the null", "share, or difference of shares"
    return Figure(
        "panel",
        "Values with 95% intervals. The short upright line is the null: what chance or a harmless "
        "team gives.",
        ("audit", "name", "value", "low", "high", "null"),
        [(f.audit, f.name, f.value, f.low, f.high, f.null) for f in shares],
        interval_rows("findings-wide", title, axis, dots),
        interval_panel("findings-narrow", title, axis, dots),
    )


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
            Cell(verdict_words(f), (f.verdict,), below=_all_the_same(f)),
            Cell(_number(f.value), (f.value, f.low, f.high),
                 below=f"{_number(f.low)} to {_number(f.high)}" if bounded else ""),
            Cell(_number(f.null), (f.null,)),
            Cell(str(f.n), (f.n,)),
            Cell(f.reason),
        )  # fmt: skip
        rows.append(TableRow(cells, "best" if is_found else ""))
    caption = "Every audit; intervals are 95%, over episodes or tasks."
    return Table("findings", caption, columns, rows)


def _all_the_same(finding: Finding) -> str:
    """Returns that there are cases although the team is not found to have the failure."""
    if finding.verdict == FOUND or is_measurement(finding) or not finding.cases_total:
        return ""
    verb = "is" if finding.cases_total == 1 else "are"
    return f"{counted(finding.cases_total, 'single case')} {verb} listed all the same"


def verdict_words(finding: Finding) -> str:
    """Returns the verdict; a value without a null is a measurement."""
    return "measurement" if is_measurement(finding) else finding.verdict.replace("_", " ")


def case_table(findings: Sequence[Finding], links: Links, most: int) -> Table | None:
    """Returns a row for each case, worst first; None if there are no cases.

    Args:
        findings: those of an audit.
        links: where an episode or an event is shown.
        most: the maximum number of cases of a finding.
    """
    rows = []
    for f in findings:
        for i, case in enumerate(f.cases[:most]):
            event = "" if case.event is None else str(case.event)
            link = _link(case, links)
            inside = link[1:] if link.startswith("#") else ""
            rows.append(TableRow((
                Cell(_title(f), name="" if i else _anchor(f),
                     below=f"{i + 1} of {f.cases_total}"),
                Cell(case.episode, address="" if inside else link),
                Cell(event, link=inside),
                Cell(case.agent or ""),
                Cell(case.what),
                Cell(case.quote or ""),
                Cell(cost_words(case.cost)),
            )))  # fmt: skip
    if not rows:
        return None
    columns = text_columns("Finding", "Episode", "Event", "Who", "What", "Quotation", "Cost")
    caption = f"The worst {most} cases of each finding at most, worst first."
    return Table("cases", caption, columns, rows)


def _anchor(finding: Finding) -> str:
    """Returns the name of a finding's worst case on the page."""
    return f"seen-{finding.audit}-{finding.name}"


def _mark(timeline: int, t: int) -> str:
    """Returns the name of an event's mark on the page."""
    return f"event-{timeline}-{t}"


def _drawn(timeline: Timeline, number: int) -> Markup:
    bars = [
        Bar(e.agent, float(e.t), 1.0, e.what, f"event {e.t}, {e.what}: {e.quote}",
            _mark(number, e.t))
        for e in timeline.events
    ]  # fmt: skip
    return lanes(f"timeline-{number}", timeline.episode, timeline.agents, bars, "event")


def _messages(timeline: Timeline, number: int) -> Table | None:
    counts = timeline.messages
    rows = [
        TableRow((Cell(m.sender), Cell(m.receiver), Cell(str(m.count), (m.count,)))) for m in counts
    ]
    columns = (*text_columns("From", "To"), Column("Messages"))
    return Table(f"messages-{number}", "Who spoke to whom.", columns, rows) if rows else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}".replace("-", MINUS)


DEFINITIONS = (
    Definition("found", "Found",
        "Over all tests together, at most one in twenty audits of sound teams has a false "
        "finding."),
    Definition("not found", "Not found",
        "The whole interval is on the sound side of the null, or too near to it to matter. This is "
        "about the team: single cases are listed whatever the verdict is."),
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
