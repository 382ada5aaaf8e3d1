"""`compare`: any schemes x seeds on a world, paired seeds, a control, and the verdict.

Read `compare` top to bottom. It returns the result that the terminal prints, `--json` writes
and the report draws; `summary.py` says what its numbers are, `verdict.py` what follows from them.
How the arms are trained and evaluated is a matter of the world's kind: see `BACKENDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import replace

from counterpoint import __version__
from counterpoint.comparison.exact import Tables
from counterpoint.comparison.outcome import Outcome
from counterpoint.comparison.pairs import Pair, pair_of
from counterpoint.comparison.plan import ExecutionOptions, OnRow, Plan
from counterpoint.comparison.probe import Probe
from counterpoint.comparison.summary import differences, scheme_result
from counterpoint.comparison.verdict import verdict
from counterpoint.optional import require_language, require_torch
from counterpoint.results.comparison import ComparisonResult, Control, References
from counterpoint.runs.executor import ExecutorName
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world


class Backend(Protocol):
    """A comparison as the kind of its world trains and evaluates it, with the world made."""

    default_seeds: int
    batch_steps: int
    axis: str
    """What its budget counts: `step` or `update`."""
    schemes: tuple[str, ...]
    agents: tuple[str, ...]

    @property
    def budget(self) -> int | None:
        """What each training may spend; None if a setting of the world says so."""

    def facts(self) -> dict[str, Any]:
        """What the document says of the world."""

    def config(self) -> dict[str, Any]:
        """What the document says of what was asked for, beside schemes and seeds."""

    def train(
        self, pair: Pair, work: ExecutionOptions
    ) -> tuple[dict[str, Outcome], Control | None]:
        """Every scheme trained, and the control."""

    def probe(self, pair: Pair) -> Probe:
        """Whether decoupling can matter."""


def _policies(plan: Plan) -> Backend:
    require_torch()
    from counterpoint.comparison.sequential import Policies

    return Policies(plan)


def _language(plan: Plan) -> Backend:
    require_language()
    from counterpoint.comparison.text import Language

    return Language(plan)


BACKENDS: Mapping[Kind, Callable[[Plan], Backend]] = {
    Kind.EXACT: Tables,
    Kind.SEQUENTIAL: _policies,
    Kind.TEXT: _language,
}
"""How the worlds of each kind are trained and evaluated. torch is optional, so that the modules
which need it are imported when they are used."""


def backend_of(plan: Plan) -> Backend:
    """Returns the comparison with its world made, and all that depends on the world checked.

    Raises:
        UnknownNameError: the world has no setting of that name.
        SettingError: a setting out of range.
        SchemeError: a baseline that this world cannot answer.
        ModelError: the language model of a text environment is not here, and cannot be had.
        WorldError: a world of somebody's own that cannot be played.
        MissingPackageError: what this kind of world needs is not installed.
    """
    return BACKENDS[find_world(plan.world).kind](plan)


def compare(
    plan: Plan,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_row: OnRow | None = None,
    folder: Path | None = None,
    executor: ExecutorName = "processes",
    backend: Backend | None = None,
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
        backend: what `backend_of` returned for the plan, if the caller has it already.

    Raises:
        CounterpointError: as `backend_of`, before anything is trained.
        SettingError: fewer than one worker.
        RunError, BusyError: a run directory belongs to another comparison, or is in use.
        OutputError: a run directory cannot be written.
    """
    work = ExecutionOptions(workers, folder, on_progress, on_row, executor)
    backend = backend or backend_of(plan)
    seeds, pair = plan.seeds or backend.default_seeds, pair_of(backend.schemes)
    outcomes, control = backend.train(pair, work)
    facts = backend.facts()
    result = ComparisonResult(
        version=__version__,
        world=facts["world"],
        summary=facts["summary"],
        kind=facts["kind"],
        axis=facts["axis"],
        references=References(**facts["references"]),
        config={
            "world": facts["world"],
            "schemes": list(backend.schemes),
            "seeds": seeds,
            "control": plan.control,
            **backend.config(),
        },
        seeds=list(range(seeds)),
        agents=list(backend.agents),
        schemes={name: scheme_result(name, out) for name, out in outcomes.items()},
        differences=differences(outcomes, pair),
        control=control,
    )
    return replace(result, verdict=verdict(result, pair, backend.probe(pair)))
