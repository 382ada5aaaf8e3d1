"""Dots with their intervals, one row a scheme: a final number beside its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from counterpoint.report.toolkit.scales import Scale, fit, tick_text
from counterpoint.report.toolkit.svg import HEADING, element, label, line, picture, shorten

WIDTH = 300.0
ROW = 30.0
TOP = 26.0


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


def interval_panel(
    key: str,
    heading: str,
    axis: str,
    dots: Sequence[Dot],
) -> Markup:
    """Returns a panel of rows, each a name over a dot with its interval.

    Args:
        key: unique in the page.
        heading: what the panel shows.
        axis: the quantity and its unit.
    """
    height = TOP + ROW * len(dots) + 40
    values = [v for d in dots for v in (d.value, d.low, d.high)]
    x = fit(values, 2, WIDTH - 8)
    base = TOP + ROW * len(dots)
    parts = [label(shorten(heading, WIDTH, HEADING), 0, 12, "heading"), *_axis(x, base, axis)]
    for i, dot in enumerate(dots):
        parts += _row(dot, x, TOP + ROW * i)
    values_text = "; ".join(f"{d.name} {d.shown}" for d in dots)
    return picture(key, (WIDTH, height), heading, f"{axis}. {values_text}.", *parts)


def _axis(x: Scale, base: float, title: str) -> list[Markup]:
    ticks = x.ticks(4)
    parts = [line((x(v), TOP - 4), (x(v), base), "grid") for v in ticks]
    parts.append(line((x.start, base), (x.end, base), "rule"))
    for value in ticks:
        anchor = "start" if x(value) < 12 else "end" if x(value) > WIDTH - 14 else "middle"
        parts.append(label(tick_text(value, ticks), x(value), base + 14, "tick", anchor))
    parts.append(label(title, x.end, base + 30, "axis", "end"))
    return parts


def _row(dot: Dot, x: Scale, top: float) -> list[Markup]:
    class_ = "name clear strong" if dot.strong else "name clear"
    parts = [
        label(shorten(dot.name, WIDTH - 60), 2, top + 8, class_),
        label(dot.shown, WIDTH - 8, top + 8, class_, "end"),
    ]
    middle = top + 18
    if dot.low is not None and dot.high is not None:
        parts.append(line((x(dot.low), middle), (x(dot.high), middle), f"whisker {dot.style}"))
    if dot.value is not None:
        dot_class = f"dot {dot.style}"
        parts.append(element("circle", cx=x(dot.value), cy=middle, r=4.5, class_=dot_class))
    return parts
