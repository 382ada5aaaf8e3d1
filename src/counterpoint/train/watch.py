"""Who has collapsed, and why, while a team learns: judged over the last measurements together.

An agent is *flat* where the last measurements together cannot tell its gradient from zero. In a
network that learns from hundreds of noisy steps most agents are, most of the time, and learn all
the same; so flat alone is no collapse here. It is one where what was normalized also shows a cause.

Start with `Watch.judge`. It reads the rows of the series and nothing else, so that a resumed run
judges as one that was never stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from counterpoint.diagnose import CAUSES, flat_together, name_causes
from counterpoint.worlds.base import Floats

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

    flat: bool | None
    """Whether its gradient cannot be told from zero; None where too few measurements tell."""
    collapsed: bool
    """Whether it is flat, could still improve, and the measurements show why."""
    cause: str | None
    """Why it has collapsed."""
    expected: str | None
    """What is so large in the rewards or advantages alone that it is enough to cause a collapse:
    told from the first measurement on, whether the gradient shows it yet or not."""


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
        evidence = {name: self._mean(name) for name in EVIDENCE}
        if self.continuous:
            del evidence["entropy"]
        flat = np.zeros(len(self.agents), dtype=bool)
        known = flat
        if len(self.last) == WINDOW:
            cosines = self._series("cosine")
            flat, known = flat_together(cosines), np.asarray(np.isfinite(cosines).all(axis=0))
        improvable = score is None or score < LEARNED
        causes = name_causes({**evidence, "collapsed": flat & improvable})
        expected = name_causes(evidence) * improvable
        return {
            agent: Verdict(
                flat=bool(flat[k]) if known[k] else None,
                collapsed=bool(causes[k]),
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
