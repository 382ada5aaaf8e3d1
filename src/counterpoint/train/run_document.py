"""What a run directory says of a training, as a document that the report draws."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from counterpoint.errors import CounterpointError
from counterpoint.runs.metrics import read_rows
from counterpoint.runs.status import METRICS, read_facts, read_run
from counterpoint.train.transcripts import talk_document
from counterpoint.worlds.sequential.catalogue import make_steps
from counterpoint.worlds.text.catalogue import make_text
from counterpoint.worlds.text.world import TextWorld

SCHEMA = "counterpoint.training/1"
LOSSES = ("entropy", "kl", "clipped", "value_loss", "policy_loss")
"""Of each update, as `train.ppo.improve` tells them."""
SPOKEN, LENGTH = ("entropy", "paid"), "gradient."
"""The same where language models learn, and what begins the name of each gradient's length."""
SERIES = (
    "signal_kept", "signal_kept_low", "signal_kept_high", "task_noise", "snr", "cosine", "share",
    "entropy", "inflation", "signal_share", "dead_rate", "participation", "credit_correlation",
    "collapsed", "cause", "expected",
)  # fmt: skip
"""Of each agent at each measured update, as `train.probe` and `train.watch` tell them."""

Row = dict[str, Any]


def run_document(path: Path) -> dict[str, Any]:
    """The training in a run directory, as far as it has come; nothing is written.

    Returns:
        Schema `counterpoint.training/1`: plain values. `curve` has a point an update, `agents`
        one a measured update; `collapsed` is null before there is a verdict. `talk` is what was
        said where language models learn: see `talk_document`.

    Raises:
        RunError: there is no run.
    """
    run, facts, (rows, damaged) = read_run(path), read_facts(path), read_rows(path / METRICS)
    measured = [row for row in rows if "agents" in row]
    names = list(measured[0]["agents"]) if measured else []
    spoken, settings = facts.axis == "update", run["config"].get("world_settings")
    world: TextWorld | None = None
    references: dict[str, Any] = {}
    with contextlib.suppress(CounterpointError):  # its package may be missing where it is read
        if spoken:
            world = make_text(facts.world or "", settings)
            references = asdict(world.references)
        else:
            steps = make_steps(facts.world or "", settings)
            references = asdict(steps.references)
            steps.close()
    lengths = sorted({name for row in rows for name in row if name.startswith(LENGTH)})
    return {
        "schema": SCHEMA,
        "version": run.get("version"),
        "axis": facts.axis,
        "world": facts.world,
        "scheme": facts.scheme,
        "seed": facts.seed,
        "config": run["config"],
        "status": facts.status,
        "step": rows[-1]["step"] if rows else 0,
        "budget": facts.budget,
        "seconds": rows[-1].get("seconds") if rows else None,
        "return": facts.returned,
        "normalized": facts.normalized,
        "references": references,
        "damaged_rows": damaged,
        "curve": {
            name: series(rows, name)
            for name in ("step", "return", *((*SPOKEN, *lengths) if spoken else LOSSES))
        },
        "agents": {
            name: {
                "step": series(measured, "step"),
                **{key: [row["agents"][name].get(key) for row in measured] for key in SERIES},
            }
            for name in names
        },
        "talk": talk_document(path, world) if spoken else None,
    }


def series(rows: Sequence[Row], name: str) -> list[Any]:
    """One column of the rows; None where a row has none."""
    return [row.get(name) for row in rows]
