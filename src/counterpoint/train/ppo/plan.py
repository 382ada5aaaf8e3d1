"""`TrainPlan`: a training of neural policies in a sequential environment, as plain data.

`loop.train_to_end` trains it; `learner.Learner` is the team that learns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from counterpoint.arrays import Floats, Ints
from counterpoint.errors import SettingError
from counterpoint.results.parts import Settings
from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import Trainer, Update
from counterpoint.train.ppo.improve import SetBatch
from counterpoint.train.ppo.learner import HAPPO, BatchEstimate, Crediting, Learner
from counterpoint.train.ppo.probe import credit_audit, measure_policies
from counterpoint.train.ppo.rollout import Batch, RolloutCollector
from counterpoint.train.ppo.settings import (
    BUDGET,
    MEASUREMENTS,
    POLICY,
    PYTHON_BUDGET,
    PolicySettings,
    make_with_hints,
    refuse_model,
    split_settings,
)
from counterpoint.train.stepwise import StepwisePlan, fresh_copies, fresh_returns
from counterpoint.worlds.foreign.names import is_foreign
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world

CHECKPOINT_STEPS = 5_000
"""Most steps between two checkpoints, as far as a batch is not longer."""


@dataclass(frozen=True)
class TrainPlan(StepwisePlan):
    """A training of a team of neural policies, as plain data.

    Raises:
        SettingError: a number out of its range.
    """

    order = ("world", "scheme", "seed", "budget", "seconds", "world_settings", "policy", "episodes")

    budget: int = 100_000
    policy: PolicySettings = field(default_factory=PolicySettings)
    """How policies are built and trained."""

    def __post_init__(self) -> None:
        # Defaults are filled in now, so that a saved run keeps its numbers in later versions.
        filled = self.policy.filled(python=is_foreign(self.world))
        object.__setattr__(self, "policy", filled)
        super().__post_init__()

    @property
    def batch_steps(self) -> int:
        """Steps of one batch, all copies together."""
        return self.policy.copies * self.policy.steps

    @classmethod
    def of(
        cls, world: str, scheme: str, budget: int | None, given: Settings, model: str | None
    ) -> TrainPlan:
        refuse_model(world, model)
        entry = find_world(world, Kind.SEQUENTIAL)
        if scheme == HAPPO:
            given = {"update": "sequential", "parameters": "separate", **given}
        own, policy = split_settings(entry, given, PolicySettings)
        made = make_with_hints(entry, own, POLICY)
        made.close()
        policy = policy.filled(python=made.python)
        if budget is None:
            budget = PYTHON_BUDGET if made.python else BUDGET
        if budget < 1:
            raise SettingError(f"got budget={budget}; wanted at least 1 step")
        if "diagnose_every" not in given:
            # A small budget is measured more often: the first verdict comes with the tenth time.
            often = max(1, -(-budget // (policy.copies * policy.steps)) // MEASUREMENTS)
            policy = replace(policy, diagnose_every=min(policy.diagnose_every, often))
        Crediting.of(scheme, made, policy)
        return cls(world, scheme, budget=budget, world_settings=own, policy=policy)

    def learner(self) -> Learner:
        """Returns the untrained team, with the copies in which it trains."""
        world = self.make_world(0, self.policy.copies)
        return Learner(world, self.scheme, self.policy, self.seed, self.budget)

    def trainer(self) -> PolicyTrainer:
        return PolicyTrainer(self, self.learner())


class PolicyTrainer(Trainer):
    """A team of neural policies, as the training loop calls it."""

    learner: Learner
    between_checkpoints = CHECKPOINT_STEPS

    def __init__(self, plan: TrainPlan, learner: Learner) -> None:
        self.plan, self.learner = plan, learner
        world = learner.world
        self.agents, self.references = world.agents, world.references
        self.continuous = world.actions[0].continuous

    @property
    def steps(self) -> int:
        """Steps played so far, all copies together."""
        return self.learner.steps

    def update(self, run: RunDirectory | None) -> Update:
        learner, every = self.learner, self.learner.settings.diagnose_every
        measured = None

        def look(batch: Batch, estimate: BatchEstimate, batches: list[SetBatch]) -> None:
            nonlocal measured
            measured = measure_policies(learner, batches, estimate.credited)
            if learner.world.settings.reward == "common":
                audit = credit_audit(batch, estimate.advantage, learner.settings.gamma)
                for numbers, correlation in zip(measured[0], audit, strict=True):
                    numbers["credit_correlation"] = correlation

        due = every > 0 and learner.updates % every == 0
        batch, losses = learner.update(look if due else None)
        returns = batch.returns
        mean = float(returns.mean()) if len(returns) else None
        return Update(len(returns), mean, losses, measured)

    def evaluate(self, should_stop: Callable[[], bool]) -> tuple[Floats, Floats] | None:
        """Returns the returns of fresh episodes: see `fresh_returns`. Actions are sampled."""
        plan, learner = self.plan, self.learner
        fresh = fresh_copies(plan, learner.world)
        collector = RolloutCollector(fresh, learner.settings, plan.seed + 1)

        def play(steps: int) -> tuple[Ints, Floats]:
            batch = collector.play(learner.team, steps)
            return batch.finished, batch.by_agent

        return fresh_returns(plan, fresh, play, learner.collector.steps, should_stop)

    def close(self) -> None:
        """Closes the worlds."""
        self.learner.world.close()
