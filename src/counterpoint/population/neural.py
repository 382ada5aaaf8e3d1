"""Populations of neural teams in sequential environments: a training for each member.

The unit is the same: a policy update, which plays one batch. An evaluation is charged as the
batches that its episodes would fill. The champion is measured on other episodes than those for
which it was chosen, which are not charged: nobody learns from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import RunError, SettingError
from counterpoint.population.cells import ArmOutcome, Facts, require_budget
from counterpoint.settings import require
from counterpoint.train.ppo.plan import PolicyTrainer, TrainPlan
from counterpoint.train.ppo.settings import make_with_hints, split_settings
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.world import SequentialEntry, StepWorld

EPISODES = 20
"""Fresh episodes of a member before it is copied or chosen; as many again measure a champion."""
ROUNDS = 4
"""Default rounds of population-based training."""
SCHEME = "happo_per_agent"
"""How members normalize, unless they differ in that."""
SCHEMES = ("happo_per_agent", "mappo_pooled", "group_reward_decoupled")
DIVERSE = ("start", "hyper", "scheme")


@dataclass(frozen=True)
class NeuralArms:
    """What a comparison needs of a sequential environment.

    Raises:
        UnknownNameError, SettingError, MissingPackageError: as `TrainPlan`.
    """

    world: str
    """Name of a sequential environment."""
    settings: Mapping[str, Any]
    """Of the world and of the policies, and of the population: `pbt_rounds`, `diverse`."""

    fractions = (1 / 4, 1 / 2, 1.0)
    """Of the budget: where arms are also measured."""
    repeats_at_once = 1
    span = None

    def __post_init__(self) -> None:
        require("pbt_rounds", self.rounds, 1, 1000)
        if self.diverse not in DIVERSE:
            raise SettingError(f"got diverse={self.diverse!r}; wanted {' or '.join(DIVERSE)}")

    @property
    def rounds(self) -> int:
        """Returns the rounds of population-based training."""
        value = self.settings.get("pbt_rounds", ROUNDS)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise SettingError(f"got pbt_rounds={value!r}; wanted a number") from None

    @property
    def diverse(self) -> str:
        """Returns in what members differ besides their seeds: see `PopulationSettings`."""
        return str(self.settings.get("diverse", "start"))

    def arms(self, members: Sequence[int]) -> list[tuple[str, int]]:
        """Returns name and size of each arm."""
        arms: list[tuple[str, int]] = []
        for size in sorted(members):
            arms.append(("single" if size == 1 else f"best_of_{size}", size))
            if size >= 4:
                arms.append((f"pbt_{size}", size))
        return arms

    @property
    def entry(self) -> SequentialEntry:
        """Returns the environment in the registry."""
        return find_world(self.world, Kind.SEQUENTIAL)

    def _made(self) -> StepWorld:
        """Returns the environment, closed: callers read its description."""
        world = make_with_hints(self.entry, self._split()[0])
        world.close()
        return world

    def _split(self) -> tuple[dict[str, Any], Any]:
        own = {k: v for k, v in self.settings.items() if k not in ("pbt_rounds", "diverse")}
        return split_settings(self.entry, own)

    def plan(self, repeat: int, member: int, updates: int) -> TrainPlan:
        """Returns the training of one member; its chance does not depend on the population."""
        own, policy = self._split()
        policy, scheme = replace(policy, diagnose_every=0), SCHEME
        if member and self.diverse == "hyper":
            rng = np.random.default_rng([repeat, member, 41])
            policy = replace(policy, lr=policy.lr * 3.0 ** rng.uniform(-1, 1))
        if self.diverse == "scheme":
            scheme = SCHEMES[member % len(SCHEMES)]
        made = TrainPlan(
            self.world, scheme, 1000 * repeat + member, 1, None, own, policy, episodes=EPISODES
        )
        return replace(made, budget=updates * made.batch_steps)

    def key(self) -> Mapping[str, object]:
        """Returns what results depend on."""
        return {"world": self.world, "settings": dict(self.settings)}

    def facts(self) -> Facts:
        """Returns what the result says of the world."""
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

        Raises:
            SettingError: the budget cannot be split so that nearly all of it is used.
        """
        rounds = self.rounds if name.startswith("pbt") else 1
        cost = 0 if members == 1 else self.evaluation()
        each = budget // members
        updates = each - rounds * cost
        require_budget(updates // rounds, members * each, budget, f"{name} with {members} members",
               rounds * cost)  # fmt: skip
        more = updates % rounds
        return [updates // rounds + (1 if number < more else 0) for number in range(rounds)]

    def run(self, name: str, members: int, budget: int, first: int, repeats: int) -> ArmOutcome:
        """Returns the outcome of one arm at one budget, for repeats from `first` on.

        Raises:
            SettingError: as `split`.
        """
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
    """Returns the returns of fresh episodes, [EPISODES], others for each number.

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
    """Copies to `bad` what `good` has learned and how it normalizes; its step size is multiplied by
    `factor`, and its chance stays its own."""
    bad.learner.crediting = good.learner.crediting
    bad.learner.adam.restore(good.learner.adam.capture())
    bad.learner.critics.restore(good.learner.critics.capture())
    bad.learner.state = good.learner.state
    bad.learner.settings = replace(bad.learner.settings, lr=good.learner.settings.lr * factor)
