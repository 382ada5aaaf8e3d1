"""`train_to_end`: trains a plan and returns its team and series; resumable at any checkpoint.

Start there. The plan says what kind of team learns: `ppo/plan.py` has the networks of sequential
environments, `lora/plan.py` the language models of text environments. A plan is plain data: the
same plan gives the same series, bit for bit, also after it was killed and resumed.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, Self

import msgspec
import numpy as np
from msgspec import UNSET

from counterpoint.arrays import Floats
from counterpoint.credit import Tally
from counterpoint.credit.catalogue import ALIASES
from counterpoint.errors import CheckpointError, CounterpointError, SettingError
from counterpoint.results.estimate import Estimate
from counterpoint.results.parts import Settings
from counterpoint.results.training import EvaluationTasks, Messages
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.status import METRICS
from counterpoint.train.series import AgentRow, CollapseMonitor, Numbers, Row, row_from_line
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.world import References

Doing = Callable[[str], object]
"""Takes a few words about what is done."""
SMOOTHED = 20
"""Number of batches over which the return is averaged before it is compared with the reference."""


@dataclass(frozen=True)
class TrainConfig(ABC):
    """A training as plain data, in any kind of world.

    Raises:
        SettingError: a number is out of its range.
    """

    axis: ClassVar[str]
    """What the budget counts: `step` or `update`."""
    order: ClassVar[tuple[str, ...]]
    """Names of the fields, in the order of run.json."""

    world: str
    """Name of a world: see `find_world`."""
    scheme: str
    """Name of a scheme."""
    seed: int = 0
    """Seed of everything random."""
    budget: int = 1
    """Steps to play, all copies together (the last batch is played whole), or updates to make."""
    seconds: float | None = None
    """Seconds of training after which it ends, if the budget is not spent before."""
    world_settings: Settings = field(default_factory=dict)
    """Settings of the world, by name."""
    episodes: int = field(default=100, kw_only=True)
    """Fresh episodes in which the trained team is evaluated."""
    notes: tuple[str, ...] = field(default=(), kw_only=True, compare=False)
    """Sentences about defaults that were changed to fit; run.json has the changed values alone."""

    def __post_init__(self) -> None:
        # A run under a former name of its scheme is a run of the same plan.
        object.__setattr__(self, "scheme", ALIASES.get(self.scheme, self.scheme))
        for name, low in (("seed", 0), ("budget", 1), ("episodes", 1)):
            if getattr(self, name) < low:
                raise SettingError(f"got {name}={getattr(self, name)}; wanted at least {low}")
        if self.seconds is not None and not self.seconds > 0:
            raise SettingError(f"got seconds={self.seconds}; wanted a positive number")

    @property
    @abstractmethod
    def batch_steps(self) -> int:
        """How much of the budget one update spends."""

    @classmethod
    @abstractmethod
    def of(
        cls, world: str, scheme: str, budget: int | None, given: Settings, model: str | None
    ) -> Self:
        """Returns the plan of seed 0 with the defaults filled in: see `session.plan_of`."""

    @classmethod
    def from_config(cls, config: Settings) -> Self:
        """Returns the plan that a saved configuration describes.

        Raises:
            SettingError: the configuration is not that of a plan.
        """
        try:
            return msgspec.convert(config, cls)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, CounterpointError):
                raise error.__cause__ from None
            raise SettingError(f"got a configuration that is no training plan ({error})") from None

    def config(self) -> Settings:
        """Returns the plan, ready for JSON."""
        values = asdict(self)
        return {name: values[name] for name in self.order}

    def differences(self, other: TrainConfig) -> dict[str, tuple[object, object]]:
        """Returns the settings in which the trainings of two plans differ, as this plan and as the
        other has them (None if it has no such setting); empty if they are the same, update by
        update."""
        if self.world != other.world:
            return {"world": (self.world, other.world)}
        mine, theirs = self.decisive(), other.decisive()
        return {
            path.rpartition(".")[2]: (mine.get(path), theirs.get(path))
            for path in {**mine, **theirs}
            if path not in mine or path not in theirs or mine[path] != theirs[path]
        }

    def decisive(self) -> Settings:
        """Returns all that decides what the training does, path to value: those of the world are
        filled in, so that it is the same for every way to write the same plan."""
        entry = find_world(self.world)
        return paths_of({**self.config(), "world_settings": entry.filled(self.world_settings)})

    @abstractmethod
    def trainer(self) -> Trainer:
        """Returns the untrained team."""

    def estimate(self) -> Estimate | None:
        """Returns what the training is expected to take; None where nothing is known of it."""
        return None

    @abstractmethod
    def paid_returns(self, by_agent: Floats) -> float | None:
        """Returns the reward-weighted return of episodes whose agents got `by_agent` [n, A]; None
        where it equals the return."""

    @abstractmethod
    def without_return(self) -> str:
        """Returns why a trained team may have no return, and what to do about it."""


def paths_of(config: Mapping[str, object], before: str = "") -> Settings:
    """Returns the values of nested settings by their paths: `policy.lr`."""
    flat: Settings = {}
    for name, value in config.items():
        path = f"{before}{name}"
        flat |= paths_of(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return flat


class Resumable(Protocol):
    """A learner whose state can be saved and restored."""

    updates: int
    """Updates made so far."""
    tally: Tally
    """Counts of the edge cases of normalization."""

    def capture(self) -> Snapshot:
        """Returns everything that decides what the learner does next."""

    def restore(self, snapshot: Snapshot) -> None:
        """Resumes where `capture` was called."""


class Trainer(ABC):
    """A team that learns: what the training loop calls."""

    learner: Resumable
    agents: tuple[str, ...]
    """[A] names of the agents."""
    continuous: frozenset[str]
    """Names of the agents whose actions are numbers rather than choices."""
    references: References
    """Returns of a random and of a good team in the world."""
    between_checkpoints: int
    """How much of the budget may be spent between two checkpoints."""
    messages: Messages | None = None
    """What messages carried in the last evaluation; None before it, or if nobody speaks."""
    folder: Path | None = None
    """The run directory, if there is one."""
    doing: Doing = staticmethod(lambda text: None)
    """Told what is done meanwhile, where an update takes long."""

    evaluated: EvaluationTasks | None = None
    """The tasks of the last evaluation; None before it, or if no language models learn."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """How much of the budget is spent."""

    @abstractmethod
    def update(self, run: RunDirectory | None) -> Update:
        """Makes one update of the team, and measures it if that is due."""

    @abstractmethod
    def evaluate(self, should_stop: Callable[[], bool]) -> tuple[Floats, Floats] | None:
        """Returns the returns [n] of fresh episodes, and each agent's part [n, A] (A = 0 if there
        are none).

        The result is None if `should_stop` answers true before the episodes have ended.
        """

    def save_artifacts(self, run: RunDirectory) -> None:  # noqa: B027
        """Writes the artifacts of a trained team that other tools can use into its run directory,
        if it has any."""

    def notes(self) -> tuple[str, ...]:
        """Returns sentences about what a user of the trained team should know."""
        return ()

    def close(self) -> None:  # noqa: B027
        """Releases what the team holds, if anything."""


class Update(NamedTuple):
    """One update of a team."""

    episodes: int
    """Episodes that ended in it."""
    returned: float | None
    """Their mean return; None if none ended."""
    metrics: dict[str, float]
    """Losses, entropies and lengths of gradients, by name."""
    measured: tuple[list[Numbers], Numbers] | None
    """[A] measurements of each agent, and those of the team; None if nothing was measured."""


@dataclass(frozen=True)
class Trained:
    """The result of a training."""

    plan: TrainConfig
    """The plan that was trained."""
    agents: tuple[str, ...]
    """[A] names."""
    finished: bool
    """Whether the budget is spent and the team evaluated; false where it was asked to stop."""
    rows: tuple[Row, ...]
    """The series: a row an update."""
    returns: Floats
    """[n] returns of fresh episodes of the trained team; empty where none ended."""
    by_agent: Floats
    """[n, A] each agent's part in them; [n, 0] if agents have no parts."""
    normalized: float | None
    """Their mean between the random (0) and the reference (1) return; None where not known."""
    tally: Mapping[str, int]
    """Counts of the edge cases of normalization, summed over updates."""
    messages: Messages | None = None
    """What messages carry in these episodes; None where no agent speaks."""

    @property
    def never_paid(self) -> bool:
        """Whether nobody was ever paid, as far as returns and the agents' parts of them tell."""
        returns = [row.returned for row in self.rows if row.returned is not None]
        known = self.finished and self.by_agent.size > 0
        return known and not any(returns) and not self.by_agent.any()


