"""The page of a comparison of topologies: shares of variance, drawings, scores, and synergy
gaps."""

from __future__ import annotations

from math import cos, pi, sin

from markupsafe import Markup
from msgspec.structs import asdict

from counterpoint.errors import LogError, SettingError
from counterpoint.report.toolkit.charts import Dot, interval_panel
from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page, setting_rows
from counterpoint.report.toolkit.numerals import fixed, interval
from counterpoint.report.toolkit.svg import Point, arrow, element, label, picture
from counterpoint.report.toolkit.tables import (
    Cell,
    Column,
    Table,
    TableRow,
    range_cell,
    text_columns,
)
from counterpoint.results.topology import (
    SeedEstimate,
    TopologyResult,
    TopologyScore,
    VarianceShare,
)
from counterpoint.topology import Topology

SIZE, RADIUS, NODE = 170.0, 58.0, 12.0
"""Pixels: the size of the picture, of the circle, and of a member."""
MOST_DRAWN = 24
"""Maximum number of members in a drawing; a drawing with more is not readable."""
AGAINST = {
    "mean": "mean member alone",
    "best_member": "best member alone",
    "oracle": "oracle over members",
    "single_agent": "one agent with all information",
}
"""The references of a team, and their names on the page."""


def topology_page(result: TopologyResult) -> Page:
    """Returns the page of a comparison of topologies.

    Raises:
        LogError: edges, turns and decision of a topology do not fit together.
    """
    dots = [Dot(name, score.value, score.low, score.high, "s1", f"{score.value:.3f}")
            for name, score in _ranked(result)]  # fmt: skip
    try:
        drawings = [
            (name, topology_picture(Topology(**asdict(score.shape.topology)), f"topology-{i}"))
            for i, (name, score) in enumerate(result.scores.items())
        ]
    except SettingError as error:
        raise LogError(f"got a result with a topology that cannot be: {error}") from None
    settings = {"settings": result.settings, "guards": result.guards, "prompts": result.prompts,
                "ways": result.ways}  # fmt: skip
    return Page(
        template="topology.html",
        title=f"{result.world}: who hears whom",
        kind="Topologies",
        subject=result.world,
        details=[result.summary],
        verdict=topology_verdict(result),
        definitions=DEFINITIONS,
        settings=setting_rows(settings),
        picture="panel",
        caption=f"Means over prompts and orders, with 95% intervals over {result.seeds} seeds.",
        contents={
            "shares": share_table(result),
            "drawings": drawings,
            "panel": interval_panel("scores-panel", "Score by topology", result.scale, dots),
            "scores": score_table(result),
            "gaps": gap_table(result),
        },
    )


def _ranked(result: TopologyResult) -> list[tuple[str, TopologyScore]]:
    """Returns the topologies, the best first."""
    return sorted(result.scores.items(), key=lambda item: -item[1].value)


FACTORS = {
    "topology": "who hears whom",
    "prompt": "how members behave",
    "order": "who sits where",
    "interaction": "topology-prompt interaction",
}
"""Sources of variance in words, inside of a sentence."""


def topology_verdict(result: TopologyResult) -> Headline:
    """Returns the factor that explains most, and the best team beside its members and one agent."""
    best, gap = result.best, result.gap
    first = Fact(
        "Best score", fixed(best.value, 3), _interval(best), f"{best.topology} with {best.prompt}."
    )
    if result.shares is not None:
        (name, share), *_ = _factors(result)
        first = Fact(f"Share of {FACTORS[name]}", fixed(share.value, 2),
                     f"95% interval [{share.low:.2f}, {share.high:.2f}]",
                     f"{share.chance:.2f} by chance.")  # fmt: skip
    others = ("best_member", "single_agent")
    facts = tuple(
        Fact(f"Best team minus {AGAINST[name]}", fixed(gap[name].value, 3, signed=True),
             _interval(gap[name], signed=True),
             f"{best.topology} with {best.prompt}." if name == others[0] else "")
        for name in others
    )  # fmt: skip
    why = (
        f"The best is {best.topology} with {best.prompt}: {best.value:.3f} "
        f"[{best.low:.3f}, {best.high:.3f}], chosen on one half of the seeds and measured on "
        "the other. The share depends on which topologies and prompts are compared."
    )
    if result.why_no_shares:
        why = f"The shares: {result.why_no_shares}. {why}"
    return Headline(topology_headline(result), why, (first, *facts))


def _interval(estimate: SeedEstimate, *, signed: bool = False) -> str:
    return f"95% interval {interval(estimate.low, estimate.high, 3, signed=signed)}"


