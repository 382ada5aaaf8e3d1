"""Curves with interval bands, labelled where they end, and dots with their intervals.

`line_chart` draws one set of axes. On a wide page every line carries its name at its right end; on
a phone, where there is no room beside the axes, the names stand under them in the order in which
the lines end. Small panels carry no names: the page shows one key for all of them.
`interval_panel` draws final numbers beside their uncertainty, one row each; `interval_rows` does it
for a wide page, with the names beside the axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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
from counterpoint.report.toolkit.tables import Figure

POINTS = 240
"""More points than this along one line are thinned in the picture, never in the numbers."""
COLOURS = 7
PANEL, ROW, TOP = 300.0, 30.0, 26.0
"""Pixels of a panel of intervals: its width, the height of a row, the place of the first row."""
WIDE, NAMES, VALUES, LOW_ROW = 900.0, 190.0, 70.0, 22.0
"""Pixels of rows on a wide page: their width, that of names and of values, the height of a row."""


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
    """Whether this is the line of the scheme in the verdict."""
    dots: bool = False
    """Whether its points are drawn as dots without a line or a name."""


@dataclass(frozen=True)
class Chart:
    """The content of a chart, independent of its size."""

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
    fractions: bool = False
    """Whether the x axis has ticks between whole numbers."""
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
    known = [v for ln in chart.lines for v in ln.x if v is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    left, right, base = frame.left, frame.width - frame.right, frame.height - frame.bottom
    x = across(low, high, left, right)
    values: list[float | None] = [v for _, v in chart.references]
    for ln in chart.lines:
        values += [*ln.y, *ln.low, *ln.high]
    y = fit([*values, *(chart.within or ())], base, frame.top, log=chart.log)
    parts: list[Markup] = [*_axes(chart, frame, x, y)]
    parts += [line((left, y(v)), (right, y(v)), "reference") for _, v in chart.references]
    ordered = sorted(chart.lines, key=lambda ln: ln.strong)  # the strong line lies on top
    for ln in ordered:
        if ln.low and ln.high:
            edges = area(_points(ln, ln.high, x, y), _points(ln, ln.low, x, y))
            parts.append(element("path", d=edges, class_=f"band {ln.style}"))
    for i, ln in enumerate(ordered):
        if ln.dots:
            centres = (point for point in _points(ln, ln.y, x, y) if point)
            parts += [element("circle", cx=cx, cy=cy, r=3, class_=f"dot {ln.style}")
                      for cx, cy in centres]  # fmt: skip
            continue
        # a line that another one covers is wide and pale, to show beside it
        weight = " strong" if ln.strong else ""
        weight = " under" if hidden(ln, ordered[i + 1 :]) else weight
        curve = trace(_points(ln, ln.y, x, y))
        parts.append(element("path", d=curve, class_=f"curve {ln.style}{weight}"))
    if naming == "end":
        parts += _names_at_end(chart, frame, y)
    else:
        wanted = [y(value) - 4 for _, value in chart.references]
        heights = spread(wanted, 14, frame.top + 8, base)
        for (name, _), height in zip(chart.references, heights, strict=True):
            parts.append(label(name, right - 2, height, "note clear", "end"))
    if naming == "key":
        parts += _key(chart, frame)
    size = (frame.width, frame.height)
    return picture(f"{chart.key}-{naming}", size, chart.title, chart.description, *parts)


def _axes(chart: Chart, frame: Frame, x: Scale, y: Scale) -> Iterable[Markup]:
    left, right, base = frame.left, frame.width - frame.right, frame.height - frame.bottom
    if chart.heading:
        yield label(shorten(chart.heading, frame.width, HEADING), 0, 12, "heading")
    yield label(chart.y_title, 0, frame.top - 14, "axis")
    y_ticks = y.ticks(4 if frame.height < 300 else 5)
    for value in y_ticks:
        yield line((left, y(value)), (right, y(value)), "grid")
        yield label(tick_text(value, y_ticks), left - 6, y(value) + 3.5, "tick", "end")
    x_ticks = x.ticks(4 if frame.width < 500 else 8)
    x_ticks = [v for v in x_ticks if chart.fractions or v == int(v)]
    for value in x_ticks:
        yield line((x(value), base), (x(value), base + 4), "rule")
        yield label(tick_text(value, x_ticks), x(value), base + 16, "tick", "middle")
    yield line((left, base), (right, base), "rule")
    yield label(chart.x_title, right, base + 32, "axis", "end")


def _points(ln: Line, values: Sequence[float | None], x: Scale, y: Scale) -> list[Point | None]:
    # the last point stays whatever the stride: names stand where lines end
    stride = max(1, -(-len(ln.x) // POINTS))
    kept = sorted({*range(0, len(ln.x), stride), len(ln.x) - 1}) if ln.x else []
    points: list[Point | None] = []
    for i in kept:
        at, value = ln.x[i], values[i] if i < len(values) else None
        if at is None or value is None or (y.log and value <= 0):
            points.append(None)
        else:
            points.append((x(at), y(value)))
    return points


def hidden(ln: Line, later: Sequence[Line]) -> bool:
    """Returns whether a line drawn later goes through the same points and would cover this one."""

    def same(a: float | None, b: float | None) -> bool:
        if a is None or b is None:
            return a is b
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)

    return any(len(other.y) == len(ln.y) and all(map(same, ln.y, other.y)) for other in later)


def _names_at_end(chart: Chart, frame: Frame, y: Scale) -> list[Markup]:
    """Returns each name at the height where its line ends, moved apart where they would overlap."""
    named = [
        (ln.name, end, ln.style, ln.strong)
        for ln in chart.lines
        if not ln.dots and (end := last(ln.y)) is not None
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
    named = [ln for ln in chart.lines if not ln.dots]
    ordered = sorted(named, key=lambda ln: -(last(ln.y) or float("-inf")))
    top = frame.height - frame.bottom + 54
    parts = []
    for i, ln in enumerate(ordered):
        left, height = (i % 2) * frame.width / 2, top + 18 * (i // 2)
        stroke = trace([(left, height - 4), (left + 20, height - 4)])
        parts.append(element("path", d=stroke, class_=f"curve {ln.style}"))
        class_ = "name strong" if ln.strong else "name"
        parts.append(label(shorten(ln.name, frame.width / 2 - 30), left + 26, height, class_))
    return parts


def last(values: Sequence[float | None]) -> float | None:
    """Returns the last value that is known."""
    return next((v for v in reversed(values) if v is not None), None)


@dataclass(frozen=True)
class Dot:
    """One row; the interval is absent where an end is None."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    style: str
    shown: str
    """The value as the table writes it."""
    strong: bool = False
    null: float | None = None
    """What chance gives; drawn as a short upright line."""


