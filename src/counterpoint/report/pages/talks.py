"""Who talks to whom, in the page of an audit: the pairs, and the topology that they make."""

from __future__ import annotations

from collections.abc import Sequence

from counterpoint.report.pages.lanes import talk_count
from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.toolkit.tables import Cell, Column, Table, TableRow, text_columns
from counterpoint.results.audit import NearShape, Talk, TalkShape

NAMES_SHOWN, SHAPES_SHOWN = 3, 3
"""The most names of a shape, and shapes of a reading, that are shown."""


def talk_table(talks: Sequence[Talk]) -> Table | None:
    """Returns a row for each pair of members; None if nobody turned to another."""
    if not talks:
        return None
    columns = (
        *text_columns("From", "To"),
        *(Column(title) for title in ("Messages", "Handoffs", "Next turns")),
    )
    rows = [
        TableRow((Cell(t.sender), Cell(t.receiver), Cell(str(t.messages), (t.messages,)),
                  Cell(str(t.handoffs), (t.handoffs,)), Cell(str(t.follows), (t.follows,))))
        for t in talks
    ]  # fmt: skip
    caption = "A next turn: the receiver is the next member that acts."
    return Table("talks", caption, columns, rows)


def talk_words(talks: Sequence[Talk], by_name: bool) -> str:
    """Returns how many pairs talk, in both directions or in one, and who talks the most."""
    sent: dict[str, int] = {}
    for talk in talks:
        sent[talk.sender] = sent.get(talk.sender, 0) + talk_count(talk, by_name)
    pairs = {(t.sender, t.receiver) for t in talks}
    both = sum((other, one) in pairs for one, other in pairs)
    names = {name for pair in pairs for name in pair}
    most = max(sent, key=lambda name: sent[name])
    meaning = (
        "Arrows are messages with a named receiver, and handoffs."
        if by_name
        else "The log does not say who messages are to: arrows lead to the member of the next turn."
    )
    return (
        f"{meaning} A wider arrow is more frequent. {len(pairs)} of "
        f"{len(names) * (len(names) - 1)} ordered pairs are connected, {both} of them in both "
        f"directions. {most} has {sent[most] / max(1, sum(sent.values())):.0%} of what is sent."
    )


def topology_words(shape: TalkShape) -> str:
    """Returns the nearest named topology, or why it cannot be told, and from how many messages."""
    verdict = f"The topology cannot be told: {shape.reason}."
    if shape.nearest:
        verdict = f"The nearest named topology is {names_words(shape.nearest)}."
    both = shape.addressed + shape.unaddressed
    named = f"Of {both:,} messages and handoffs of members, {shape.addressed:,} name a receiver."
    words = [verdict, named] if both else [verdict]
    if shape.too_large:
        large = counted(shape.too_large, "episode")
        words.append(f"{large} of more than eight members are not measured.")
    return " ".join(words)


def names_words(names: Sequence[str]) -> str:
    """Returns the names of one shape: `star, also planner_workers`."""
    shown = ", also ".join([names[0], ", ".join(names[1:NAMES_SHOWN])][: len(names)])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def topology_table(shape: TalkShape) -> Table | None:
    """Returns the measures under each reading of the log; None if nothing could be measured."""
    if not shape.readings:
        return None
    columns = (
        *text_columns("Reading", "Nearest topologies"),
        Column("Episodes"),
        Column("Density"),
        Column("Centralization", missing="no team has three members"),
        Column("Reach"),
        Column("Hops", missing="nobody can reach another"),
    )
    rows = []
    for each in shape.readings:
        measures = (each.density, each.centralization, each.reach, each.hops)
        numbers = [Cell("–" if x is None else f"{x:.2f}", (x,)) for x in measures]
        shown = tuple(map(_shape_words, each.nearest[:SHAPES_SHOWN]))
        if len(each.nearest) > SHAPES_SHOWN:
            shown += (f"{len(each.nearest) - SHAPES_SHOWN} more",)
        cell = Cell("", ("; ".join(map(_shape_words, each.nearest)),), lines=shown)
        rows.append(TableRow((Cell(each.assumption), cell,
                              Cell(str(each.episodes), (each.episodes,)), *numbers)))  # fmt: skip
    caption = (
        "Means over episodes of two to eight members who talk. Density: edges over ordered pairs. "
        "Centralization: 1 in a star, 0 if all are alike. Reach: pairs in which messages can carry "
        "what one knows to the other. Hops: messages on that way. An episode counts for each of "
        "its nearest topologies, with the mean numbers of missing and of extra edges."
    )
    return Table("topology", caption, columns, rows)


def _shape_words(row: NearShape) -> str:
    return (
        f"{names_words(row.names)}: {counted(row.episodes, 'episode')}, {row.missing:.1f} missing, "
        f"{row.extra:.1f} extra"
    )


def topology_line(shape: TalkShape) -> str:
    """Returns the verdict and the measures of each reading, for a terminal."""
    rows = [
        f"{each.assumption}: density {each.density:.2f}, reach {each.reach:.2f}, nearest "
        + "; ".join(f"{names_words(row.names)} in {row.episodes} of {each.episodes}"
                    f" ({row.missing:.1f} edges missing, {row.extra:.1f} extra)"
                    for row in each.nearest[:2])
        for each in shape.readings
    ]  # fmt: skip
    return "\n".join([topology_words(shape), *(f"  {row}" for row in rows)])