def train_to_end(
    plan: TrainConfig,
    *,
    run: RunDirectory | None = None,
    on_row: Callable[[Row], None] | None = None,
    on_doing: Doing | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    team: Trainer | None = None,
) -> Trained:
    """Trains a team until its budget is spent.

    Args:
        plan: what to train.
        run: the run directory of the series and checkpoints; a run that was begun there is resumed.
        on_row: called with each new row of the series.
        on_doing: called with what is done meanwhile, where an update takes long.
        should_stop: called after each update; a true answer ends the training with a checkpoint.
        team: the plan's untrained team, where it has been made already; it is closed at the end.

    Raises:
        CounterpointError: a part that the plan needs is not available, or the run cannot be
            written.
    """
    team = plan.trainer() if team is None else team
    if on_doing is not None:
        team.doing = on_doing
    team.folder = None if run is None else run.path
    monitor = CollapseMonitor(team.agents, continuous=team.continuous)
    rows: list[Row] = []
    if run is not None and run.resumed.snapshot is not None:
        restore(team.learner, run.resumed.snapshot)
        rows = [row_from_line(line) for line in run.rows()]
        if lost := lost_updates(run):
            updates = f"{lost + len(rows)} updates up to the checkpoint"
            differs = f"lacks {lost} of the" if lost > 0 else f"has {-lost} rows more than the"
            run.notes = (
                *run.notes,
                f"{run.path / METRICS} {differs} {updates}, from which training went on; curves "
                "and verdicts are of the rows that are there",
            )
        for row in rows:
            if row.agents is not None:
                monitor.judge({k: a.numbers for k, a in row.agents.items()}, row.normalized)
    begun, before = time.monotonic(), (rows[-1].seconds or 0.0) if rows else 0.0
    saved = team.steps
    while not spent(plan, team, rows) and not should_stop():
        row = one_update(team, monitor, rows, run)
        row = replace(row, seconds=round(before + time.monotonic() - begun, 3))
        rows.append(row)
        if run is not None:
            run.log(row.to_line())
            if team.steps + plan.batch_steps - saved > team.between_checkpoints:
                run.save(team.steps, team.learner.capture())
                saved = team.steps
        if on_row is not None:
            on_row(row)
    end = None if run is None else team.learner.capture()
    if run is not None and end is not None and saved < team.steps:
        run.save(team.steps, end)
    evaluation = team.evaluate(should_stop) if spent(plan, team, rows) else None
    if run is not None and end is not None:
        run.require_folder(team.steps, end)
    returns, by_agent = evaluation or (np.zeros(0), np.zeros((0, len(team.agents))))
    mean = float(returns.mean()) if len(returns) else None
    score = None if mean is None else team.references.normalized(returns.mean())
    trained = Trained(
        plan=plan,
        agents=team.agents,
        finished=evaluation is not None,
        rows=tuple(rows),
        returns=returns,
        by_agent=by_agent,
        normalized=None if score is None else float(score),
        tally=dict(vars(team.learner.tally)),
        messages=team.messages,
    )
    if run is not None and trained.finished:
        team.save_artifacts(run)
    if run is not None:
        run.notes = (*run.notes, *team.notes())
    team.close()
    if run is not None and trained.finished:
        if mean is None:
            run.notes = (*run.notes, f"the return is not known: {plan.without_return()}")
        carried = UNSET if trained.messages is None else trained.messages
        run.finish(
            step=team.steps,
            returned=mean,
            normalized=trained.normalized,
            messages=carried,
            evaluated=UNSET if team.evaluated is None else team.evaluated,
        )
    return trained


