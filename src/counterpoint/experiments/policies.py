"""The arms of a comparison in a world of many steps: networks trained by PPO, a task each.

Every scheme x seed is a `TrainPlan` of its own, so that any executor can train it, and a run
directory can take it up again. The same seed gives every scheme the same networks, worlds and
chance to begin with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoint.errors import RunError
from counterpoint.experiments.outcome import Outcome, from_policies
from counterpoint.experiments.pairs import Pair
from counterpoint.experiments.untrained import control_facts, untrained_probe
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.executor import Advance, run_tasks
from counterpoint.runs.names import run_folder
from counterpoint.runs.status import METRICS, RUN, read_run
from counterpoint.train.levels import Crediting
from counterpoint.train.options import budget_or_default, make_told, measured_often, split_settings
from counterpoint.train.training import Row, Trained, TrainPlan, lost_updates, train_policies

if TYPE_CHECKING:
    from counterpoint.experiments.compare import Plan, Work

DEFAULT_SCHEMES = ("mappo_pooled", "happo_per_agent", "group_reward_decoupled", "none")
"""Pooled, decoupled, decoupled with memory on rewards, and no normalization at all."""


@dataclass(frozen=True)
class OneTraining:
    """One scheme and seed: a task for any executor."""

    plan: TrainPlan
    folder: Path | None
    """Its run directory, begun or not; None for nowhere."""

    def __call__(self, advance: Advance) -> Trained:
        def on_row(row: Row) -> None:
            advance(told_of(row))

        if self.folder is None:
            return train_policies(self.plan, on_row=on_row)
        with self._run(self.folder) as run:
            if lost := lost_updates(run):
                raise RunError(
                    f"{run.path / METRICS} lacks {lost} of its updates, so that the run cannot be "
                    f"compared; remove {run.path} to train it again"
                )
            return train_policies(self.plan, run=run, on_row=on_row)

    def _run(self, folder: Path) -> RunDirectory:
        if not (folder / RUN).exists():
            return RunDirectory.create(folder, self.plan.config())
        if TrainPlan.from_config(read_run(folder)["config"]) != self.plan:
            raise RunError(
                f"{folder} holds a run of another plan; wanted that of this comparison, or none: "
                "choose another --out"
            )
        return RunDirectory.open(folder)


def told_of(row: Row) -> dict[str, Any]:
    """What a training tells of a row while it goes on: step, return, normalized, collapsed."""
    told = {name: row[name] for name in ("step", "return", "normalized")}
    if "agents" in row:
        told["collapsed"] = [name for name, agent in row["agents"].items() if agent["collapsed"]]
    return told


class Policies:
    """What a comparison needs of a world of many steps.

    Raises:
        UnknownNameError, SettingError, SchemeError, MissingPackageError: as `Plan`.
    """

    default_seeds = 5

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.own, self.policy = split_settings(plan.world, plan.settings)
        self.world = make_told(plan.world, self.own)
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
            self.training(name, 0)

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
            "axis": "step",
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

    def train(self, pair: Pair, work: Work) -> tuple[dict[str, Outcome], dict[str, Any] | None]:
        """Every scheme trained, and the control."""
        seeds = range(self.plan.seeds or self.default_seeds)
        arms = [(name, seed) for seed in seeds for name in self.schemes]
        tasks = [OneTraining(self.training(*arm), self._folder(work, *arm)) for arm in arms]
        total = -(-self.budget // (self.policy.copies * self.policy.steps)) * len(tasks)
        on_progress, on_row = work.on_progress, work.on_row
        trained = run_tasks(
            tasks,
            workers=work.workers,
            executor=work.executor,
            on_progress=(lambda done: on_progress(done, total)) if on_progress else None,
            on_message=(lambda index, told: on_row(*arms[index], told)) if on_row else None,
        )
        by_arm = dict(zip(arms, trained, strict=True))
        found = {n: from_policies([by_arm[n, s] for s in seeds]) for n in self.schemes}
        control = control_facts(self.training(self.schemes[0], 0), pair)
        return found, control if self.plan.control else None

    def probe(self, pair: Pair) -> dict[str, Any]:
        """Whether decoupling can matter: verdict, conditions, largest change of an advantage."""
        return untrained_probe(self.training(self.schemes[0], 0), pair)

    def _folder(self, work: Work, scheme: str, seed: int) -> Path | None:
        return None if work.folder is None else run_folder(work.folder / "runs", scheme, seed)
