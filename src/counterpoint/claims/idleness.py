"""An agent that stops talks its partner into stopping."""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.claims.base import Claim, ClaimPlan, Evidence, Progress, bisected, measured
from counterpoint.claims.grown import COUNT, WatchedGathering, detection, episodes_of
from counterpoint.claims.trained import Trainings
from counterpoint.records import Episode
from counterpoint.train.tabular.learner import train
from counterpoint.worlds.exact.grown import GatheringSettings

LEAST = 0.05


def _worked(teams: Trainings, scheme: str = "mappo_pooled", **settings: object) -> Floats:
    """Returns [S] the share of turns at work at the end, of both agents."""
    return np.asarray(teams.of("gathering", scheme, **settings).accuracy[:, -1].mean(axis=-1))


def _logs(plan: ClaimPlan, **settings: object) -> list[list[Episode]]:
    """Returns the last episodes of the team of each seed."""
    world = WatchedGathering(GatheringSettings(**settings))  # type: ignore[arg-type]
    train(world, "mappo_pooled", plan.seeds)
    return [episodes_of(world, world.plays[-1], s, COUNT) for s in range(plan.count)]


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    teams = Trainings(plan)

    def lost(**settings: object) -> Floats:
        done = teams.of("gathering", "mappo_pooled", **settings)
        return np.asarray((done.accuracy[:, 0] - done.accuracy[:, -1]).mean(axis=-1))

    effect, control = lost(), lost(cost=0.0)
    progress(0.3)
    border = bisected("a cost of work, in yields of a turn,", lambda cost: lost(cost=cost), 0.0,
                      0.95, border=LEAST)  # fmt: skip
    progress(0.8)
    shared, team = (teams.of("gathering", "mappo_pooled", paid=paid) for paid in ("shared", "team"))
    own = teams.of("gathering", "mappo_pooled", paid="own")
    return Evidence(
        effect=measured("share of turns at work that learning takes away", effect),
        control=measured("the same where work costs nothing", control),
        remedy=measured("team return, paid as a team minus paid a share",
                        team.returns[:, -1] - shared.returns[:, -1]),
        remedy_is="All efforts count in everybody's reward; or each is paid what its work added.",
        price=measured("return lost beside being paid for what one's own work added",
                       own.returns[:, -1] - team.returns[:, -1]),
        boundary=border,
        detection=detection("idleness", _logs(plan), _logs(plan, paid="team")),
        outcome_is="team return; 1 is the best team's",
        outcomes=tuple(teams.outcomes("gathering", (
            "mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "adaptive"))),
        holds_when="an agent bears its own effort and gets a share of the common yield.",
        fails_when="work costs less than the share that it earns, or efforts are shared too.",
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
