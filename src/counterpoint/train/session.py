"""Plans of trainings, and training in a run directory: begin, stop by a signal, resume.

Start with `plan_of`, `begin_run` and `resume_run`. The first SIGINT or SIGTERM ends a training
after the present update, with a checkpoint.

The packages that a plan needs (torch, transformers) are optional and slow to import, so that the
module of each kind of plan is imported when it is used.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from counterpoint.errors import ModelError, SettingError, WorldError
from counterpoint.optional import require_language, require_torch
from counterpoint.results.parts import Settings
from counterpoint.results.training import cut_off_sentence, server_sentence
from counterpoint.runs.directory import RunDirectory, require_empty
from counterpoint.runs.exporters.catalogue import exporters_of, require_exporters
from counterpoint.runs.exporters.session import Exports
from counterpoint.runs.index import Index
from counterpoint.runs.seal import require_unedited
from counterpoint.runs.status import axis_of, read_facts, read_run
from counterpoint.runs.stop import Stopper
from counterpoint.train.algorithms import VALUE_BASED, refuse_algorithm
from counterpoint.train.loop import Doing, TrainConfig, Trained, Trainer, train_to_end
from counterpoint.train.series import Row, metric_curves
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world

OnRow = Callable[[Row], None]


def _plan_type(kind: Kind, scheme: str) -> type[TrainConfig]:
    if kind is Kind.TEXT:
        require_language()
        from counterpoint.train.lora.plan import LanguagePlan

        return LanguagePlan
    require_torch()
    if scheme in VALUE_BASED:
        from counterpoint.train.value.plan import ValuePlan

        return ValuePlan
    from counterpoint.train.ppo.plan import TrainPlan

    return TrainPlan


PLANS = (Kind.SEQUENTIAL, Kind.TEXT)
"""The kinds of worlds in which teams are trained step by step."""


def plan_of(
    world: str,
    scheme: str = "mappo_pooled",
    *,
    seed: int = 0,
    budget: int | None = None,
    seconds: float | None = None,
    given: Settings | None = None,
    model: str | None = None,
) -> TrainConfig:
    """Returns the plan for a sequential or a text environment, with defaults filled in.

    Args:
        world: its name.
        scheme: name of a scheme; in sequential environments also `counterfactual`, or the name of
            an algorithm.
        seed: of everything.
        budget: steps to play, or updates in text environments; None takes the default of the kind.
        seconds: end after this many seconds, if the budget lasts longer.
        given: settings of the world and of its team.
        model: the language model of a text environment; None takes the tiny one.

    Raises:
        UnknownNameError: no world of these kinds, no scheme or no setting has that name.
        SettingError: a value out of range.
        SchemeError: a scheme that this world or these settings cannot have.
        ModelError: the language model is not here, and cannot be fetched.
        WorldError: a world of the user that cannot be played.
        MissingPackageError: torch or transformers is not installed.
    """
    kind = find_world(world, *PLANS).kind
    refuse_algorithm(scheme, world, kind)
    plan = _plan_type(kind, scheme).of(world, scheme, budget, given or {}, model)
    return replace(plan, seed=seed, seconds=seconds)


def plan_from_config(config: Settings) -> TrainConfig:
    """Returns the plan that a run's configuration describes.

    Raises:
        SettingError: it describes none.
        MissingPackageError: torch or transformers is not installed.
    """
    kind = Kind.TEXT if axis_of(config) == "update" else Kind.SEQUENTIAL
    return _plan_type(kind, str(config.get("scheme"))).from_config(config)


@dataclass(frozen=True)
class Session:
    """How a session in a run directory ended."""

    path: Path
    """The run directory."""
    trained: Trained | None
    """The result; None if the run had ended before."""
    exit_status: int
    """0, or 130 or 143 where a signal ended it."""
    message: str
    """A line for the user, or an empty text."""
    notes: tuple[str, ...] = ()
    """Sentences about damaged parts that were skipped, and about a team that was never paid."""


def begin_run(
    plan: TrainConfig,
    path: Path,
    on_row: OnRow | None = None,
    *,
    export: Sequence[str] = (),
    on_doing: Doing | None = None,
) -> Session:
    """Trains in a folder that holds no run.

    Args:
        plan: what to train.
        path: the run directory to make.
        on_row: called with each row of the series.
        export: names of exporters that get the rows too.
        on_doing: called with what is done meanwhile, where an update takes long.

    Raises:
        RunError: there is a run already.
        UnknownNameError, PluginError: there is no such exporter, or it cannot be used.
        MissingPackageError: an exporter's package is not installed.
        CounterpointError: as `train_to_end`; nothing is written where the team cannot be made.
    """
    require_exporters(export)  # before there is anything to leave behind
    require_empty(path)
    team = plan.trainer()
    return _session(
        plan,
        team,
        RunDirectory.create(path, plan.config(), index=Index()),
        on_row,
        export,
        on_doing,
    )


def resume_run(
    path: Path, on_row: OnRow | None = None, *, on_doing: Doing | None = None
) -> Session:
    """Resumes a run from its newest checkpoint, or from the start if it has none.

    The run continues its exports.

    Raises:
        EditedError: a file is not as it was written, and nobody has accepted that.
        RunError: there is no run.
        BusyError: another process works there.
        CounterpointError: as `train_to_end`.
    """
    run_file = read_run(path)
    require_unedited(path)  # before the plan is believed
    plan = plan_from_config(run_file.config)
    facts = read_facts(path)
    if facts.status == "finished":
        message = f"{path} is finished, at {plan.axis} {facts.step or 0}; "
        message += f"`counterpoint report {shlex.quote(str(path))}` draws its page"
        return Session(path, None, 0, message)
    team = plan.trainer()
    run = RunDirectory.open(path, index=Index())
    run.notes = (*run.notes, *plan.notes)
    return _session(plan, team, run, on_row, exporters_of(path), on_doing)


def _session(
    plan: TrainConfig,
    team: Trainer,
    run: RunDirectory,
    on_row: OnRow | None,
    export: Sequence[str],
    on_doing: Doing | None,
) -> Session:
    exports: Exports | None = None

    def log_row(row: Row) -> None:
        if on_row is not None:
            on_row(row)
        if export and exports is not None:
            exports.log(row.to_line())

    lacking: tuple[str, ...] = ()
    resumed_by = f"counterpoint resume {shlex.quote(str(run.path))}"
    try:
        with kept(run.path, resumed_by), run, Stopper() as stopper:
            exports = Exports(export, run.path)
            trained = train_to_end(
                plan,
                run=run,
                on_row=log_row,
                on_doing=on_doing,
                should_stop=lambda: stopper.asked is not None,
                team=team,
            )
    finally:
        if exports is not None:  # now that the run directory says how the session ended
            lacking = exports.close()
    step = trained.rows[-1].step if trained.rows else 0
    stopped = not trained.finished
    return Session(
        path=run.path,
        trained=trained,
        exit_status=stopper.exit_status if stopped else 0,
        message=stopper.how_to_resume(run.path, step, plan.axis) if stopped else "",
        notes=(*run.notes, *lacking, *note_unpaid(trained), *note_answers(trained)),
    )


@contextmanager
def kept(path: Path, continued_by: str) -> Iterator[None]:
    """Adds to an error of a world, a model or a setting that the run can go on after the repair.

    Args:
        path: the run directory.
        continued_by: the command that goes on.
    """
    try:
        yield
    except (WorldError, ModelError, SettingError) as error:
        raise type(error)(
            f"{error}. {path} is kept up to its last checkpoint; after the repair: {continued_by}"
        ) from error


def note_unpaid(trained: Trained) -> tuple[str, ...]:
    """Returns a sentence about a team that was never paid, as far as its returns tell."""
    if not trained.never_paid:
        return ()
    episodes = sum(row.episodes for row in trained.rows)
    return (
        f"every return was 0, in {episodes:,} episodes of training and in {len(trained.returns)} "
        "fresh ones: where nobody is paid, nothing can be learned, and what is said of collapse is "
        "noise; is a reward ever reached?",
    )


def note_answers(trained: Trained) -> tuple[str, ...]:
    """Returns sentences about answers that were mostly cut off at their limit, or that a server
    wrote under other weights."""
    curves = metric_curves(trained.rows)
    sentences = (cut_off_sentence(curves), server_sentence(curves))
    return tuple(sentence[0].lower() + sentence[1:] for sentence in sentences if sentence)
