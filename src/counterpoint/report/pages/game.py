"""The page of a game: its equilibria, the profiles that repetition sustains, and the ends of
learners."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from counterpoint.report.toolkit.frame import (
    MOST_WORDS,
    Definition,
    Fact,
    Headline,
    Page,
    setting_rows,
)
from counterpoint.report.toolkit.numerals import ABSENT, counted
from counterpoint.report.toolkit.scales import across, tick_text
from counterpoint.report.toolkit.svg import area, element, label, line, picture
from counterpoint.report.toolkit.tables import (
    Cell,
    Column,
    Table,
    TableRow,
    range_cell,
    text_columns,
)
from counterpoint.results.game import Basins, GameResult, Learned

WIDTH, HEIGHT, EDGE, TOP = 360.0, 300.0, 40.0, 28.0
MOST_EXACT = 24
"""Characters of an exact payoff up to which a table has it."""


def game_page(game: GameResult) -> Page:
    """Returns the page of a game."""
    learned = game.learned
    first, *more = sentences(game)
    if learned:
        more.append(_first_arm(learned))
    if known := sums(game):
        more.append(f"Sums of payoffs if a device gives advice: {known}.")
    return Page(
        template="game.html",
        title=f"{game.name}: a game",
        kind="Game",
        subject=game.name,
        details=[game.source],
        verdict=Headline(first, " ".join(more), _facts(game)),
        definitions=DEFINITIONS,
        settings=setting_rows(game.config),
        picture="drawing",
        caption="Profiles are dots, equilibria ringed, feasible and rational payoffs shaded.",
        contents={
            "drawing": _drawing(game),
            "equilibria": equilibrium_table(game),
            "learned": learned_table(learned) if learned else None,
            "repeated": repeated_table(learned) if learned and learned.repeated else None,
            "basins": _basins(learned.basins) if learned and learned.basins else None,
            "why": reasons(game),
        },
    )


def sums(game: GameResult) -> str:
    """Returns the best and worst sums of payoffs in correlated equilibria, in words."""
    known = ((name, value) for name, value in game.sums.items() if value is not None)
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in known)


def _facts(game: GameResult) -> tuple[Fact, Fact, Fact]:
    """Returns the number of equilibria, their cost, and where learners end or what patience
    buys."""
    count = Fact("Equilibria", f"{len(game.equilibria):,}", game.equilibria_are, degeneracy(game))
    cost = Fact("Price of anarchy", ABSENT, game.why.get("price_of_anarchy", "not defined here"))
    if game.price_of_anarchy is not None:
        cost = Fact("Price of anarchy", f"{game.price_of_anarchy:.4g}",
                    f"best sum of payoffs ({game.optimum:.4g}) over that of the worst equilibrium",
                    f"{game.price_of_stability:.4g} times that of the best.")  # fmt: skip
    return count, cost, _third(game)


def _third(game: GameResult) -> Fact:
    name, arm = next(iter(game.learned.arms.items()), ("", None)) if game.learned else ("", None)
    if game.learned and arm is not None and arm.equilibria:
        key, share = max(arm.equilibria.items(), key=lambda one: one[1])
        where = "reach no equilibrium" if key == "none" else f"reach equilibrium {key}"
        return Fact("Learners", f"{share:.0%}", f"of {counted(game.learned.seeds, 'team')} {where}",
                    f"Under {name}.")  # fmt: skip
    if game.sustained is None:
        return Fact("Patience", ABSENT, game.why.get("sustained", "nothing to sustain"))
    names = ", ".join(a[i] for a, i in zip(game.actions, game.sustained.profile, strict=True))
    delta = game.sustained.discount
    below = f"discount factor from which repetition sustains ({names})"
    if delta is None:
        return Fact("Patience", "none", f"is enough to sustain ({names}) by reversion")
    return Fact("Patience", f"{delta:.4g}", below, "It pays most in all.")


def reasons(game: GameResult) -> list[str]:
    """Returns a line for each quantity that is not known, with the reason."""
    return [f"{name.replace('_', ' ')}: {reason}" for name, reason in game.why.items()]


def degeneracy(game: GameResult) -> str:
    """Returns whether the game is degenerate, and what follows, in a sentence."""
    if game.degenerate is None:
        return "Whether the game is degenerate was not checked."
    if not game.degenerate:
        return "The game is not degenerate."
    return f"The game is degenerate{': there are more between them' if _more(game) else ''}."


def _more(game: GameResult) -> bool:
    """Returns whether there are equilibria between those that are listed: of two players, exactly
    if two of these share a strategy."""
    sides = zip(*(one.exact for one in game.equilibria), strict=True)
    shared = any(len({tuple(own) for own in side}) < len(game.equilibria) for side in sides)
    return bool(game.degenerate) and len(game.players) == 2 and shared


def sentences(game: GameResult) -> list[str]:
    """Returns what is known of a game, in words."""
    count = len(game.equilibria)
    pure = sum(all(max(s) == 1 for s in one.strategies) for one in game.equilibria)
    more = ", and more between them" if _more(game) else ""
    lines = [_count(game, count, pure, more), degeneracy(game)]
    if game.minmax:
        pairs = zip(game.players, game.minmax, strict=True)
        held = ", ".join(f"{name} to {value:.4g}" for name, value in pairs)
        lines.append(f"The other players can hold {held}.")
    if game.sustained:
        profile = zip(game.actions, game.sustained.profile, strict=True)
        names = ", ".join(actions[action] for actions, action in profile)
        delta = game.sustained.discount
        if delta is None:
            how = "Repetition cannot sustain it by reversion to an equilibrium."
        elif delta == 0:
            how = "It is an equilibrium of one round."
        else:
            how = f"Repetition sustains it from a discount factor of {delta:.4g} on."
        lines.append(f"({names}) pays most in all. {how}")
    if game.price_of_anarchy is not None:
        lines.append(
            f"The best sum is {game.optimum:.4g}: {game.price_of_anarchy:.4g} times "
            f"that of the worst equilibrium, {game.price_of_stability:.4g} times that of "
            "the best."
        )
    return lines


def _count(game: GameResult, count: int, pure: int, more: str) -> str:
    """Returns how many equilibria there are, or which one if there is one."""
    kind = {"all extreme ones": "", "all pure ones": "pure "}.get(game.equilibria_are)
    if count == 0:
        return f"No {kind or ''}equilibrium is known; listed are {game.equilibria_are}."
    if count == 1:
        pairs = zip(game.actions, game.equilibria[0].exact, strict=True)
        which = f"({', '.join(mix(*pair) for pair in pairs)})"
        start = "One equilibrium was found" if kind is None else f"The only {kind}equilibrium is"
        sentence = f"{start}{':' if kind is None else ''} {which}{more}."
        if len(sentence.split()) <= MOST_WORDS:
            return sentence
        which = "one equilibrium that was found" if kind is None else f"only {kind}equilibrium"
        return f"The {which} is in the table{more}."
    share = "" if kind == "pure " else f", {pure} of them pure"
    return f"{count} {kind or ''}equilibria{' were found' if kind is None else ''}{share}{more}."


def _first_arm(learned: Learned) -> str:
    """Returns where the learners of the first arm end, in a sentence."""
    name, arm = next(iter(learned.arms.items()), ("", None))
    if arm is None:
        return ""
    where = ", ".join(
        f"{share:.0%} at {'none of them' if key == 'none' else f'equilibrium {key}'}"
        for key, share in sorted(arm.equilibria.items(), key=lambda one: -one[1])[:3]
    )
    return f"Of {learned.seeds} teams under {name}, {where}."


def _drawing(game: GameResult) -> Markup | None:
    """Returns the picture of two players' payoffs: profiles, feasible and rational payoffs,
    equilibria."""
    if game.payoffs is None or len(game.players) != 2:
        return None
    points = [(float(p[0]), float(p[1])) for row in game.payoffs for p in row]
    rational = [(float(a), float(b)) for a, b in game.feasible_rational or ()]
    x = across(min(p[0] for p in points), max(p[0] for p in points), EDGE, WIDTH - 12)
    y = across(min(p[1] for p in points), max(p[1] for p in points), HEIGHT - EDGE, TOP)
    parts: list[Markup] = []
    for scale, upright in ((x, True), (y, False)):
        ticks = scale.ticks(5)
        for value in ticks:
            at = scale(value)
            ends = (((at, TOP), (at, HEIGHT - EDGE)) if upright
                    else ((EDGE, at), (WIDTH - 12, at)))  # fmt: skip
            parts.append(line(*ends, "grid"))
            place = (at, HEIGHT - EDGE + 14) if upright else (EDGE - 6, at + 4)
            anchor = "middle" if upright else "end"
            parts.append(label(tick_text(value, ticks), *place, "tick", anchor))
    first, second = game.players
    parts += [label(first, WIDTH - 12, HEIGHT - 6, "axis", "end"), label(second, 2, 12, "axis")]
    if len(rational) > 1:
        shown = [(x(a), y(b)) for a, b in [*rational, rational[0]]]
        parts.append(element("path", d=area(shown, shown[:1] * len(shown)), class_="band s2"))
        parts += [line(a, b, "rule") for a, b in pairwise(shown)]
    parts += [element("circle", cx=x(a), cy=y(b), r=4.0, class_="dot s6") for a, b in points]
    parts += [
        element("circle", element("title", f"equilibrium {i}"), cx=x(one.payoffs[0]),
                cy=y(one.payoffs[1]), r=6.5, class_="s0", fill="none", stroke="var(--c)",
                stroke_width=2)
        for i, one in enumerate(game.equilibria[:200])
    ]  # fmt: skip
    summary = "Payoffs of profiles, the feasible and rational ones shaded, equilibria ringed."
    return picture("payoffs", (WIDTH, HEIGHT), "Payoffs", summary, *parts)


def _basins(basins: Basins) -> Markup:
    """Returns a square for each start: row player's probability of the first action upwards."""
    starts, ends = basins.starts, basins.ends
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


