"""`CollapseMonitor`: which agents a scheme collapses while a team learns, and why.

In most single batches a network's gradient is noise, and networks learn all the same. So an agent
counts as collapsed only if the last measurements together show that the scheme keeps little of a
signal which other statistics would have left, as `diagnose.kept` defines it.

Start with `CollapseMonitor.judge`. It reads the rows of the series and nothing else, so that a
resumed run is judged as one that was never stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

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
from counterpoint.train.series import CollapseVerdict, Numbers

WINDOW = 10
"""Measurements that are judged together; before the tenth there is no verdict."""
LEARNED = 0.95
"""A team with this normalized return has learned: an agent without gradient has not collapsed."""
EVIDENCE = (
    "dead_rate", "norm_inflation", "inflation", "signal_share", "spike_rate", "entropy",
    "participation",
)  # fmt: skip


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
