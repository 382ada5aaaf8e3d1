"""A training document as values with names: what its tables and pictures read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from counterpoint.report.pages.training.talk_result import Talk, read_talk
from counterpoint.report.toolkit.document import Document, items, mapping, number, series, text
from counterpoint.report.toolkit.estimate import Values, padded

MEASURES = (
    "signal_kept", "task_noise", "snr", "cosine", "share", "entropy", "inflation", "signal_share",
    "dead_rate", "participation", "credit_correlation",
)  # fmt: skip
LOSSES = ("entropy", "kl", "clipped", "value_loss")
FIRST_VERDICT = 10
"""Measurements together that give the first verdict on collapse."""


@dataclass(frozen=True)
class AgentRun:
    """One agent over the measured updates."""

    steps: Values
    """[T]."""
    collapsed: Values
    """[T] 1 where the scheme collapses it, 0 where not, None before the first verdict."""
    causes: list[str | None]
    """[T]."""
    measures: dict[str, Values]
    """[T] each of `MEASURES`."""

    @property
    def now(self) -> tuple[bool | None, str | None]:
        """Whether it is collapsed at the last measurement, and why."""
        last = self.collapsed[-1] if self.collapsed else None
        return (None if last is None else bool(last)), self.causes[-1] if last else None

    def last(self, measure: str) -> float | None:
        """The last value of a measure."""
        return next((v for v in reversed(self.measures[measure]) if v is not None), None)


@dataclass(frozen=True)
class TrainingRun:
    """A training, as far as it has come."""

    world: str
    scheme: str
    seed: int | None
    version: str
    config: dict[str, Any]
    status: str
    step: int
    budget: int | None
    seconds: float | None
    returned: float | None
    normalized: float | None
    random: float | None
    reference: float | None
    steps: Values
    """[U] over the updates."""
    returns: Values
    """[U] mean return of the episodes that ended in each batch."""
    losses: dict[str, Values]
    """[U] each of `LOSSES`, or what else a language team has of each update."""
    agents: dict[str, AgentRun]
    axis: str
    """What steps count: `step`, or `update` where language models learn."""
    talk: Talk | None
    """What was said; None where nobody speaks."""


def read_training(document: Document) -> TrainingRun:
    """The training in a document that `open_document` has let in."""
    curve, references = mapping(document, "curve"), mapping(document, "references")
    steps, agents = series(curve, "step"), mapping(document, "agents")
    seed, budget = number(document.get("seed")), number(document.get("budget"))
    spoken = document.get("axis") == "update"
    losses = [name for name in curve if name not in ("step", "return")] if spoken else LOSSES
    return TrainingRun(
        world=text(document.get("world")),
        scheme=text(document.get("scheme")),
        seed=None if seed is None else int(seed),
        version=text(document.get("version")),
        config=dict(mapping(document, "config")),
        status=text(document.get("status")),
        step=int(number(document.get("step")) or 0),
        budget=None if budget is None else int(budget),
        seconds=number(document.get("seconds")),
        returned=number(document.get("return")),
        normalized=number(document.get("normalized")),
        random=number(references.get("random")),
        reference=number(references.get("reference")),
        steps=steps,
        returns=padded(series(curve, "return"), len(steps)),
        losses={name: padded(series(curve, name), len(steps)) for name in losses},
        agents={name: _agent(mapping(agents, name)) for name in agents},
        axis="update" if spoken else "step",
        talk=read_talk(document),
    )


def _agent(entry: Document) -> AgentRun:
    steps = series(entry, "step")
    count = len(steps)
    told = [_verdict(value) for value in items(entry, "collapsed")]
    unknown: Values = [None] * min(FIRST_VERDICT - 1, len(told))
    causes = [text(c) or None for c in items(entry, "cause")]
    return AgentRun(
        steps=steps,
        collapsed=padded(unknown + told[len(unknown) :], count),
        causes=(causes + [None] * count)[:count],
        measures={name: padded(series(entry, name), count) for name in MEASURES},
    )


def _verdict(value: Any) -> float | None:
    return float(value) if isinstance(value, bool) else number(value)
