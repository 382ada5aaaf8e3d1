"""Planners and workers with fresh contexts solve what flat teams cannot."""

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
from counterpoint.claims.trained import WAYS
from counterpoint.train.tabular.learner import train
from counterpoint.worlds.exact.project import Project, ProjectSettings
from counterpoint.worlds.exact.world import Evaluation

LEAST = 0.15


class WatchedProject(Project):
    """Remembers the last policy."""

    probs: Floats

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        self.probs = probs
        return super().evaluate(tasks, probs)


class Teams:
    """Trained teams with the seeds of a plan; the same one is trained once."""

    def __init__(self, plan: ClaimPlan) -> None:
        self.seeds = plan.seeds
        self._done: dict[str, dict[str, Floats]] = {}

    def __call__(self, scheme: str = "mappo_pooled", /, **settings: object) -> dict[str, Floats]:
        """Returns what a team does at the end of its training, [S] each.

        Returns:
            `finished`: probability that the project is finished; `small`: small tasks merged;
            `twice`: turns for a task that another does; `returns`: share of the best plan.
        """
        key = f"{scheme} {sorted(settings.items())}"
        if key not in self._done:
            world = WatchedProject(ProjectSettings(**settings))  # type: ignore[arg-type]
            returns = train(world, scheme, self.seeds).returns[:, -1]
            self._done[key] = {**world.done(world.probs)._asdict(), "returns": returns}
        return self._done[key]


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    teams = Teams(plan)

    def lead(**settings: object) -> Floats:
        """Returns [S] how much more often a led team finishes the project than a flat one."""
        with_planner = teams(team="led", **settings)["finished"]
        return np.asarray(with_planner - teams(**settings)["finished"])

    effect, control = lead(), lead(pieces=1, works=1.0)
    progress(0.2)
    led = teams(team="led")
    border = bisected(
        "a share of the project's worth in each member's pay",
        lambda share: led["finished"] - teams(share=share)["finished"], 0.0, 1.0, border=LEAST,
    )  # fmt: skip
    progress(0.6)
    flat, paid = teams(), teams(share=1.0)
    ways = ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "adaptive", "gdpo")
    teams_of = {
        **{f"flat, {WAYS[way]}": teams(way) for way in ways},
        "flat, one network": teams(parameters="shared"),
        "flat, paid nothing of the project": teams(share=0.0),
        "flat, paid all of it": paid,
        "flat, board as it was": teams(fresh=False),
        "flat, paid all of it, board as it was": teams(share=1.0, fresh=False),
        "led": led,
        "led, board as it was": teams(team="led", fresh=False),
    }
    progress(0.9)
    return Evidence(
        effect=measured("probability that the project is finished, led minus flat", effect),
        control=measured("the same where one sure piece of work finishes it", control),
        remedy=measured("probability that the project is finished, flat and each paid all of its "
                        "worth minus a third", paid["finished"] - flat["finished"]),
        remedy_is="Pay each member what the project is worth to all; or let a planner assign, "
        "which is a call a round.",
        price=measured("small tasks merged of eight, flat and each paid a third minus all",
                       flat["small"] - paid["small"]),
        boundary=border,
        outcome_is="probability that the project is finished",
        outcomes=tuple(outcome(name, done["finished"]) for name, done in teams_of.items()),
        holds_when="what is hard pays later and is shared, and small tasks pay at once.",
        fails_when="members are paid for the project as for their own work, or nothing is hard.",
        least=LEAST,
    )  # fmt: skip


PLANNING = Claim(
    "planning",
    "Planners and workers with fresh contexts solve what flat teams cannot: equals avoid what is "
    "hard and do small things twice.",
    "reports of long runs of coding agents (Cursor 2026, 'Scaling long-running autonomous coding')",
    "In a task of sequential planning, teams with and without a planner do 39 to 70% worse than "
    "one agent (Kim et al. 2025, arXiv 2512.08296).",
    "Three members have two small tasks a round, which pay at once, and a project whose pieces "
    "often fail and which pays when it is finished. They choose, or a planner assigns.",
    _measure,
)
