"""The claims by name, and how several are settled side by side: `settle`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from counterpoint import __version__
from counterpoint.claims.agreement import AGREEMENT
from counterpoint.claims.base import Claim, ClaimPlan, settled
from counterpoint.claims.coordination import COORDINATION
from counterpoint.claims.credit import CREDIT
from counterpoint.claims.equilibria import EQUILIBRIA
from counterpoint.claims.hacking import HACKING
from counterpoint.claims.idleness import IDLENESS
from counterpoint.claims.judging import JUDGING
from counterpoint.claims.planning import PLANNING
from counterpoint.claims.population import POPULATION
from counterpoint.claims.topology import TOPOLOGY
from counterpoint.claims.worth import WORTH
from counterpoint.errors import CounterpointError, UnknownNameError, choices
from counterpoint.machine.files import read_ordinary
from counterpoint.results import read_result
from counterpoint.results.claims import ClaimResult, ClaimsResult
from counterpoint.results.saved import RESULTS, encode
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.files import Replacement
from counterpoint.runs.seal import edits, remove_seal, require_ours, seal_of
from counterpoint.runs.status import SEAL
from counterpoint.runs.task import Advance
from counterpoint.settings import NOT_JSON

CLAIMS = {
    claim.name: claim
    for claim in (CREDIT, AGREEMENT, IDLENESS, COORDINATION, TOPOLOGY, PLANNING, HACKING,
                  POPULATION, JUDGING, EQUILIBRIA, WORTH)
}  # fmt: skip
STEPS = 100
"""Units of work that a claim reports."""


def claim_named(name: str) -> Claim:
    """Returns a claim.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in CLAIMS:
        raise UnknownNameError(f"got claim {name!r}{choices(name, CLAIMS)}")
    return CLAIMS[name]


@dataclass(frozen=True)
class SettleTask:
    """One claim: a task for any executor."""

    name: str
    plan: ClaimPlan
    folder: Path | None = None
    """Where it is kept, in a folder of its own, as soon as it is settled."""

    def __call__(self, advance: Advance) -> ClaimResult:
        done = 0

        def progress(share: float) -> None:
            nonlocal done
            while done < round(STEPS * share):
                advance()
                done += 1

        result = settled(claim_named(self.name), self.plan, progress)
        if self.folder is not None:
            place, data = self.folder / self.name, encode(result)
            with Replacement() as files:
                files.add(place / RESULTS, data)
                files.add(place / SEAL, seal_of({RESULTS: data}))
                remove_seal(place)
                files.publish()
        progress(1.0)
        return result


def settle(
    names: Sequence[str],
    plan: ClaimPlan,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
) -> ClaimsResult:
    """Returns claims with what was measured, in the order of their names here.

    Args:
        names: which claims.
        plan: how much is measured.
        workers: processes; None means one for each processor.
        on_progress: called with the units of work that are done, and of all.
        folder: where each claim is kept once it is settled, in a folder of its own: what the same
            version settled there with the same seeds is read and not measured again.

    Raises:
        UnknownNameError: no claim of that name.
        OutputError: the folder cannot be written to, or somebody's own file is where a claim would
            be.
    """
    for name in names:
        claim_named(name)
        if folder is not None:
            require_ours(folder / name / RESULTS)
    kept = {name: kept_claim(name, plan, folder) for name in names}
    left = [name for name in names if kept[name] is None]
    total = STEPS * len(left)
    report = None if on_progress is None else lambda done: on_progress(done, total)
    tasks = [SettleTask(name, plan, folder) for name in left]
    kept.update(zip(left, run_tasks(tasks, workers=workers, on_progress=report), strict=True))
    claims = [one for one in kept.values() if one is not None]
    return ClaimsResult(
        version=__version__, claims=claims, seconds=sum(one.seconds for one in claims)
    )


def kept_claim(name: str, plan: ClaimPlan | None, folder: Path | None) -> ClaimResult | None:
    """Returns what a folder has of a claim, if this version settled it as planned, and nobody
    edited it since.

    Args:
        name: of the claim.
        plan: its seeds; None takes any.
        folder: that `settle` was given.
    """
    if folder is None:
        return None
    try:
        file = read_ordinary(folder / name / RESULTS)
        found = read_result(msgspec.json.decode(file, type=dict))
    except (CounterpointError, OSError, *NOT_JSON):
        return None  # what is not there or damaged is measured
    if not isinstance(found, ClaimResult) or found.version != __version__:
        return None
    if edits(folder / name):
        return None
    as_planned = plan is None or found.command == f"counterpoint claims {name}{plan.options}"
    return found if as_planned else None
