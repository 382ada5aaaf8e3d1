"""Populations of neural teams in sequential environments: a training for each member.

The unit is a policy update, which plays one batch. An evaluation is charged as the batches that its
episodes would fill. The champion is measured on other episodes than those for which it was chosen;
they are not charged, since nobody learns from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import RunError
from counterpoint.population.cells import ArmOutcome, Arms, Facts, require_budget
from counterpoint.results.parts import Settings
from counterpoint.settings import require, settings_from
from counterpoint.train.ppo.plan import PolicyTrainer, TrainPlan
from counterpoint.train.ppo.settings import POLICY, PolicySettings, make_with_hints, split_settings
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.world import StepWorld

EPISODES = 20
"""Fresh episodes of a member before it is copied or chosen; as many again measure a champion."""
SCHEME = "mappo_per_agent"
"""How members normalize, unless they differ in that."""
SCHEMES = ("mappo_per_agent", "mappo_pooled", "group_reward_decoupled")
"""Schemes of members who differ in their schemes."""


@dataclass(frozen=True, kw_only=True)
class TeamSettings:
    """Settings of a population of neural teams, besides those of the world and its policies.

    Raises:
        SettingError: a number out of its range.
    """

    pbt_rounds: int = 4
    """Rounds of population-based training; after each the worst members are replaced."""
    diverse: Literal["start", "hyper", "scheme"] = "start"
    """The difference of members besides their seeds: see `PopulationSettings`."""

    def __post_init__(self) -> None:
        require("pbt_rounds", self.pbt_rounds, 1, 1000)


@dataclass(frozen=True)
class NeuralArms(Arms):
    """The arms of a sequential environment.

    Raises:
        UnknownNameError, SettingError, MissingPackageError: as `TrainPlan`.
    """

    world: str
    """Name of a sequential environment."""
    settings: Settings
    """Settings of the world, of its policies, and of `TeamSettings`."""

    fractions = (1 / 4, 1 / 2, 1.0)
    repeats_at_once = 1

    def __post_init__(self) -> None:
        self.teams  # noqa: B018  (it checks its values)

    @cached_property
    def teams(self) -> TeamSettings:
        """Returns the settings of the population."""
        own = {k: v for k, v in self.settings.items() if k in ("pbt_rounds", "diverse")}
        return settings_from(own, TeamSettings, self.world)

    def _split_settings(self) -> tuple[Settings, PolicySettings]:
        """Returns the settings of the world, and those of its policies."""
        own = {k: v for k, v in self.settings.items() if k not in ("pbt_rounds", "diverse")}
        return split_settings(find_world(self.world, Kind.SEQUENTIAL), own, PolicySettings)

    def _made(self) -> StepWorld:
        """Returns the environment, closed: callers read its description."""
        entry = find_world(self.world, Kind.SEQUENTIAL)
        world = make_with_hints(entry, self._split_settings()[0], POLICY)
        world.close()
        return world

    def plan(self, repeat: int, member: int, updates: int) -> TrainPlan:
        """Returns the training of one member; its chance does not depend on the population."""
        own, policy = self._split_settings()
        policy, scheme = replace(policy, diagnose_every=0), SCHEME
        if member and self.teams.diverse == "hyper":
            rng = np.random.default_rng([repeat, member, 41])
            policy = replace(policy, lr=policy.lr * 3.0 ** rng.uniform(-1, 1))
        if self.teams.diverse == "scheme":
            scheme = SCHEMES[member % len(SCHEMES)]
        made = TrainPlan(
            self.world, scheme, 1000 * repeat + member, 1, None, own, policy, episodes=EPISODES
        )
        return replace(made, budget=updates * made.batch_steps)

    def key(self) -> Settings:
        return {"world": self.world, "settings": self.settings}

    def facts(self) -> Facts:
        world = self._made()
        best = world.references.reference
        return Facts(
            source=world.source,
            optimum=None if best is None else float(best),
            unit=world.references.scale,
            exact=False,
            settings={"scheme": SCHEME, "episodes": EPISODES, **self.settings},
        )

    def evaluation(self) -> int:
        """Returns what an evaluation of a member is charged, in updates."""
        world = self._made()
        steps = EPISODES * (world.horizon or 1)
        return -(-steps // self.plan(0, 0, 1).batch_steps)

    def split(self, name: str, members: int, budget: int) -> list[int]:
        """Returns the updates of each member in each round.

        Members are evaluated after every round; a single member is never evaluated, since nobody
        chooses.
        """
        rounds = self.teams.pbt_rounds if name.startswith("pbt") else 1
        cost = 0 if members == 1 else self.evaluation()
        each = budget // members
        updates = each - rounds * cost
        require_budget(updates // rounds, members * each, budget, f"{name} with {members} members",
               rounds * cost)  # fmt: skip
        more = updates % rounds
        return [updates // rounds + (1 if number < more else 0) for number in range(rounds)]

    def run(self, name: str, members: int, budget: int, first: int, repeats: int) -> ArmOutcome:
        parts = [self._one(name, members, budget, first + number) for number in range(repeats)]
        return ArmOutcome.joined(parts)

    def _one(self, name: str, members: int, budget: int, repeat: int) -> ArmOutcome:
        rounds = self.split(name, members, budget)
        plans = [self.plan(repeat, member, sum(rounds)) for member in range(members)]
        team = [plan.trainer() for plan in plans]
        estimates = np.zeros(members)
        for number, updates in enumerate(rounds):
            for one in team:
                for _ in range(updates):
                    one.update(None)
            if members > 1:
                estimates = np.array([measured(one, number).mean() for one in team])
            if number < len(rounds) - 1:
                rng = np.random.default_rng([repeat, number, 43])
                order, quarter = np.argsort(estimates), max(1, members // 4)
                for bad, good in zip(order[:quarter], order[-quarter:], strict=True):
                    copy(team[good], team[bad], float(rng.choice((0.8, 1.25))))
        best = int(estimates.argmax())
        worth = measured(team[best], len(rounds)).mean()
        believed = worth if members == 1 else estimates[best]
        for one in team:
            one.close()
        return ArmOutcome(np.array([worth]), np.array([believed]), budget // members * members)


def measured(one: PolicyTrainer, number: int) -> Floats:
    """Returns the returns of fresh episodes, [EPISODES]; every number has other episodes.

    Raises:
        RunError: no episode of this world ends.
    """
    seed = one.plan.seed
    one.plan = replace(one.plan, seed=seed + 1_000_003 * (number + 1))
    evaluation = one.evaluate(lambda: False)
    one.plan = replace(one.plan, seed=seed)
    if evaluation is None or not len(evaluation[0]):
        raise RunError(f"no episode ended: {one.plan.without_return()}")
    return evaluation[0]


def copy(good: PolicyTrainer, bad: PolicyTrainer, factor: float) -> None:
    """Copies to `bad` what `good` has learned and how it normalizes.

    The step size is multiplied by `factor`; the random numbers of `bad` stay its own.
    """
    bad.learner.crediting = good.learner.crediting
    bad.learner.adam.restore(good.learner.adam.capture())
    bad.learner.critics.restore(good.learner.critics.capture())
    bad.learner.team.scales.restore(good.learner.team.scales.capture())
    bad.learner.state = good.learner.state
    bad.learner.settings = replace(bad.learner.settings, lr=good.learner.settings.lr * factor)
