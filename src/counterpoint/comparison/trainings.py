"""Trainings as tasks for any executor: one for each scheme x seed, with or without a run directory.

Start with `train_arms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from counterpoint.comparison.outcome import SchemeOutcome, from_policies
from counterpoint.comparison.plan import ExecutionOptions
from counterpoint.errors import RunError
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.files import run_folder
from counterpoint.runs.status import METRICS, RUN, read_run
from counterpoint.runs.task import Advance
from counterpoint.train.loop import TrainConfig, Trained, lost_updates, train_to_end
from counterpoint.train.series import Row
from counterpoint.train.session import plan_from_config


def train_arms(
    plans: Mapping[tuple[str, int], TrainConfig], updates: int, options: ExecutionOptions
) -> dict[str, SchemeOutcome]:
    """Trains every plan; returns the outcome of each scheme over its seeds.

    Args:
        plans: by scheme and seed, in the order in which they are begun.
        updates: of each training, for progress.
        options: how the work is done.
    """
    arms = list(plans)
    tasks = [TrainingTask(plan, _folder(options, *arm)) for arm, plan in plans.items()]
    total = updates * len(tasks)
    on_progress, on_row = options.on_progress, options.on_row
    trained = run_tasks(
        tasks,
        workers=options.workers,
        executor=options.executor,
        on_progress=(lambda done: on_progress(done, total)) if on_progress else None,
        on_message=(lambda index, progress: on_row(*arms[index], progress)) if on_row else None,
    )
    by_scheme: dict[str, list[Trained]] = {}
    for (scheme, _), done in zip(arms, trained, strict=True):
        by_scheme.setdefault(scheme, []).append(done)
    return {scheme: from_policies(done) for scheme, done in by_scheme.items()}


@dataclass(frozen=True)
class TrainingTask:
    """One scheme and seed: a task for any executor."""

    plan: TrainConfig
    folder: Path | None
    """Its run directory, begun or not; None for nowhere."""

    def __call__(self, advance: Advance) -> Trained:
        def on_row(row: Row) -> None:
            advance(row.progress)

        if self.folder is None:
            return train_to_end(self.plan, on_row=on_row)
        with self._run(self.folder) as run:
            if lost := lost_updates(run):
                raise RunError(
                    f"{run.path / METRICS} lacks {lost} of its updates, so that the run cannot be "
                    f"compared; remove {run.path} to train it again"
                )
            return train_to_end(self.plan, run=run, on_row=on_row)

    def _run(self, folder: Path) -> RunDirectory:
        if not (folder / RUN).exists():
            return RunDirectory.create(folder, self.plan.config())
        if plan_from_config(read_run(folder).config) != self.plan:
            raise RunError(
                f"{folder} holds a run of another plan; wanted that of this comparison, or none: "
                "choose another --out"
            )
        return RunDirectory.open(folder)


def _folder(options: ExecutionOptions, scheme: str, seed: int) -> Path | None:
    return None if options.folder is None else run_folder(options.folder / "runs", scheme, seed)
