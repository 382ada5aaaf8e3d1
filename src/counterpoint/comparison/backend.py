"""`Backend`: how the worlds of one kind are trained and evaluated in a comparison.

In a `TrainedComparison` every scheme x seed is a training, with or without a run directory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, cast

from counterpoint.comparison.decoupling import Pair, Probe
from counterpoint.comparison.outcome import SchemeOutcome, from_policies
from counterpoint.comparison.plan import ExecutionOptions, Plan
from counterpoint.errors import EditedError, RunError
from counterpoint.results.comparison import Control, References
from counterpoint.results.parts import Settings
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.files import run_folder
from counterpoint.runs.seal import accepted_edits, edits
from counterpoint.runs.status import METRICS, RUN, read_run
from counterpoint.runs.task import Advance
from counterpoint.train.loop import TrainConfig, Trained, lost_updates, train_to_end
from counterpoint.train.series import Row, TrainingProgress
from counterpoint.train.session import kept, plan_from_config

MOST_NAMED = 3
"""Most settings that the refusal of a run names."""


class Backend(ABC):
    """A comparison with its world made, for one kind of world."""

    default_seeds: ClassVar[int]
    kind: ClassVar[Literal["exact", "steps", "text"]]
    """Name of the kind of world in the result."""
    axis: ClassVar[Literal["update", "step"]]
    """The unit of the budget."""
    plan: Plan
    world_name: str
    summary: str
    """One line about the world."""
    references: References
    """Returns to compare with."""
    agents: tuple[str, ...]
    schemes: tuple[str, ...]
    """Names of the schemes to compare, the defaults filled in."""
    settings: Settings
    """Every setting of the world and of its team, the defaults filled in."""
    model: str | None = None
    """The language model whose adapters are trained; None if agents do not speak."""
    budget: int | None = None
    """The budget of each training; None if a setting of the world says it."""
    batch_steps: int = 1
    """The part of the budget that one update spends."""

    notes: tuple[str, ...] = ()
    """Sentences about defaults that were changed to fit."""

    @property
    def seeds(self) -> range:
        """The seeds of every scheme."""
        return range(self.plan.seeds or self.default_seeds)

    def check(self) -> tuple[str, ...]:
        """Returns what looks like a mistake in a world of somebody else: see `WorldEntry.check`."""
        return ()

    @abstractmethod
    def train(
        self, pair: Pair, options: ExecutionOptions
    ) -> tuple[dict[str, SchemeOutcome], Control | None]:
        """Trains every scheme; returns the outcome of each, and the control."""

    @abstractmethod
    def probe(self, pair: Pair) -> Probe:
        """Returns whether decoupling can matter."""


class TrainedComparison(Backend):
    """A comparison in any world but an exact one; each training is a task for any executor."""

    default_seeds = 5
    budget: int

    @abstractmethod
    def training(self, scheme: str, seed: int) -> TrainConfig:
        """Returns the plan of one scheme and seed."""

    @abstractmethod
    def control(self, pair: Pair) -> Control | None:
        """Returns the control; None if arithmetic does not say that decoupling does nothing."""

    def train(
        self, pair: Pair, options: ExecutionOptions
    ) -> tuple[dict[str, SchemeOutcome], Control | None]:
        arms = [(scheme, seed) for seed in self.seeds for scheme in self.schemes]
        folder, on_progress, on_row = options.folder, options.on_progress, options.on_row
        tasks = [
            TrainingTask(
                self.training(scheme, seed),
                None if folder is None else run_folder(folder / "runs", scheme, seed),
            )
            for scheme, seed in arms
        ]
        total = sum(-(-task.plan.budget // task.plan.batch_steps) for task in tasks)
        trained = run_tasks(
            tasks,
            workers=options.workers,
            executor=options.executor,
            on_progress=(lambda done: on_progress(done, total)) if on_progress else None,
            on_message=(
                (lambda index, row: on_row(*arms[index], cast(TrainingProgress, row)))
                if on_row
                else None
            ),
        )
        by_scheme: dict[str, list[Trained]] = {}
        for (scheme, _), done in zip(arms, trained, strict=True):
            by_scheme.setdefault(scheme, []).append(done)
        outcomes = {scheme: from_policies(done) for scheme, done in by_scheme.items()}
        return outcomes, self.control(pair) if self.plan.control else None


@dataclass(frozen=True)
class TrainingTask:
    """One scheme and seed: a task for any executor."""

    plan: TrainConfig
    folder: Path | None
    """Its run directory, begun or not; None keeps nothing."""

    def __call__(self, advance: Advance) -> Trained:
        def on_row(row: Row) -> None:
            advance(row.progress)

        if self.folder is None:
            return train_to_end(self.plan, on_row=on_row)
        with kept(self.folder, "the same command"), self._run(self.folder) as run:
            if lost := lost_updates(run):
                differs = f"lacks {lost} of its updates" if lost > 0 else f"has {-lost} too many"
                raise RunError(
                    f"{run.path / METRICS} {differs}, so that the run cannot be compared; remove "
                    f"{run.path} to train it again"
                )
            return train_to_end(self.plan, run=run, on_row=on_row)

    def _run(self, folder: Path) -> RunDirectory:
        """Returns the run directory, made or opened.

        Raises:
            EditedError: there is a run in it that was edited, accepted or not.
            RunError: there is a run of another plan in it.
        """
        if not (folder / RUN).exists():
            return RunDirectory.create(folder, self.plan.config())
        if found := [*edits(folder), *accepted_edits(folder)]:
            raise EditedError(
                f"{folder} is not as it was written, so that it cannot be compared: {found[0]}; "
                f"remove {folder} to train it again"
            )
        if others := plan_from_config(read_run(folder).config).differences(self.plan):
            raise RunError(
                f"{folder} holds a run of another plan, with {_in_words(others)}; wanted the same "
                "settings, or another --out"
            )
        try:
            return RunDirectory.open(folder)
        except EditedError as error:
            raise EditedError(f"{error}; to compare, remove {folder} to train it again") from error


def _in_words(differences: Mapping[str, tuple[object, object]]) -> str:
    """Returns differences of a run from a plan: `lr=0.1 instead of lr=0.2`; the first few."""
    shown = [
        f"{f'{name}={run}' if run is not None else f'no {name}'} instead of {plan}"
        for name, (run, plan) in list(differences.items())[:MOST_NAMED]
    ]
    more = len(differences) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
