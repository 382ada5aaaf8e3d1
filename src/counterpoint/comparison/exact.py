"""Comparisons in an exact world: tabular and linear policies in NumPy.

Many seeds of a scheme lie side by side in one task, which is split if there are more workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import numpy as np

from counterpoint.comparison.backend import Backend
from counterpoint.comparison.decoupling import Pair, Probe, untrained_log
from counterpoint.comparison.outcome import SchemeOutcome, from_tables
from counterpoint.comparison.plan import ExecutionOptions, Plan
from counterpoint.comparison.summary import band, seed_mean
from counterpoint.credit import Scheme, advantages
from counterpoint.diagnose import diagnose
from counterpoint.errors import SettingError
from counterpoint.machine.processes import available_workers
from counterpoint.records import Decisions
from counterpoint.results.comparison import Control, ControlScheme, Curves, References
from counterpoint.results.parts import Settings
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.task import Advance
from counterpoint.train.estimators import estimator, labels
from counterpoint.train.ppo.settings import refuse_model
from counterpoint.train.tabular.learner import Training, joined, train
from counterpoint.worlds.exact.world import CHANCE, TASK, World, in_natural_order, stack
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world

DEFAULT_SCHEMES = ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "grpo", "adaptive")
"""Pooled, decoupled, decoupled with memory, grouped, adaptive; the
counterfactual baseline is added if the
world has one."""
BATCHES = 40
"""Number of batches of the untrained team in a probe, spread over the run."""


@dataclass(frozen=True)
class TabularTask:
    """One scheme on one world over some seeds: a task for any executor."""

    world: str
    settings: Settings
    scheme: str | Scheme
    seeds: range

    def __call__(self, advance: Advance) -> Training:
        world = find_world(self.world, Kind.EXACT).make(self.settings)
        return train(world, self.scheme, self.seeds, on_update=lambda update: advance())

    def parts(self, count: int) -> list[TabularTask]:
        """Returns the same task as at most `count` tasks with different seeds."""
        count = min(count, len(self.seeds))
        cuts = [len(self.seeds) * i // count for i in range(count + 1)]
        return [replace(self, seeds=self.seeds[start:end]) for start, end in pairwise(cuts)]


class ExactComparison(Backend):
    """A comparison in an exact world.

    Raises:
        UnknownNameError, SettingError, SchemeError: as `backend_of`.
    """

    default_seeds = 10
    axis, kind = "update", "exact"

    def __init__(self, plan: Plan) -> None:
        refuse_model(plan.world, plan.model)
        self.plan = plan
        self.entry = find_world(plan.world, Kind.EXACT)
        self.world = world = self.entry.make(plan.settings)
        for name, value in (("budget", plan.budget), ("seconds", plan.seconds)):
            if value is not None:
                raise SettingError(
                    f"got {name}={value} for world '{plan.world}', whose number of updates is one "
                    f"of its settings; wanted --set updates={world.settings.updates}"
                )
        for name in plan.schemes:
            estimator(name, world)
        extra = tuple(name for name in ("counterfactual",) if name in world.baselines)
        self.schemes = plan.schemes or (*DEFAULT_SCHEMES, *extra)
        self.agents = world.agents
        self.world_name, self.summary = world.name, world.summary
        self.references = References(random=world.random, optimal=world.optimal)
        self.settings = asdict(world.settings)

    def train(
        self, pair: Pair, options: ExecutionOptions
    ) -> tuple[dict[str, SchemeOutcome], Control | None]:
        plan, world, seeds = self.plan, self.world, self.seeds
        tasks = [TabularTask(plan.world, plan.settings, name, seeds) for name in self.schemes]
        apart = {**plan.settings, **(world.control or {})}
        if plan.control and world.control is not None:
            tasks += [TabularTask(plan.world, apart, scheme, seeds) for scheme in pair.schemes]
        workers = available_workers() if options.workers is None else options.workers
        # the seeds of a task are split if there are more workers than tasks
        split = [task.parts(-(-workers // len(tasks))) for task in tasks]
        parts = [part for parts in split for part in parts]
        total, on_progress = world.settings.updates * len(parts), options.on_progress
        results = iter(run_tasks(
            parts, workers=workers, executor=options.executor,
            on_progress=(lambda done: on_progress(done, total)) if on_progress else None,
        ))  # fmt: skip
        trainings = [joined([next(results) for _ in parts]) for parts in split]
        control = trainings[len(self.schemes) :]
        trained = zip(self.schemes, trainings, strict=False)
        return (
            {name: from_tables(world, done) for name, done in trained},
            trained_control(self.entry.make(apart), pair, control) if control else None,
        )

    def probe(self, pair: Pair) -> Probe:
        return probe(self.world, pair.reference)


def probe(world: World, scheme: Scheme, *, seed: int = 0) -> Probe:
    """Returns the diagnosis of `scheme` on batches of the untrained team."""
    rng = np.random.default_rng(seed)
    decoupling = diagnose(log_of_uniform_team(world, seed=seed), scheme, rng=rng).decoupling
    return Probe(decoupling.verdict, tuple(decoupling.conditions))


def log_of_uniform_team(world: World, *, seed: int = 0) -> Decisions:
    """Returns the rewards of a uniform team, as a log of at most `BATCHES` updates."""
    world = in_natural_order(world)
    tasks = stack([world.tasks(np.random.default_rng([seed, TASK]))])
    chance = np.random.default_rng([seed, CHANCE])
    updates = world.settings.updates
    looked_at = set(np.linspace(0, updates - 1, min(BATCHES, updates)).astype(int).tolist())
    parts = []
    for update in range(updates):
        drawn = world.draw(chance, update)  # chance is one stream: what is skipped is drawn too
        if update in looked_at:
            play = world.play(tasks, stack([drawn]), world.uniform(1))
            rows, columns = labels(world, play.active)
            del columns["batch"]  # one seed plays
            parts.append((update, play.reward.ravel()[rows], columns))
    return untrained_log(parts, world.agents)


def trained_control(everyone: World, pair: Pair, trainings: Sequence[Training]) -> Control:
    """Returns the control: both schemes of the pair, trained in a world with control settings."""
    coupled, decoupled = trainings
    log = log_of_uniform_team(everyone)
    columns = {**log.labels, "batch": log.step}
    values = [advantages(log.rewards, columns, scheme).values for scheme in pair.schemes]
    names = (pair.name, pair.decoupled_name or f"{pair.name}, by agent")
    return Control(
        setting=", ".join(f"{key}={value}" for key, value in (everyone.control or {}).items()),
        schemes={
            name: ControlScheme(
                returns=seed_mean(done.returns[:, -1]),
                curves=Curves(
                    update=list(range(done.returns.shape[1])), returns=band(done.returns)
                ),
            )
            for name, done in zip(names, trainings, strict=True)
        },
        max_advantage_difference=float(np.abs(values[0] - values[1]).max()),
        max_curve_difference=float(np.abs(coupled.returns - decoupled.returns).max()),
        decoupling=probe(everyone, pair.reference).verdict,
    )
