"""The result of a training, read from its run directory as far as it has come."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from counterpoint.errors import CounterpointError
from counterpoint.results.training import AgentSeries, References, Series, TrainingResult
from counterpoint.runs.metrics import read_rows
from counterpoint.runs.status import METRICS, read_facts, read_run
from counterpoint.train.plans import kind_of_run
from counterpoint.train.transcripts import read_talk
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential import world as sequential
from counterpoint.worlds.text.world import TextWorld

LOSSES = ("entropy", "kl", "clipped", "value_loss", "policy_loss")
"""What `train.ppo.improve` measures of each update."""
SPOKEN, LENGTH = ("entropy", "paid"), "gradient."
"""The same where language models learn, and what the name of each gradient's length begins with."""
VERDICTS = ("collapsed", "cause", "expected")
NUMBERS = tuple(name for name in AgentSeries.__struct_fields__ if name not in ("step", *VERDICTS))
"""What `train.ppo.probe`, `train.lora.probe` and `train.watch` measure of each agent."""

Row = dict[str, Any]
Value = TypeVar("Value")


def training_result(path: Path) -> TrainingResult:
    """Returns the training in a run directory, as far as it has come; nothing is written.

    A value of a type that the series never has (somebody edited the file) counts as missing.

    Raises:
        RunError: there is no run.
    """
    run, facts, (rows, damaged) = read_run(path), read_facts(path), read_rows(path / METRICS)
    spoken = kind_of_run(run["config"]) is Kind.TEXT
    settings = run["config"].get("world_settings")
    world: TextWorld | None = None
    references = References()
    with contextlib.suppress(CounterpointError):  # its package may be missing where it is read
        if spoken:
            world = find_world(facts.world or "", Kind.TEXT).make(settings)
            references = _references(world.references)
        else:
            steps = find_world(facts.world or "", Kind.SEQUENTIAL).make(settings)
            references = _references(steps.references)
            steps.close()
    lengths = sorted({name for row in rows for name in row if name.startswith(LENGTH)})
    curves = ("step", "return", *((*SPOKEN, *lengths) if spoken else LOSSES))
    return TrainingResult(
        version=_only(str, run.get("version")) or "",
        axis="update" if spoken else "step",
        world=facts.world,
        scheme=facts.scheme,
        seed=facts.seed,
        config=run["config"],
        status=facts.status,
        step=rows[-1]["step"] if rows else 0,
        budget=facts.budget,
        seconds=_number(rows[-1].get("seconds")) if rows else None,
        returned=facts.returned,
        normalized=facts.normalized,
        references=references,
        damaged_rows=damaged,
        curve={name: _column(rows, name) for name in curves},
        agents=_agents([row for row in rows if isinstance(row.get("agents"), dict)]),
        talk=read_talk(path, world) if spoken else None,
    )


def _references(world: sequential.References) -> References:
    random, reference = (None if r is None else float(r) for r in (world.random, world.reference))
    return References(random=random, reference=reference, scale=world.scale)


def _agents(measured: Sequence[Row]) -> dict[str, AgentSeries]:
    """The series of each agent over the updates that were measured."""
    series = {}
    for name in measured[0]["agents"] if measured else ():
        rows = [_only(dict, row["agents"].get(name)) or {} for row in measured]
        numbers: dict[str, Any] = {key: _column(rows, key) for key in NUMBERS}
        series[name] = AgentSeries(
            step=_column(measured, "step"),
            **numbers,
            collapsed=[_only(bool, row.get("collapsed")) for row in rows],
            cause=[_only(str, row.get("cause")) for row in rows],
            expected=[_only(str, row.get("expected")) for row in rows],
        )
    return series


def _column(rows: Iterable[Row], name: str) -> Series:
    """One number of each row; None where a row has none."""
    return [_number(row.get(name)) for row in rows]


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _only(kind: type[Value], value: object) -> Value | None:
    return value if isinstance(value, kind) else None
