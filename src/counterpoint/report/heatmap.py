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

from counterpoint.report.scales import Scale, across, tick_text
from counterpoint.report.svg import HEADING, element, label, line, picture, shorten

CODES = {
    "DEAD": "De",
    "DROWNED": "Dr",
    "DILUTED": "Di",
    "OFFSET": "Of",
    "SPIKY": "Sp",
    "LAZY": "La",
}
"""Cause to its two letters, for readers who do not see the colours."""

WIDTH = 300.0
SEAM = 0.5
"""[px] by which a cell reaches under the next one, so that no gap shows between them."""
BINS = 60
"""Columns of one map; more updates than this share columns."""


@dataclass(frozen=True)
class Strip:
    """One agent over the updates."""

    agent: str
    shares: Sequence[float | None]
    """[T] share of seeds in which the agent is collapsed, 0 to 1."""
    causes: Sequence[str | None]
    """[T] the cause named most often, or None."""


def code_of(cause: str) -> tuple[str, str, str]:
    """A cause as (class of the style sheet, two letters, name).

    One that this version does not know gets a question mark and the class of none.
    """
    if cause not in CODES:
        return "c-none", "?", cause
    return f"c-{cause.lower()}", CODES[cause], cause


def heat_map(
    key: str, heading: str, x_title: str, steps: Sequence[float], strips: Sequence[Strip]
) -> Markup:
    """The map of one scheme: a row an agent, a column an update or a few of them.

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
        parts += _cells(strip, columns, x, top + row * i, row - 2)
    parts += _axis(steps, x, base, x_title)
    return picture(key, (WIDTH, base + 38), heading, _description(strips), *parts)


def columns_of(count: int) -> list[tuple[int, int]]:
    """[start, stop) of each column: one update each, or equal runs of them."""
    stride = max(1, -(-count // BINS))
    return [(i, min(i + stride, count)) for i in range(0, count, stride)]


def _cells(
    strip: Strip, columns: Sequence[tuple[int, int]], x: Scale, top: float, height: float
) -> list[Markup]:
    width = x.end - x.start
    parts = [element("rect", x=x.start, y=top, width=width, height=height, class_="ground")]
    cells = [(a, b, mean(strip.shares[a:b]), commonest(strip.causes[a:b])) for a, b in columns]
    for (cause, share), same in groupby(cells, key=lambda c: (c[3], round(c[2], 2))):
        edges = list(same)
        if share > 0:
            a, b = x(edges[0][0]), x(edges[-1][1])
            parts.append(
                element(
                    "rect",
                    x=a,
                    y=top,
                    width=min(b - a + SEAM, x.end - a),
                    height=height,
                    class_=f"cell {code_of(cause or '')[0]}",
                    fill_opacity=0.12 + 0.73 * share,
                )
            )
    for cause, run in groupby(cells, key=lambda c: c[3] if c[2] >= 0.25 else None):
        edges = list(run)
        a, b = x(edges[0][0]), x(edges[-1][1])
        if cause and b - a >= 18:
            code = code_of(cause)[1]
            parts.append(label(code, (a + b) / 2, top + height / 2 + 4, "code", "middle"))
    return parts


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
    """The mean of the known shares, 0 where none is known."""
    known = [s for s in shares if s is not None]
    return min(1.0, max(0.0, sum(known) / len(known))) if known else 0.0


def commonest(causes: Sequence[str | None]) -> str | None:
    """The cause named most often, None where none is named."""
    named = Counter(c for c in causes if c)
    return named.most_common(1)[0][0] if named else None


def _description(strips: Sequence[Strip]) -> str:
    parts = []
    for strip in strips:
        share, cause = mean(strip.shares), commonest(strip.causes)
        why = f", most often {cause}" if cause else ""
        parts.append(f"{strip.agent}: collapsed in {100 * share:.0f}% of updates and seeds{why}")
    return "; ".join(parts) + "."
