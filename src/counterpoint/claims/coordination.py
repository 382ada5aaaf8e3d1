"""Two agents do worse than one, and more do worse still."""

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
from counterpoint.claims.grown import Log, detection, fresh_batch, scores_of
from counterpoint.claims.trained import WAYS, Trainings
from counterpoint.records import Outcome
from counterpoint.worlds.exact.merging import Merging, MergingSettings

LEAST = 0.05
NUMBERS = {2: "two", 3: "three", 4: "four"}
GOOD = 0.9
"""The return at which a team is said to have learned."""


def _logs(teams: Trainings, **settings: object) -> list[Log]:
    """Returns scores of the team of each seed, and of one agent alone."""
    sides: list[list[list[Outcome]]] = []
    for setting, works in (("team", "apart"), ("solo", "alone")):
        given = {"works": works, **settings}
        world = Merging(MergingSettings(**given))  # type: ignore[arg-type]
        play, _ = fresh_batch(world, teams.of("merging", "mappo_pooled", **given))
        sides.append([scores_of(world, play, s, setting) for s in range(len(teams.seeds))])
    return [([], [*team, *solo]) for team, solo in zip(*sides, strict=True)]


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    teams = Trainings(plan)

    def team(scheme: str = "mappo_pooled", /, **settings: object) -> Floats:
        return teams.ends("merging", scheme, **settings)

    def lost(**settings: object) -> Floats:
        """Returns [S] the return of one agent alone, minus that of a team."""
        return np.asarray(team(works="alone", **settings) - team(**settings))

    def updates(**settings: object) -> Floats:
        """Returns [S] updates until a return of `GOOD`, or all of them if it is never reached."""
        good = teams.of("merging", "mappo_pooled", **settings).returns >= GOOD
        first = np.where(good.any(axis=1), good.argmax(axis=1), good.shape[1] - 1)
        return np.asarray(first, dtype=np.float64)

    effect, control = lost(), lost(files="own")
    progress(0.2)
    border = bisected("a weight of the merged whole in the reward",
                      lambda merged: team(works="alone") - team(merged=merged), 0.01, 1.0,
                      border=LEAST, logarithmic=True)  # fmt: skip
    progress(0.5)
    outcomes = [outcome(f"two apart, {name}", team(way)) for way, name in WAYS.items()]
    progress(0.6)
    outcomes += [
        outcome("two apart, one network", team(parameters="shared")),
        outcome("one agent alone", team(works="alone")),
        outcome("two in turn", team(works="in_turn")),
    ]
    for share, said in ((0.05, "a twentieth"), (0.2, "a fifth"), (0.5, "half"), (1.0, "all")):
        outcomes += [
            outcome(f"{name} apart, {said} of the pay for the whole", team(members=n, merged=share))
            for n, name in NUMBERS.items()
        ]
        progress(0.7 + 0.2 * share)
    return Evidence(
        effect=measured("return of one agent alone minus a team of two", effect),
        control=measured("the same with a file for each feature", control),
        remedy=measured("team return, half paid for the merged whole minus a twentieth",
                        team(merged=0.5) - team()),
        remedy_is="Pay for what is merged; or let members see the work of those before them, which "
        "takes a turn for each.",
        price=measured(f"updates until a return of {GOOD:g}, half paid for the merged whole minus "
                       "one agent alone", updates(merged=0.5) - updates(works="alone")),
        boundary=border,
        detection=detection("coordination", _logs(teams), _logs(teams, files="own"), "retention"),
        outcome_is="return; 1 is the best places for all features",
        outcomes=tuple(outcomes),
        holds_when="members work on copies of one file and are paid for their own features.",
        fails_when="each has a file of its own, sees what is done, or is paid for what merges.",
        least=LEAST,
    )  # fmt: skip


COORDINATION = Claim(
    "coordination",
    "Two agents do worse than one, and more do worse still.",
    "CooperBench, arXiv 2601.13295: 2, 3 and 4 agents solve 0.686, 0.465 and 0.300 of 46 tasks",
    "A team with a manager, a reviewer and merge requests solves 7 percentage points more of "
    "SWE-bench Verified than one agent of the same model family (Benkovich and Valkov 2026, "
    "arXiv 2602.01465).",
    "Members add a feature each to one file of six places. Two features at one place do not merge, "
    "and one place is the best for all.",
    _measure,
)
