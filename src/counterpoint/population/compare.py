"""`compare_populations`: one learner beside many, at small and large budgets, and the crossover."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

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
from counterpoint.stats import bootstrap_interval, means
from counterpoint.stats.estimate import Estimate
from counterpoint.train.needs import require_torch
from counterpoint.worlds.given import did_you_mean, settings_from
from counterpoint.worlds.stepwise import step_catalogue

if TYPE_CHECKING:
    from counterpoint.population.neural import NeuralArms

SMOOTH = "smooth"
"""A game with one peak, of the same height as climbing's: the negative control."""


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
    """Processes, in a world of many steps; None means one for each processor."""

    def __post_init__(self) -> None:
        if not self.members or min(self.members) < 1 or max(self.members) > 1024:
            raise SettingError(f"got members {self.members}; wanted sizes from 1 to 1024")
        if len(set(self.members)) < len(self.members):
            raise SettingError(f"got members {self.members}; wanted each size once")
        if self.repeats < 2:
            raise SettingError(f"got {self.repeats} repeats; wanted at least 2")
        made = self.made()
        for name, size in self.arms():
            made.split(name, size, self.budget)

    def made(self) -> GameArms | NeuralArms:
        """What plays it."""
        if self.world != SMOOTH and self.world not in catalogue() and self.is_stepwise():
            require_torch()
            from counterpoint.population.neural import NeuralArms

            return NeuralArms(self.world, self.settings, self.repeats, self.workers)
        told = settings_from(self.settings, Settings, self.world)
        return GameArms(game_of(self.world), told, self.repeats)

    def is_stepwise(self) -> bool:
        """Whether the world has many steps."""
        return self.world in step_catalogue() or ":" in self.world

    def arms(self) -> list[tuple[str, int]]:
        """Name and size of each arm; population-based training is of games."""
        found = []
        games = not self.is_stepwise()
        for size in sorted(self.members):
            found.append(("single" if size == 1 else f"best_of_{size}", size))
            if size >= 4 and games:
                found.append((f"pbt_{size}", size))
        return found


@dataclass(frozen=True)
class GameArms:
    """What a comparison needs of a game."""

    game: Game
    settings: Settings
    repeats: int

    fractions = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
    """Of the budget: where arms are also measured, to find where one overtakes another."""

    def facts(self) -> dict[str, Any]:
        """What the document says of the game."""
        return {
            "source": self.game.source,
            "optimum": float(self.game.payoffs.mean(axis=-1).max()),
            "unit": "mean payoff",
            "settings": asdict(self.settings),
        }

    def split(self, name: str, members: int, budget: int) -> None:
        """Return where the budget can be split.

        Raises:
            SettingError: it cannot.
        """
        (split_rounds if name.startswith("pbt") else split_best)(self.settings, members, budget)

    def run(self, name: str, members: int, budget: int, advance: Callable[[], None]) -> Spending:
        """All repeats of one arm at one budget.

        Raises:
            SettingError: the budget cannot be split.
        """
        arm = population_based if name.startswith("pbt") else best_of
        found = arm(self.game, self.settings, members, budget, self.repeats)
        advance()
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
    made, arms = plan.made(), plan.arms()
    budgets = sorted({max(1, round(plan.budget * share)) for share in made.fractions})
    found: dict[str, dict[int, Spending]] = {name: {} for name, _ in arms}
    done, total = 0, len(budgets) * len(arms)

    def advance() -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done, total)

    for budget in budgets:
        for name, size in arms:
            try:
                found[name][budget] = made.run(name, size, budget, advance)
            except SettingError:  # too small to be split; the whole budget was checked before
                advance()
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
                "diversity": float(found[name][plan.budget].diversity.mean()),
                "curve": [
                    {"budget": budget, "spent": one.spent, **_told(_iqm(one.champion))}
                    for budget, one in found[name].items()
                ],
            }
            for name, size in arms
        },
    }  # fmt: skip
    document["crossover"] = None
    if "single" in found and len(arms) > 1:
        rival = max((name for name, _ in arms if name != "single"),
                    key=lambda name: found[name][plan.budget].champion.mean())  # fmt: skip
        document["crossover"] = crossover(found["single"], found[rival], rival)
        document["against_single"] = {
            name: asdict(_mean(found[name][plan.budget].champion
                               - found["single"][plan.budget].champion))
            for name, _ in arms if name != "single"
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
    return bootstrap_interval(samples, rng=np.random.default_rng(0), statistic=means)


def _told(estimate: Estimate) -> dict[str, Any]:
    told = asdict(estimate)
    return {"iqm": told.pop("value"), **told}
