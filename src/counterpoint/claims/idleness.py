"""An agent that stops talks its partner into stopping."""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.claims.base import (
    Claim,
    ClaimPlan,
    Evidence,
    Progress,
    bisected,
    measured,
    outcome,
)
from counterpoint.claims.grown import COUNT, Log, detection, episodes_of, fresh_batch
from counterpoint.claims.trained import Trainings
from counterpoint.train.tabular.learner import train
from counterpoint.worlds.exact.grown import SAY, WORK, Gathering, GatheringSettings
from counterpoint.worlds.exact.world import Evaluation, Play

LEAST = 0.05
COST = 0.55
"""A cost of work between half of what it yields alone, 0.5, and half of what it yields beside
another who works, 0.6: there work pays only if the other one works."""


class Beside(Gathering):
    """Ann learns beside a Bob who always does the same."""

    def __init__(self, settings: GatheringSettings, does: int) -> None:
        self.does = does
        super().__init__(settings)

    def _held(self, probs: Floats) -> Floats:
        held = probs.copy()
        held[:, 1] = np.arange(self.actions) == self.does
        return held

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        return super().play(tasks, chance, self._held(probs))

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        return super().evaluate(tasks, self._held(probs))


def works_beside(does: int, plan: ClaimPlan, **settings: object) -> Floats:
    """Returns [S] the share of turns at which Ann works in the end, beside a Bob who always does
    the same."""
    world = Beside(GatheringSettings(**settings), does)  # type: ignore[arg-type]
    play, _ = fresh_batch(world, train(world, "mappo_pooled", plan.seeds))
    return worked(play)[:, 0]


def worked(play: Play) -> Floats:
    """Returns [S, A] the share of turns at work in a batch of `gathering`."""
    works = play.action == WORK
    turns = works.reshape(len(works), -1, 2)  # slots are ann, bob, ann, bob, ...
    return np.asarray(turns.mean(axis=1))


def _logs(teams: Trainings, **settings: object) -> list[Log]:
    """Returns episodes of the team of each seed, after its training."""
    world = Gathering(GatheringSettings(**settings))  # type: ignore[arg-type]
    play, _ = fresh_batch(world, teams.of("gathering", "mappo_pooled", **settings))
    return [(episodes_of(world, play, s, COUNT), ()) for s in range(len(teams.seeds))]


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    teams = Trainings(plan)

    def drawn(cost: float) -> Floats:
        """Returns [S] how much less Ann works because Bob rests."""
        return works_beside(WORK, plan, cost=cost) - works_beside(SAY, plan, cost=cost)

    def both(**settings: object) -> Floats:
        """Returns [S] the share of turns at work, if both learn."""
        world = Gathering(GatheringSettings(**settings))  # type: ignore[arg-type]
        play, _ = fresh_batch(world, teams.of("gathering", "mappo_pooled", **settings))
        return np.asarray(worked(play).mean(axis=1))

    effect, control = drawn(COST), drawn(0.0)
    progress(0.3)
    border = bisected("a cost of work, in yields of a turn,", drawn, 0.0, COST, border=LEAST)
    progress(0.8)
    shared, team, own = (
        teams.of("gathering", "mappo_pooled", paid=paid, cost=COST)
        for paid in ("shared", "team", "own")
    )
    return Evidence(
        effect=measured("share of turns at work, beside one who works minus beside one who rests",
                        effect),
        control=measured("the same where work costs nothing", control),
        remedy=measured("team return, paid as a team minus paid a share",
                        team.returns[:, -1] - shared.returns[:, -1]),
        remedy_is="All efforts count in everybody's reward; or each is paid what its work added.",
        price=measured("return lost beside being paid for what one's own work added",
                       own.returns[:, -1] - team.returns[:, -1]),
        boundary=border,
        detection=detection("idleness", _logs(teams), _logs(teams, paid="team", cost=COST)),
        outcome_is="team return; 1 is the best team's",
        outcomes=tuple(teams.outcomes("gathering", (
            "mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "adaptive"), cost=COST)),
        beside_is="share of turns at work in the end. At a cost of 0.7 an agent rests whatever the "
        "other does: both idle, and neither draws the other",
        beside=(
            outcome("beside one who always works", works_beside(WORK, plan, cost=COST)),
            outcome("beside one who always rests", works_beside(SAY, plan, cost=COST)),
            outcome("both learn", both(cost=COST)),
            outcome("a cost of 0.7, beside one who always works",
                    works_beside(WORK, plan, cost=0.7)),
            outcome("a cost of 0.7, both learn", both(cost=0.7)),
        ),
        holds_when="work pays only beside another who works, and each bears its own effort.",
        fails_when="work pays by itself, or never: then each works, or rests, whatever the other "
        "does.",
        least=LEAST,
    )  # fmt: skip


IDLENESS = Claim(
    "idleness",
    "When one agent of a team stops working, it draws the other one along, and both end idle.",
    "reports of agent teams that rest together; free riding in teams (Holmstrom 1982)",
    "People who see each other's efforts often work more, not less (Mas and Moretti 2009, "
    "American Economic Review 99).",
    "Two agents gather side by side. Work costs effort, its yield is shared, and a rest can be "
    "announced.",
    _measure,
)
