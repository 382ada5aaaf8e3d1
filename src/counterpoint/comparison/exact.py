"""The arms of a comparison in an exactly evaluated world: tables and linear policies in NumPy.

Many seeds of an arm lie side by side in one task, which is split where workers are left over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from counterpoint.comparison.control import trained_control
from counterpoint.comparison.outcome import Outcome, from_tables
from counterpoint.comparison.pairs import Pair
from counterpoint.comparison.plan import ExecutionOptions, Plan
from counterpoint.comparison.probe import Probe, probe
from counterpoint.credit import Scheme
from counterpoint.errors import SettingError
from counterpoint.results.comparison import Control
from counterpoint.runs.executor import available_workers, run_tasks
from counterpoint.runs.task import Advance
from counterpoint.train.arms import arm
from counterpoint.train.options import refuse_model
from counterpoint.train.tabular.learner import Training, joined, train
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world

DEFAULT_SCHEMES = ("mappo_pooled", "happo_per_agent", "group_reward_decoupled", "grpo")
"""Pooled, decoupled, decoupled with memory, grouped; a counterfactual joins where there is one."""


@dataclass(frozen=True)
class Arm:
    """One scheme on one world over some seeds: a task for any executor."""

    world: str
    settings: Mapping[str, Any]
    scheme: str | Scheme
    seeds: range

    def __call__(self, advance: Advance) -> Training:
        world = find_world(self.world, Kind.EXACT).make(self.settings)
        return train(world, self.scheme, self.seeds, on_update=lambda update: advance())

    def parts(self, count: int) -> list[Arm]:
        """The same arm as at most `count` arms with seeds of their own."""
        count = min(count, len(self.seeds))
        cuts = [len(self.seeds) * i // count for i in range(count + 1)]
        return [replace(self, seeds=self.seeds[start:end]) for start, end in pairwise(cuts)]


class Tables:
    """A comparison in an exact world.

    Raises:
        UnknownNameError, SettingError, SchemeError: as `backend_of`.
    """

    default_seeds = 10
    batch_steps = 1
    axis = "update"
    budget = None

    def __init__(self, plan: Plan) -> None:
        refuse_model(plan.world, plan.model)
        self.plan = plan
        self.entry = find_world(plan.world, Kind.EXACT)
        self.world = world = self.entry.make(plan.settings)
        for name, value in (("budget", plan.budget), ("seconds", plan.seconds)):
            if value is not None:
                raise SettingError(
                    f"got {name}={value} for world '{plan.world}', whose teams learn for as many "
                    f"updates as its settings say; wanted --set updates={world.settings.updates}"
                )
        for name in plan.schemes:
            arm(name, world)
        extra = tuple(name for name in ("counterfactual",) if name in world.baselines)
        self.schemes = plan.schemes or (*DEFAULT_SCHEMES, *extra)
        self.agents = world.agents

    def facts(self) -> dict[str, Any]:
        """What the document says of the world."""
        return {
            "world": self.world.name,
            "summary": self.world.summary,
            "kind": "exact",
            "axis": self.axis,
            "references": {"random": self.world.random, "optimal": self.world.optimal},
        }

    def config(self) -> dict[str, Any]:
        """What the document says of what was asked for, beside schemes and seeds."""
        return {"settings": asdict(self.world.settings)}

    def train(
        self, pair: Pair, work: ExecutionOptions
    ) -> tuple[dict[str, Outcome], Control | None]:
        """Every scheme trained, and the control."""
        plan, world, seeds = self.plan, self.world, range(self.plan.seeds or self.default_seeds)
        arms = [Arm(plan.world, plan.settings, name, seeds) for name in self.schemes]
        apart = {**plan.settings, **(world.control or {})}
        if plan.control and world.control is not None:
            arms += [Arm(plan.world, apart, scheme, seeds) for scheme in pair.schemes]
        trainings = _train_all(arms, work, world.settings.updates)
        control = trainings[len(self.schemes) :]
        trained = zip(self.schemes, trainings, strict=False)
        return (
            {name: from_tables(world, done) for name, done in trained},
            trained_control(self.entry.make(apart), pair, control) if control else None,
        )

    def probe(self, pair: Pair) -> Probe:
        """Returns whether decoupling can matter."""
        return probe(self.world, pair.reference)


def _train_all(arms: Sequence[Arm], work: ExecutionOptions, updates: int) -> list[Training]:
    """Every arm trained; seeds are split where there are more workers than arms."""
    workers = available_workers() if work.workers is None else work.workers
    split = [arm.parts(-(-workers // len(arms))) for arm in arms]
    tasks = [part for parts in split for part in parts]
    total, told = updates * len(tasks), work.on_progress
    report = (lambda done: told(done, total)) if told else None
    results = iter(run_tasks(tasks, workers=workers, on_progress=report, executor=work.executor))
    return [joined([next(results) for _ in parts]) for parts in split]
