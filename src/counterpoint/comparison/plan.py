"""What to compare (`Plan`), and the options of its execution (`ExecutionOptions`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from counterpoint.credit import baselines, plain_scheme_named
from counterpoint.errors import SettingError
from counterpoint.results.parts import Settings
from counterpoint.runs.executor import ExecutorName, require_executor
from counterpoint.settings import MOST_SEEDS, require
from counterpoint.train.algorithms import algorithms, refuse_algorithm
from counterpoint.train.series import TrainingProgress
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world

COMPARED = (Kind.EXACT, Kind.SEQUENTIAL, Kind.TEXT)
"""The kinds of worlds in which teams are trained; message environments compare topologies."""
OnRow = Callable[[str, int, TrainingProgress], None]
"""Called with a scheme, a seed, and the progress of that training."""


@dataclass(frozen=True)
class Plan:
    """The plan of a comparison: a world, schemes, seeds, settings and budget.

    Names and numbers are checked here. Settings and baselines depend on the world itself: they are
    checked when `compare` makes it, before anything is trained.

    Raises:
        UnknownNameError: no world, scheme or baseline has that name.
        SettingError: a number out of range, or a scheme named twice.
        SchemeError: a scheme that is made of several, or has a field that it cannot have; an
            algorithm in a world that is not sequential.
        MissingPackageError, WorldError: a class of your own that cannot be imported.
    """

    world: str
    """Name of a world: see `counterpoint worlds`."""
    schemes: tuple[str, ...] = ()
    """Names of schemes, baselines and algorithms; empty takes the defaults of the world's kind."""
    seeds: int | None = None
    """Number of seeds, from 0 on; every scheme has the same ones. None takes 10, or 5 where
    networks or language models are trained."""
    settings: Settings = field(default_factory=dict)
    """Settings of the world, by name, and of the policies or agents where networks or language
    models are trained; text is converted."""
    control: bool = True
    """Also run the world's control, in which decoupling can do nothing, where it has one."""
    budget: int | None = None
    """Steps of each training, all copies together, where networks are trained; None takes 100,000,
    or 20,000 where the world is stepped in Python. In text environments: updates of each training.
    """
    seconds: float | None = None
    """Seconds after which each training ends, if the budget lasts longer. The result then depends
    on the machine."""
    model: str | None = None
    """The language model whose adapters are trained in a text environment: see `open_model`."""

    def __post_init__(self) -> None:
        if len(set(self.schemes)) < len(self.schemes):
            raise SettingError(f"got schemes {', '.join(self.schemes)}; wanted each of them once")
        if self.seeds is not None:
            require("seeds", self.seeds, 1, MOST_SEEDS)
        if self.budget is not None and self.budget < 1:
            raise SettingError(f"got budget={self.budget}; wanted at least 1")
        if self.seconds is not None and not self.seconds > 0:
            raise SettingError(f"got seconds={self.seconds}; wanted a positive number")
        kind, others = find_world(self.world, *COMPARED).kind, (*baselines(), *algorithms())
        for name in self.schemes:
            if name not in others:
                plain_scheme_named(name, also=others)
            refuse_algorithm(name, self.world, kind)


@dataclass(frozen=True)
class ExecutionOptions:
    """Execution options: nothing here changes the result."""

    workers: int | None = None
    """Processes; None takes one for each processor."""
    folder: Path | None = None
    """Folder of the run directories of trainings of networks, so that they can be resumed."""
    on_progress: Callable[[int, int], None] | None = None
    """Called with the policy updates done so far and in all."""
    on_row: OnRow | None = None
    """Called with each row of a training of networks."""
    executor: ExecutorName = "processes"
    """Where tasks run: `processes` here, `serial`, or `ray`."""

    def __post_init__(self) -> None:
        require_executor(self.executor, self.workers)