def _factors(result: TopologyResult) -> list[tuple[str, VarianceShare]]:
    """Returns the factors with their shares, the largest first."""
    shares = result.shares or {}
    return sorted(((name, shares[name]) for name in FACTORS if name in shares),
                  key=lambda each: -each[1].value)  # fmt: skip


def topology_headline(result: TopologyResult) -> str:
    """Returns the verdict in at most 15 words."""
    best = result.best
    if result.shares is None:
        return (
            f"Shares of variance are not computable; {best.topology} with {best.prompt} scores "
            f"{best.value:.2f}."
        )
    (first, a), (second, b), *_ = _factors(result)
    sentence = f"{FACTORS[first]} explains {a.value:.0%} of variance"
    sure = "more than" if a.low > b.high else "about as much as"
    return f"{sentence[0].upper()}{sentence[1:]}, {sure} {FACTORS[second]} ({b.value:.0%})."


def share_table(result: TopologyResult) -> Table | None:
    """Returns a row for each source of variance, or None if the shares are not computable."""
    if result.shares is None:
        return None
    columns = (
        Column("Varies with", ("source",), numeric=False),
        Column("Share", ("share", "low", "high")),
        Column("By chance", ("chance",)),
    )
    rows = [
        TableRow((Cell(name), range_cell(s.value, s.low, s.high, ".3f"),
             Cell(f"{s.chance:.3f}", (s.chance,))))
        for name, s in result.shares.items()
    ]  # fmt: skip
    caption = f"Sums of squares over their total; intervals over {result.seeds} seeds."
    return Table("shares", caption, columns, rows)


def score_table(result: TopologyResult) -> Table:
    """Returns a row for each topology, the best first."""
    columns = (
        *text_columns("Topology"),
        Column("Score", ("iqm", "low", "high")),
        *(Column(prompt, (prompt,)) for prompt in result.prompts),
        Column("Orders"),
        Column("Worst to best order", ("worst", "best")),
        Column("Calls"),
        Column("Depth"),
        Column(
            "Path", missing="the knowledge of the first member cannot reach a member that decides"
        ),
    )
    rows = []
    for name, s in _ranked(result):
        ends = min(s.order_scores), max(s.order_scores)
        path = s.shape.path
        rows.append(
            TableRow((
                Cell(name),
                range_cell(s.value, s.low, s.high, ".3f"),
                *(Cell(f"{s.by_prompt[p].value:.3f}", (s.by_prompt[p].value,))
                  for p in result.prompts),
                Cell(str(s.orders), (s.orders,)),
                Cell(f"{ends[0]:.3f} to {ends[1]:.3f}" if s.orders > 1 else "–", ends),
                Cell(f"{s.calls:.3g}", (s.calls,)),
                Cell(str(s.shape.depth), (s.shape.depth,)),
                Cell("–" if path is None else f"{path:.3g}", (path,)),
            ))
        )  # fmt: skip
    caption = (
        "Interquartile means over seeds, mean over prompts and orders. Calls are turns and answers "
        "an item; depth is turns that wait for each other; path is messages from the first member "
        "to those who decide."
    )
    return Table("scores", caption, columns, rows)


def gap_table(result: TopologyResult) -> Table:
    """Returns a row for each topology, the best first, with its gain over each reference."""
    columns = (
        *text_columns("Topology"),
        *(Column(title, (name, f"{name}_low", f"{name}_high")) for name, title in AGAINST.items()),
    )
    rows = []
    for name, score in _ranked(result):
        gaps = [score.gap[reference] for reference in AGAINST]
        rows.append(
            TableRow((Cell(name), *(range_cell(g.value, g.low, g.high, "+.3f") for g in gaps)))
        )
    caption = (
        "The score of the team minus that of each reference, on the same items, with 95% "
        "intervals over seeds."
    )
    return Table("gaps", caption, columns, rows)


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
            parts += arrow(places[a], places[b], NODE, 1, apart=(b, a) in edges)
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

    Turns follow one another; the brackets after a member name the members that it hears.
    """
    turns = " → ".join(" ".join(_named(topology, one) for one in turn) for turn in topology.order)
    rounds = f"; {topology.rounds} rounds" if topology.rounds > 1 else ""
    decision = "vote" if topology.decides == "vote" else "the most certain member decides"
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


DEFINITIONS = (
    Definition("share", "Share of the variance",
        "Sum of squares of a factor over the total, in a balanced design of topology and "
        "prompt; order is a factor within each topology that has several. The share depends on "
        "the topologies and prompts that were compared, and says nothing about others."),
    Definition("chance", "By chance",
        "The mean share if scores are shuffled over the cells of each seed."),
    Definition("gap", "Synergy gap",
        "The best member is chosen on other items; the oracle chooses the best member for each "
        "item. One agent has all information of the team and as many calls."),
)  # fmt: skip
