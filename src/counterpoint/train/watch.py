"""Whom a scheme collapses, and why, while a team learns: judged over the last measurements.

A gradient of a network is noise in most single batches, and networks learn all the same. So an
agent is collapsed only where the last measurements together show that the scheme keeps little of
a signal which other statistics would have left, as `diagnose.kept` defines it.

Start with `Watch.judge`. It reads the rows of the series and nothing else, so that a resumed run
judges as one that was never stopped.
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

WINDOW = 10
"""Measurements that are judged together; before the tenth there is no verdict."""
LEARNED = 0.95
"""A team with this normalized return has learned: an agent without gradient has not collapsed."""
EVIDENCE = (
    "dead_rate", "norm_inflation", "inflation", "signal_share", "spike_rate", "entropy",
    "participation",
)  # fmt: skip


class Verdict(NamedTuple):
    """What is said of one agent at one measurement."""

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
    """What explains the collapse; None where nothing that was measured does."""
    expected: str | None
    """What is so large in the rewards or advantages alone that it is enough to cause a collapse:
    judged from the first measurement on, whether the gradient shows it yet or not."""


class Watch:
    """Remembers the last measurements of each agent.

    Args:
        agents: [A] names.
        continuous: whether actions are; the entropy of a density can be anything, so LAZY is not
            judged then.
    """

    def __init__(self, agents: Sequence[str], *, continuous: bool = False) -> None:
        self.agents, self.continuous = tuple(agents), continuous
        self.last: deque[Mapping[str, Mapping[str, Any]]] = deque(maxlen=WINDOW)
        self.improvable: deque[bool] = deque(maxlen=WINDOW)

    def judge(
        self, measured: Mapping[str, Mapping[str, Any]], score: float | None
    ) -> dict[str, Verdict]:
        """Take in what was measured of each agent, and judge it with what was measured before.

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
        evidence = evidence_of([list(self.last)], self.agents)
        collapsed = collapsed_updates(evidence, could, WINDOW)[0, -1]
        known = len(self.last) == WINDOW
        kept, noise = signal_kept(evidence, could), task_noise(evidence, could)
        causes = name_causes({**reasons, "collapsed": collapsed})
        expected = name_causes(reasons) * self.improvable[-1]
        return {
            agent: Verdict(
                signal_kept=_plain(kept.value[k]) if known else None,
                signal_kept_low=_plain(kept.low[k]) if known else None,
                signal_kept_high=_plain(kept.high[k]) if known else None,
                task_noise=_plain(noise.value[k]) if known else None,
                collapsed=bool(collapsed[k]),
                cause=CAUSES[causes[k]] or None,
                expected=CAUSES[expected[k]] or None,
            )
            for k, agent in enumerate(self.agents)
        }

    def _series(self, name: str) -> Floats:
        """[W, A] the last values; NaN where there is none."""
        rows = [[told[agent].get(name) for agent in self.agents] for told in self.last]
        return np.array(rows, dtype=np.float64)

    def _mean(self, name: str) -> Floats:
        """[A] the mean of the last values that there are."""
        values = self._series(name)
        count = np.isfinite(values).sum(axis=0)
        total = np.nansum(values, axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def evidence_of(
    trainings: Sequence[Sequence[Mapping[str, Mapping[str, Any]]]], agents: Sequence[str]
) -> Evidence:
    """The evidence [S, T, V, A] in the measurements of S trainings, as rows hold them."""
    numbers = [[[one[agent] for agent in agents] for one in rows] for rows in trainings]
    return from_numbers(numbers, len(agents))


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