def equilibrium_table(game: GameResult) -> Table | None:
    """Returns a row for each of the first equilibria; None if no equilibrium is known."""
    if not game.equilibria:
        return None
    rows = []
    for i, one in enumerate(game.equilibria[:200]):
        strategies = zip(game.actions, one.exact, strict=True)
        paid = ", ".join(map(_paid, one.payoffs, one.exact_payoffs or [""] * len(one.payoffs)))
        mixes = (Cell(mix(names, strategy)) for names, strategy in strategies)
        rows.append(TableRow((Cell(str(i), (i,)), *mixes, Cell(paid, tuple(one.payoffs)))))
    columns = (
        Column("Number"),
        *(Column(name, (name,), numeric=False) for name in game.players),
        Column("Payoffs", tuple(f"payoff of {name}" for name in game.players)),
    )
    precision = "exact"
    if not all(one.is_exact for one in game.equilibria):
        precision = "those in fractions exact, those in decimals found to nine digits"
    caption = f"Equilibria, {game.equilibria_are}; {precision}."
    return Table("equilibria", caption, columns, rows)


def _paid(value: float, exact: str) -> str:
    """Returns a payoff as four digits, and as a fraction before them if that says more."""
    short = f"{value:.4g}"
    return short if len(exact) > MOST_EXACT or exact in ("", short) else f"{exact} = {short}"


