"""`compare`: any schemes x seeds on a world, paired seeds, a control, and the verdict.

Read `compare` top to bottom. It returns the result that the terminal prints, `--json` writes and
the report draws; `summary.py` computes its numbers, `verdict.py` its conclusion. The kind of the
world decides how teams are trained and evaluated: see `BACKENDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from counterpoint import __version__
from counterpoint.comparison.backend import Backend
from counterpoint.comparison.decoupling import pair_of
from counterpoint.comparison.exact import ExactComparison
from counterpoint.comparison.plan import ExecutionOptions, OnRow, Plan
from counterpoint.comparison.summary import differences, scheme_result
from counterpoint.comparison.verdict import verdict
from counterpoint.optional import require_language, require_torch
from counterpoint.results.comparison import ComparisonResult
from counterpoint.results.parts import Settings
from counterpoint.runs.executor import ExecutorName
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world


def _policies(plan: Plan) -> Backend:
    require_torch()
    from counterpoint.comparison.sequential import SequentialComparison

    return SequentialComparison(plan)


def _language(plan: Plan) -> Backend:
    require_language()
    from counterpoint.comparison.text import TextComparison

    return TextComparison(plan)


BACKENDS: Mapping[Kind, Callable[[Plan], Backend]] = {
    Kind.EXACT: ExactComparison,
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
        ModelError: the language model of a text environment is not here, and cannot be fetched.
        WorldError: a world of the user that cannot be played.
        MissingPackageError: a package that this kind of world needs is not installed.
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
    """Trains a team under each scheme; the result names collapsed agents, causes, and the scheme to
    use.

    The same plan gives the same result, whatever the executor and the number of workers.

    Args:
        plan: what to compare.
        workers, on_progress, on_row, executor: as in `ExecutionOptions`.
        folder: where each training of networks gets a run directory, `runs/SCHEME-SEED`; those
            that are there are resumed, and finished ones are not repeated.
        backend: the comparison of the plan from `backend_of`, if the caller has it already.

    Raises:
        CounterpointError: as `backend_of`, before anything is trained.
        SettingError: fewer than one worker.
        RunError, BusyError: a run directory belongs to another comparison, or is in use.
        OutputError: a run directory cannot be written.
    """
    options = ExecutionOptions(workers, folder, on_progress, on_row, executor)
    backend = backend or backend_of(plan)
    pair = pair_of(backend.schemes)
    outcomes, control = backend.train(pair, options)
    config: Settings = {
        "world": backend.world_name,
        "schemes": list(backend.schemes),
        "seeds": len(backend.seeds),
        "control": plan.control,
    }
    if backend.model is not None:
        config["policy"] = backend.model
    if backend.budget is not None:
        config |= {"budget": backend.budget, "seconds": plan.seconds}
    result = ComparisonResult(
        version=__version__,
        world=backend.world_name,
        summary=backend.summary,
        kind=backend.kind,
        axis=backend.axis,
        references=backend.references,
        config={**config, "given": dict(plan.settings), "settings": backend.settings},
        seeds=list(backend.seeds),
        agents=list(backend.agents),
        schemes={name: scheme_result(name, out) for name, out in outcomes.items()},
        differences=differences(outcomes, pair),
        control=control,
    )
    return replace(result, verdict=verdict(result, pair, backend.probe(pair)))
