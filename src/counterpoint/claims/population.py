"""At a fixed budget sixteen agents beat one."""

from __future__ import annotations

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
from counterpoint.population.arms import SMOOTH, best_of, game_of, population_based
from counterpoint.population.members import PopulationSettings

BUDGET, MEMBERS = 6400, 16
LEAST = 0.25
"""A difference in payoff that counts; peaks are 4 apart."""


def _measure(plan: ClaimPlan, progress: Progress) -> Evidence:
    settings = PopulationSettings()

    def champions(world: str, members: int, budget: float = BUDGET) -> Floats:
        game = game_of(world)
        # a population splits its budget among members and rounds, so that it comes out even
        spent = max(1, round(budget / MEMBERS)) * MEMBERS
        return best_of(game, settings, members, spent, plan.count, plan.first).champion

    def gained(world: str, budget: float = BUDGET) -> Floats:
        return champions(world, MEMBERS, budget) - champions(world, 1, budget)

    effect = gained("climbing")
    progress(0.3)
    control = gained(SMOOTH)
    progress(0.5)
    border = bisected("a budget in updates", lambda budget: gained("climbing", budget), 160.0,
                      25600.0, border=LEAST, logarithmic=True)  # fmt: skip
    progress(0.9)
    evolved = population_based(game_of("climbing"), settings, MEMBERS, BUDGET, plan.count,
                               plan.first)  # fmt: skip
    several = best_of(game_of("climbing"), settings, MEMBERS, BUDGET, plan.count, plan.first)
    return Evidence(
        effect=measured("payoff of the champion of 16, minus one learner with the whole budget",
                        effect),
        control=measured("the same in a game with one peak", control),
        remedy=measured("payoff of population-based training minus the best of 16",
                        evolved.champion - several.champion),
        remedy_is="Copy the best members on the way (population-based training).",
        price=measured("payoff that the champion was believed to have, minus what it has",
                       several.believed - several.champion),
        boundary=border,
        outcome_is="payoff of the champion; the best team has 11",
        outcomes=(outcome("one learner", champions("climbing", 1)),
                  outcome("best of 16", several.champion),
                  outcome("population-based, 16", evolved.champion)),
        holds_when="learners get stuck at bad peaks, and each member can still reach one.",
        fails_when="there is one peak, or the budget is too small to be split.",
        least=LEAST,
    )  # fmt: skip


POPULATION = Claim(
    "population",
    "At the same budget, sixteen agents that learn apart beat one that learns with all of it.",
    "Jaderberg et al. 2017, Population based training (arXiv 1711.09846)",
    "Where tuning needs no luck, one long training wins: random restarts lose to one run with the "
    "whole budget in convex problems, and the winner among many is overestimated (winner's curse).",
    "Teams learn the climbing game, whose best outcome stands beside a cliff. One learner has all "
    "updates; sixteen share them, and the one that looks best is chosen.",
    _measure,
)
