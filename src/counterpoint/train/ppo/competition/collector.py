"""`CompetingCollector`: plays batches in some of whose copies a past self has the other side.

Only the decisions of the present policies are learned from: `Batch.seats` says which these are.
Axis letters as in `rollout.py`; S sides.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays
from counterpoint.results.competition import SIDE_RETURN
from counterpoint.train.ppo.competition.players import Players, Seated
from counterpoint.train.ppo.competition.pool import Pool
from counterpoint.train.ppo.networks import TeamNetworks
from counterpoint.train.ppo.rollout import (
    Batch,
    CollectorFacts,
    RolloutCollector,
    Seats,
    below,
)
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.sides import Sides
from counterpoint.worlds.sequential.world import Singles, StepWorld, uniform_actions

ITSELF = -1
"""The number of the opponent where the present policies play all sides."""


class SeatedCollector(RolloutCollector):
    """A collector in which other players than the team have some of the seats."""

    def seat(
        self, players: Players, who: Ints, batch: Batch, i: int, before: Singles, *, greedy: bool
    ) -> None:
        """Lets players act at step `i`.

        Args:
            players: who may play.
            who: [A, E] the number of the player in each seat; -1 where none of them sits.
            batch: gets the actions.
            i: the step.
            before: [A, E, H] memories before the step.
            greedy: whether they take their most probable actions.
        """
        there = who >= 0
        if not before.shape[-1]:  # who remembers sees every step
            there &= batch.active[:, i]
        device, keep = players.device, torch.from_numpy(~self.first).float()
        with torch.inference_mode():
            for k, group in enumerate(players.sets):
                members = np.array(group.members)
                agent, copies = np.nonzero(there[members])
                if not len(agent):
                    continue
                where = members[agent], copies
                legal = None if batch.legal is None else batch.legal[:, i][where]
                hidden = torch.from_numpy(before[where]).to(device) if before.shape[-1] else None
                rows = Seated(
                    number=who[where],
                    agent=agent,
                    seen=torch.from_numpy(batch.seen[:, i][where]).to(device),
                    legal=None if legal is None else torch.from_numpy(legal).to(device),
                    hidden=hidden,
                    keep=keep[copies].to(device),
                )
                outputs, remembered = players.respond(k, rows)
                if remembered is not None:
                    self.hidden[where] = remembered.cpu().numpy()
                self.take(batch, i, where, outputs, greedy=greedy)

    def _by_chance(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Returns random actions [A, E], or [A, E, U] before they are put within bounds."""
        numbers, kinds = len(shape) > 2, [can.continuous for can in self.world.actions]
        action = self.rng.uniform(-1.0, 1.0, shape) if numbers else np.zeros(shape)
        if self.chooses:
            choice = uniform_actions(self.world, self.view, self.rng).swapaxes(0, 1)
            action = np.where(np.array(kinds)[:, None, None], action, choice) if numbers else choice
        return action


