"""`compare`: any schemes x seeds on a world, paired seeds, a control, and the verdict.

Read `compare` top to bottom. It returns the result that the terminal prints, `--json` writes
and the report draws; `summary.py` says what its numbers are, `verdict.py` what follows from them.
How the arms are trained is a matter of the world's kind: `exact.py`, `sequential.py`, `text.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec.structs import replace

from counterpoint import __version__
from counterpoint.comparison.exact import Tables
from counterpoint.comparison.outcome import Outcome
from counterpoint.comparison.pairs import Pair, pair_of
from counterpoint.comparison.probe import Probe
from counterpoint.comparison.summary import differences, scheme_result
from counterpoint.comparison.verdict import verdict
from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.lm.needs import require_language
from counterpoint.results.comparison import ComparisonResult, Control, References
from counterpoint.runs.executor import ExecutorName, require_executor
from counterpoint.settings import did_you_mean
from counterpoint.train.needs import require_torch
from counterpoint.train.plans import no_model
from counterpoint.worlds import catalogue
from counterpoint.worlds.sequential.catalogue import step_catalogue
from counterpoint.worlds.text.catalogue import text_catalogue, text_entry

MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Raises:
        UnknownNameError: no world, setting, scheme or baseline of that name.
        SettingError: a setting out of range, a scheme named twice, or fewer than one seed.
        SchemeError: a baseline that this world cannot answer.
        ModelError: the language model of a text world is not here, and cannot be had.
        WorldError: a world of somebody's own that cannot be played.
        MissingPackageError: a world of many steps or of words, and what it needs is not installed.
    """

    world: str
    """Name of a world: see `counterpoint worlds`."""
    schemes: tuple[str, ...] = ()
    """Names of schemes and baselines; empty takes the defaults of the world's kind."""
    seeds: int | None = None
    """How many seeds, from 0 on; every scheme meets the same ones. None takes 10, or 5 where
    networks or language models are trained."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the world, by name, and of the policies or agents where networks or language
    models are trained; text is converted."""
    control: bool = True
    """Also run the world's control, in which decoupling can do nothing, where it has one."""
    budget: int | None = None
    """Steps of each training, all copies together, where networks are trained; None takes 100,000,
    or 20,000 where the world is stepped in Python. In text worlds: updates of each training."""
    seconds: float | None = None
    """End each of these trainings after so many seconds, if that comes first. What comes out then
    depends on the machine."""
    model: str | None = None
    """The language model whose adapters are trained in a text world: see `open_model`."""

    def __post_init__(self) -> None:
        if len(set(self.schemes)) < len(self.schemes):
            raise SettingError(f"got schemes {', '.join(self.schemes)}; wanted each of them once")
        if self.seeds is not None and not 1 <= self.seeds <= MOST_SEEDS:
            raise SettingError(f"got {self.seeds} seeds; wanted at least 1, at most {MOST_SEEDS}")
        stage_of(self)


Heard = Callable[[str, int, Mapping[str, Any]], None]
"""Told a scheme, a seed, and what that training has just reached: see `trainings.told_of`."""


@dataclass(frozen=True)
class Work:
    """How the work is done: nothing here changes what comes out."""

    workers: int | None = None
    """Processes; None takes one for each processor."""
    folder: Path | None = None
    """Where trainings of networks have their run directories, so that they can go on."""
    on_progress: Callable[[int, int], None] | None = None
    """Called with the policy updates done so far and in all."""
    on_row: Heard | None = None
    """Called with each row of a training of networks."""
    executor: ExecutorName = "processes"
    """Where tasks run: `processes` here, `serial`, or `ray`."""

    def __post_init__(self) -> None:
        require_executor(self.executor, self.workers)


class Stage(Protocol):
    """What a comparison needs of a kind of world."""

    default_seeds: int
    batch_steps: int
    schemes: tuple[str, ...]
    agents: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """What the document says of the world."""

    def config(self) -> dict[str, Any]:
        """What the document says of what was asked for, beside schemes and seeds."""

    def train(self, pair: Pair, work: Work) -> tuple[dict[str, Outcome], Control | None]:
        """Every scheme trained, and the control."""

    def probe(self, pair: Pair) -> Probe:
        """Whether decoupling can matter."""


def stage_of(plan: Plan) -> Stage:
    """The world of a plan, as its kind is trained and evaluated.

    Raises:
        CounterpointError: as `Plan`.
    """
    kind = kind_of(plan.world)
    if kind == "text":
        require_language()
        from counterpoint.comparison.text import Language

        return Language(plan)
    no_model(plan.world, plan.model)
    if kind == "steps":
        require_torch()
        from counterpoint.comparison.sequential import Policies

        return Policies(plan)
    return Tables(plan)


def kind_of(world: str) -> Literal["exact", "steps", "text"]:
    """How teams are trained in the world of this name.

    Raises:
        UnknownNameError: no world is called so.
        MissingPackageError, WorldError: a world of somebody's own cannot be imported.
    """
    if text_entry(world) is not None:
        return "text"
    if ":" in world or world in step_catalogue():
        return "steps"
    known = [*catalogue(), *step_catalogue(), *text_catalogue()]
    if world not in known:
        raise UnknownNameError(
            f"got world '{world}'; wanted one of {', '.join(known)}, or one of somebody else's, as "
            f"package.module:Class{did_you_mean(world, known)}"
        )
    return "exact"


def compare(
    plan: Plan,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_row: Heard | None = None,
    folder: Path | None = None,
    executor: ExecutorName = "processes",
) -> ComparisonResult:
    """Train a team under each scheme and say which agent collapsed, why, and what to use.

    The same plan gives the same result, whatever the executor and the number of workers.

    Args:
        plan: what to compare.
        workers: processes; None takes one for each processor.
        on_progress: called with the policy updates done so far and in all.
        on_row: called with a scheme, a seed, and what that training of networks has just reached.
        folder: where each training of networks gets a run directory, `runs/SCHEME-SEED`; those
            that are there go on where they were, and finished ones are not repeated.
        executor: where trainings run: `processes` here, `serial`, or `ray` (an extra).

    Raises:
        SettingError: fewer than one worker.
        RunError, BusyError: a run directory belongs to another comparison, or is in use.
        OutputError: a run directory cannot be written.
    """
    work = Work(workers, folder, on_progress, on_row, executor)
    stage = stage_of(plan)
    seeds, pair = plan.seeds or stage.default_seeds, pair_of(stage.schemes)
    outcomes, control = stage.train(pair, work)
    facts = stage.facts()
    result = ComparisonResult(
        version=__version__,
        world=facts["world"],
        summary=facts["summary"],
        kind=facts["kind"],
        axis=facts["axis"],
        references=References(**facts["references"]),
        config={
            "world": facts["world"],
            "schemes": list(stage.schemes),
            "seeds": seeds,
            "control": plan.control,
            **stage.config(),
        },
        seeds=list(range(seeds)),
        agents=list(stage.agents),
        schemes={name: scheme_result(name, out) for name, out in outcomes.items()},
        differences=differences(outcomes, pair),
        control=control,
    )
    return replace(result, verdict=verdict(result, pair, stage.probe(pair)))
