"""A population beside one learner, at the same total budget: start with `compare_populations`."""

from counterpoint.population.arms import Spending, best_of, population_based
from counterpoint.population.compare import Plan, compare_populations
from counterpoint.population.members import Members, Settings

__all__ = [
    "Members",
    "Plan",
    "Settings",
    "Spending",
    "best_of",
    "compare_populations",
    "population_based",
]
