"""Training in a run directory: begin, stop by a signal, resume.

Start with `begin_run` and `resume_run`; plans come from `plans.py`. The first SIGINT or SIGTERM
ends a training after the present update, with a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from counterpoint.optional import pip_line, require_packages
from counterpoint.runs.directory import RunDirectory, require_empty
from counterpoint.runs.exporters import EXPORTERS, TensorBoard, exporter
from counterpoint.runs.index import Index
from counterpoint.runs.status import read_facts, read_run
from counterpoint.runs.stop import Stopper
from counterpoint.train.loop import TrainConfig, Trained, Trainer, train_to_end
from counterpoint.train.plans import plan_from_config
from counterpoint.train.series import Row

OnRow = Callable[[Row], None]


@dataclass(frozen=True)
class Session:
    """How a session in a run directory ended."""

    path: Path
    """The run directory."""
    plan: TrainConfig
    """What the run trains."""
    trained: Trained | None
    """The result; None if the run had ended before."""
    started_at: int
    """Step at which this session began."""
    exit_status: int
    """0, or 130 or 143 where a signal ended it."""
    message: str
    """A line for the user, or nothing."""
    notes: tuple[str, ...] = ()
    """Damage that was passed over, a sentence each."""


def begin_run(
    plan: TrainConfig, path: Path, on_row: OnRow | None = None, *, export: str | None = None
) -> Session:
    """Trains in a folder that holds no run.

    Args:
        plan: what to train.
        path: the run directory to make.
        on_row: called with each row of the series.
        export: name of an exporter that gets the rows too; None for none.

    Raises:
        RunError: there is a run already.
        UnknownNameError, PluginError: there is no such exporter, or it cannot be used.
        MissingPackageError: the exporter's package is not installed.
        CounterpointError: as `train_to_end`; nothing is written where the team cannot be made.
    """
    if export is not None:  # before there is anything to leave behind
        EXPORTERS.named(export)
    if export == TensorBoard.FOLDER:
        require_packages("--export tensorboard", ("tensorboard",), pip_line("tensorboard"))
    require_empty(path)
    team = plan.trainer()
    with RunDirectory.create(path, plan.config(), index=Index()) as run:
        return _session(plan, team, run, on_row, export)


def resume_run(path: Path, on_row: OnRow | None = None) -> Session:
    """Resumes a run from its newest checkpoint, or from the start if it has none.

    What it exported to, it exports to again.

    Raises:
        RunError: there is no run.
        BusyError: another process works there.
        CounterpointError: as `train_to_end`.
    """
    plan = plan_from_config(read_run(path).config)
    facts = read_facts(path)
    if facts.status == "finished":
        step = facts.step or 0
        message = f"{path} is finished, at {plan.axis} {step}; "
        message += f"`counterpoint report {path}` draws its page"
        return Session(path, plan, None, step, 0, message)
    export = next((name for name in EXPORTERS if (path / name).is_dir()), None)
    team = plan.trainer()
    with RunDirectory.open(path, index=Index()) as run:
        return _session(plan, team, run, on_row, export)


def _session(
    plan: TrainConfig,
    team: Trainer,
    run: RunDirectory,
    on_row: OnRow | None,
    export: str | None,
) -> Session:
    begun = run.resumed.step or 0
    copy = exporter(export, run.path) if export else None

    def log_row(row: Row) -> None:
        if on_row is not None:
            on_row(row)
        if copy is not None:
            copy.log(row.to_line())

    with Stopper() as stopper:
        trained = train_to_end(
            plan,
            run=run,
            on_row=log_row,
            should_stop=lambda: stopper.asked is not None,
            team=team,
        )
    if copy is not None:
        copy.close()
    step = trained.rows[-1].step if trained.rows else 0
    stopped = not trained.finished
    return Session(
        path=run.path,
        plan=plan,
        trained=trained,
        started_at=begun,
        exit_status=stopper.exit_status if stopped else 0,
        message=stopper.how_to_resume(run.path, step, plan.axis) if stopped else "",
        notes=run.notes,
    )
