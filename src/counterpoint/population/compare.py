"""`compare_populations`: one learner beside many, at small and large budgets, and the crossover."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from msgspec.structs import asdict

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.catalogue import game_catalogue
from counterpoint.optional import require_torch
from counterpoint.population.arms import SMOOTH, GameArms, game_of
from counterpoint.population.cells import ArmOutcome, Arms, run_cells
from counterpoint.population.duels import elo
from counterpoint.population.members import PopulationSettings
from counterpoint.results.parts import Settings
from counterpoint.results.population import (
    BudgetPoint,
    Crossover,
    PopulationArm,
    PopulationResult,
    RepeatMean,
)
from counterpoint.runs.executor import ExecutorName, require_executor
from counterpoint.settings import MOST_SEEDS, require, settings_from
from counterpoint.stats import bootstrap_interval, means
from counterpoint.stats.estimate import Estimate
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world

MOST_UPDATES = 10**9
"""The largest budget, in updates."""
GAMES = (SMOOTH, *game_catalogue())
"""Games that members can learn."""


@dataclass(frozen=True)
class PopulationPlan:
    """The plan of a comparison. Constructing it checks names and numbers, and makes no world.

    Raises:
        UnknownNameError: there is no such game or environment.
        SettingError: a number is out of its range.
    """

    world: str
    """A game of `counterpoint game`, `smooth`, or a sequential environment."""
    members: tuple[int, ...] = (1, 4, 16)
    """Sizes of populations; 1 is the single learner."""
    budget: int = 6400
    """Policy updates of all members together, evaluations included."""
    repeats: int = 30
    """Independent populations of each arm."""
    settings: Settings = field(default_factory=dict)
    """Settings of `PopulationSettings`; in a sequential environment those of the environment, of
    its policies, and `pbt_rounds` and `diverse`."""
    workers: int | None = None
    """Processes; None means one for each processor."""
    executor: ExecutorName = "processes"
    """Where cells run: `processes` here, `serial`, or `ray`."""

    def __post_init__(self) -> None:
        if not self.members or min(self.members) < 1 or max(self.members) > 1024:
            raise SettingError(f"got members {self.members}; wanted sizes from 1 to 1024")
        if len(set(self.members)) < len(self.members):
            raise SettingError(f"got members {self.members}; wanted each size once")
        require("repeats", self.repeats, 2, MOST_SEEDS)
        require("budget", self.budget, 1, MOST_UPDATES)
        require_executor(self.executor, self.workers)
        if self.world not in GAMES:
            find_world(self.world, Kind.SEQUENTIAL, also=GAMES)

    def made(self) -> Arms:
        """Returns what runs its arms.

        Raises:
            UnknownNameError, SettingError: there is no such setting, a setting is out of range, or
                the budget cannot be split.
            MissingPackageError: torch is not installed, which members of an environment need.
        """
        made: Arms
        if self.world in GAMES:
            settings = settings_from(self.settings, PopulationSettings, self.world)
            made = GameArms(game_of(self.world), settings)
        else:
            require_torch()
            from counterpoint.population.neural import NeuralArms

            made = NeuralArms(self.world, self.settings)
        for name, size in made.arms(self.members):
            made.split(name, size, self.budget)
        return made


def compare_populations(
    plan: PopulationPlan,
    on_progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
) -> PopulationResult:
    """Returns every arm at every budget, and from where on a population is better.

    Args:
        plan: what to compare.
        on_progress: called with the number of tasks that are done, and of all.
        folder: where each arm at each budget is kept once it is done, so that the same comparison
            resumes there after it was killed.

    Raises:
        UnknownNameError, SettingError, MissingPackageError: as `PopulationPlan.made`.
        OutputError: the folder cannot be written to.
    """
    made = plan.made()
    arms = made.arms(plan.members)
    budgets = sorted({max(1, round(plan.budget * share)) for share in made.fractions})
    spent = run_cells(made, arms, budgets, plan.repeats, folder, workers=plan.workers,
                      executor=plan.executor, on_progress=on_progress)  # fmt: skip
    champions = {name: spent[name][plan.budget].champion for name, _ in arms}
    several = [name for name, size in arms if size > 1]
    crossing, differences = None, None
    if "single" in spent and len(arms) > 1:
        rival = max(several or [name for name in champions if name != "single"],
                    key=lambda name: champions[name].mean())  # fmt: skip
        crossing = crossover(spent["single"], spent[rival], rival)
        differences = {
            name: _mean(champion - champions["single"])
            for name, champion in champions.items()
            if name != "single"
        }
    return PopulationResult(
        version=__version__,
        world=plan.world,
        budget=plan.budget,
        repeats=plan.repeats,
        **vars(made.facts()),
        arms={name: _arm(size, spent[name], plan.budget, made.span) for name, size in arms},
        crossover=crossing,
        against_single=differences,
    )


def _arm(
    members: int, spent: Mapping[int, ArmOutcome], budget: int, span: tuple[float, float] | None
) -> PopulationArm:
    """Returns one arm, with Elo ratings if the `span` of payoffs of a duel is given."""
    one = spent[budget]
    met = one.against if one.against is not None and len(one.against) > 1 else None
    ratings = None
    if met is not None and span is not None:
        # Elo reads shares of a point, so that pay is scaled to [0, 1]
        ratings = elo((met - span[0]) / (span[1] - span[0])).tolist()
    return PopulationArm(
        members=members,
        champion=_iqm(one.champion),
        believed=_iqm(one.believed),
        curse=_mean(one.believed - one.champion),
        spent=one.spent,
        diversity=None if one.diversity is None else float(one.diversity.mean()),
        against=None if met is None else met.tolist(),
        elo=ratings,
        curve=[
            BudgetPoint(budget=at, spent=point.spent, **asdict(_iqm(point.champion)))
            for at, point in spent.items()
        ],
    )


def crossover(
    single: Mapping[int, ArmOutcome], many: Mapping[int, ArmOutcome], rival: str
) -> Crossover:
    """Returns the budget from which on the population is better, with a bootstrap over repeats.

    Between two measured budgets the gap is interpolated on a straight line over log budget.
    """
    budgets = sorted(set(single) & set(many))
    gaps = np.stack([many[b].champion - single[b].champion for b in budgets])  # [budgets, R]
    rng = np.random.default_rng(0)
    budget = _crossing(budgets, gaps.mean(axis=1))
    drawn = [_crossing(budgets, gaps[:, pick].mean(axis=1))
             for pick in rng.integers(gaps.shape[1], size=(500, gaps.shape[1]))]  # fmt: skip
    # a draw can be infinite (never better): "nearest" never averages it with a finite one
    logs = [np.log(max(one, 1e-9)) for one in drawn]
    low, high = np.quantile(logs, [0.025, 0.975], method="nearest")
    least, most = float(np.exp(low)), float(np.exp(high))
    return Crossover(
        rival=rival,
        budget=budget if np.isfinite(budget) else None,
        low=least if np.isfinite(least) else None,
        high=most if np.isfinite(most) else None,
        why="never" if budget == np.inf else "always" if budget <= budgets[0] else "",
    )


def _crossing(budgets: Sequence[int], gaps: Floats) -> float:
    """Returns the budget from which on the gap is above 0; inf if it is not at the largest."""
    if gaps[-1] <= 0:
        return float("inf")
    below = np.flatnonzero(gaps <= 0)
    if not len(below):
        return float(budgets[0])
    i = int(below[-1])  # the last sign change counts: before it, the population can lose again
    share = -gaps[i] / (gaps[i + 1] - gaps[i])
    return float(np.exp(np.log(budgets[i]) + share * np.log(budgets[i + 1] / budgets[i])))


def _iqm(samples: Floats) -> RepeatMean:
    mean = bootstrap_interval(samples, rng=np.random.default_rng(0))
    return RepeatMean(iqm=mean.value, low=mean.low, high=mean.high, n=mean.n)


def _mean(samples: Floats) -> Estimate:
    return bootstrap_interval(samples, rng=np.random.default_rng(0), statistic=means)
