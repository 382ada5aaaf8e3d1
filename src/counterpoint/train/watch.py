"""`CollapseMonitor`: which agents a scheme collapses while a team learns, and why.

In most single batches a network's gradient is noise, and networks learn all the same. So an agent
counts as collapsed only if the last measurements together show that the scheme keeps little of a
signal which other statistics would have left, as `diagnose.kept` defines it.

Start with `CollapseMonitor.judge`. It reads the rows of the series and nothing else, so that a
resumed run is judged as one that was never stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.diagnose import (
    CAUSES,
    collapsed_updates,
    name_causes,
    signal_kept,
    task_noise,
)
from counterpoint.diagnose.evidence import Evidence, from_numbers

Numbers = dict[str, float | list[float] | None]
"""Measurements of one agent or of the team, by name, as a row of the series has them."""
WINDOW = 10
"""Measurements that are judged together; before the tenth there is no verdict."""
LEARNED = 0.95
"""A team with this normalized return has learned: an agent without gradient has not collapsed."""
EVIDENCE = (
    "dead_rate", "norm_inflation", "inflation", "signal_share", "spike_rate", "entropy",
    "participation",
)  # fmt: skip


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
    collapsed: bool
    """Whether the scheme keeps little of its signal, and it could still improve."""
    cause: str | None
    """The cause of the collapse; None if no measurement explains it."""
    expected: str | None
    """A cause in rewards or advantages that is large enough for a collapse, judged from the first
    measurement on, whether the gradient shows it yet or not."""


class CollapseMonitor:
    """A monitor that remembers the last measurements of each agent.

    Args:
        agents: [A] names.
        continuous: whether actions are; the entropy of a density can be anything, so LAZY is not
            judged then.
    """

    def __init__(self, agents: Sequence[str], *, continuous: bool = False) -> None:
        self.agents, self.continuous = tuple(agents), continuous
        self.last: deque[Mapping[str, Numbers]] = deque(maxlen=WINDOW)
        self.improvable: deque[bool] = deque(maxlen=WINDOW)

    def judge(
        self, measured: Mapping[str, Numbers], score: float | None
    ) -> dict[str, CollapseVerdict]:
        """Takes in new measurements of each agent, and judges them together with the last ones.

        Args:
            measured: agent to its numbers, as `probe.agent_numbers` tells them.
            score: the team's normalized return; None where it is not known.

        Returns:
            Agent to its verdict.
        """
        self.last.append(measured)
        self.improvable.append(score is None or score < LEARNED)
        reasons = {name: self._mean(name) for name in EVIDENCE}
        if self.continuous:
            del reasons["entropy"]
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

    def _series(self, name: str) -> Floats:
        """Returns [W, A], the last values; NaN where there is none."""
        rows = [[measured[agent].get(name) for agent in self.agents] for measured in self.last]
        return np.array(rows, dtype=np.float64)

    def _mean(self, name: str) -> Floats:
        """Returns [A], the mean of the last values that there are."""
        values = self._series(name)
        count = np.isfinite(values).sum(axis=0)
        total = np.nansum(values, axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def measured_evidence(
    trainings: Sequence[Sequence[Mapping[str, Numbers]]], agents: Sequence[str]
) -> Evidence:
    """Returns the evidence [S, T, V, A] in the measurements of S trainings, as rows hold them."""
    numbers = [[[one[agent] for agent in agents] for one in rows] for rows in trainings]
    return from_numbers(numbers, len(agents))


def finite_or_none(value: Any) -> float | None:
    """Returns a number for JSON; None if it is NaN or infinite."""
    return float(value) if np.isfinite(value) else None


def by_agent_and_team(measures: Mapping[str, Floats], agents: int) -> tuple[list[Numbers], Numbers]:
    """Returns measures [A] as the numbers of each agent, and those without axes as the team's."""
    each: list[Numbers] = [
        {name: finite_or_none(values[k]) for name, values in measures.items() if values.ndim}
        for k in range(agents)
    ]
    return each, {n: finite_or_none(values) for n, values in measures.items() if not values.ndim}
