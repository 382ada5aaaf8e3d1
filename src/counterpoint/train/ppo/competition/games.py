"""Games between a trained team, its past selves and random actions, and what they show.

Start with `Rater`. Every pair of players begins with the same start on each side, so that no side
and no start favours anybody. Axis letters: S sides, E pairs of players and starts, A agents.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats, Ints
from counterpoint.judge.aggregate import Z95, bradley_terry_of
from counterpoint.results.competition import Competition, Rate, Rating, Record, SeatRecord
from counterpoint.stats.rates import wilson_interval
from counterpoint.train.ppo.competition.collector import SeatedCollector
from counterpoint.train.ppo.competition.players import NOBODY, Players
from counterpoint.train.ppo.competition.pool import Pool
from counterpoint.train.ppo.networks import TeamNetworks
from counterpoint.train.ppo.rollout import Batch
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.sides import Sides
from counterpoint.worlds.sequential.world import StepWorld

LONGEST_GAME = 2_000
"""Steps after which a game that has not ended is left out."""
GAME_STEPS = 4
"""Steps after which it is looked whether all games have ended; what is played later is lost."""
OTHERS = 10
"""The trained team plays one start against most past selves for each so many against the first, and
so do selves against the next ones."""
ELO = 400 / np.log(10)
"""Elo points in a nat of log-strength."""
RANDOM, FIRST, PAST, TRAINED = "random actions", "first self", "past self", "trained team"


class Entrant(NamedTuple):
    """A player of the games."""

    name: str
    player: int | None
    """Its number among the players; None acts at random."""
    greedy: bool = False
    update: int | None = None
    """The number of updates that a past self had made."""


class Pairing(NamedTuple):
    """So many starts of one entrant, `first`, against another."""

    first: int
    second: int
    starts: int


class GameCollector(SeatedCollector):
    """Plays games in which each seat belongs to one of several entrants.

    Args:
        world, settings, seed: as for `RolloutCollector`.
        players: the networks of the entrants.
        entrants: the entrants.
        who: [A, E] the number of the entrant in each seat.
    """

    def __init__(
        self,
        world: StepWorld,
        settings: PolicySettings,
        seed: int,
        players: Players,
        entrants: Sequence[Entrant],
        who: Ints,
    ) -> None:
        numbers = [NOBODY if one.player is None else one.player for one in entrants]
        self.players, self.number = players, np.array(numbers)[who]
        self.is_greedy = np.array([one.greedy for one in entrants])[who]
        super().__init__(world, settings, seed)

    def _act(self, team: TeamNetworks, batch: Batch, i: int) -> NDArray[Any]:
        before = self.hidden.copy()
        self._draw(batch)
        batch.action[:, i] = self._by_chance(batch.action[:, i].shape)
        for greedy in (False, True):
            who = np.where(self.is_greedy == greedy, self.number, NOBODY)
            self.seat(self.players, who, batch, i, before, greedy=greedy)
        return self.as_world_takes(batch, i)


def play_games(
    make: Callable[[int, int], StepWorld],
    pool: Pool,
    settings: PolicySettings,
    sides: Sides,
    entrants: Sequence[Entrant],
    pairings: Sequence[Pairing],
    seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> Floats | None:
    """Returns the return of each agent in each game, [S, E, A]: in row s the first of the pair
    plays side s, and the second all others. The result is None if it should stop before.

    Args:
        make: makes copies of the world, always with the same starts for a wave of games.
        pool: whose players the entrants are.
        settings: how the networks remember.
        sides: who plays against whom.
        entrants: the players.
        pairings: who plays whom; E is the sum of their starts.
        seed: of the actions.
        should_stop: asked after each part.

    A game that does not end has NaN.
    """
    first = np.repeat([p.first for p in pairings], [p.starts for p in pairings])
    second = np.repeat([p.second for p in pairings], [p.starts for p in pairings])
    returns = np.full((sides.count, len(first), len(sides.of)), np.nan)
    waves = range(0, len(first), settings.copies)  # as much in memory at once as in training
    for (wave, start), side in itertools.product(enumerate(waves), range(sides.count)):
        here = slice(start, start + settings.copies)
        ended = returns[side, here]  # a view
        world = make(wave, len(ended))
        who = np.where(sides.of[:, None] == side, first[here], second[here])
        chance = seed + side + wave * sides.count
        collector = GameCollector(world, settings, chance, pool.players, entrants, who)
        played, longest = 0, min(world.horizon or LONGEST_GAME, LONGEST_GAME)
        while np.isnan(ended).any() and played < longest and not should_stop():
            steps = min(GAME_STEPS, longest - played)
            batch = collector.play(pool.team, steps)
            played += steps
            for copy, by_agent in zip(batch.finished, batch.by_agent, strict=True):
                if np.isnan(ended[copy, 0]):  # the first episode of each copy alone
                    ended[copy] = by_agent
        world.close()
        if should_stop():
            return None
    return returns


class Results(NamedTuple):
    """Results of games: 1 for a win of the first of the pair, 0.5 for a draw, 0, or NaN."""

    games: Floats
    """[S, E] of each game."""
    scored: Floats
    """[R] of what is scored: the games, or the E matches."""


def results_of(returns: Floats, sides: Sides, scoring: str) -> Results:
    """Returns who won.

    Args:
        returns: [S, E, A] as `play_games` returns them.
        sides: who plays against whom.
        scoring: `game` or `match`.
    """
    own, rest = split_returns(returns, sides)
    games = _points(own, rest.max(axis=-1))
    if scoring == "game":
        return Results(games, games.ravel())
    return Results(games, _points(own.sum(axis=0), rest.mean(axis=-1).sum(axis=0)))


def split_returns(returns: Floats, sides: Sides) -> tuple[Floats, Floats]:
    """Returns the return [S, E] of the first of the pair on each side, and those of the other sides
    in the same game [S, E, S - 1]."""
    by_side, s = sides.returns(returns), np.arange(sides.count)
    others = [[other for other in s if other != side] for side in s]
    rest = [by_side[side][:, others[side]] for side in s]
    return by_side[s, :, s], np.stack(rest)


def _points(own: Floats, other: Floats) -> Floats:
    points = np.where(own > other, 1.0, np.where(own < other, 0.0, 0.5))
    return np.where(np.isnan(own) | np.isnan(other), np.nan, points)


def record_of(
    returns: Floats, sides: Sides, scoring: str, opponent: Entrant, *, greedy: bool
) -> Record:
    """Returns the record of the trained team in games against one opponent."""
    results = results_of(returns, sides, scoring)
    known = results.scored[~np.isnan(results.scored)]
    wins, draws, losses = (int((known == value).sum()) for value in (1.0, 0.5, 0.0))
    own, rest = split_returns(returns, sides)
    seats = []
    for side, name in enumerate(sides.names):
        games = results.games[side]
        ended = ~np.isnan(games)
        if ended.any():
            won, drawn, lost = (int((games == value).sum()) for value in (1.0, 0.5, 0.0))
            seats.append(SeatRecord(
                side=name, wins=won, draws=drawn, losses=lost,
                own=float(own[side][ended].mean()), other=float(rest[side][ended].mean()),
            ))  # fmt: skip
    return Record(
        opponent=opponent.name,
        update=opponent.update,
        actions="greedy" if greedy else "sampled",
        wins=wins,
        draws=draws,
        losses=losses,
        unended=int(np.isnan(results.scored).sum()),
        won=_rate(wins, len(known)),
        points=_rate(wins + draws / 2, len(known)),
        seats=seats,
    )


def _rate(successes: float, n: int) -> Rate | None:
    if not n:
        return None
    rate = wilson_interval(successes, n)
    return Rate(value=rate.value, low=rate.low, high=rate.high)


def ratings_of(wins: Floats, entrants: Sequence[Entrant]) -> list[Rating]:
    """Returns the Elo ratings of entrants that played each other; the first has 0.

    Args:
        wins: [N, N] points of each (row) against each (column).
        entrants: [N] the players.
    """
    strengths = bradley_terry_of(wins)
    value, covariance = strengths.value, strengths.covariance
    variance = np.diag(covariance) + covariance[0, 0] - 2 * covariance[0]
    half = Z95 * np.sqrt(np.maximum(variance, 0.0))
    return [
        Rating(
            player=entrant.name,
            update=entrant.update,
            elo=float(ELO * (value[k] - value[0])),
            low=float(ELO * (value[k] - value[0] - half[k])),
            high=float(ELO * (value[k] - value[0] + half[k])),
        )
        for k, entrant in enumerate(entrants)
    ]


class Rated(NamedTuple):
    """The outcome of the games of a trained team."""

    points: Floats
    """[n] points against random actions for each start, all sides together."""
    by_agent: Floats
    """[n, A] the return of each agent on the side of the trained team."""
    competition: Competition


def rate_team(
    make: Callable[[int, int], StepWorld],
    pool: Pool,
    settings: PolicySettings,
    sides: Sides,
    agents: tuple[str, ...],
    starts: int,
    seed: int,
    should_stop: Callable[[], bool],
) -> Rated | None:
    """Plays a trained team against random actions, its first self and the other past selves; None
    if it should stop before.

    Args:
        make, settings, sides, seed, should_stop: as for `play_games`.
        pool: the trained team and its past selves.
        agents: [A] names.
        starts: starts of the games against random actions and the first self.
    """
    entrants = [Entrant(RANDOM, None)]
    entrants += [
        Entrant(PAST if k else FIRST, k, update=update) for k, update in enumerate(pool.entered)
    ]
    sampled, greedy, few = len(entrants), len(entrants) + 1, max(1, starts // OTHERS)
    trained = pool.with_team()
    entrants += [Entrant(TRAINED, trained), Entrant(TRAINED, trained, greedy=True)]
    pairings = [
        Pairing(one, other, starts if other < 2 else few)
        for other in range(sampled)
        for one in ((sampled, greedy) if other < 2 else (sampled,))
    ]
    pairings += [Pairing(k + 1, k, few) for k in range(len(pool.entered))]
    returns = play_games(make, pool, settings, sides, entrants, pairings, seed, should_stop)
    if returns is None:
        return None
    wins, records, start = np.zeros((greedy, greedy)), list[Record](), 0
    for one, other, count in pairings:
        part = returns[:, start : start + count]
        start += count
        if one >= sampled:
            records.append(
                record_of(part, sides, settings.scoring, entrants[other], greedy=one == greedy)
            )
        if one < greedy:
            scored = results_of(part, sides, settings.scoring).scored
            known = scored[~np.isnan(scored)]
            wins[one, other] += known.sum()
            wins[other, one] += (1 - known).sum()
    against_random = returns[:, : pairings[0].starts]
    by_agent = against_random[sides.of, :, np.arange(len(sides.of))].T
    scored = results_of(against_random, sides, settings.scoring).scored
    points = scored.reshape(-1, pairings[0].starts).mean(axis=0)
    known = ~np.isnan(points)
    competition = Competition(
        sides=sides.by_name(agents),
        scoring=settings.scoring,
        records=records,
        ratings=ratings_of(wins, entrants[:greedy]),
    )
    return Rated(points[known], by_agent[known], competition)
