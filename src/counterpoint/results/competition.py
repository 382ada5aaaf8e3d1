"""`Competition`: how good a team is at a game of sides, by games against others."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from counterpoint.results.parts import Part, expect

SIDE_RETURN = "return."
"""The beginning of the names of the curves of sides' returns."""


class Rate(Part, frozen=True, kw_only=True):
    """A share with its 95% interval (Wilson)."""

    value: float
    low: float
    high: float


class SeatRecord(Part, frozen=True, kw_only=True):
    """The games of a team on one side."""

    side: str
    wins: int
    draws: int
    losses: int
    own: float
    """Its mean return."""
    other: float
    """Mean return of the other sides."""


class Record(Part, frozen=True, kw_only=True):
    """The games of a trained team against one opponent."""

    opponent: str
    """`random actions`, `first self` or `past self`."""
    update: int | None = None
    """The number of updates that a past self had made."""
    actions: Literal["sampled", "greedy"]
    """The actions of the trained team; a past self draws its own."""
    wins: int
    """Games, or matches of one game on each side: see `Competition.scoring`."""
    draws: int
    losses: int
    unended: int = 0
    """Games, or matches, that are left out since they did not end."""
    won: Rate | None
    """Share of wins; None where nothing ended."""
    points: Rate | None
    """Share of wins and half the draws."""
    seats: list[SeatRecord] = field(default_factory=list)
    """[S] the games of each side, each counted on its own."""


class Rating(Part, frozen=True, kw_only=True):
    """The Elo rating of one player; random actions have 0."""

    player: str
    """`random actions`, `past self` or `trained team`."""
    update: int | None = None
    elo: float
    low: float
    """Lower end of the 95% interval of the difference to random actions."""
    high: float


class Competition(Part, frozen=True, kw_only=True):
    """Games of a trained team on each of its sides."""

    sides: dict[str, list[str]]
    """Name of a side to its agents."""
    scoring: Literal["game", "match"]
    """`game`: the side with the highest return wins an episode. `match`: an episode on each side
    from the same start; the player with the larger sum of returns wins."""
    records: list[Record] = field(default_factory=list)
    """Empty until the training has ended."""
    ratings: list[Rating] = field(default_factory=list)

    def __post_init__(self) -> None:
        expect(len(self.sides) > 1, "sides", "at least two sides")
        for i, record in enumerate(self.records):
            seats = {seat.side for seat in record.seats}
            expect(seats <= set(self.sides), f"records[{i}].seats", "names out of `sides`")
