"""One group reward makes learning collapse, and decoupled normalization repairs it."""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.claims.base import Claim, ClaimPlan, Evidence, Progress, bisected, measured
from counterpoint.claims.trained import Trainings, collapsed
from counterpoint.results.claims import Detection

LOUD = {"scale": 10.0, "parameters": "shared"}
"""The setting of `regions`: two agents with rewards, and noise, ten times those of two others."""
LOST = 0.05
"""A loss of accuracy that counts."""


def _quiet(teams: Trainings, scheme: str, **settings: object) -> Floats:
    """Returns [S] the accuracy of the two quiet agents at the end."""
    return np.asarray(teams.of("regions", scheme, **settings).accuracy[:, -1, :2].mean(axis=-1))


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    teams = Trainings(plan)

    def gained(**settings: object) -> Floats:
        given = {**LOUD, **settings}
        return _quiet(teams, "mappo_per_agent", **given) - _quiet(teams, "mappo_pooled", **given)

    effect = gained()
    progress(0.2)
    control = gained(participation="everyone")
    progress(0.3)
    pooled, own = (
        teams.of("regions", name, **LOUD) for name in ("mappo_pooled", "mappo_per_agent")
    )
    border = bisected(
        "a loudness of the loud agents' rewards", lambda scale: gained(scale=scale), 1.0, 100.0,
        border=LOST, logarithmic=True,
    )  # fmt: skip
    progress(0.8)
    fell, stood = collapsed(pooled), collapsed(own)
    return Evidence(
        effect=measured("quiet agents' right actions, per agent minus pooled", effect),
        control=measured("the same with all agents present in every episode", control),
        remedy=measured("team return, per agent minus pooled",
                        own.returns[:, -1] - pooled.returns[:, -1]),
        remedy_is="A mean and a deviation for each agent.",
        price=measured("return weighted by the rewards paid, pooled minus per agent",
                       pooled.weighted_returns[:, -1] - own.weighted_returns[:, -1]),
        boundary=border,
        detection=Detection(audit="counterpoint diagnose", found=int(fell.sum()), failed=len(fell),
                            blamed=int(stood.sum()), healthy=len(stood)),
        outcome_is="team return; 1 is the best team's",
        outcomes=tuple(teams.outcomes("regions", (
            "mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "adaptive",
            "difference", "counterfactual"), **LOUD)),
        holds_when="some agents act in other episodes than others, and their rewards are smaller.",
        fails_when="one reward is paid to agents who are always together: then per-agent "
        "statistics are the pooled ones, to the last digit.",
        least=LOST,
    )  # fmt: skip


CREDIT = Claim(
    "credit",
    "A team that learns from one group reward collapses: agents with quiet rewards stop learning. "
    "Statistics of each agent's own repair it, and coordination stays.",
    "the essay 'The hidden problem with group rewards in multi-agent AI', after GDPO "
    "(arXiv 2601.05242)",
    "With one scalar reward and everybody present, a mean and deviation for each agent change no "
    "advantage (an identity); and Dr. GRPO (arXiv 2503.20783) finds that dividing by deviations "
    "biases learning.",
    "Four agents, two of whom act in a stable region and two in one whose rewards are ten times as "
    "large and noisy. All learn with one normalization, and the quiet pair stops improving.",
    _measure,
)
