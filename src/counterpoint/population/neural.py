"""Populations of neural teams in worlds of many steps: a training for each member.

The unit is the same: a policy update, which plays one batch. An evaluation is charged as the
batches that its episodes would fill. The champion is measured on other episodes than those for
which it was chosen, which are not charged: nobody learns from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from counterpoint.errors import SettingError
from counterpoint.experiments.trainings import OneTraining
from counterpoint.population.arms import Spending, demand
from counterpoint.runs.executor import run_tasks
from counterpoint.train.options import make_told, split_settings
from counterpoint.train.training import TrainPlan

EPISODES = 20
"""Fresh episodes of a member before a champion is chosen; as many again measure it."""
SCHEME = "happo_per_agent"
"""How members normalize."""


@dataclass(frozen=True)
class NeuralArms:
    """What a comparison needs of a world of many steps.

    Raises:
        UnknownNameError, SettingError, MissingPackageError: as `TrainPlan`.
    """

    world: str
    """Of many steps."""
    settings: Mapping[str, Any]
    """Of the world and of the policies."""
    repeats: int
    """Independent populations of each arm."""
    workers: int | None = None
    """Processes; None means one for each processor."""

    fractions = (1 / 4, 1 / 2, 1.0)
    """Of the budget: where arms are also measured."""

    def plan(self, seed: int, updates: int) -> TrainPlan:
        """The training of one member."""
        own, policy = split_settings(self.world, dict(self.settings))
        made = TrainPlan(self.world, SCHEME, seed, 1, None, own, replace(policy, diagnose_every=0),
                         2 * EPISODES)  # fmt: skip
        return replace(made, budget=updates * made.batch_steps)

    def facts(self) -> dict[str, Any]:
        """What the document says of the world."""
        own, _ = split_settings(self.world, dict(self.settings))
        world = make_told(self.world, own)
        world.close()
        return {
            "source": world.source,
            "optimum": world.references.reference,
            "unit": world.references.scale,
            "settings": {"scheme": SCHEME, "episodes": EPISODES, **dict(self.settings)},
        }

    def evaluation(self) -> int:
        """What an evaluation is charged, in updates."""
        own, _ = split_settings(self.world, dict(self.settings))
        world = make_told(self.world, own)
        world.close()
        steps = EPISODES * (world.horizon or 1)
        return -(-steps // self.plan(0, 1).batch_steps)

    def split(self, name: str, members: int, budget: int) -> tuple[int, int]:
        """Updates of each member, and what all are charged.

        Raises:
            SettingError: the budget cannot be split so that nearly all of it is used.
        """
        if name.startswith("pbt"):
            raise SettingError("population-based training is of games; neural members train apart")
        each, cost = budget // members, self.evaluation()
        updates = each - (0 if members == 1 else cost)
        demand(updates, members * each, budget, f"{members} members", cost)
        return updates, members * each

    def run(self, name: str, members: int, budget: int, advance: Callable[[], None]) -> Spending:
        """All repeats of one arm at one budget.

        Raises:
            SettingError: as `split`.
        """
        updates, spent = self.split(name, members, budget)
        seeds = [(r, m) for r in range(self.repeats) for m in range(members)]
        tasks = [OneTraining(self.plan(1000 * r + m, updates), None) for r, m in seeds]
        trained = run_tasks(tasks, workers=self.workers)
        advance()
        chosen = np.array([np.mean(one.returns[:EPISODES]) for one in trained])
        fresh = np.array([np.mean(one.returns[EPISODES:]) for one in trained])
        chosen, fresh = (one.reshape(self.repeats, members) for one in (chosen, fresh))
        rows, best = np.arange(self.repeats), chosen.argmax(axis=1)
        spread = np.full(self.repeats, float(members))
        return Spending(fresh[rows, best], chosen[rows, best], spent, spread)
