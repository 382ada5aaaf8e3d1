"""What a run directory says of itself, read without its lock: nothing here writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from counterpoint.errors import RunError
from counterpoint.runs.checkpoint import steps
from counterpoint.runs.lock import is_locked

RUN, STATUS, METRICS = "run.json", "status.json", "metrics.jsonl"
EPISODES = "episodes.jsonl"
CHECKPOINTS, LOCK = "checkpoints", "lock"

Kind = TypeVar("Kind")
STATES = ("running", "finished", "stopped", "failed")


@dataclass(frozen=True)
class RunFacts:
    """One run, as a row of the index."""

    path: str
    """Its folder, from the root on."""
    world: str | None
    """World of its configuration."""
    scheme: str | None
    """Scheme of its configuration."""
    seed: int | None
    """Seed of its configuration."""
    status: str
    """One of `STATES`."""
    step: int | None
    """Step (or update) of the newest checkpoint, or that of the end."""
    budget: int | None
    """Steps (or updates) that it is to take."""
    returned: float | None
    """Return at the end."""
    normalized: float | None
    """The same, with a random team at 0 and an optimal one at 1."""
    created: str | None
    """When it began, UTC."""
    updated: str | None
    """When its status last changed, UTC."""
    axis: str | None = None
    """What `step` and `budget` count: see `axis_of`; None where its folder is gone."""


def read_run(path: Path) -> dict[str, Any]:
    """Returns what run.json of a run says.

    Raises:
        RunError: there is none, or it is not one of a training run.
    """
    file = path / RUN
    try:
        facts = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise RunError(
            f"{path} is no run: {RUN} cannot be read ({error.strerror or error}); wanted the "
            "folder of a run: `counterpoint runs` lists them"
        ) from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RunError(f"{file} is damaged ({error}); the run cannot be resumed") from error
    if facts.get("kind") != "train" or not isinstance(facts.get("config"), dict):
        raise RunError(f"{path} holds no training run; wanted one that `counterpoint train` wrote")
    return facts


def axis_of(config: Mapping[str, Any]) -> str:
    """Returns what a run's budget counts: `update` where language models learn, else `step`."""
    return "update" if "language" in config else "step"


def read_facts(path: Path) -> RunFacts:
    """Returns a run as a row of the index: its files, read now.

    A run that says that it is running, and whose lock nobody holds, was killed: it is `stopped`.

    Raises:
        RunError: there is no run.
    """
    facts = read_run(path)
    config, state = facts["config"], _read_status(path)
    status = state.get("status")
    if is_locked(path / LOCK):
        status = "running"
    elif status not in STATES or status == "running":
        status = "stopped"
    newest = steps(path / CHECKPOINTS)
    return RunFacts(
        path=str(path.resolve()),
        world=_of(str, config.get("world")),
        scheme=_of(str, config.get("scheme")),
        seed=_of(int, config.get("seed")),
        status=status,
        step=_of(int, state.get("step", newest[-1] if newest else None)),
        budget=_of(int, config.get("budget")),
        returned=_number(state.get("return")),
        normalized=_number(state.get("normalized")),
        created=_of(str, facts.get("created")),
        updated=_of(str, state.get("updated", facts.get("created"))),
        axis=axis_of(config),
    )


def read_all(paths: Iterable[Path]) -> list[RunFacts]:
    """Returns the runs among these folders, the newest first; what is no run is passed over."""
    runs = []
    for path in paths:
        with contextlib.suppress(RunError):
            runs.append(read_facts(path))
    return newest_first(runs)


def newest_first(runs: Iterable[RunFacts]) -> list[RunFacts]:
    """Returns sorted by when they began, the newest first."""
    return sorted(runs, key=lambda run: (run.created or "", run.path), reverse=True)


def now() -> str:
    """Returns the time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read_status(path: Path) -> Mapping[str, Any]:
    try:
        state: dict[str, Any] = msgspec.json.decode(
            (path / STATUS).read_bytes(), type=dict[str, Any]
        )
    except (OSError, msgspec.MsgspecError, RecursionError):
        return {}
    return state


def _of(kind: type[Kind], value: object) -> Kind | None:
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
