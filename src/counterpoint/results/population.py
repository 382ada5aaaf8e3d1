"""`PopulationResult`: one learner beside populations of learners, at the same total budget."""

from __future__ import annotations

from msgspec import field

from counterpoint.results.parts import Part, Result, Settings, expect
from counterpoint.stats.estimate import Estimate


class RepeatMean(Part, frozen=True, kw_only=True):
    """An interquartile mean over repeats with its 95% interval; there are at least two repeats."""

    iqm: float
    low: float
    high: float
    n: int


class BudgetPoint(RepeatMean, frozen=True, kw_only=True):
    """The score of the champion of an arm at one budget."""

    budget: int
    """Policy updates of all members together."""
    spent: int
    """Number of updates that one repeat was charged."""


class PopulationArm(Part, frozen=True, kw_only=True):
    """A population, or one learner, at the whole budget."""

    members: int
    champion: RepeatMean
    """The score of the champion."""
    believed: RepeatMean
    """The estimate for which the champion was chosen."""
    curse: Estimate
    """Mean of `believed` less `champion`, repeat by repeat: the winner's curse."""
    spent: int
    """Number of updates that one repeat was charged."""
    diversity: float | None = None
    """Effective number of different members in the end; None if it is not known."""
    against: list[list[float]] | None = None
    """`[members][members]` mean payoff of each member (row) against each member (column)."""
    elo: list[float] | None = None
    """[members] ratings in a game in which one wins what the other loses."""
    curve: list[BudgetPoint]
    """The champion by budget, the smallest budget first."""


class Crossover(Part, frozen=True, kw_only=True):
    """The budget from which on the best population is better than the single learner."""

    rival: str
    """The arm that is compared with the single learner."""
    budget: float | None = None
    """None if it is never better."""
    low: float | None = None
    """Lower end of the 95% interval."""
    high: float | None = None
    """Upper end of the 95% interval; None if it lies beyond the largest budget."""
    why: str
    """`never` better, `always` better from the smallest budget on, or empty."""


class PopulationResult(Result, frozen=True, kw_only=True, tag="counterpoint.population/1"):
    """Arms that spend the same budget, and which of them has the best champion."""

    world: str
    budget: int
    """Policy updates of all members together, evaluations included."""
    repeats: int
    """Independent populations of each arm."""
    source: str
    optimum: float | None = None
    """The payoff of the best team, or of a good team if the best is not known."""
    unit: str = ""
    """The quantity that measures a champion."""
    exact: bool = True
    """Whether that is computed exactly, and not measured in episodes."""
    settings: Settings
    arms: dict[str, PopulationArm]
    crossover: Crossover | None = None
    against_single: dict[str, Estimate] | None = None
    """Arm to its mean difference from the single learner, repeat by repeat; None without one."""
    config: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        expect(bool(self.arms), "arms", "at least one arm")
        for name, arm in self.arms.items():
            path, met = f"arms.{name}", arm.against or []
            expect(bool(arm.curve), f"{path}.curve", "at least one point")
            expect(all(len(row) == len(met) for row in met), f"{path}.against", "a square")
            rated = arm.elo is None or len(arm.elo) == len(met)
            expect(rated, f"{path}.elo", "one for each member of `against`")
        crossing = self.crossover
        if crossing is not None and crossing.why not in ("never", "always"):
            expect(crossing.budget is not None, "crossover.budget", "a number")
