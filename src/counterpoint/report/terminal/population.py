"""A population beside one learner, for a terminal: start at `population_parts`."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from counterpoint.report.pages.population import arm_table, budget_table, headline, order_of
from counterpoint.report.terminal.tables import terminal_table
from counterpoint.report.toolkit.numerals import fixed
from counterpoint.results.population import PopulationArm, PopulationResult

RATED = 8
"""Most members whose Elo is listed."""


def population_parts(population: PopulationResult) -> list[RenderableType]:
    """Returns the verdict, a row for each arm, champions by budget, and how members meet."""
    meetings = [_meeting(name, arm) for name, arm in population.arms.items() if arm.against]
    optimum = "not known" if population.optimum is None else f"{population.optimum:.4g}"
    return [
        Text(headline(population)),
        terminal_table(arm_table(population, "")),
        terminal_table(budget_table(population, "")),
        *map(Text, meetings),
        Text(
            f"champions are interquartile means of: {population.unit}; reference {optimum}; "
            f"{population.repeats} repeats; believed is the estimate for which a champion was "
            "chosen"
        ),
    ]


def _meeting(name: str, arm: PopulationArm) -> str:
    """Returns the ratings of members, or what members get with themselves and with others."""
    if arm.elo is not None:
        ratings = ", ".join(fixed(value, 0, signed=True) for value in arm.elo[:RATED])
        more = " ..." if len(arm.elo) > RATED else ""
        return f"{name}: Elo of members, {order_of(name)}: {ratings}{more}"
    met = arm.against or []
    diagonal = sum(row[i] for i, row in enumerate(met))
    others = (sum(map(sum, met)) - diagonal) / (len(met) * (len(met) - 1))
    own = diagonal / len(met)
    return f"{name}: members with themselves {fixed(own, 3)}, with others {fixed(others, 3)}"
