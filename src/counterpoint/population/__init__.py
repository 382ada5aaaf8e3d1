"""A population beside one learner, at the same total budget: start with `compare_populations`."""

from counterpoint.population.compare import PopulationPlan, compare_populations
from counterpoint.population.members import PopulationSettings

__all__ = ["PopulationPlan", "PopulationSettings", "compare_populations"]
