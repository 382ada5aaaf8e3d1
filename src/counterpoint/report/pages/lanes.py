"""Drawings of who did what and when: a lane for each speaker, and who turns to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin

from markupsafe import Markup

from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.toolkit.scales import linear_ticks, tick_text
from counterpoint.report.toolkit.svg import Point, arrow, element, label, line, picture, shorten
from counterpoint.results.audit import Talk

WIDTH, NAME, LINE, HEAD, FOOT = 940.0, 150.0, 18.0, 10.0, 22.0
"""Pixels: of the picture, of names, between lanes, above them, of the axis below."""
THINNEST, WIDEST, TICK = 2.0, 22.0, 70.0
"""Pixels of an event, and about those from one number of the axis to the next."""
MOST_SPANS = 8
"""The most cases that are drawn, the longest first."""
MOST_LANES = 24
"""The most speakers with a lane; the others share the last one."""
CLASSES = {"message": "s0", "action": "s2", "other": "c-none"}
"""What an event is to the class of its colour; idle events are hollow."""
TALK_WIDTH, TALK_HEIGHT, TALK_RADIUS, NODE = 340.0, 240.0, 72.0, 11.0
"""Pixels of the picture of who turns to whom, and of a member in it."""
MOST_NODES = 12
"""The most members that are drawn."""


@dataclass(frozen=True)
class Bar:
    """One event in a lane."""

    lane: str
    at: float
    """Where it begins, in events or seconds."""
    length: float
    """How long it is, in the same unit."""
    what: str
    """`message`, `action`, `idle` or `other`."""
    title: str
    name: str = ""
    """Its name on the page, for links to it."""
    link: str = ""
    """Name of the place on the page that it leads to: it is part of a case."""


@dataclass(frozen=True)
class Span:
    """One case above the lanes."""

    at: float
    until: float
    title: str


def lanes(
    key: str,
    title: str,
    speakers: Sequence[str],
    bars: Sequence[Bar],
    unit: str,
    spans: Sequence[Span] = (),
) -> Markup:
    """Returns a lane for each speaker, with a mark for each event; idle turns are hollow.

    Args:
        key: unique in the page.
        title: the name of the picture.
        speakers: the names of the lanes, from above.
        bars: the events.
        unit: of the time axis, such as `s` or `event`.
        spans: where the cases are, in the same unit.
    """
    names = [*speakers[:MOST_LANES]]
    if len(speakers) > MOST_LANES:
        names[-1] = counted(len(speakers) - MOST_LANES + 1, "other")
    lane_of = {name: min(i, len(names) - 1) for i, name in enumerate(speakers)}
    start = min((bar.at for bar in bars), default=0.0)
    end = max((bar.at + bar.length for bar in bars), default=1.0)
    scale = (WIDTH - NAME - 12) / max(end - start, 1e-9)
    if unit == "event":
        scale = min(scale, WIDEST)
    cases = 8.0 * min(len(spans), MOST_SPANS) + (6 if spans else 0)
    head = HEAD + cases
    floor = head + LINE * len(names)
    parts = [label(shorten(name, NAME - 8), 0, head + LINE * i + 12)
             for i, name in enumerate(names)]  # fmt: skip
    parts += [line((NAME, head + LINE * i), (WIDTH, head + LINE * i), "grid")
              for i in range(len(names) + 1)]  # fmt: skip
    if spans:
        parts.append(label("cases", 0, HEAD + 8, "heading"))
    for i, span in enumerate(spans[:MOST_SPANS]):
        parts.append(
            element("rect", element("title", span.title), x=NAME + (span.at - start) * scale,
                    y=HEAD + 8 * i, width=max(4.0, (span.until - span.at) * scale), height=4,
                    fill="var(--bad)")
        )  # fmt: skip
    for bar in bars:
        if bar.lane not in lane_of:
            continue
        x, y = NAME + (bar.at - start) * scale, head + LINE * lane_of[bar.lane]
        mark = element(
            "rect", element("title", bar.title), id=bar.name or None, x=x, y=y + 3,
            width=max(THINNEST, bar.length * scale - 1), height=LINE - 6,
            class_=CLASSES.get(bar.what, "s1"), stroke="var(--c)",
            fill="none" if bar.what == "idle" else "var(--c)",
        )  # fmt: skip
        if bar.link:
            flag = element("polygon", points=f"{x:.1f},{y + 3:.1f} {x - 4:.1f},{y - 4:.1f} "
                           f"{x + 4:.1f},{y - 4:.1f}", fill="var(--bad)")  # fmt: skip
            mark = element("a", mark, flag, href=f"#{bar.link}", aria_label=bar.title)
        parts.append(mark)
    parts += _ticks(start, end, scale, unit, floor + 16)
    summary = f"{counted(len(bars), 'event')} of {counted(len(speakers), 'speaker')}"
    return picture(key, (WIDTH, floor + FOOT), title, summary, *parts)


def _ticks(start: float, end: float, scale: float, unit: str, y: float) -> list[Markup]:
    """Returns numbers along the axis, so near to each other that a phone shows several at once."""
    last = end - 1 if unit == "event" else end
    count = max(1, int((end - start) * scale / TICK))
    ticks = linear_ticks(start, last, count) if last > start else [start]
    if unit == "event":
        ticks = [value for value in ticks if value == int(value)]
    marks: list[Markup] = []
    for value in ticks:
        number = tick_text(value, ticks)
        is_named = unit == "event" and not marks
        words = f"event {number}" if is_named else number if unit == "event" else f"{number} {unit}"
        middle = 0.5 if unit == "event" else 0.0
        x = NAME + (value - start + middle) * scale
        anchor = "start" if x < NAME + 30 else "end" if x > WIDTH - 30 else "middle"
        marks.append(label(words, NAME if anchor == "start" else min(x, WIDTH), y, "tick", anchor))
    return marks


def talk_picture(talks: Sequence[Talk], by_name: bool) -> Markup:
    """Returns members in a circle, with an arrow for each pair of the most frequent.

    Args:
        talks: the most frequent first.
        by_name: whether messages and handoffs count; else who has the next turn.
    """
    names: list[str] = []
    for talk in talks:
        for name in (talk.sender, talk.receiver):
            if name not in names and len(names) < MOST_NODES:
                names.append(name)
    height = TALK_HEIGHT if len(names) > 2 else 50.0
    places = {name: _place(i, len(names), height) for i, name in enumerate(names)}
    shown = [t for t in talks if t.sender in places and t.receiver in places]
    most = max((talk_count(t, by_name) for t in shown), default=1)
    pairs = {(t.sender, t.receiver) for t in shown}
    parts: list[Markup] = []
    for t in shown:
        width = 1 + 3 * talk_count(t, by_name) / most
        parts += arrow(places[t.sender], places[t.receiver], NODE, width,
                       (t.receiver, t.sender) in pairs)  # fmt: skip
    for i, (name, (x, y)) in enumerate(places.items()):
        parts.append(element("circle", element("title", name), cx=x, cy=y, r=NODE, class_="s1",
                             fill="var(--paper)", stroke="var(--c)", stroke_width=1.5))  # fmt: skip
        parts.append(label(str(i + 1), x, y + 4.5, "name", "middle"))
        dx, dy = (x - TALK_WIDTH / 2) / TALK_RADIUS, (y - height / 2) / TALK_RADIUS
        if abs(dx) < 0.2:
            room, anchor, at = 110.0, "middle", (x, y + (NODE + 14 if dy > 0 else -NODE - 6))
        else:
            room = TALK_WIDTH / 2 - abs(x - TALK_WIDTH / 2) - NODE - 5
            anchor = "start" if dx > 0 else "end"
            at = (x + (NODE + 5 if dx > 0 else -NODE - 5), y + 4.5)
        parts.append(label(shorten(name, room, 7.2), *at, "name", anchor))
    summary = f"{counted(len(shown), 'pair')} of {counted(len(names), 'member')}"
    size = (TALK_WIDTH, height)
    return picture("talk-picture", size, "Who turns to whom", summary, *parts)


def talk_count(talk: Talk, by_name: bool) -> int:
    """Returns how often one turned to the other."""
    return talk.messages + talk.handoffs if by_name else talk.follows


def _place(index: int, count: int, height: float) -> Point:
    middle = TALK_WIDTH / 2
    if count == 2:  # side by side, so that both names have room
        return middle + (2 * index - 1) * TALK_RADIUS * 0.8, height / 2
    angle = 2 * pi * index / count - pi / 2
    return middle + TALK_RADIUS * cos(angle), height / 2 + TALK_RADIUS * sin(angle)
