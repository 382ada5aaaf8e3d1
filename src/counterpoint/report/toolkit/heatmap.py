"""Agent by update: where gradients collapse, in how many seeds, and from what cause.

The strength of a cell is the share of seeds in which the agent was collapsed, its colour is the
cause named most often, and a run of one cause carries its two letters where there is room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from counterpoint.report.toolkit.scales import Scale, across, tick_text
from counterpoint.report.toolkit.svg import HEADING, element, label, line, picture, shorten

CODES = {
    "DEAD": "De",
    "DROWNED": "Dr",
    "DILUTED": "Di",
    "OFFSET": "Of",
    "SPIKY": "Sp",
    "LAZY": "La",
}
"""Cause to its two letters, for readers who do not see the colours."""

Columns = list[tuple[int, int]]
WIDTH = 300.0
BINS = 60
"""Columns of one map; more updates than this share columns."""


@dataclass(frozen=True)
class Strip:
    """One agent over the updates."""

    agent: str
    shares: Sequence[float | None]
    """[T] share of seeds in which the scheme collapses the agent, 0 to 1."""
    causes: Sequence[str | None]
    """[T] the cause named most often, or None."""


def code_of(cause: str) -> tuple[str, str, str]:
    """Returns a cause as (class of the style sheet, two letters, name).

    An unknown cause gets a question mark and the class of no cause.
    """
    if cause not in CODES:
        return "c-none", "?", cause
    return f"c-{cause.lower()}", CODES[cause], cause


def heat_map(
    key: str, heading: str, x_title: str, steps: Sequence[float], strips: Sequence[Strip]
) -> Markup:
    """Returns the map of one scheme: a row an agent, a column an update or a few of them.

    Args:
        key: unique in the page.
        steps: [T] number of each update.
    """
    left = min(104.0, 10 + 6.1 * max((len(s.agent) for s in strips), default=4))
    row = 22.0 if len(strips) <= 12 else 15.0
    top, base = 22.0, 22.0 + row * len(strips)
    columns = columns_of(len(steps))
    x = Scale(0, max(1, len(steps)), left, WIDTH - 2)
    parts = [label(shorten(heading, WIDTH, HEADING), 0, 12, "heading")]
    for i, strip in enumerate(strips):
        middle = top + row * i + row / 2 + 4
        parts.append(label(shorten(strip.agent, left - 4), left - 6, middle, "tick", "end"))
        parts += _cells(f"{key}-{i}", strip, columns, x, top + row * i, row - 2)
    parts += _axis(steps, x, base, x_title)
    return picture(key, (WIDTH, base + 38), heading, _description(strips), *parts)


def columns_of(count: int) -> Columns:
    """Returns [start, stop) of each column: one update each, or equal runs of them."""
    stride = max(1, -(-count // BINS))
    return [(i, min(i + stride, count)) for i in range(0, count, stride)]


def _cells(
    key: str, strip: Strip, columns: Columns, x: Scale, top: float, height: float
) -> list[Markup]:
    width, box = x.end - x.start, {"x": x.start, "y": top, "height": height}
    parts = [element("rect", **box, width=width, class_="ground")]
    cells = [(a, b, mean(strip.shares[a:b]), commonest(strip.causes[a:b])) for a, b in columns]
    # one rectangle with a gradient for a whole row: a rectangle a cell would be a large page
    if any(share > 0 for _, _, share, _ in cells):
        parts.append(element("linearGradient", *_stops(cells), id=key))
        parts.append(element("rect", **box, width=width, fill=f"url(#{key})"))
    for cause, run in groupby(cells, key=lambda c: c[3] if c[2] >= 0.25 else None):
        edges = list(run)
        a, b = x(edges[0][0]), x(edges[-1][1])
        if cause and b - a >= 18:
            code = code_of(cause)[1]
            parts.append(label(code, (a + b) / 2, top + height / 2 + 4, "code", "middle"))
    return parts


def _stops(cells: Sequence[tuple[int, int, float, str | None]]) -> list[Markup]:
    """Returns hard stops of one gradient, so that no seam shows between columns."""
    count, stops = cells[-1][1], []
    for (cause, share), run in groupby(cells, key=lambda c: (c[3], round(c[2], 2))):
        edges = list(run)
        strength = 0.12 + 0.73 * share if share > 0 else 0.0
        for at in (edges[0][0], edges[-1][1]):
            offset = f"{at / count:.5f}"
            class_ = code_of(cause or "")[0]
            stops.append(element("stop", offset=offset, stop_opacity=strength, class_=class_))
    return stops


def _axis(steps: Sequence[float], x: Scale, base: float, title: str) -> list[Markup]:
    parts = [line((x.start, base + 1), (x.end, base + 1), "rule")]
    if steps:
        shown = across(steps[0], steps[-1], x.start, x.end)
        ticks = [v for v in shown.ticks(4) if v == int(v)]
        for value in ticks:
            anchor = "end" if shown(value) > WIDTH - 12 else "middle"
            parts.append(label(tick_text(value, ticks), shown(value), base + 15, "tick", anchor))
    parts.append(label(title, x.end, base + 31, "axis", "end"))
    return parts


def mean(shares: Sequence[float | None]) -> float:
    """Returns the mean of the known shares, 0 if none is known."""
    known = [s for s in shares if s is not None]
    return min(1.0, max(0.0, sum(known) / len(known))) if known else 0.0


def commonest(causes: Sequence[str | None]) -> str | None:
    """Returns the cause named most often, None if no cause is named."""
    named = Counter(c for c in causes if c)
    return named.most_common(1)[0][0] if named else None


def _description(strips: Sequence[Strip]) -> str:
    parts = []
    for strip in strips:
        share, cause = mean(strip.shares), commonest(strip.causes)
        why = f", most often {cause}" if cause else ""
        parts.append(f"{strip.agent}: collapsed in {100 * share:.0f}% of updates and seeds{why}")
    return "; ".join(parts) + "."
