"""`Row`: one update of a training, as `metrics.jsonl` has it; `EqualEpisodes` is what was said.

A line of the file has the metrics of a team beside the other values, and the verdict on an agent
beside its measurements: `Row.to_line` writes it so, and `row_from_line` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import msgspec

from counterpoint.runs.metrics import Json, Line

Value = TypeVar("Value")
Numbers = dict[str, float | list[float] | None]
"""Measurements of one agent or of the team, by name."""


class CollapseVerdict(NamedTuple):
    """The verdict on one agent at one measurement."""

    signal_kept: float | None
    """Share of its signal that the scheme keeps; None where that is not known."""
    signal_kept_low: float | None
    """Lower end of its 95% interval."""
    signal_kept_high: float | None
    """Upper end of its 95% interval."""
    task_noise: float | None
    """Share of its gradient that is noise under the best statistics."""
    collapsed: bool | None
    """Whether the scheme keeps little of its signal, and it could still improve."""
    cause: str | None
    """The cause of the collapse; None if no measurement explains it."""
    expected: str | None
    """A cause in rewards or advantages that is large enough for a collapse, judged from the first
    measurement on, whether the gradient shows it yet or not."""


@dataclass(frozen=True)
class AgentRow:
    """One agent at one measurement."""

    numbers: Numbers
    verdict: CollapseVerdict

    def to_json(self) -> dict[str, Json]:
        """Returns numbers and verdict side by side."""
        return {**self.numbers, **self.verdict._asdict()}


class TrainingProgress(NamedTuple):
    """What a training reports of an update to whoever watches many trainings."""

    step: int
    returned: float | None
    collapsed: tuple[str, ...] | None
    """Names of the collapsed agents; None if the update was not measured."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One update. None stands for what is not known."""

    step: int
    """Steps played, or updates made."""
    update: int
    """Updates made."""
    episodes: int
    """Episodes that ended in it."""
    returned: float | None
    """Their mean return."""
    metrics: Mapping[str, float]
    """Losses, entropies and lengths of gradients, by name."""
    normalized: float | None = None
    """Mean return of the last updates, between a random (0) and the reference (1) team."""
    agents: Mapping[str, AgentRow] | None = None
    """Measurements by agent; None if the update was not measured."""
    team: Numbers | None = None
    """Measurements of the whole team."""
    seconds: float | None = None
    """Seconds of training by its end, over all sessions."""

    @property
    def progress(self) -> TrainingProgress:
        """What is reported of it while many trainings run."""
        collapsed = None
        if self.agents is not None:
            collapsed = tuple(n for n, a in self.agents.items() if a.verdict.collapsed)
        return TrainingProgress(self.step, self.returned, collapsed)

    def to_line(self) -> Line:
        """Returns the row as a line of the file has it."""
        line: Line = {
            "step": self.step,
            "update": self.update,
            "episodes": self.episodes,
            "return": self.returned,
            **self.metrics,
            "normalized": self.normalized,
        }
        if self.agents is not None:
            line["agents"] = {name: agent.to_json() for name, agent in self.agents.items()}
            line["team"] = self.team
        return {**line, "seconds": self.seconds}


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """One text of an episode, as `episodes.jsonl` has it."""

    t: int = 0
    """Its place in the episode."""
    agent: str
    to: str = ""
    """The agent who can read it; empty if there is none."""
    text: str


class EqualEpisodes(msgspec.Struct, frozen=True):
    """Episodes of one update that went alike, as `episodes.jsonl` has them."""

    task: tuple[str, ...]
    count: int
    success: float
    events: tuple[Spoken, ...]


_KNOWN = ("step", "update", "episodes", "return", "normalized", "seconds")


def row_from_line(line: Line) -> Row:
    """Returns the row of a line; a value of another type (an edited file) counts as missing."""
    metrics = {name: x for name, value in line.items() if (x := number(value)) is not None}
    step, update, episodes, returned, score, seconds = (metrics.pop(n, None) for n in _KNOWN)
    agents, team = line.get("agents"), line.get("team")
    return Row(
        step=int(step or 0),
        update=int(update or 0),
        episodes=int(episodes or 0),
        returned=returned,
        metrics=metrics,
        normalized=score,
        agents={k: _agent(x) for k, x in agents.items()} if isinstance(agents, Mapping) else None,
        team=_numbers(team) if isinstance(team, Mapping) else None,
        seconds=seconds,
    )


def _agent(values: Json) -> AgentRow:
    values = values if isinstance(values, Mapping) else {}
    kept, low, high, noise, collapsed, *texts = (values.get(n) for n in CollapseVerdict._fields)
    cause, expected = (only(str, text) for text in texts)
    shares = number(kept), number(low), number(high), number(noise)
    numbers = _numbers({n: x for n, x in values.items() if n not in CollapseVerdict._fields})
    return AgentRow(numbers, CollapseVerdict(*shares, only(bool, collapsed), cause, expected))


def _numbers(values: Mapping[str, Json]) -> Numbers:
    """Returns the numbers, lists of numbers and nulls among some values."""
    numbers: Numbers = {}
    for name, value in values.items():
        if value is None or number(value) is not None:
            numbers[name] = number(value)
        elif isinstance(value, list):
            numbers[name] = [x for each in value if (x := number(each)) is not None]
    return numbers


def number(value: object) -> float | None:
    """Returns the value if it is a number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def only(kind: type[Value], value: object) -> Value | None:
    """Returns the value if it is of that type."""
    return value if isinstance(value, kind) else None