def interval_panel(key: str, heading: str, axis: str, dots: Sequence[Dot]) -> Markup:
    """Returns a panel of rows, each a name over a dot with its interval.

    Args:
        key: unique in the page.
        heading: what the panel shows.
        axis: the quantity and its unit.
    """
    base = TOP + ROW * len(dots)
    x = _dot_scale(dots, 6, PANEL - 12)  # so that a dot at the end is inside
    parts = [label(shorten(heading, PANEL, HEADING), 0, 12, "heading")]
    parts += _dot_axis(x, base, axis, PANEL)
    for i, dot in enumerate(dots):
        top = TOP + ROW * i
        parts += _dot_name(dot, PANEL, PANEL - 8, 60, top + 8) + _dot_mark(dot, x, top + 18)
    return picture(key, (PANEL, base + 40), heading, _dot_values(axis, dots), *parts)


def interval_rows(key: str, heading: str, axis: str, dots: Sequence[Dot]) -> Markup:
    """Returns the same for a wide page: the names and the values stand beside the axis."""
    base = TOP + LOW_ROW * len(dots)
    x = _dot_scale(dots, NAMES, WIDE - VALUES)
    parts = [label(shorten(heading, WIDE, HEADING), 0, 12, "heading")]
    parts += _dot_axis(x, base, axis, WIDE)
    for i, dot in enumerate(dots):
        middle = TOP + LOW_ROW * (i + 0.5)
        parts += _dot_name(dot, NAMES, WIDE, 12, middle + 4) + _dot_mark(dot, x, middle)
    return picture(key, (WIDE, base + 40), heading, _dot_values(axis, dots), *parts)


