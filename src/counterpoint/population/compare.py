"""`compare_populations`: one learner beside many, at small and large budgets, and the crossover."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from counterpoint import __version__
from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.games import make_game
from counterpoint.games.catalogue import catalogue
from counterpoint.games.game import Game, bimatrix
from counterpoint.population.arms import (
    Spending,
    best_of,
    population_based,
    split_best,
    split_rounds,
)
from counterpoint.population.members import Floats, Settings
from counterpoint.stats import bootstrap_interval
from counterpoint.stats.estimate import Estimate
from counterpoint.worlds.given import did_you_mean, settings_from

SMOOTH = "smooth"
"""A game with one peak, of the same height as climbing's: the negative control."""
FRACTIONS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of the budget: where arms are also measured, to find where one overtakes another."""


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Raises:
        UnknownNameError, SettingError: something does not exist, or the budget cannot be split.
    """

    world: str
    """A game of `counterpoint games`, or `smooth`."""
    members: tuple[int, ...] = (1, 4, 16)
    """Sizes of populations; 1 is the single learner."""
    budget: int = 6400
    """Policy updates of all members together, evaluations included."""
    repeats: int = 30
    """Independent populations of each arm."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of `Settings`."""

    def __post_init__(self) -> None:
        if not self.members or min(self.members) < 1 or max(self.members) > 1024:
            raise SettingError(f"got members {self.members}; wanted sizes from 1 to 1024")
        if len(set(self.members)) < len(self.members):
            raise SettingError(f"got members {self.members}; wanted each size once")
        if self.repeats < 2:
            raise SettingError(f"got {self.repeats} repeats; wanted at least 2")
        self.game()
        told = self.told()
        for name, _, size in self.arms():
            (split_rounds if name.startswith("pbt") else split_best)(told, size, self.budget)

    def told(self) -> Settings:
        """The settings of members."""
        return settings_from(self.settings, Settings, self.world)

    def game(self) -> Game:
        """The game."""
        return game_of(self.world)

    def arms(self) -> list[tuple[str, Callable[..., Spending], int]]:
        """Name, function and size of each arm."""
        found: list[tuple[str, Callable[..., Spending], int]] = []
        for size in sorted(self.members):
            if size == 1:
                found.append(("single", best_of, 1))
                continue
            found.append((f"best_of_{size}", best_of, size))
            if size >= 4:
                found.append((f"pbt_{size}", population_based, size))
        return found


def game_of(world: str) -> Game:
    """The game called `world`.

    Raises:
        UnknownNameError: there is none.
    """
    if world == SMOOTH:
        own = np.array([5.5, 2.0, 0.0])
        payoff = own[:, None] + own
        return bimatrix(payoff, payoff, name=SMOOTH, source="ours: what each does adds up")
    if world not in catalogue():
        known = (SMOOTH, *catalogue())
        raise UnknownNameError(
            f"got world '{world}'; wanted one of {', '.join(known)}{did_you_mean(world, known)}"
        )
    return make_game(world)


def compare_populations(
    plan: Plan, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Every arm at every budget, as a document of schema `counterpoint.population/1`.

    Args:
        plan: what to compare.
        on_progress: told what is done, and of how much.
    """
    game, told, arms = plan.game(), plan.told(), plan.arms()
    budgets = sorted({max(1, round(plan.budget * share)) for share in FRACTIONS})
    found: dict[str, dict[int, Spending]] = {name: {} for name, _, _ in arms}
    done = 0
    for budget in budgets:
        for name, arm, size in arms:
            with suppress(SettingError):  # too small to be split; the whole budget was checked
                found[name][budget] = arm(game, told, size, budget, plan.repeats)
            done += 1
            if on_progress:
                on_progress(done, len(budgets) * len(arms))
    best = float(game.payoffs.mean(axis=-1).max())
    document: dict[str, Any] = {
        "schema": "counterpoint.population/1",
        "version": __version__,
        "world": plan.world,
        "source": game.source,
        "optimum": best,
        "budget": plan.budget,
        "repeats": plan.repeats,
        "settings": asdict(told),
        "arms": {
            name: {
                "members": size,
                "champion": _told(_iqm(found[name][plan.budget].champion)),
                "believed": _told(_iqm(found[name][plan.budget].believed)),
                "curse": asdict(_mean(found[name][plan.budget].believed
                                      - found[name][plan.budget].champion)),
                "spent": found[name][plan.budget].spent,
                "diversity": float(found[name][plan.budget].diversity.mean()),
                "curve": [
                    {"budget": budget, "spent": one.spent, **_told(_iqm(one.champion))}
                    for budget, one in found[name].items()
                ],
            }
            for name, _, size in arms
        },
    }  # fmt: skip
    document["crossover"] = None
    if "single" in found and len(arms) > 1:
        rival = max((name for name, _, _ in arms if name != "single"),
                    key=lambda name: found[name][plan.budget].champion.mean())  # fmt: skip
        document["crossover"] = crossover(found["single"], found[rival], rival)
        document["against_single"] = {
            name: asdict(_mean(found[name][plan.budget].champion
                               - found["single"][plan.budget].champion))
            for name, _, _ in arms if name != "single"
        }  # fmt: skip
    return document


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
    return bootstrap_interval(
        samples, rng=np.random.default_rng(0), statistic=lambda v: np.asarray(v.mean(axis=-1))
    )


def _told(estimate: Estimate) -> dict[str, Any]:
    told = asdict(estimate)
    return {"iqm": told.pop("value"), **told}
