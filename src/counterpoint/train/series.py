"""The series of a training: `Row` is one update, `CollapseMonitor` judges the agents in it.

A line of `metrics.jsonl` has the metrics of a team beside the other values, and the verdict on an
agent beside its measurements: `Row.to_line` writes it so, and `row_from_line` reads it.
`EqualEpisodes` is a part of a line of `episodes.jsonl`.

In most single batches a network's gradient is noise, and networks learn all the same. So an agent
counts as collapsed only if the last measurements together show that the scheme keeps little of a
signal which other statistics would have left, as `diagnose.kept` defines it. The monitor reads the
rows of the series and nothing else, so that a resumed run is judged as one that was never stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from counterpoint.arrays import Floats
from counterpoint.diagnose import (
    CAUSES,
    collapsed_updates,
    gradient_statistics,
    name_causes,
    signal_kept,
    task_noise,
)
from counterpoint.diagnose.evidence import Evidence, from_numbers, to_numbers
from counterpoint.diagnose.gradients import FEWEST_MICRO_BATCHES
from counterpoint.runs.metrics import Json, Line

WINDOW = 10
"""Measurements that are judged together; before the tenth there is no verdict."""
LEARNED = 0.95
"""A team with this normalized return has learned: an agent without gradient has not collapsed."""
EVIDENCE = (
    "dead_rate", "norm_inflation", "inflation", "signal_share", "spike_rate", "entropy",
    "participation",
)  # fmt: skip
Value = TypeVar("Value")
Numbers = dict[str, float | Sequence[float | None] | None]
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
    """Whether the scheme keeps little of its signal while it could still improve."""
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
    """The report of an update to the monitor of many trainings."""

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
    metrics: Mapping[str, float | None]
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
        return {**line, "seconds": self.seconds}  # last: the rest does not depend on the clock


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


_KNOWN = ("step", "update", "episodes", "return", "normalized", "seconds", "agents", "team")


def row_from_line(line: Line) -> Row:
    """Returns the row of a line; a value of another type (an edited file) counts as missing."""
    metrics = {name: number(value) for name, value in line.items()}
    step, update, episodes, returned, score, seconds, *_ = (metrics.pop(n, None) for n in _KNOWN)
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


def metric_curves(rows: Sequence[Row]) -> dict[str, list[float | None]]:
    """Returns [U] each metric of U updates, by name; None where a row lacks it."""
    names = dict.fromkeys(name for row in rows for name in row.metrics)
    return {name: [row.metrics.get(name) for row in rows] for name in names}


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
            numbers[name] = [number(each) for each in value]
    return numbers


def number(value: object) -> float | None:
    """Returns the value if it is a number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def only(kind: type[Value], value: object) -> Value | None:
    """Returns the value if it is of that type."""
    return value if isinstance(value, kind) else None


class CollapseMonitor:
    """A monitor that remembers the last measurements of each agent.

    Args:
        agents: [A] names.
        continuous: names of the agents whose actions are numbers; the entropy of a density can be
            anything, so that LAZY is not judged for them.
    """

    def __init__(self, agents: Sequence[str], *, continuous: Collection[str] = ()) -> None:
        self.agents = tuple(agents)
        self.chooses = np.array([agent not in continuous for agent in agents])
        self.last: deque[Mapping[str, Numbers]] = deque(maxlen=WINDOW)
        self.improvable: deque[bool] = deque(maxlen=WINDOW)

    def judge(
        self, measured: Mapping[str, Numbers], score: float | None
    ) -> dict[str, CollapseVerdict]:
        """Takes in new measurements of each agent, and judges them together with the last ones.

        Args:
            measured: agent to its measurements.
            score: the team's normalized return; None where it is not known.

        Returns:
            Agent to its verdict.
        """
        self.last.append(measured)
        self.improvable.append(score is None or score < LEARNED)
        reasons = {}
        for name in EVIDENCE:
            rows = [[numbers[agent].get(name) for agent in self.agents] for numbers in self.last]
            values = np.array(rows, dtype=np.float64)
            count, total = np.isfinite(values).sum(axis=0), np.nansum(values, axis=0)
            reasons[name] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        reasons["entropy"] = np.where(self.chooses, reasons["entropy"], np.nan)
        shape = (1, len(self.last), len(self.agents))
        could = np.broadcast_to(np.array(self.improvable)[None, :, None], shape)
        evidence = measured_evidence([list(self.last)], self.agents)
        collapsed = collapsed_updates(evidence, could, WINDOW)[0, -1]
        known = len(self.last) == WINDOW
        kept, noise = signal_kept(evidence, could), task_noise(evidence, could)
        causes = name_causes({**reasons, "collapsed": collapsed})
        expected = name_causes(reasons) * self.improvable[-1]
        return {
            agent: CollapseVerdict(
                signal_kept=finite_or_none(kept.value[k]) if known else None,
                signal_kept_low=finite_or_none(kept.low[k]) if known else None,
                signal_kept_high=finite_or_none(kept.high[k]) if known else None,
                task_noise=finite_or_none(noise.value[k]) if known else None,
                collapsed=bool(collapsed[k]),
                cause=CAUSES[causes[k]] or None,
                expected=CAUSES[expected[k]] or None,
            )
            for k, agent in enumerate(self.agents)
        }


def measured_evidence(
    trainings: Sequence[Sequence[Mapping[str, Numbers]]], agents: Sequence[str]
) -> Evidence:
    """Returns the evidence [S, T, V, A] in the measurements of S trainings, as rows hold them."""
    numbers = [[[one[agent] for agent in agents] for one in rows] for rows in trainings]
    return from_numbers(numbers, len(agents))


def finite_or_none(value: float | Floats) -> float | None:
    """Returns a number for JSON; None if it is NaN or infinite."""
    return float(value) if np.isfinite(value) else None


def agent_numbers(
    micro: Floats,
    decided: Floats,
    measures: Mapping[str, Floats],
    *,
    alone: Sequence[int],
    divided: bool,
    evidence: Callable[[], Evidence] | None,
) -> tuple[list[Numbers], Numbers]:
    """Returns the numbers of each agent and of the team in one update.

    Args:
        micro: [M, A, D] gradients of M micro-batches.
        decided: [M, A] how much each agent decided in each. The direction of the gradient of an
            agent that is absent from too many is not known.
        measures: [A] each, what else was measured, by name.
        alone: agents that share no scale with others: what is shared of it is not defined.
        divided: whether the batch could be divided; if not, nothing is known of gradients.
        evidence: returns what the scheme and its alternatives keep, each [V, A]; None if unknown.
    """
    known = divided & ((decided > 0).sum(axis=0) >= FEWEST_MICRO_BATCHES)
    values = {
        name: np.where(known if name.startswith(("snr", "cosine")) else divided, x, np.nan)
        for name, x in vars(gradient_statistics(micro)).items()
    } | {name: x.copy() for name, x in measures.items()}
    for name in ("norm_inflation", "signal_share"):
        values[name][list(alone)] = np.nan
    by_agent: list[Numbers] = [
        {name: finite_or_none(x[k]) for name, x in values.items() if x.ndim}
        for k in range(micro.shape[1])
    ]
    if divided and evidence is not None:
        of_schemes = evidence()
        for k in np.flatnonzero(known):
            by_agent[k] |= to_numbers(of_schemes, int(k))
    return by_agent, {name: finite_or_none(x) for name, x in values.items() if not x.ndim}