def _dot_scale(dots: Sequence[Dot], start: float, end: float) -> Scale:
    return fit([v for d in dots for v in (d.value, d.low, d.high, d.null)], start, end)


def _dot_values(axis: str, dots: Sequence[Dot]) -> str:
    return f"{axis}. {'; '.join(f'{d.name} {d.shown}' for d in dots)}."


def _dot_axis(x: Scale, base: float, title: str, width: float) -> list[Markup]:
    ticks = x.ticks(4 if width == PANEL else 8)
    parts = [line((x(v), TOP - 4), (x(v), base), "grid") for v in ticks]
    parts.append(line((x.start, base), (x.end, base), "rule"))
    for value in ticks:
        anchor = "start" if x(value) < 12 else "end" if x(value) > width - 14 else "middle"
        parts.append(label(tick_text(value, ticks), x(value), base + 14, "tick", anchor))
    parts.append(label(title, x.end, base + 30, "axis", "end"))
    return parts


def _dot_name(dot: Dot, width: float, end: float, gap: float, y: float) -> list[Markup]:
    class_ = "name clear strong" if dot.strong else "name clear"
    return [
        label(shorten(dot.name, width - gap), 2, y, class_),
        label(dot.shown, end, y, class_, "end"),
    ]


def _dot_mark(dot: Dot, x: Scale, middle: float) -> list[Markup]:
    parts = []
    if dot.null is not None:
        parts.append(line((x(dot.null), middle - 5), (x(dot.null), middle + 6), "null"))
    if dot.low is not None and dot.high is not None:
        parts.append(line((x(dot.low), middle), (x(dot.high), middle), f"whisker {dot.style}"))
    if dot.value is not None:
        centre = {"cx": x(dot.value), "cy": middle}
        parts.append(element("circle", **centre, r=4.5, class_=f"dot {dot.style}"))
    return parts


@dataclass(frozen=True)
class Bar:
    """One row of a panel of counts."""

    name: str
    count: int
    style: str


def count_panel(key: str, heading: str, axis: str, bars: Sequence[Bar]) -> Markup:
    """Returns a panel of rows, each a name over a bar as long as its count.

    Args:
        key: unique in the page.
        heading: what the panel shows.
        axis: what is counted.
    """
    base = TOP + ROW * len(bars)
    x = Scale(0, max(1, *(bar.count for bar in bars)), 2, PANEL - 8)
    parts = [label(shorten(heading, PANEL, HEADING), 0, 12, "heading")]
    for i, bar in enumerate(bars):
        top = TOP + ROW * i
        parts += [
            label(shorten(bar.name, PANEL - 60), 2, top + 8, "name"),
            label(f"{bar.count:,}", PANEL - 8, top + 8, "name", "end"),
            element("rect", x=x.start, y=top + 13, width=x.end - x.start, height=8,
                    class_="ground"),
            element("rect", x=x.start, y=top + 13, width=x(bar.count) - x.start, height=8,
                    class_=f"cell {bar.style}"),
        ]  # fmt: skip
    parts.append(label(axis, x.end, base + 14, "axis", "end"))
    counts = "; ".join(f"{bar.name} {bar.count:,}" for bar in bars)
    return picture(key, (PANEL, base + 22), heading, f"{axis}. {counts}.", *parts)


def curves_figure(
    key: str,
    title: str,
    description: str,
    y_title: str,
    caption: str,
    steps: Sequence[float | None],
    curves: Mapping[str, Sequence[float | None]],
) -> Figure:
    """Returns the picture of curves over the steps of a training, one style each, and their
    numbers.

    Args:
        key, title, description, y_title: of the chart.
        caption: below the figure.
        steps: [U] steps played.
        curves: [U] each, by its name.
    """
    lines = tuple(Line(name, steps, y, style_of(i)) for i, (name, y) in enumerate(curves.items()))
    x_title = "steps played, all copies together"
    chart = Chart(key, title, description, x_title, y_title, lines)
    return Figure(
        key=key,
        caption=caption,
        header=("step", *curves),
        rows=list(zip(steps, *curves.values(), strict=True)),
        wide=wide_chart(chart),
        narrow=narrow_chart(chart),
    )
