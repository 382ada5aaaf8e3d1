"""Planners and workers with fresh contexts solve what flat teams cannot."""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.claims.base import (
    Claim,
    ClaimPlan,
    Evidence,
    Progress,
    bisected,
    measured,
    outcome,
)
from counterpoint.claims.grown import Log, detection, fresh_batch, rounds_of
from counterpoint.claims.trained import WAYS, Trainings
from counterpoint.worlds.exact.project import Done, Project, ProjectSettings

LEAST = 0.15


def _does(teams: Trainings, scheme: str = "mappo_pooled", /, **settings: object) -> Done:
    """Returns what a team does at the end of its training, [S] each."""
    world = Project(ProjectSettings(**settings))  # type: ignore[arg-type]
    return world.done(teams.of("project", scheme, **settings).probs)


def _logs(teams: Trainings, **settings: object) -> list[Log]:
    """Returns what the members of the team of each seed do."""
    world = Project(ProjectSettings(**settings))  # type: ignore[arg-type]
    play, _ = fresh_batch(world, teams.of("project", "mappo_pooled", **settings))
    return [(rounds_of(world, play, s), ()) for s in range(len(teams.seeds))]


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    teams = Trainings(plan)

    def lead(**settings: object) -> Floats:
        """Returns [S] how much more often a led team finishes the project than a flat one."""
        with_planner = _does(teams, team="led", **settings).finished
        return np.asarray(with_planner - _does(teams, **settings).finished)

    effect, control = lead(), lead(pieces=1, works=1.0)
    progress(0.2)
    led = _does(teams, team="led")
    border = bisected(
        "a share of the project's worth in each member's pay",
        lambda share: led.finished - _does(teams, share=share).finished, 0.0, 1.0, border=LEAST,
    )  # fmt: skip
    progress(0.6)
    flat, paid = _does(teams), _does(teams, share=1.0)
    ways = ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "adaptive", "gdpo")
    teams_of = {
        **{f"flat, {WAYS[way]}": _does(teams, way) for way in ways},
        "flat, one network": _does(teams, parameters="shared"),
        "flat, paid nothing of the project": _does(teams, share=0.0),
        "flat, paid all of it": paid,
        "flat, board as it was": _does(teams, fresh=False),
        "flat, paid all of it, board as it was": _does(teams, share=1.0, fresh=False),
        "led": led,
        "led, board as it was": _does(teams, team="led", fresh=False),
    }
    progress(0.9)
    return Evidence(
        effect=measured("probability that the project is finished, led minus flat", effect),
        control=measured("the same where one sure piece of work finishes it", control),
        remedy=measured("probability that the project is finished, flat and each paid all of its "
                        "worth minus a third", paid.finished - flat.finished),
        remedy_is="Pay each member what the project is worth to all; or let a planner assign, "
        "which is a call a round.",
        price=measured("small tasks merged of eight, flat and each paid a third minus all",
                       flat.small - paid.small),
        boundary=border,
        detection=detection("coordination", _logs(teams), _logs(teams, team="led"),
                            "duplicate_work"),
        outcome_is="probability that the project is finished",
        outcomes=tuple(outcome(name, done.finished) for name, done in teams_of.items()),
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
