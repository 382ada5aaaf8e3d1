"""A population beside one learner, at the same total budget: start with `compare_populations`."""

from counterpoint.population.arms import best_of, population_based
from counterpoint.population.cells import ArmOutcome
from counterpoint.population.compare import PopulationPlan, compare_populations
from counterpoint.population.members import Members, PopulationSettings

__all__ = [
    "Members",
    "PopulationPlan",
    "PopulationSettings",
    "ArmOutcome",
    "best_of",
    "compare_populations",
    "population_based",
]
