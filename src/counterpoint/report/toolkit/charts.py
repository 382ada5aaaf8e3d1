"""Curves: lines with interval bands, labelled where they end.

`line_chart` draws one set of axes. On a wide page every line carries its name at its right end; on
a phone, where there is no room beside the axes, the names stand under them in the order in which
the lines end. Small panels carry no names: the page shows one key for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from counterpoint.report.toolkit.scales import Scale, across, fit, spread, tick_text
from counterpoint.report.toolkit.svg import (
    HEADING,
    Point,
    area,
    element,
    label,
    line,
    picture,
    shorten,
    trace,
)

POINTS = 240
"""More points than this along one line are thinned in the picture, never in the numbers."""


COLOURS = 7


def style_of(index: int) -> str:
    """Returns the colour of a line, and its dash if the colours run out."""
    return f"s{index % COLOURS} d{index // COLOURS % 3}"


@dataclass(frozen=True)
class Line:
    """One curve; None where its value is unknown."""

    name: str
    x: Sequence[float | None]
    y: Sequence[float | None]
    style: str
    """Classes of the style sheet that give colour and dash."""
    low: Sequence[float | None] = ()
    """Lower edge of the interval band, or empty for none."""
    high: Sequence[float | None] = ()
    strong: bool = False
    """Whether this is the line that the verdict speaks of."""


@dataclass(frozen=True)
class Chart:
    """What a chart says, whatever its size."""

    key: str
    """Unique in the page."""
    title: str
    description: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]
    references: tuple[tuple[str, float], ...] = ()
    """Names and values of horizontal lines to compare with."""
    log: bool = False
    heading: str = ""
    """Written above the axes of a small panel."""
    within: tuple[float, float] | None = None
    """Ends that the y axis must hold, so that panels compare."""


@dataclass(frozen=True)
class Frame:
    """Where the axes stand inside a drawing, in pixels."""

    width: float
    height: float
    left: float = 44
    right: float = 10
    top: float = 26
    bottom: float = 38


def wide_chart(chart: Chart) -> Markup:
    """Returns the chart for a desktop page, each line named at its end."""
    names = [ln.name for ln in chart.lines] + [name for name, _ in chart.references]
    room = min(200.0, 30 + 7.0 * max(map(len, names), default=0))
    return _draw(chart, Frame(900, 380, right=room), "end")


def narrow_chart(chart: Chart) -> Markup:
    """Returns the chart for a phone, the names in a key under the axes."""
    rows = (len(chart.lines) + 1) // 2
    return _draw(chart, Frame(340, 268 + 18 * rows, bottom=48 + 18 * rows), "key")


def panel_chart(chart: Chart) -> Markup:
    """Returns a small panel with a heading and no names at the lines."""
    return _draw(chart, Frame(300, 196, top=42), "none")


def _draw(chart: Chart, frame: Frame, naming: str) -> Markup:
    x = _x_scale(chart, frame)
    y = _y_scale(chart, frame)
    parts: list[Markup] = [*_axes(chart, frame, x, y)]
    parts += [_reference(value, frame, y) for _, value in chart.references]
    ordered = sorted(chart.lines, key=lambda ln: ln.strong)
    parts += [_band(ln, x, y) for ln in ordered if ln.low and ln.high]
    parts += [_curve(ln, x, y, hidden(ln, ordered[i + 1 :])) for i, ln in enumerate(ordered)]
    if naming == "end":
        parts += _names_at_end(chart, frame, y)
    else:
        parts += [_reference_name(name, v, frame, y) for name, v in chart.references]
    if naming == "key":
        parts += _key(chart, frame)
    size = (frame.width, frame.height)
    return picture(f"{chart.key}-{naming}", size, chart.title, chart.description, *parts)


def _x_scale(chart: Chart, frame: Frame) -> Scale:
    known = [v for ln in chart.lines for v in ln.x if v is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    return across(low, high, frame.left, frame.width - frame.right)


def _y_scale(chart: Chart, frame: Frame) -> Scale:
    values: list[float | None] = [v for _, v in chart.references]
    for ln in chart.lines:
        values += [*ln.y, *ln.low, *ln.high]
    values += list(chart.within or ())
    return fit(values, frame.height - frame.bottom, frame.top, log=chart.log)


def _axes(chart: Chart, frame: Frame, x: Scale, y: Scale) -> Iterable[Markup]:
    left, right, base = frame.left, frame.width - frame.right, frame.height - frame.bottom
    if chart.heading:
        yield label(shorten(chart.heading, frame.width, HEADING), 0, 12, "heading")
    yield label(chart.y_title, 0, frame.top - 14, "axis")
    y_ticks = y.ticks(4 if frame.height < 300 else 5)
    for value in y_ticks:
        yield line((left, y(value)), (right, y(value)), "grid")
        yield label(tick_text(value, y_ticks), left - 6, y(value) + 3.5, "tick", "end")
    x_ticks = [v for v in x.ticks(4 if frame.width < 500 else 8) if v == int(v)]
    for value in x_ticks:
        yield line((x(value), base), (x(value), base + 4), "rule")
        yield label(tick_text(value, x_ticks), x(value), base + 16, "tick", "middle")
    yield line((left, base), (right, base), "rule")
    yield label(chart.x_title, right, base + 32, "axis", "end")


def _points(ln: Line, values: Sequence[float | None], x: Scale, y: Scale) -> list[Point | None]:
    stride = max(1, -(-len(ln.x) // POINTS))
    kept = sorted({*range(0, len(ln.x), stride), len(ln.x) - 1}) if ln.x else []
    return [_point(ln.x[i], values[i], x, y) if i < len(values) else None for i in kept]


def _point(at: float | None, value: float | None, x: Scale, y: Scale) -> Point | None:
    if at is None or value is None or (y.log and value <= 0):
        return None
    return x(at), y(value)


def _band(ln: Line, x: Scale, y: Scale) -> Markup:
    edges = area(_points(ln, ln.high, x, y), _points(ln, ln.low, x, y))
    return element("path", d=edges, class_=f"band {ln.style}")


def hidden(ln: Line, later: Sequence[Line]) -> bool:
    """Returns whether a line drawn later goes through the same points and would cover this one."""
    return any(len(other.y) == len(ln.y) and all(map(_same, ln.y, other.y)) for other in later)


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)


def _curve(ln: Line, x: Scale, y: Scale, covered: bool) -> Markup:
    """Returns the line; a covered line is wide and pale, to show beside the other."""
    weight = " under" if covered else " strong" if ln.strong else ""
    return element("path", d=trace(_points(ln, ln.y, x, y)), class_=f"curve {ln.style}{weight}")


def _reference(value: float, frame: Frame, y: Scale) -> Markup:
    return line((frame.left, y(value)), (frame.width - frame.right, y(value)), "reference")


def _reference_name(name: str, value: float, frame: Frame, y: Scale) -> Markup:
    return label(name, frame.width - frame.right - 2, y(value) - 4, "note clear", "end")


def _names_at_end(chart: Chart, frame: Frame, y: Scale) -> list[Markup]:
    """Returns each name at the height where its line ends, moved apart where they would overlap."""
    ends = [(ln.name, _last(ln.y), ln.style, ln.strong) for ln in chart.lines]
    named = [
        (name, value, style, strong) for name, value, style, strong in ends if value is not None
    ]
    named += [(name, value, "", False) for name, value in chart.references]
    named = [entry for entry in named if not (chart.log and entry[1] <= 0)]
    wanted = [y(value) for _, value, _, _ in named]
    heights = spread(wanted, 16, frame.top, frame.height - frame.bottom)
    edge = frame.width - frame.right
    parts = []
    for (name, _, style, strong), at, to in zip(named, wanted, heights, strict=True):
        if style:
            bend = trace([(edge + 2, at), (edge + 8, at), (edge + 16, to), (edge + 22, to)])
            parts.append(element("path", d=bend, class_=f"leader {style}"))
        class_ = "name strong" if strong else "name" if style else "note"
        parts.append(label(shorten(name, frame.right - 26), edge + 26, to + 4, class_))
    return parts


def _key(chart: Chart, frame: Frame) -> list[Markup]:
    """Returns the names in two columns under the axes, highest end first."""
    bottomless = float("-inf")
    ends = {id(ln): _last(ln.y) for ln in chart.lines}
    ordered = sorted(chart.lines, key=lambda ln: -(ends[id(ln)] or bottomless))
    top = frame.height - frame.bottom + 54
    parts = []
    for i, ln in enumerate(ordered):
        left, height = (i % 2) * frame.width / 2, top + 18 * (i // 2)
        stroke = trace([(left, height - 4), (left + 20, height - 4)])
        parts.append(element("path", d=stroke, class_=f"curve {ln.style}"))
        class_ = "name strong" if ln.strong else "name"
        parts.append(label(shorten(ln.name, frame.width / 2 - 30), left + 26, height, class_))
    return parts


def _last(values: Sequence[float | None]) -> float | None:
    return next((v for v in reversed(values) if v is not None), None)
