"""`GameResult`: the equilibria of a game, the profiles that repetition sustains, and the ends of
learners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import field

from counterpoint.results.parts import Part, Result, Settings, expect
from counterpoint.stats.estimate import Estimate


class EquilibriumPart(Part, frozen=True, kw_only=True):
    """One equilibrium: a strategy for each player."""

    strategies: list[list[float]]
    """`[players][actions]` probabilities."""
    exact: list[list[str]]
    """`[players][actions]` the same as text: fractions where they are known exactly."""
    payoffs: list[float]
    """[players]"""
    exact_payoffs: list[str] = field(default_factory=list)
    """[players] the same as fractions; empty where they are not known exactly."""
    is_exact: bool = True


class Sustained(Part, frozen=True, kw_only=True):
    """A profile of actions that repetition can sustain, and how patient players have to be."""

    profile: tuple[int, ...]
    """[players] numbers of actions."""
    payoffs: tuple[float, ...] = ()
    """[players] payoffs of the profile in each round."""
    discount: float | None
    """The least discount factor at which grim reversion to the worst equilibrium of the stage game
    sustains it; None if no patience is enough."""
    player: int | None = None
    """Number of the player who gains most by deviating."""


class LearnedArm(Part, frozen=True, kw_only=True):
    """Where teams end that learn under one scheme, with or without a remedy."""

    scheme: str = ""
    remedy: str = ""
    payoff: Estimate
    """Mean payoff of a player."""
    by_player: list[Estimate] = field(default_factory=list)
    equilibria: dict[str, float]
    """Number of an equilibrium, `none`, or several numbers joined by `+`, to the share of teams."""
    entropy_bits: float
    selection_efficiency: float | None
    self_play: float | None = None
    cross_play: float | None
    deviation_gain: Estimate


class RepeatedArm(Part, frozen=True, kw_only=True):
    """Where pairs with a memory of one round end, from one kind of start."""

    discount: float | None = None
    first_action: Estimate
    second_action: Estimate
    punishes: Estimate
    payoff: Estimate


class Basins(Part, frozen=True, kw_only=True):
    """The equilibrium that two learners reach from each start, with exact gradients."""

    starts: list[float]
    """[n] probabilities of the first action."""
    ends: list[list[int]]
    """`[n][n]` number of the equilibrium; -1 where none is reached."""
    shares: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = {len(self.ends)} | {len(row) for row in self.ends}
        expect(sizes == {len(self.starts)} and sizes != {0}, "ends", "a square, one row a start")


class Learned(Part, frozen=True, kw_only=True):
    """Where learners end."""

    seeds: int
    arms: dict[str, LearnedArm]
    repeated: dict[str, RepeatedArm] | None
    basins: Basins | None = None


class GameResult(Result, frozen=True, kw_only=True, tag="counterpoint.game/1"):
    """The analysis of one game. A quantity that takes too long is None, and `why` has the
    reason."""

    name: str
    source: str
    players: list[str]
    actions: list[list[str]]
    """`[players][actions]`"""
    payoffs: list[Any] | None = None
    """`[actions of player 1][...][players]`."""
    exact_payoffs: list[Any] | None = None
    """The same as text, if floating point cannot hold them as they were written."""
    minmax: list[float] | None = None
    """[players]"""
    equilibria: list[EquilibriumPart]
    equilibria_are: str
    """Which equilibria are listed."""
    degenerate: bool | None
    """Whether some mix has more best responses than actions that it plays; None if that was not
    checked."""
    critical_discount: float | None = None
    sustained: Sustained | None = None
    feasible_rational: list[tuple[float, float]] | None = None
    """Corners of the feasible and individually rational payoffs of two players."""
    price_of_anarchy: float | None = None
    price_of_stability: float | None = None
    optimum: float | None = None
    sums: dict[str, float | None] = field(default_factory=dict)
    """Best and worst sums of payoffs in correlated and coarse correlated equilibria."""
    why: dict[str, str] = field(default_factory=dict)
    learned: Learned | None = None
    config: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        players, sizes = len(self.players), [len(names) for names in self.actions]
        expect(players > 0, "players", "at least one player")
        expect(len(sizes) == players and all(sizes), "actions", "a list for each player")
        expect(self.minmax is None or len(self.minmax) == players, "minmax", "one a player")
        for i, one in enumerate(self.equilibria):
            path = f"equilibria[{i}]"
            played = [[p for p in strategy if p != "0"] for strategy in one.exact]
            expect([len(s) for s in one.exact] == sizes, f"{path}.exact", "one p an action")
            expect(all(played), f"{path}.exact", "a p that is not 0")
            expect([len(s) for s in one.strategies] == sizes, f"{path}.strategies", "the same")
            expect(len(one.payoffs) == players, f"{path}.payoffs", "one a player")
            fits = len(one.exact_payoffs) in (0, players)
            expect(fits, f"{path}.exact_payoffs", "one a player, or none")
        if self.sustained is not None:
            profile = self.sustained.profile
            inside = len(profile) == players and all(
                0 <= action < size for action, size in zip(profile, sizes, strict=True)
            )
            expect(inside, "sustained.profile", "an action of each player")
        if self.price_of_anarchy is not None:
            known = self.optimum is not None and self.price_of_stability is not None
            expect(known, "optimum", "a number, as for price_of_stability")
        if self.payoffs is not None and players == 2:
            shaped = _is_table(self.payoffs, sizes)
            expect(shaped, "payoffs", f"{sizes[0]} x {sizes[1]} pairs of numbers")


def _is_table(payoffs: Sequence[Any], sizes: Sequence[int]) -> bool:
    """Returns whether the payoffs of two players hold a pair for each pair of actions."""
    try:
        table = msgspec.convert(payoffs, list[list[tuple[float, float]]])
    except msgspec.ValidationError:
        return False
    return [len(row) for row in table] == [sizes[1]] * sizes[0]
