"""The page of one episode of an audit: its cases, its lanes, and its events."""

from __future__ import annotations

from markupsafe import Markup

from counterpoint.report.pages.episodes import cost_words, outcome_words
from counterpoint.report.pages.lanes import Bar, Span, lanes
from counterpoint.report.toolkit.frame import Entry, Fact, Headline, Page, Place
from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.toolkit.safe_text import cut
from counterpoint.results.transcript import Line, Sight, Transcript

SHORT, ONE_LINE = 600, 90
"""A longer text is folded after so many characters, and so is a longer one of a tool."""


def transcript_page(transcript: Transcript) -> Page:
    """Returns the page of an episode."""
    row = transcript.row
    events, unlisted = counted(row.events, "event"), row.cases - len(transcript.sights)
    sentence = f"{counted(row.cases, 'case')} in {events} of {counted(row.agents, 'member')}."
    if not row.cases:
        sentence = f"No case in {events} of {counted(row.agents, 'member')}."
    tokens = "not known" if row.tokens is None else f"{row.tokens:,}"
    seconds = "not known" if row.seconds is None else f"{row.seconds:.3g} s"
    price = "the log has no price" if row.dollars is None else f"{row.dollars:.2g} dollars"
    facts = (
        Fact("Outcome", outcome_words(row.success) or "not known", cut(row.ending, 80)),
        Fact("Turns", f"{row.turns:,}", f"of {events}, tools and people included"),
        Fact("Tokens", tokens, price),
        Fact("Time", seconds, "the log has no times" if row.seconds is None else ""),
    )
    return Page(
        template="transcript.html",
        title=f"{row.episode}: an episode",
        kind="Episode",
        subject=row.episode,
        details=[transcript.source],
        verdict=Headline(sentence, " ".join(transcript.doubts), facts),
        definitions=(),
        settings=(),
        contents={
            "task": cut(transcript.task, 190),
            "places": [_place(sight) for sight in transcript.sights],
            "unlisted": f"{counted(unlisted, 'more case')} not shown." if unlisted else "",
            "lanes": _lanes(transcript),
            "entries": _entries(transcript),
            "rest": _rest(transcript),
        },
    )


def _place(sight: Sight) -> Place:
    at = "the whole episode" if sight.event is None else f"event {sight.event}"
    if sight.first is not None:
        at = f"events {sight.first} to {sight.event}"
    where = at + (f", {sight.agent}" if sight.agent else "")
    link = "" if sight.event is None else f"#t{sight.event}"
    return Place(title_of(sight.finding), sight.what, sight.quote or "", where,
                 cost_words(sight.cost), link)  # fmt: skip


def title_of(finding: str) -> str:
    """Returns the name of a finding in words: `stuck, handoff ping pong`."""
    audit, _, name = finding.partition(".")
    return f"{audit}, {name.replace('_', ' ')}" if name else audit


def _lanes(transcript: Transcript) -> Markup:
    shown = transcript.lines
    is_timed = bool(shown) and all(each.seconds is not None for each in shown)
    is_timed = is_timed and len({each.seconds for each in shown}) > 1
    ends = {sight.event for sight in transcript.sights}
    bars = [
        Bar(each.agent, *(_time(each) if is_timed else (float(each.t), 1.0)), each.what,
            f"event {each.t}, {each.agent}, {each.what}: {cut(' '.join(each.text.split()), 80)}",
            link=f"t{each.t}" if each.t in ends else "")
        for each in shown
    ]  # fmt: skip
    speakers = [*transcript.members, *transcript.others]
    time_of = {each.t: _time(each) if is_timed else (float(each.t), 1.0) for each in shown}
    spans = []
    for sight in transcript.sights:
        first = sight.event if sight.first is None else sight.first
        if first in time_of and sight.event in time_of:
            end = time_of[sight.event]
            spans.append(Span(time_of[first][0], end[0] + end[1], title_of(sight.finding)))
    unit = "s" if is_timed else "event"
    return lanes("lanes", "Who acts when", speakers, bars, unit, spans)


def _time(each: Line) -> tuple[float, float]:
    return each.seconds or 0.0, each.duration or 0.0


def _entries(transcript: Transcript) -> list[Entry]:
    marks: dict[int, list[str]] = {}
    for sight in transcript.sights:
        if sight.event is not None:
            marks.setdefault(sight.event, []).append(f"{title_of(sight.finding)}: {sight.what}")
    entries, before = [], -1
    for each in transcript.lines:
        skipped = each.t - before - 1
        gap = f"{counted(skipped, 'event')} not shown" if skipped else ""
        entries.append(_entry(each, tuple(marks.get(each.t, ())), gap))
        before = each.t
    return entries


def _entry(each: Line, marks: tuple[str, ...], gap: str) -> Entry:
    kind = "idle turn" if each.what == "idle" else each.kind
    if each.kind == "handoff" and each.tool:
        kind = f"hands over with {each.tool}"
    elif each.kind == "action" and each.tool:
        kind = f"calls {each.tool}"
    elif each.tool:
        kind = f"result of {each.tool}"
    words = [f"event {each.t}", kind, f"to {', '.join(each.to)}" if each.to else ""]
    if each.seconds is not None:
        words.append(f"at {each.seconds:.4g} s")
    if each.duration is not None:
        words.append(f"{each.duration:.3g} s long")
    words.append(counted(each.tokens, "token") if each.tokens is not None else "")
    words.append(f"{each.dollars:.2g} dollars" if each.dollars is not None else "")
    fold = ""
    is_tool = each.kind == "action" or bool(each.tool) or each.what == "other"
    is_long = len(each.text) > ONE_LINE or "\n" in each.text
    if len(each.text) > SHORT or (is_tool and is_long):
        fold = cut(" ".join(each.text[: 4 * SHORT].split()), 160)
    more = f"{counted(each.left_out, 'more character')} in the log" if each.left_out else ""
    tone = {"message": "s0", "idle": "s0", "action": "s2", "other": "c-none"}[each.what]
    return Entry(f"t{each.t}", each.agent, ", ".join(word for word in words if word), each.text,
                 fold, more, each.error, marks, gap, tone)  # fmt: skip


def _rest(transcript: Transcript) -> str:
    last = transcript.lines[-1].t if transcript.lines else -1
    rest = transcript.row.events - last - 1
    return f"{counted(rest, 'later event')} not shown" if rest else ""
