"""What a run directory says of itself, read without its lock: nothing here writes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType, field
from msgspec.structs import replace

from counterpoint.errors import RunError
from counterpoint.machine.files import read_ordinary
from counterpoint.results.parts import Settings
from counterpoint.results.training import EvaluationTasks, Messages
from counterpoint.runs.checkpoint import steps
from counterpoint.runs.files import with_checksum, write_atomically
from counterpoint.runs.lock import is_locked
from counterpoint.runs.provenance import RunFile
from counterpoint.settings import NOT_JSON

RUN, STATUS, METRICS = "run.json", "status.json", "metrics.jsonl"
EPISODES, GAMES = "episodes.jsonl", "games.json"
CHECKPOINTS, LOCK, SEAL = "checkpoints", "lock", "seal.json"
SERIES = (METRICS, EPISODES)
"""The series of a run."""

Kind = TypeVar("Kind")
STATES = ("running", "finished", "stopped", "failed")


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `status.json`; what is not known yet is left out of the file."""

    status: str = ""
    """One of `STATES`."""
    updated: str | UnsetType = UNSET
    """When this was written, UTC."""
    step: int | UnsetType | None = UNSET
    """Step (or update) of the end."""
    returned: float | UnsetType | None = field(default=UNSET, name="return")
    """Return at the end."""
    normalized: float | UnsetType | None = UNSET
    """The same, with a random team at 0 and an optimal one at 1."""
    messages: Messages | UnsetType | None = UNSET
    """What the messages of the trained team carry."""
    evaluated: EvaluationTasks | UnsetType | None = UNSET
    """The tasks on which the trained team was evaluated."""
    error: str | UnsetType = UNSET
    """What made the run fail."""


class RunFacts(msgspec.Struct, frozen=True):
    """One run, as a row of the index."""

    path: str
    """Its folder, from the root on."""
    world: str | None
    """World of its configuration."""
    scheme: str | None
    """Scheme of its configuration, or the algorithm in its place."""
    seed: int | None
    """Seed of its configuration."""
    status: str
    """One of `STATES`."""
    step: int | None
    """Step (or update) of the newest checkpoint, or that of the end."""
    budget: int | None
    """Steps (or updates) that it is to take."""
    returned: float | None = field(name="return")
    """Return at the end."""
    normalized: float | None
    """The same, with a random team at 0 and an optimal one at 1."""
    created: str | None
    """When it began, UTC."""
    updated: str | None
    """When its status last changed, UTC."""
    axis: str | None = None
    """What `step` and `budget` count: see `axis_of`; None where its folder is gone."""


def read_run(path: Path) -> RunFile:
    """Returns the content of run.json of a training.

    Raises:
        RunError: there is none, or it is not one of a training.
    """
    file = path / RUN
    try:
        run = msgspec.json.decode(read_ordinary(file), type=RunFile)
    except OSError as error:
        raise RunError(
            f"{path} is no run: {RUN} cannot be read ({error.strerror or error}); wanted the "
            "folder of a run: `counterpoint runs` lists them"
        ) from error
    except NOT_JSON as error:
        raise RunError(f"{file} is damaged ({error}); the run cannot be resumed") from error
    if run.kind != "train":
        raise RunError(f"{path} holds no training run; wanted one that `counterpoint train` wrote")
    return run


def holds_other(path: Path) -> bool:
    """Returns whether a folder has the run.json of a command that trains no run."""
    try:
        return msgspec.json.decode(read_ordinary(path / RUN), type=RunFile).kind != "train"
    except (OSError, *NOT_JSON):
        return False


def axis_of(config: Settings) -> str:
    """Returns what a run's budget counts: `update` where language models learn, else `step`."""
    return "update" if "language" in config else "step"


def learns_values(config: Settings) -> bool:
    """Returns whether a run's team learns action values: it has no advantages to measure."""
    return "value" in config


def read_facts(path: Path) -> RunFacts:
    """Returns a run as a row of the index: its files, read now.

    A run that says that it is running, and whose lock nobody holds, was killed: it is `stopped`.

    Raises:
        RunError: there is no run.
    """
    run, state = read_run(path), read_status(path)
    status, newest = state.status, None
    with contextlib.suppress(OSError):  # a folder that cannot be listed; `seal.edits` names it
        newest = max(steps(path / CHECKPOINTS), default=None)
    # The lock is believed before the file: a killed process could not write how it ended.
    if is_locked(path / LOCK):
        status = "running"
    elif status not in STATES or status == "running":
        status = "stopped"
    return RunFacts(
        path=str(path.resolve()),
        world=_only(str, run.config.get("world")),
        scheme=_only(str, run.config.get("scheme")),
        seed=_only(int, run.config.get("seed")),
        status=status,
        step=newest if state.step is UNSET else state.step,
        budget=_only(int, run.config.get("budget")),
        returned=None if state.returned is UNSET else state.returned,
        normalized=None if state.normalized is UNSET else state.normalized,
        created=run.created,
        updated=run.created if state.updated is UNSET else state.updated,
        axis=axis_of(run.config),
    )


def read_status(path: Path) -> RunStatus:
    """Returns the content of status.json; an empty status if it is missing or damaged."""
    with contextlib.suppress(OSError, *NOT_JSON):
        return msgspec.json.decode(read_ordinary(path / STATUS), type=RunStatus)
    return RunStatus()


def write_status(path: Path, status: RunStatus) -> None:
    """Writes status.json, with a checksum: see `files.with_checksum`.

    Raises:
        OutputError: it could not be written; what was there is unchanged.
    """
    document = replace(status, status=status.status or "stopped")
    write_atomically(path / STATUS, with_checksum(msgspec.json.encode(document, enc_hook=float)))


def read_all(
    paths: Iterable[Path], *, left_out: Callable[[Path, str], object] = lambda path, reason: None
) -> list[RunFacts]:
    """Returns the runs among these folders, the newest first.

    Args:
        paths: folders.
        left_out: called with each folder that holds no run, and the reason.
    """
    runs = []
    for path in paths:
        try:
            runs.append(read_facts(path))
        except RunError as error:
            left_out(path, str(error))
    return newest_first(runs)


def newest_first(runs: Iterable[RunFacts]) -> list[RunFacts]:
    """Returns the runs in the order in which they began, the newest first."""
    return sorted(runs, key=lambda run: (run.created or "", run.path), reverse=True)


def now() -> str:
    """Returns the time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _only(kind: type[Kind], value: object) -> Kind | None:
    """Returns the value if it is of that kind: a configuration may have been edited."""
    return value if isinstance(value, kind) and not isinstance(value, bool) else None