def mix(names: Sequence[str], strategy: Sequence[str]) -> str:
    """Returns a strategy in words: `3/4 stag, 1/4 hare`."""
    played = [(p, name) for p, name in zip(strategy, names, strict=True) if p != "0"]
    if len(played) == 1:
        return played[0][1]
    if any(", " in name for _, name in played):
        return " + ".join(f"{p} [{name}]" for p, name in played)
    return ", ".join(f"{p} {name}" for p, name in played)


def learned_table(learned: Learned) -> Table:
    """Returns a row for each arm of learners: its payoffs, and the equilibria that it reaches."""
    columns = (
        *text_columns("Learners"),
        Column("Payoff", ("payoff", "low", "high")),
        Column("Where they end", ("equilibria",), numeric=False),
        Column("Entropy, bits", ("entropy",)),
        Column("Selection efficiency", ("efficiency",), missing="all equilibria pay the same"),
        Column("Cross-play", ("cross_play",), missing="of two players"),
        Column("Deviation gains", ("gain",)),
    )
    rows = []
    for name, arm in learned.arms.items():
        efficiency, cross, paid = arm.selection_efficiency, arm.cross_play, arm.payoff
        rows.append(
            TableRow((
                Cell(name),
                range_cell(paid.value, paid.low, paid.high, ".4g"),
                Cell(", ".join(f"{key}: {share:.0%}" for key, share in arm.equilibria.items())),
                Cell(f"{arm.entropy_bits:.2f}", (arm.entropy_bits,)),
                Cell("–" if efficiency is None else f"{efficiency:.3f}", (efficiency,)),
                Cell("–" if cross is None else f"{cross:.4g}", (cross,)),
                Cell(f"{arm.deviation_gain.value:.3g}", (arm.deviation_gain.value,)),
            ))
        )  # fmt: skip
    caption = f"{learned.seeds} teams each; numbers are those of the equilibria above."
    return Table("learned", caption, columns, rows)


