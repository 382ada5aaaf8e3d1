"""The page of a game: equilibria, what repetition can sustain, and where learners land."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from counterpoint.report.pages.definitions import Definition
from counterpoint.report.pages.verdicts import Fact, Verdict
from counterpoint.report.toolkit.document import Document
from counterpoint.report.toolkit.scales import across, tick_text
from counterpoint.report.toolkit.settings import flatten, short_first
from counterpoint.report.toolkit.svg import area, element, label, line, picture
from counterpoint.report.toolkit.tables import Cell, Column, Row, Table

WIDTH, HEIGHT, EDGE = 420.0, 320.0, 40.0


def game_page(document: Document, prefix: str) -> dict[str, Any]:
    """What the template `game.html` is filled with."""
    learned = document.get("learned")
    return {
        "title": f"{document['name']}: a game",
        "kind": "Game",
        "subject": str(document["name"]),
        "details": [str(document["source"])],
        "version": str(document.get("version", "")),
        "verdict": _verdict(document),
        "drawing": _drawing(document),
        "equilibria": _equilibria(document, prefix),
        "learned": _learned(learned, prefix) if learned else None,
        "repeated": _repeated(learned, prefix) if learned and learned["repeated"] else None,
        "basins": _basins(learned["basins"]) if learned and learned.get("basins") else None,
        "why": [f"{key.replace('_', ' ')}: {told}" for key, told in document["why"].items()],
        "definitions": DEFINITIONS,
        "settings": short_first(list(flatten(document.get("config", {})).items())),
    }


def sentences(document: Mapping[str, Any]) -> list[str]:
    """What is known of a game, in words."""
    found, players = document["equilibria"], document["players"]
    pure = sum(all(max(s) == 1 for s in one["strategies"]) for one in found)
    which = " (degenerate: there are more between them)" if document["degenerate"] else ""
    told = [f"{len(found)} equilibria, {document['equilibria_are']}, {pure} of them pure{which}."]
    if document["minmax"]:
        held = ", ".join(
            f"{name} to {value:.4g}"
            for name, value in zip(players, document["minmax"], strict=True)
        )
        told.append(f"The others can hold {held}.")
    sustained = document["sustained"]
    if sustained:
        profile = ", ".join(
            document["actions"][i][action] for i, action in enumerate(sustained["profile"])
        )
        delta = sustained["discount"]
        told.append(
            f"({profile}) pays most in all. "
            + ("Repetition cannot sustain it by reversion to an equilibrium." if delta is None
               else "It is an equilibrium of one round." if delta == 0
               else f"Repetition sustains it from a discount factor of {delta:.4g} on.")
        )  # fmt: skip
    if document["price_of_anarchy"] is not None:
        told.append(
            f"The best sum is {document['optimum']:.4g}: {document['price_of_anarchy']:.4g} times "
            f"that of the worst equilibrium, {document['price_of_stability']:.4g} times that of "
            "the best."
        )
    return told


def _verdict(document: Document) -> Verdict:
    first, *more = sentences(document)
    if document.get("learned"):
        more.append(_landed(document))
    sums = {key: value for key, value in document["sums"].items() if value is not None}
    facts = tuple(
        Fact(key.replace("_", " ").capitalize(), f"{value:.4g}", "sum of payoffs")
        for key, value in sums.items()
    )
    return Verdict(first, " ".join(more), facts)


def _landed(document: Document) -> str:
    """Where the first learners land, in a sentence."""
    name, arm = next(iter(document["learned"]["arms"].items()), ("", None))
    if arm is None:
        return ""
    where = ", ".join(
        f"{share:.0%} at {'none of them' if key == 'none' else f'equilibrium {key}'}"
        for key, share in sorted(arm["equilibria"].items(), key=lambda one: -one[1])[:3]
    )
    return f"Of {document['learned']['seeds']} teams under {name}, {where}."


def _drawing(document: Document) -> Markup | None:
    """Payoffs of two players: profiles, what is feasible and rational, equilibria."""
    if document["payoffs"] is None or len(document["players"]) != 2:
        return None
    points = [(float(p[0]), float(p[1])) for row in document["payoffs"] for p in row]
    rational = [(float(a), float(b)) for a, b in document["feasible_rational"] or ()]
    x = across(min(p[0] for p in points), max(p[0] for p in points), EDGE, WIDTH - 12)
    y = across(min(p[1] for p in points), max(p[1] for p in points), HEIGHT - EDGE, 12)
    parts: list[Markup] = []
    for scale, upright in ((x, True), (y, False)):
        ticks = scale.ticks(5)
        for value in ticks:
            at = scale(value)
            ends = (((at, 12.0), (at, HEIGHT - EDGE)) if upright
                    else ((EDGE, at), (WIDTH - 12, at)))  # fmt: skip
            parts.append(line(*ends, "grid"))
            place = (at, HEIGHT - EDGE + 14) if upright else (EDGE - 6, at + 4)
            anchor = "middle" if upright else "end"
            parts.append(label(tick_text(value, ticks), *place, "tick", anchor))
    first, second = (str(name) for name in document["players"])
    parts += [label(first, WIDTH - 12, HEIGHT - 6, "axis", "end"), label(second, 2, 10, "axis")]
    if len(rational) > 1:
        shown = [(x(a), y(b)) for a, b in [*rational, rational[0]]]
        parts.append(element("path", d=area(shown, shown[:1] * len(shown)), class_="band s2"))
        parts += [line(a, b, "rule") for a, b in pairwise(shown)]
    parts += [element("circle", cx=x(a), cy=y(b), r=4.0, class_="dot s6") for a, b in points]
    parts += [
        element("circle", element("title", f"equilibrium {i}"), cx=x(one["payoffs"][0]),
                cy=y(one["payoffs"][1]), r=6.5, class_="s0", fill="none", stroke="var(--c)",
                stroke_width=2)
        for i, one in enumerate(document["equilibria"][:200])
    ]  # fmt: skip
    told = "Payoffs of profiles, the feasible and rational ones shaded, equilibria ringed."
    return picture("payoffs", (WIDTH, HEIGHT), "Payoffs", told, *parts)


def _basins(told: Mapping[str, Any]) -> Markup:
    """A square for each start: row player's probability of the first action upwards."""
    starts, ends = told["starts"], told["ends"]
    side = (HEIGHT - 2 * EDGE) / len(starts)
    parts: list[Markup] = []
    for i, row in enumerate(ends):
        for j, end in enumerate(row):
            place = "s7" if end < 0 else f"s{end % 7}"
            x, y = EDGE + j * side, HEIGHT - EDGE - (i + 1) * side
            parts.append(element("rect", x=x, y=y, width=side, height=side, class_=f"dot {place}"))
            if i % 3 == 1 and j % 3 == 1:
                name = "-" if end < 0 else str(end)
                parts.append(label(name, x + side / 2, y + side - 3, "tick", "middle"))
    span = len(starts) * side
    for share in (0, len(starts) // 2, len(starts) - 1):
        at = (share + 0.5) * side
        parts.append(label(f"{starts[share]:.2g}", EDGE + at, HEIGHT - EDGE + 14, "tick", "middle"))
        parts.append(label(f"{starts[share]:.2g}", EDGE - 6, HEIGHT - EDGE - at + 4, "tick", "end"))
    parts.append(label("column's first action", EDGE + span, HEIGHT - 6, "axis", "end"))
    parts.append(label("row's first action, in the beginning", 2, EDGE - 12, "axis"))
    summary = "Which equilibrium a pair ends at, by both players' probabilities in the beginning."
    return picture("basins", (WIDTH, HEIGHT), "Basins", summary, *parts)


def _equilibria(document: Document, prefix: str) -> Table | None:
    rows = [
        Row((
            Cell(str(i), (i,)),
            *(Cell(mix(names, strategy), (mix(names, strategy),))
              for names, strategy in zip(document["actions"], one["exact"], strict=True)),
            Cell(", ".join(f"{value:.4g}" for value in one["payoffs"]), tuple(one["payoffs"])),
        ))
        for i, one in enumerate(document["equilibria"][:200])
    ]  # fmt: skip
    if not rows:
        return None
    players = [str(name) for name in document["players"]]
    columns = (
        Column("Number", ("number",)),
        *(Column(name, (name,), numeric=False) for name in players),
        Column("Payoffs", tuple(f"payoff of {name}" for name in players)),
    )
    found = (
        "exact"
        if document["equilibria_are"] != "all pure ones, mixed ones by search"
        else ("those in fractions exact, those in decimals found to nine digits")
    )
    caption = f"Equilibria, {document['equilibria_are']}; {found}."
    return Table("equilibria", caption, columns, tuple(rows), f"{prefix}-equilibria.csv")


def mix(names: Sequence[str], strategy: Sequence[str]) -> str:
    """A strategy in words: `3/4 stag, 1/4 hare`."""
    played = [(p, name) for p, name in zip(strategy, names, strict=True) if p != "0"]
    if len(played) == 1:
        return played[0][1]
    if any(", " in name for _, name in played):
        return " + ".join(f"{p} [{name}]" for p, name in played)
    return ", ".join(f"{p} {name}" for p, name in played)


def _learned(learned: Mapping[str, Any], prefix: str) -> Table:
    columns = (
        Column("Learners", ("learners",), numeric=False),
        Column("Payoff", ("payoff", "low", "high")),
        Column("Where they land", ("equilibria",), numeric=False),
        Column("Entropy, bits", ("entropy",)),
        Column("Selection efficiency", ("efficiency",), missing="all equilibria pay the same"),
        Column("Cross-play", ("cross_play",), missing="of two players"),
        Column("Deviation gains", ("gain",)),
    )
    rows = []
    for name, arm in learned["arms"].items():
        where = ", ".join(f"{key}: {share:.0%}" for key, share in arm["equilibria"].items())
        efficiency, cross, paid = arm["selection_efficiency"], arm["cross_play"], arm["payoff"]
        rows.append(
            Row((
                Cell(str(name), (str(name),)),
                Cell(f"{paid['value']:.4g}", (paid["value"], paid["low"], paid["high"]),
                     below=f"{paid['low']:.4g} to {paid['high']:.4g}"),
                Cell(where, (where,)),
                Cell(f"{arm['entropy_bits']:.2f}", (arm["entropy_bits"],)),
                Cell("–" if efficiency is None else f"{efficiency:.3f}", (efficiency,)),
                Cell("–" if cross is None else f"{cross:.3f}", (cross,)),
                Cell(f"{arm['deviation_gain']['value']:.3g}", (arm["deviation_gain"]["value"],)),
            ))
        )  # fmt: skip
    caption = f"{learned['seeds']} teams each; numbers are those of the equilibria above."
    return Table("learned", caption, columns, tuple(rows), f"{prefix}-learned.csv")


def _repeated(learned: Mapping[str, Any], prefix: str) -> Table:
    names = ("first_action", "second_action", "punishes")
    columns = (
        Column("Start", ("start",), numeric=False),
        Column("First action", ("first", "first_low", "first_high")),
        Column("Second action", ("second", "second_low", "second_high")),
        Column("Punish", ("punish", "punish_low", "punish_high")),
        Column("Payoff", ("payoff",)),
    )
    rows = [
        Row((
            Cell(str(start), (str(start),)),
            *(Cell(f"{r[n]['value']:.1%}", (r[n]["value"], r[n]["low"], r[n]["high"]),
                   below=f"{r[n]['low']:.1%} to {r[n]['high']:.1%}") for n in names),
            Cell(f"{r['payoff']['value']:.3f}", (r["payoff"]["value"],)),
        ))
        for start, r in learned["repeated"].items()
    ]  # fmt: skip
    caption = "Repeated, memory of one round: shares of pairs that end there, by how they began."
    return Table("repeated", caption, columns, tuple(rows), f"{prefix}-repeated.csv")


DEFINITIONS = (
    Definition("equilibrium", "Equilibrium", "Nobody gains by another strategy while the others "
               "keep theirs. Of two players all extreme ones are found, in fractions."),
    Definition("rational", "Feasible and rational", "Means of payoffs of profiles that give each "
               "player at least its minmax value: what repetition can sustain among the patient."),
    Definition("minmax", "Minmax value", "The least to which the others can hold a player who "
               "answers them as well as it can."),
    Definition("correlated", "Correlated, coarse", "Best and worst sum of payoffs where a device "
               "tells each what to do and nobody gains by disobeying, or by not listening at all."),
    Definition("entropy", "Entropy", "Of which equilibrium teams land at, in bits: 0 is always the "
               "same."),
    Definition("gains", "Deviation gains", "The most that one player of a team could still gain by "
               "another strategy."),
    Definition("efficiency", "Selection efficiency", "(mean payoff - worst equilibrium) / (best "
               "payoff - worst equilibrium)."),
    Definition("cross", "Cross-play", "Mean payoff where players of different seeds meet."),
    Definition("punish", "Punish", "Both make the other regret a single deviation from the first "
               "action, and play it otherwise."),
)  # fmt: skip