class CompetingCollector(SeatedCollector):
    """Collects rollouts against past selves.

    The first `share` of the copies play against a self that is drawn anew for each episode, as soon
    as there is one. The side of the present policies alternates from episode to episode.

    Args:
        world, settings, seed, probs: as for `RolloutCollector`.
        sides: who plays against whom.
        team: the team that learns.
    """

    def __init__(
        self,
        world: StepWorld,
        settings: PolicySettings,
        seed: int,
        sides: Sides,
        team: TeamNetworks,
        *,
        probs: bool = False,
    ) -> None:
        self.sides, self.pool = sides, Pool(team, settings, seed)
        self.pooled = np.arange(world.copies) < math.ceil(settings.pool_share * world.copies)
        super().__init__(world, settings, seed, probs=probs)

    def begin(self, seed: int | None) -> None:
        super().begin(seed)
        self.opponent = np.full(self.world.copies, ITSELF)
        self.side = np.arange(self.world.copies) % self.sides.count

    def play(self, team: TeamNetworks, steps: int | None = None) -> Batch:
        t, (a, e) = steps or self.steps, self.by_agent.T.shape
        self.seats = Seats(
            opponent=np.empty((t, e), np.int64),
            side=np.empty((t, e), np.int64),
            learned=np.ones((a, t, e), dtype=bool),
        )
        batch = super().play(team, steps)
        batch.seats = self.seats
        own, others = self.outcomes(batch)
        against = self.seats.opponent[batch.ended]
        met = against != ITSELF
        if met.any():
            better, worse = own > others, own < others
            self.pool.observe(against[met], (0.5 + 0.5 * better - 0.5 * worse)[met])
        return batch

    def outcomes(self, batch: Batch) -> tuple[Floats, Floats]:
        """Returns the return [R] of the side of the present policies in each episode that ended,
        and what it is compared with.

        With `scoring=game` that is the best return of another side. Otherwise it is the mean return
        of the present policies on the same side in the whole batch: who does better against an
        opponent than against the others is ahead of it.
        """
        assert batch.seats is not None
        returns = self.sides.returns(batch.by_agent)
        side = batch.seats.side[batch.ended]
        rows = np.arange(len(side))
        own = returns[rows, side]
        if self.settings.scoring == "game":
            rest = returns.copy()
            rest[rows, side] = -np.inf
            return own, rest.max(axis=1, initial=-np.inf)
        played = episodes_by_side(batch, self.sides)
        level = (returns * played).sum(axis=0) / np.maximum(played.sum(axis=0), 1)
        return own, level[side]

    def after_update(self, updates: int) -> None:
        if self.pool.enter(updates):
            there = self.opponent != ITSELF
            self.opponent[there] //= 2

    def _act(self, team: TeamNetworks, batch: Batch, i: int) -> NDArray[Any]:
        self._sit_down()
        seats = self.seats
        seats.opponent[i], seats.side[i] = self.opponent, self.side
        before = self.hidden.copy()
        actions = super()._act(team, batch, i)
        theirs = (self.opponent != ITSELF) & (self.sides.of[:, None] != self.side)
        if not theirs.any():
            return actions
        seats.learned[:, i] = ~theirs
        who = np.where(theirs, self.opponent, ITSELF)
        self.seat(self.pool.players, who, batch, i, before, greedy=False)
        return self.as_world_takes(batch, i)

    def _sit_down(self) -> None:
        """Gives the seats of the episodes that begin."""
        begin = np.flatnonzero(self.first & self.pooled)
        if len(begin) and self.pool.entered:
            self.opponent[begin] = self.pool.draw(len(begin))
            self.side[begin] = (begin + self.episode[begin]) % self.sides.count

    def capture(self) -> tuple[NamedArrays, CollectorFacts]:
        captured, facts = super().capture()
        arrays, rng = self.pool.capture()
        mine = {"player.opponent": self.opponent.copy(), "player.side": self.side.copy()}
        pooled = {f"pool.{name}": array for name, array in arrays.items()}
        return {**captured, **mine, **pooled}, {**facts, "pool": rng}

    def restore(self, arrays: NamedArrays, facts: CollectorFacts) -> None:
        super().restore(arrays, facts)
        self.pool.restore(below("pool", arrays), facts["pool"])


def side_returns(batch: Batch, sides: Sides) -> dict[str, float]:
    """Returns the mean return of each side over the episodes that ended in a batch and in which the
    present policies played it, as `return.SIDE`, and `opponents`, the number of past selves that
    they met; what no episode shows is left out."""
    assert batch.seats is not None
    returns, opponent = sides.returns(batch.by_agent), batch.seats.opponent
    played = episodes_by_side(batch, sides)
    means = {
        f"{SIDE_RETURN}{name}": float(returns[played[:, s], s].mean())
        for s, name in enumerate(sides.names)
        if played[:, s].any()
    }
    return {**means, "opponents": float(len(np.unique(opponent[opponent != ITSELF])))}


def episodes_by_side(batch: Batch, sides: Sides) -> Bools:
    """Returns [R, S], in which of the episodes that ended the present policies played the side."""
    assert batch.seats is not None
    alone = batch.seats.opponent[batch.ended] == ITSELF
    side = batch.seats.side[batch.ended]
    return np.asarray(alone[:, None] | (side[:, None] == np.arange(sides.count)))