def repeated_table(learned: Learned) -> Table:
    """Returns a row for each kind of start: where pairs with a memory of one round end."""
    columns = (
        *text_columns("Start"),
        Column("First action", ("first", "first_low", "first_high")),
        Column("Second action", ("second", "second_low", "second_high")),
        Column("Punish", ("punish", "punish_low", "punish_high")),
        Column("Payoff"),
    )
    rows = []
    for start, arm in (learned.repeated or {}).items():
        shares = (arm.first_action, arm.second_action, arm.punishes)
        cells = (range_cell(e.value, e.low, e.high, ".1%") for e in shares)
        payoff = Cell(f"{arm.payoff.value:.4g}", (arm.payoff.value,))
        rows.append(TableRow((Cell(start), *cells, payoff)))
    caption = "Repeated, memory of one round: shares of pairs that end there, by how they began."
    return Table("repeated", caption, columns, rows)


DEFINITIONS = (
    Definition("equilibrium", "Equilibrium",
        "In games of two players all extreme equilibria are computed, in fractions."),
    Definition("rational", "Feasible and rational",
        "Averages of the payoffs of profiles that give each player at least its minmax value: "
        "the payoffs that repetition can sustain among patient players."),
    Definition("minmax", "Minmax value",
        ""),
    Definition("correlated", "Correlated, coarse",
        "Best and worst sum of payoffs if a device recommends an action to each player and no "
        "player gains by disobeying (correlated), or by never listening (coarse)."),
    Definition("entropy", "Entropy",
        "The entropy, in bits, of the equilibrium that a team reaches: 0 means always the same "
        "one."),
    Definition("gains", "Deviation gains",
        "The most that one player of a team could still gain by another strategy."),
    Definition("efficiency", "Selection efficiency",
        "(mean payoff - worst equilibrium) / (best payoff - worst equilibrium)."),
    Definition("cross", "Cross-play",
        "The number is their mean payoff."),
    Definition("punish", "Punish",
        "Both players play the first action, and answer a single deviation of the other player "
        "in a way that makes it a loss."),
)  # fmt: skip
