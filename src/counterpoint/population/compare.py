"""`compare_populations`: one learner beside many, at small and large budgets, and the crossover."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.errors import SettingError
from counterpoint.games.catalogue import catalogue
from counterpoint.population.arms import Spending
from counterpoint.population.cells import run_cells
from counterpoint.population.duels import elo
from counterpoint.population.game_arms import SMOOTH, GameArms, game_of
from counterpoint.population.members import Settings
from counterpoint.runs.executor import ExecutorName, require_executor
from counterpoint.settings import settings_from
from counterpoint.stats import bootstrap_interval, means
from counterpoint.stats.estimate import Estimate
from counterpoint.train.needs import require_torch
from counterpoint.worlds.sequential.catalogue import step_catalogue

if TYPE_CHECKING:
    from counterpoint.population.neural import NeuralArms


MOST_REPEATS = 10_000


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Raises:
        UnknownNameError, SettingError: something does not exist, or the budget cannot be split.
    """

    world: str
    """A game of `counterpoint games`, `smooth`, or a world of many steps."""
    members: tuple[int, ...] = (1, 4, 16)
    """Sizes of populations; 1 is the single learner."""
    budget: int = 6400
    """Policy updates of all members together, evaluations included."""
    repeats: int = 30
    """Independent populations of each arm."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of `Settings`; in a world of many steps of the world and its policies."""
    workers: int | None = None
    """Processes; None means one for each processor."""
    executor: ExecutorName = "processes"
    """Where cells run: `processes` here, `serial`, or `ray`."""

    def __post_init__(self) -> None:
        if not self.members or min(self.members) < 1 or max(self.members) > 1024:
            raise SettingError(f"got members {self.members}; wanted sizes from 1 to 1024")
        if len(set(self.members)) < len(self.members):
            raise SettingError(f"got members {self.members}; wanted each size once")
        if not 2 <= self.repeats <= MOST_REPEATS:
            raise SettingError(f"got {self.repeats} repeats; wanted 2 to {MOST_REPEATS:,}")
        require_executor(self.executor, self.workers)
        made = self.made()
        for name, size in made.arms(self.members):
            made.split(name, size, self.budget)

    def made(self) -> GameArms | NeuralArms:
        """What plays it."""
        if self.world != SMOOTH and self.world not in catalogue() and self.is_stepwise():
            require_torch()
            from counterpoint.population.neural import NeuralArms

            return NeuralArms(self.world, dict(self.settings))
        told = settings_from(self.settings, Settings, self.world)
        return GameArms(game_of(self.world), told)

    def is_stepwise(self) -> bool:
        """Whether the world has many steps."""
        return self.world in step_catalogue() or ":" in self.world


def compare_populations(
    plan: Plan,
    on_progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Every arm at every budget, as a document of schema `counterpoint.population/1`.

    Args:
        plan: what to compare.
        on_progress: told what is done, and of how much.
        folder: where each arm at each budget is kept once it is done, so that the same comparison
            goes on from there after it was killed.

    Raises:
        OutputError: the folder cannot be written to.
    """
    made = plan.made()
    arms = made.arms(plan.members)
    budgets = sorted({max(1, round(plan.budget * share)) for share in made.fractions})
    found = run_cells(made, arms, budgets, plan.repeats, folder, workers=plan.workers,
                      executor=plan.executor, on_progress=on_progress)  # fmt: skip
    document: dict[str, Any] = {
        "schema": "counterpoint.population/1",
        "version": __version__,
        "world": plan.world,
        "budget": plan.budget,
        "repeats": plan.repeats,
        **made.facts(),
        "arms": {
            name: {
                "members": size,
                "champion": _told(_iqm(found[name][plan.budget].champion)),
                "believed": _told(_iqm(found[name][plan.budget].believed)),
                "curse": asdict(_mean(found[name][plan.budget].believed
                                      - found[name][plan.budget].champion)),
                "spent": found[name][plan.budget].spent,
                **_company(found[name][plan.budget], made.span),
                "curve": [
                    {"budget": budget, "spent": one.spent, **_told(_iqm(one.champion))}
                    for budget, one in found[name].items()
                ],
            }
            for name, size in arms
        },
    }  # fmt: skip
    document["crossover"] = None
    several = [name for name, size in arms if size > 1]
    if "single" in found and len(arms) > 1:
        rival = max(several or [name for name, _ in arms if name != "single"],
                    key=lambda name: found[name][plan.budget].champion.mean())  # fmt: skip
        document["crossover"] = crossover(found["single"], found[rival], rival)
        document["against_single"] = {
            name: asdict(_mean(found[name][plan.budget].champion
                               - found["single"][plan.budget].champion))
            for name, _ in arms if name != "single"
        }  # fmt: skip
    return document


def _company(one: Spending, span: tuple[float, float] | None) -> dict[str, Any]:
    """How different members are, and what happens where they meet; Elo where a `span` from the
    lowest to the highest payoff of a duel is given.
    """
    met = one.against
    several = met is not None and len(met) > 1
    scores = None
    if met is not None and several and span is not None:
        low, high = span
        scores = elo((met - low) / (high - low)).tolist()
    return {
        "diversity": None if one.diversity is None else float(one.diversity.mean()),
        "against": met.tolist() if met is not None and several else None,
        "elo": scores,
    }


def crossover(
    single: Mapping[int, Spending], many: Mapping[int, Spending], rival: str
) -> dict[str, Any]:
    """The budget from which on the population is better, on a logarithmic scale between those that
    were measured.

    Returns: `rival`, `budget` with `low` and `high` (bootstrap over repeats), and `why` where there
        is none: `never` (never better), `always` (better from the least budget on).
    """
    budgets = sorted(set(single) & set(many))
    gaps = np.stack([many[b].champion - single[b].champion for b in budgets])  # [budgets, R]
    rng = np.random.default_rng(0)
    found = _crossing(budgets, gaps.mean(axis=1))
    drawn = [_crossing(budgets, gaps[:, pick].mean(axis=1))
             for pick in rng.integers(gaps.shape[1], size=(500, gaps.shape[1]))]  # fmt: skip
    low, high = np.quantile(
        [np.log(max(one, 1e-9)) for one in drawn], [0.025, 0.975], method="nearest"
    )
    least, most = float(np.exp(low)), float(np.exp(high))
    why = "never" if found == np.inf else "always" if found <= budgets[0] else ""
    return {
        "rival": rival,
        "budget": found if np.isfinite(found) else None,
        "low": least if np.isfinite(least) else None,
        "high": most if np.isfinite(most) else None,
        "why": why,
    }


def _crossing(budgets: Sequence[int], gaps: Floats) -> float:
    """From where on the gap stays above 0; inf where it is not at the largest budget."""
    if gaps[-1] <= 0:
        return float("inf")
    below = np.flatnonzero(gaps <= 0)
    if not len(below):
        return float(budgets[0])
    i = int(below[-1])
    share = -gaps[i] / (gaps[i + 1] - gaps[i])
    return float(np.exp(np.log(budgets[i]) + share * np.log(budgets[i + 1] / budgets[i])))


def _iqm(samples: Floats) -> Estimate:
    return bootstrap_interval(samples, rng=np.random.default_rng(0))


def _mean(samples: Floats) -> Estimate:
    return bootstrap_interval(samples, rng=np.random.default_rng(0), statistic=means)


def _told(estimate: Estimate) -> dict[str, Any]:
    told = asdict(estimate)
    return {"iqm": told.pop("value"), **told}
