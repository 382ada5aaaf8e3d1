"""`sweep`: trials of settings for each arm, then the best of them with fresh seeds.

The best of many trials is optimistic: its score was chosen for being high. So the best settings and
the default settings are trained again with seeds that the search never used, and only these numbers
are compared.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec import structs

from counterpoint import __version__
from counterpoint.comparison.backend import TrainingTask
from counterpoint.comparison.summary import paired, seed_mean
from counterpoint.errors import RunError, SettingError
from counterpoint.results.parts import Settings
from counterpoint.results.sweep import Dimension, SweepArm, SweepResult, Trial, Value
from counterpoint.runs.executor import ExecutorName, run_tasks
from counterpoint.runs.files import run_folder
from counterpoint.runs.lock import Lock
from counterpoint.runs.status import CHECKPOINTS
from counterpoint.runs.task import Advance
from counterpoint.settings import LAST_SEED, MOST_SEEDS, require
from counterpoint.sweep.space import fitted, lowest
from counterpoint.sweep.study import JOURNAL, SamplerName, Study
from counterpoint.train.loop import TrainConfig
from counterpoint.train.session import plan_of

ROUND = 4
"""Trials of each arm that are begun together, however many workers there are: the same command
tries the same settings on every machine."""
TRIALS, SEEDS, FRESH = 20, 3, 5
"""Defaults: trials of each arm, seeds of each trial, and seeds of the last comparison."""

OnProgress = Callable[[int, int, str], None]
"""Called with the trainings done, their number, and a line on the best so far."""


@dataclass(frozen=True)
class SweepPlan:
    """A search as plain data.

    Raises:
        SettingError: a number out of its range, or a setting that is given twice.
    """

    world: str
    over: tuple[Dimension, ...]
    """The settings to search."""
    schemes: tuple[str, ...] = ("mappo_pooled",)
    """Names of schemes or algorithms: each gets the same number of trials of the same budget."""
    trials: int = TRIALS
    seeds: int = SEEDS
    fresh: int = FRESH
    budget: int | None = None
    given: Settings = field(default_factory=dict)
    """Settings that all trainings have."""
    model: str | None = None
    sampler: SamplerName = "tpe"
    seed: int = 0
    """Seed of the choice of settings."""

    def __post_init__(self) -> None:
        for name, low in (("trials", 1), ("seeds", 1), ("fresh", 2)):
            require(name, getattr(self, name), low, MOST_SEEDS)
        require("seed", self.seed, 0, LAST_SEED)
        twice = sorted({one.name for one in self.over} & set(self.given))
        if twice:
            raise SettingError(f"got {', '.join(twice)} both in --over and in --set; wanted one")
        if len(set(self.schemes)) < max(len(self.schemes), 1):
            raise SettingError("got no scheme, or one twice; wanted different ones")

    def training(self, scheme: str, settings: Mapping[str, Value]) -> TrainConfig:
        """Returns the training of one choice of settings, with seed 0."""
        given = {**self.given, **settings}
        return plan_of(self.world, scheme, budget=self.budget, given=given, model=self.model)

    def shared(self) -> Settings:
        """Returns what the trials have in common, ready for JSON: not their number, nor the arms
        and the fresh seeds."""
        return {
            "world": self.world, "over": [structs.asdict(one) for one in self.over],
            "seeds": self.seeds, "budget": self.budget, "given": self.given, "model": self.model,
            "sampler": self.sampler, "seed": self.seed,
        }  # fmt: skip


def sweep(
    plan: SweepPlan,
    folder: Path,
    *,
    workers: int | None = None,
    executor: ExecutorName = "processes",
    on_progress: OnProgress | None = None,
) -> SweepResult:
    """Searches, trains the best and the default settings with fresh seeds, and compares them.

    The same plan gives the same result, whatever the executor and the number of workers, and also
    after it was killed: trials that ended are not repeated, and trainings that were begun resume.

    Args:
        plan: what to search.
        folder: for the journal of the trials and the runs.
        workers, executor: as in `run_tasks`.
        on_progress: called while trainings advance.

    Raises:
        CounterpointError: as `plan_of`, for the default settings and the first of those to search.
        MissingPackageError: Optuna is not installed.
        RunError, BusyError: the folder belongs to another search, or is in use.
        OutputError: it cannot be written.
    """
    defaults = {scheme: plan.training(scheme, {}) for scheme in plan.schemes}
    first = {one.name: lowest(one) for one in plan.over}
    over = plan.over
    for scheme in plan.schemes:
        config = plan.training(scheme, first).config()
        over = tuple(fitted(one, config) for one in over)
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder / "lock")
    try:
        search = _Search(replace(plan, over=over), folder, workers, executor, on_progress)
        search.run()
        arms = search.arms(defaults)
    finally:
        lock.release()
    some = next(iter(defaults.values()))
    return SweepResult(
        version=__version__,
        world=plan.world,
        axis=some.axis,
        budget=some.budget,
        trials=plan.trials,
        seeds=plan.seeds,
        fresh=plan.fresh,
        sampler=plan.sampler,
        over=list(over),
        arms=arms,
        config={"world": plan.world, "budget": plan.budget, "policy": plan.model,
                "settings": plan.given},
    )  # fmt: skip


class Scored(NamedTuple):
    """The return of one training; None, with the reason, if it failed."""

    returned: float | None
    reason: str = ""


@dataclass(frozen=True)
class ScoreTask:
    """A training whose failure is a result: settings may be refused, or networks may diverge."""

    training: TrainingTask

    def __call__(self, advance: Advance) -> Scored:
        try:
            returns = self.training(advance).returns
        except RunError:  # the folder is wrong, and not the settings
            raise
        except (ValueError, ArithmeticError) as error:
            return Scored(None, " ".join(str(error).split()) or type(error).__name__)
        if not len(returns):
            return Scored(None, "no episode ended")
        mean = float(returns.mean())
        return Scored(mean) if math.isfinite(mean) else Scored(None, "the return is not finite")


class _Search:
    """A search that is under way in its folder."""

    def __init__(
        self,
        plan: SweepPlan,
        folder: Path,
        workers: int | None,
        executor: ExecutorName,
        on_progress: OnProgress | None,
    ) -> None:
        self.plan, self.folder = plan, folder
        self.workers, self.executor, self.on_progress = workers, executor, on_progress
        self.studies = {
            scheme: Study(
                folder / JOURNAL, scheme, plan.over, sampler=plan.sampler, seed=plan.seed,
                plan=plan.shared(),
            )
            for scheme in plan.schemes
        }  # fmt: skip
        ended = sum(len(study.trials()) for study in self.studies.values())
        self.done = ended * plan.seeds
        self.total = len(plan.schemes) * (plan.trials * plan.seeds + 2 * plan.fresh)

    def run(self) -> None:
        """Makes rounds of trials until each arm has all of its trials."""
        while True:
            begun = {scheme: self._begin(study) for scheme, study in self.studies.items()}
            if not any(begun.values()):
                return
            wanted = [(s, *trial, seed) for s, trials in begun.items() for trial in trials
                      for seed in range(self.plan.seeds)]  # fmt: skip
            scored = self._train([
                (scheme, settings, seed, self._place(scheme, number) / str(seed))
                for scheme, number, settings, seed in wanted
            ])  # fmt: skip
            scores = iter(scored)
            for scheme, trials in begun.items():
                for number, settings in trials:
                    one = [next(scores) for _ in range(self.plan.seeds)]
                    self.studies[scheme].tell(_trial(number, settings, one))
                    for checkpoints in self._place(scheme, number).glob(f"*/{CHECKPOINTS}"):
                        shutil.rmtree(checkpoints)  # the series stay

    def _begin(self, study: Study) -> list[tuple[int, dict[str, Value]]]:
        """Returns the trials of the next round: those that were begun, and new ones to fill it."""
        begun, ended = study.begun(), len(study.trials())
        count = len(begun) + ended
        new = (-count) % ROUND if begun or count % ROUND else ROUND
        return begun + [study.ask() for _ in range(min(new, self.plan.trials - count))]

    def _place(self, scheme: str, number: int) -> Path:
        return run_folder(self.folder / "runs", scheme, number)

    def _train(self, wanted: Sequence[tuple[str, Mapping[str, Value], int, Path]]) -> list[Scored]:
        """Returns the result of each training: scheme, settings, seed, and run directory."""
        scored: list[Scored | None] = []
        tasks: list[ScoreTask] = []
        for scheme, settings, seed, place in wanted:
            try:
                config = replace(self.plan.training(scheme, settings), seed=seed)
            except SettingError as error:
                scored.append(Scored(None, str(error)))
                continue
            scored.append(None)
            tasks.append(ScoreTask(TrainingTask(config, place)))
        plans = [task.training.plan for task in tasks]
        updates = sum(-(-one.budget // one.batch_steps) for one in plans)

        def advanced(done: int) -> None:
            if self.on_progress is not None:
                share = int(len(wanted) * min(done / updates, 1))
                self.on_progress(self.done + share, self.total, self._best())

        results = iter(
            run_tasks(tasks, workers=self.workers, executor=self.executor, on_progress=advanced)
        )
        self.done += len(wanted)
        return [next(results) if one is None else one for one in scored]

    def _best(self) -> str:
        known = [
            (trial.score, scheme)
            for scheme, study in self.studies.items()
            for trial in study.trials()
            if trial.score is not None
        ]
        return f"best {max(known)[0]:.4g} of {len(known)} trials" if known else ""

    def arms(self, defaults: Mapping[str, TrainConfig]) -> dict[str, SweepArm]:
        """Returns each arm, with its best and its default settings trained with fresh seeds."""
        plan, fresh = self.plan, range(self.plan.seeds, self.plan.seeds + self.plan.fresh)
        trials = {scheme: study.trials() for scheme, study in self.studies.items()}
        won = {scheme: winner(of) for scheme, of in trials.items()}
        wanted: list[tuple[str, Mapping[str, Value], int, Path]] = []
        for scheme, trial in won.items():
            if trial is not None:
                again = self.folder / "fresh"
                for settings, name in ((trial.settings, trial.number), ({}, "default")):
                    place = run_folder(again, scheme, name)
                    wanted += [(scheme, settings, seed, place / str(seed)) for seed in fresh]
        scores = iter(self._train(wanted))
        arms: dict[str, SweepArm] = {}
        for scheme in defaults:
            if won[scheme] is None:
                reason = "no trial has a score"
                arms[scheme] = SweepArm(trials=trials[scheme], winner=None, reason=reason)
                continue
            best_of, default_of = ([next(scores) for _ in fresh] for _ in range(2))
            arms[scheme] = compared(trials[scheme], won[scheme], best_of, default_of)
        first = arms[plan.schemes[0]]
        return {scheme: arm if arm is first else _ahead(arm, first) for scheme, arm in arms.items()}


def winner(trials: Sequence[Trial]) -> Trial | None:
    """Returns the trial with the best score, the earliest of equal ones; None if none has one."""
    known = [trial for trial in trials if trial.score is not None]
    return max(known, key=lambda trial: trial.score or 0.0, default=None)


def compared(
    trials: list[Trial], won: Trial | None, best: Sequence[Scored], default: Sequence[Scored]
) -> SweepArm:
    """Returns an arm with its best settings beside its default ones, seed by seed."""
    assert won is not None
    failed = [one.reason for one in (*best, *default) if one.returned is None]
    if failed:
        reason = f"{len(failed)} trainings with fresh seeds failed: {failed[0]}"
        return SweepArm(trials=trials, winner=won.number, reason=reason)
    x, y = ([one.returned or 0.0 for one in of] for of in (best, default))
    return SweepArm(
        trials=trials,
        winner=won.number,
        best=x,
        default=y,
        best_return=seed_mean(np.array(x)),
        default_return=seed_mean(np.array(y)),
        gain=paired(np.array(x), np.array(y)),
    )


def _ahead(arm: SweepArm, first: SweepArm) -> SweepArm:
    """Returns an arm with its difference from the first arm, if both were trained again."""
    if not (arm.best and first.best):
        return arm
    return structs.replace(arm, ahead=paired(np.array(arm.best), np.array(first.best)))


def _trial(number: int, settings: dict[str, Value], scored: Sequence[Scored]) -> Trial:
    scores = [one.returned for one in scored]
    known = [score for score in scores if score is not None]
    whole = len(known) == len(scores)
    return Trial(
        number=number,
        settings=settings,
        score=float(np.mean(known)) if whole else None,
        scores=scores,
        reason=next((one.reason for one in scored if one.reason), ""),
    )
