"""A topology as a picture: members on a circle, arrows to those who hear them; and as a line."""

from __future__ import annotations

from math import cos, hypot, pi, sin

from markupsafe import Markup

from counterpoint.report.toolkit.svg import Point, element, label, picture
from counterpoint.topology import Topology

SIZE, RADIUS, NODE, TIP = 170.0, 58.0, 12.0, 6.0
"""Pixels: of the picture, of the circle, of a member, of an arrow's head."""
MOST_DRAWN = 24
"""Members of a drawing; more would be a blot."""


def topology_picture(topology: Topology, key: str) -> Markup:
    """Returns a drawing: the deciding member is filled, a silent one dashed, with its turn inside.

    Args:
        topology: of at most `MOST_DRAWN` members; of a larger one the first are drawn.
        key: unique in the page.
    """
    shown = range(min(topology.members, MOST_DRAWN))
    places = {i: _place(i, len(shown)) for i in shown}
    edges = set(topology.edges)
    parts: list[Markup] = []
    for a, b in topology.edges:
        if a in places and b in places:
            parts += _arrow(places[a], places[b], apart=(b, a) in edges)
    deciders = set(topology.deciders)
    turn_of = {one: t + 1 for t, turn in enumerate(topology.order) for one in turn}
    for i, (x, y) in places.items():
        decides = i in deciders
        senders = ", ".join(str(one + 1) for one in sorted(topology.heard_by(i)))
        parts.append(
            element(
                "circle", element("title", f"member {i + 1} hears {senders or 'nobody'}"),
                cx=x, cy=y, r=NODE, class_="s1",
                fill="var(--c)" if decides else "var(--paper)", stroke="var(--c)", stroke_width=1.5,
                stroke_dasharray=None if i in turn_of else "2 3",
            )
        )  # fmt: skip
        parts.append(label(str(i + 1), x, y + 4, "within" if decides else "name", "middle"))
        if len(topology.order) > 1 and i in turn_of:
            dx, dy = (x - SIZE / 2) / RADIUS, (y - SIZE / 2) / RADIUS
            parts.append(label(f"t{turn_of[i]}", x + 20 * dx, y + 20 * dy + 4, "tick", "middle"))
    return picture(key, (SIZE, SIZE), topology.name, sketch(topology), *parts)


def sketch(topology: Topology) -> str:
    """Returns the topology in one line, members numbered from 1: `1 2 3 → 4, 2 rounds; 4 decides`.

    Turns stand one behind the other; behind a member in brackets is whom it hears.
    """
    turns = " → ".join(" ".join(_named(topology, one) for one in turn) for turn in topology.order)
    rounds = f"; {topology.rounds} rounds" if topology.rounds > 1 else ""
    decision = "vote" if topology.decides == "vote" else "the surest decides"
    if topology.decider is not None:
        decision = f"{topology.decider + 1} decides"
    return f"{turns}{rounds}; {decision}"


def _named(topology: Topology, member: int) -> str:
    senders = topology.heard_by(member)
    if not senders:
        return f"{member + 1}"
    if len(senders) == topology.members - 1 and len(senders) > 1:
        return f"{member + 1}(all)"
    return f"{member + 1}({','.join(str(one + 1) for one in sorted(senders))})"


def _place(index: int, count: int) -> Point:
    if count == 1:
        return SIZE / 2, SIZE / 2
    angle = 2 * pi * index / count - pi / 2
    return SIZE / 2 + RADIUS * cos(angle), SIZE / 2 + RADIUS * sin(angle)


def _arrow(start: Point, end: Point, apart: bool) -> list[Markup]:
    """Returns a line with a head; two that run in opposite directions lie side by side."""
    length = hypot(end[0] - start[0], end[1] - start[1])
    ux, uy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    side = 3.0 if apart else 0.0
    x1, y1 = start[0] + NODE * ux - side * uy, start[1] + NODE * uy + side * ux
    x2, y2 = end[0] - (NODE + 1) * ux - side * uy, end[1] - (NODE + 1) * uy + side * ux
    back = (x2 - TIP * ux, y2 - TIP * uy)
    points = " ".join(
        f"{x:.1f},{y:.1f}"
        for x, y in (
            (x2, y2),
            (back[0] - TIP / 2 * uy, back[1] + TIP / 2 * ux),
            (back[0] + TIP / 2 * uy, back[1] - TIP / 2 * ux),
        )
    )
    shaft = element("line", x1=x1, y1=y1, x2=back[0], y2=back[1], class_="s6",
                    stroke="var(--c)", stroke_width=1)  # fmt: skip
    return [shaft, element("polygon", points=points, class_="s6", fill="var(--c)")]
