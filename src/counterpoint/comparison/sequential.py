"""The arms of a comparison in a sequential environment: networks trained by PPO, a task each.

Every scheme x seed is a `TrainPlan` of its own, so that any executor can train it, and a run
directory can take it up again. The same seed gives every scheme the same networks, worlds and
chance to begin with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from counterpoint.comparison.outcome import Outcome
from counterpoint.comparison.pairs import Pair
from counterpoint.comparison.plan import ExecutionOptions, Plan
from counterpoint.comparison.probe import Probe
from counterpoint.comparison.trainings import train_arms
from counterpoint.comparison.untrained import sequential_control, untrained_probe
from counterpoint.results.comparison import Control
from counterpoint.train.options import (
    budget_or_default,
    make_with_hints,
    measured_often,
    refuse_model,
    split_settings,
)
from counterpoint.train.ppo.levels import Crediting
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world

DEFAULT_SCHEMES = ("mappo_pooled", "happo_per_agent", "group_reward_decoupled", "none")
"""Pooled, decoupled, decoupled with memory on rewards, and no normalization at all."""


class Policies:
    """A comparison in a sequential environment.

    Raises:
        UnknownNameError, SettingError, SchemeError, MissingPackageError: as `backend_of`.
    """

    default_seeds = 5
    axis = TrainPlan.axis

    def __init__(self, plan: Plan) -> None:
        refuse_model(plan.world, plan.model)
        self.plan = plan
        entry = find_world(plan.world, Kind.SEQUENTIAL)
        self.own, self.policy = split_settings(entry, plan.settings)
        self.world = make_with_hints(entry, self.own)
        self.world.close()
        self.schemes = plan.schemes or DEFAULT_SCHEMES
        self.agents = self.world.agents
        python = self.world.python
        self.budget = budget_or_default(plan.budget, python=python)
        self.policy = self.policy.filled(python=python)
        if "diagnose_every" not in plan.settings:
            self.policy = measured_often(self.policy, self.budget, python=python)
        for name in self.schemes:
            Crediting.of(name, self.world, self.policy)
            self.batch_steps = self.training(name, 0).batch_steps

    def training(self, scheme: str, seed: int) -> TrainPlan:
        """The plan of one arm and seed."""
        return TrainPlan(
            world=self.plan.world,
            scheme=scheme,
            seed=seed,
            budget=self.budget,
            seconds=self.plan.seconds,
            world_settings=self.own,
            policy=self.policy,
        )

    def facts(self) -> dict[str, Any]:
        """What the document says of the world."""
        return {
            "world": self.plan.world,
            "summary": self.world.summary,
            "kind": "steps",
            "axis": self.axis,
            "references": asdict(self.world.references),
        }

    def config(self) -> dict[str, Any]:
        """What the document says of what was asked for, beside schemes and seeds."""
        own: Mapping[str, Any] = asdict(self.world.settings)
        arguments = own.get("arguments", {})
        world = {name: value for name, value in own.items() if name != "arguments"} | arguments
        return {
            "budget": self.budget,
            "seconds": self.plan.seconds,
            "settings": {**world, **asdict(self.policy)},
        }

    def train(
        self, pair: Pair, work: ExecutionOptions
    ) -> tuple[dict[str, Outcome], Control | None]:
        """Every scheme trained, and the control."""
        seeds = range(self.plan.seeds or self.default_seeds)
        plans = {(n, s): self.training(n, s) for s in seeds for n in self.schemes}
        found = train_arms(plans, -(-self.budget // (self.policy.copies * self.policy.steps)), work)
        control = sequential_control(self.training(self.schemes[0], 0), pair)
        return found, control if self.plan.control else None

    def probe(self, pair: Pair) -> Probe:
        """Returns whether decoupling can matter."""
        return untrained_probe(self.training(self.schemes[0], 0), pair)
