"""The few SVG pieces that every picture is made of: elements, paths with gaps, labels.

Everything is escaped here and nowhere else: text and attribute values may come from a stranger's
log. Colours and type sizes are classes of the page's style sheet, so that one picture serves the
light and the dark theme.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import hypot
from typing import TypeVar

from markupsafe import Markup, escape

from counterpoint.report.toolkit.safe_text import cut

TIP = 6.0
"""Pixels of the head of a thin arrow."""
T = TypeVar("T")
Point = tuple[float, float]
CHARACTER = 6.4
"""Mean width in pixels of one character of a label of 12.5 px."""
HEADING = 7.5
"""The same of a bold one."""


def element(name: str, *children: str, **attributes: object) -> Markup:
    """Returns one element; `stroke_width` becomes `stroke-width`, `class_` becomes `class`.

    Children that are not `Markup` are escaped; attributes that are None are left out.
    """
    pairs = Markup("").join(
        Markup(' {}="{}"').format(Markup(key.rstrip("_").replace("_", "-")), _value(value))
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), pairs, inside)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
    return str(value)


def picture(
    key: str, size: tuple[float, float], title: str, description: str, *children: str
) -> Markup:
    """Returns a whole picture with its name and description for readers who do not see it.

    Args:
        key: unique in the page; the ids are made from it.
        size: [px] width and height of the drawing.
    """
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", description, id=f"{key}-desc"),
        *children,
        viewBox=f"0 0 {size[0]:g} {size[1]:g}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def label(content: str, x: float, y: float, class_: str = "tick", anchor: str = "start") -> Markup:
    """Returns one line of text."""
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def line(start: Point, end: Point, class_: str) -> Markup:
    """Returns one straight line."""
    return element("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def arrow(start: Point, end: Point, gap: float, width: float, apart: bool) -> list[Markup]:
    """Returns a line with a head; two that run in opposite directions lie side by side.

    Args:
        start, end: the middles of what it joins, which are different.
        gap: the distance that it keeps from them.
        width: of the line.
        apart: whether another one runs the opposite way.
    """
    length = hypot(end[0] - start[0], end[1] - start[1])
    ux, uy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    side, tip = (3.0 if apart else 0.0), TIP + width - 1
    x1, y1 = start[0] + gap * ux - side * uy, start[1] + gap * uy + side * ux
    x2, y2 = end[0] - (gap + 1) * ux - side * uy, end[1] - (gap + 1) * uy + side * ux
    back = (x2 - tip * ux, y2 - tip * uy)
    points = " ".join(
        f"{x:.1f},{y:.1f}"
        for x, y in (
            (x2, y2),
            (back[0] - tip / 2 * uy, back[1] + tip / 2 * ux),
            (back[0] + tip / 2 * uy, back[1] - tip / 2 * ux),
        )
    )
    shaft = element("line", x1=x1, y1=y1, x2=back[0], y2=back[1], class_="s6",
                    stroke="var(--c)", stroke_width=width)  # fmt: skip
    return [shaft, element("polygon", points=points, class_="s6", fill="var(--c)")]


def shorten(content: str, width: float, character: float = CHARACTER) -> str:
    """Returns the text cut to about so many pixels, with an ellipsis where something is gone."""
    return cut(content, max(4, int(width / character)))


def trace(points: Iterable[Point | None]) -> str:
    """Returns path data through the points; None lifts the pen, a lone point becomes a dot."""
    pieces = []
    for run in _runs(points):
        drawn = run if len(run) > 1 else [run[0], run[0]]
        pieces.append("M" + "L".join(_pair(p) for p in drawn))
    return "".join(pieces)


def area(upper: Sequence[Point | None], lower: Sequence[Point | None]) -> str:
    """Returns path data of the band between two edges, broken where either is None."""
    paired = [
        None if top is None or bottom is None else (top, bottom)
        for top, bottom in zip(upper, lower, strict=True)
    ]
    pieces = []
    for run in _runs(paired):
        edge = [top for top, _ in run] + [bottom for _, bottom in reversed(run)]
        pieces.append("M" + "L".join(_pair(p) for p in edge) + "Z")
    return "".join(pieces)


def _runs(values: Iterable[T | None]) -> list[list[T]]:
    runs: list[list[T]] = [[]]
    for value in values:
        if value is not None:
            runs[-1].append(value)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _pair(point: Point) -> str:
    return f"{_value(float(point[0]))} {_value(float(point[1]))}"
