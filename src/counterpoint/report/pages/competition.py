"""The part of a training's page about a game of sides: its verdict, records and ratings."""

from __future__ import annotations

from counterpoint.report.toolkit.charts import curves_figure, last
from counterpoint.report.toolkit.frame import Fact
from counterpoint.report.toolkit.numerals import ABSENT, fixed, interval, percent, significant
from counterpoint.report.toolkit.tables import (
    Cell,
    Column,
    Figure,
    Table,
    TableRow,
    text_columns,
)
from counterpoint.results.competition import SIDE_RETURN, Competition, Rate, Record
from counterpoint.results.training import TrainingResult

EVEN = 0.5
"""Points of a player that is as good as its opponent."""
UNKNOWN = "no game ended"
MAIN = ("random actions", "first self")
"""The opponents of whom the verdict speaks."""


def competition_verdict(competition: Competition) -> tuple[str, str]:
    """Returns whether the trained team beats random actions, and whether its first self too: a
    short sentence, and more with the points of sampled actions on which it rests."""
    records = main_records(competition)
    if not records:
        return "No games have rated the team yet.", ""
    ahead = [r.won is not None and r.points is not None and r.points.low > EVEN for r in records]
    wins = [f"{percent(r.won.value)}" if r.won is not None else "" for r in records]
    what = unit(competition)
    if len(records) > 1 and all(ahead):
        first = f"The team wins {wins[0]} of {what} against random actions"
        return f"{first}, {wins[1]} against its first self.", _points(records)
    sentences = [
        f"The team wins {won} of {what} against {_owned(record.opponent)}."
        if better
        else f"The team is worse than {_owned(record.opponent)}."
        if record.points is not None and record.points.high < EVEN
        else f"The {what} cannot tell whether the team beats {_owned(record.opponent)}."
        for record, won, better in zip(records, wins, ahead, strict=True)
    ]
    return sentences[0], " ".join((*sentences[1:], _points(records))).strip()


def _points(records: list[Record]) -> str:
    """Returns the sentence with the points of sampled actions; empty where no game ended."""
    known = [
        f"{fixed(p.value, 3)} {interval(p.low, p.high, 3)} against {_owned(record.opponent)}"
        for record in records
        if (p := record.points) is not None
    ]
    what = f"The verdict is about sampled actions, whose points are {' and '.join(known)}"
    return f"{what}; even is {EVEN}." if known else ""


def main_records(competition: Competition) -> list[Record]:
    """Returns the records of sampled actions against the opponents of whom the verdict speaks."""
    return [r for r in competition.records if r.opponent in MAIN and r.actions == "sampled"]


def unit(competition: Competition) -> str:
    """Returns the name of what is won, in the plural."""
    return "games" if competition.scoring == "game" else "matches"


def _owned(opponent: str) -> str:
    return f"its {opponent}" if opponent == "first self" else opponent


def competition_facts(competition: Competition) -> tuple[Fact, ...]:
    """Returns the share of games won against each main opponent, with its interval."""
    return tuple(
        Fact(
            f"Won against {_owned(record.opponent)}",
            ABSENT if record.won is None else percent(record.won.value),
            _interval(record.won),
            f"{record.wins} wins, {record.draws} draws, {record.losses} losses",
        )
        for record in main_records(competition)
    )


def _interval(rate: Rate | None) -> str:
    return UNKNOWN if rate is None else f"{percent(rate.low)} to {percent(rate.high)}"


def record_table(competition: Competition) -> Table | None:
    """Returns a row for each opponent and kind of actions; None as long as there are no games."""
    if not competition.records:
        return None
    sides = list(competition.sides)
    matches = competition.scoring == "match"
    columns = (
        *text_columns("Opponent"),
        Column("Updates of it", ("opponent_updates",), missing="random actions have none"),
        *text_columns("Actions"),
        Column("Won", ("won", "won_low", "won_high"), define="won", missing=UNKNOWN),
        Column("Points", ("points", "points_low", "points_high"), define="points", missing=UNKNOWN),
        Column("Wins"),
        Column("Draws"),
        Column("Losses"),
        *(
            Column(f"As {side}", (f"{side}_wins", f"{side}_draws", f"{side}_losses"),
                   define="seat", missing=UNKNOWN)
            for side in sides
        ),
    )  # fmt: skip
    rows = []
    for record in competition.records:
        seats = {seat.side: seat for seat in record.seats}
        rows.append(TableRow((
            Cell(record.opponent),
            Cell(ABSENT if record.update is None else f"{record.update:,}", (record.update,)),
            Cell(record.actions),
            _rate_cell(record.won),
            _rate_cell(record.points),
            *(Cell(f"{n:,}", (n,)) for n in (record.wins, record.draws, record.losses)),
            *(
                Cell(f"{seat.wins}–{seat.draws}–{seat.losses}",
                     (seat.wins, seat.draws, seat.losses),
                     below=f"{significant(seat.own)} to {significant(seat.other)}")
                if (seat := seats.get(side)) else Cell(ABSENT, (None, None, None))
                for side in sides
            ),
        )))  # fmt: skip
    what = (
        "A match is a game on each side from the same start; the larger sum of returns wins."
        if matches
        else "As many games on each side, from the same starts."
    )
    left = sum(record.unended for record in competition.records)
    ended = f" {left} did not end and are left out." if left else ""
    return Table("games", f"{what} Intervals are 95%.{ended}", columns, rows)


def _rate_cell(rate: Rate | None) -> Cell:
    if rate is None:
        return Cell(ABSENT, (None, None, None))
    exact = (rate.value, rate.low, rate.high)
    return Cell(percent(rate.value), exact, below=_interval(rate))


def rating_table(competition: Competition) -> Table | None:
    """Returns the Elo rating of every player, the best first; None as long as there is none."""
    if not competition.ratings:
        return None
    columns = (
        *text_columns("Player"),
        Column("Updates", missing="random actions have none"),
        Column("Elo", ("elo", "elo_low", "elo_high"), define="elo"),
    )
    rows = [
        TableRow((
            Cell(one.player),
            Cell(ABSENT if one.update is None else f"{one.update:,}", (one.update,)),
            Cell(fixed(one.elo, 0, signed=True), (one.elo, one.low, one.high),
                 below=f"{fixed(one.low, 0, signed=True)} to {fixed(one.high, 0, signed=True)}"),
        ))
        for one in sorted(competition.ratings, key=lambda one: -one.elo)
    ]  # fmt: skip
    caption = "Elo of all players by their games, with 95% intervals; random actions have 0."
    return Table("elo", caption, columns, rows)


def side_figure(run: TrainingResult) -> Figure | None:
    """Returns the picture of the mean return of each side; None as long as no episode ended."""
    curves = {
        name.removeprefix(SIDE_RETURN): values
        for name, values in run.curve.items()
        if name.startswith(SIDE_RETURN)
    }
    if not curves:
        return None
    steps = run.curve["step"]
    ends = ", ".join(f"{side} at {significant(last(v))}" for side, v in curves.items())
    return curves_figure(
        "sides",
        title="Return of each side over steps",
        description=f"They end with {ends}.",
        y_title="return of the side (unit of the world)",
        caption="Mean return of the episodes of each batch in which the present policies played "
        "the side, against themselves or a past self.",
        steps=steps,
        curves=curves,
    )
