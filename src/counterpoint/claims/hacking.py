"""Learners game the reward that is written down, as the boat that circles did."""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.claims.base import Claim, ClaimPlan, Evidence, Progress, bisected, measured
from counterpoint.claims.grown import Log, WatchedRace, detection
from counterpoint.claims.trained import Trainings
from counterpoint.train.tabular.learner import train
from counterpoint.worlds.exact.grown import BoatRaceSettings

LEAST = 0.05


def race_logs(plan: ClaimPlan, paid: str) -> list[Log]:
    """Returns the training of each seed as a log, an episode each update."""
    world = WatchedRace(BoatRaceSettings(paid=paid), plan.count)  # type: ignore[arg-type]
    train(world, "mappo_pooled", plan.seeds)
    return [(episodes, ()) for episodes in world.log]


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    teams = Trainings(plan)

    def lost(**settings: object) -> Floats:
        """Returns [S] the laps that learning took away again."""
        returns = teams.of("boat_race", "mappo_pooled", **settings).returns
        return np.asarray(returns.max(axis=1) - returns[:, -1])

    effect, control = lost(), lost(paid="true")
    progress(0.3)
    border = bisected("gates that a turn of circling passes, where one of racing passes 1,",
                      lambda circle: lost(circle=circle), 0.5, 2.0, border=LEAST)  # fmt: skip
    progress(0.9)
    proxy, shaped = (teams.ends("boat_race", "mappo_pooled", paid=paid)
                     for paid in ("proxy", "shaped"))  # fmt: skip
    true = teams.of("boat_race", "mappo_pooled", paid="true")
    reached = (true.returns > 0.9).argmax(axis=1)
    shaped_at = (teams.of("boat_race", "mappo_pooled", paid="shaped").returns > 0.9).argmax(axis=1)
    return Evidence(
        effect=measured("share of turns raced, at best minus in the end", effect),
        control=measured("the same where laps are paid", control),
        remedy=measured("share of turns raced in the end, shaped reward minus proxy",
                        shaped - proxy),
        remedy_is="Pay for stretches of track too; or stop when the audit sees the gap.",
        price=measured("updates until nine in ten turns are raced, shaped minus paid laps",
                       (shaped_at - reached).astype(float)),
        boundary=border,
        detection=detection("hacking", race_logs(plan, "proxy"), race_logs(plan, "true")),
        holds_when="something that is paid for is easier than what is meant.",
        fails_when="the proxy never pays more than the real thing.",
        least=LEAST,
    )  # fmt: skip


HACKING = Claim(
    "hacking",
    "Learners game the literal reward: they find what is paid, and stop doing what was meant.",
    "Clark and Amodei 2016, Faulty reward functions in the wild (a boat that circles)",
    "Proxies are often good enough: in many tasks proxy and truth part late or never (Gao et al. "
    "2023, arXiv 2210.10760, with small steps from the start).",
    "Two boats learn on a race track. They are paid for the gates that they pass and not for laps, "
    "and circling on the spot passes more gates. Both rise at first, then circling takes over.",
    _measure,
)