def restore(learner: Resumable, snapshot: Snapshot) -> None:
    """Restores the learner of a team from a checkpoint.

    Raises:
        CheckpointError: it is that of another team.
    """
    try:
        learner.restore(snapshot)
    except CounterpointError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"the checkpoint does not fit the team that the plan describes ({reason}); wanted the "
            "world and the settings that it was trained with: put run.json back"
        ) from error


def lost_updates(run: RunDirectory) -> int:
    """Returns how many updates before the checkpoint a run's series lacks (a lost or cut file);
    below 0, how many rows it has besides."""
    snapshot = run.resumed.snapshot
    return 0 if snapshot is None else int(snapshot.facts["updates"]) - len(run.rows())


def spent(plan: TrainConfig, team: Trainer, rows: Sequence[Row]) -> bool:
    """Returns whether the budget of steps, updates or seconds is spent."""
    late = plan.seconds is not None and bool(rows) and (rows[-1].seconds or 0.0) >= plan.seconds
    return late or team.steps >= plan.budget


def one_update(
    team: Trainer, monitor: CollapseMonitor, before: Sequence[Row], run: RunDirectory | None = None
) -> Row:
    """Returns one update as a row of the series, with a verdict on each agent if measured."""
    update = team.update(run)
    lately = [row.returned for row in before[1 - SMOOTHED :]] + [update.returned]
    known = [value for value in lately if value is not None]
    score = team.references.normalized(np.asarray(np.mean(known))) if known else None
    row = Row(
        step=team.steps,
        update=team.learner.updates,
        episodes=update.episodes,
        returned=update.returned,
        metrics=update.metrics,
        normalized=None if score is None else float(score),
    )
    if update.measured is None:
        return row
    by_agent, of_team = update.measured
    numbers = dict(zip(team.agents, by_agent, strict=True))
    verdicts = monitor.judge(numbers, row.normalized)
    agents = {name: AgentRow(numbers[name], verdict) for name, verdict in verdicts.items()}
    return replace(row, agents=agents, team=of_team)
