"""Numbers of each agent from the rewards and advantages of one update, inside a trainer.

Start with `UpdateNumbers.of`. Many seeds may lie side by side (`batch`); none sees another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.credit import Scheme
from counterpoint.credit.segments import ratio, segment_mean, segment_sum
from counterpoint.diagnose.agents import spike_limit
from counterpoint.diagnose.inflation import (
    ThreeNumbers,
    divided,
    scale_groups,
    three_numbers,
)
from counterpoint.errors import StatisticsError

IdColumns = Mapping[str, Ints]
"""Label name to ids [N]; `batch` is the seed."""


@dataclass(frozen=True)
class UpdateNumbers:
    """The measures of a scheme's updates: dicts of arrays [S, A], NaN where undefined."""

    scheme: Scheme
    """The scheme that normalizes."""
    seeds: int
    """S."""
    agents: int
    """A."""

    def of(self, columns: IdColumns, rewards: Floats, values: Floats) -> dict[str, Floats]:
        """Returns norm_inflation, inflation, signal_share, dead_rate, net_mass and spike_rate.

        Args:
            columns: labels of the decisions, each [N].
            rewards: [N] input of the scheme, components summed.
            values: [N] output of the scheme.
        """
        center_by, scale_by = self.scheme.center_by, scale_groups(self.scheme)
        # Offsets are measured in the groups that share a center, the rest where a scale is shared.
        centered = scaled = self._over(center_by, columns, rewards)
        if scale_by != center_by:
            if self.scheme.scale_of == "centered":
                group, n = self._groups(center_by, columns)
                rewards = rewards - segment_mean(rewards, group, n)[group]
            scaled = divided(self._over(scale_by, columns, rewards), self.scheme)
        return {
            "norm_inflation": scaled.norm_inflation,
            "inflation": centered.inflation,
            "signal_share": scaled.signal_share,
            "dead_rate": self.mean(columns, values == 0),
            "net_mass": self.mean(columns, values),
            "spike_rate": self.mean(columns, self._spikes(columns, values)),
        }

    def mean(self, columns: IdColumns, values: NDArray[np.generic]) -> Floats:
        """Returns [S, A] the mean of `values` [N] over each agent's decisions; NaN without any."""
        return ratio(self.total(columns, values), self.total(columns, np.ones(len(values))))

    def total(self, columns: IdColumns, values: NDArray[np.generic]) -> Floats:
        """Returns [S, A] the sum of `values` [N] over each agent's decisions."""
        cell = columns["batch"] * self.agents + columns["agent"]
        return segment_sum(values, cell, self.seeds * self.agents).reshape(self.seeds, self.agents)

    def _spikes(self, columns: IdColumns, values: Floats) -> Bools:
        """Returns [N] whether an advantage is larger than the statistics of the scheme can make it.

        A z-score of n samples is at most sqrt(n - 1), which a rare success does reach; running
        statistics have no bound, and are held to what normal rewards give.
        """
        if self.scheme.scale == "none":
            return np.zeros(len(values), dtype=bool)
        group, n = self._groups(self.scheme.scale_by or (), columns)
        size = segment_sum(np.ones(len(group)), group, n)
        # Where center and scale differ, a value may lie outside of the values that it is scaled by.
        bound = np.sqrt(size) if self.scheme.center_by == self.scheme.scale_by else size
        limit = spike_limit(size) if self.scheme.scale == "running_std" else bound
        return np.asarray(abs(values) > limit[group])

    def _over(self, by: tuple[str, ...], columns: IdColumns, rewards: Floats) -> ThreeNumbers:
        """Returns the three numbers in the groups of the labels `by`."""
        group, n = self._groups(by, columns)  # the seed is the first digit of a group
        agent, batch = columns["agent"], columns["batch"]
        n_groups = n // self.seeds
        return three_numbers(
            rewards, group % n_groups, agent, n_groups, self.agents, batch, self.seeds
        )

    def _groups(self, by: tuple[str, ...], columns: IdColumns) -> tuple[Ints, int]:
        """Returns group [N] of each decision, seeds apart, and how many groups there can be."""
        group, n = columns["batch"], self.seeds
        for label in by:
            column = columns.get(label, columns["agent"] if label == "role" else None)
            if column is not None:
                size = int(column.max(initial=0)) + 1
                group, n = group * size + column, n * size
        return group, n


def credit_correlations(
    credit: Floats, own: Floats, agent: NDArray[Any], turn: NDArray[Any], agents: int
) -> Floats:
    """Returns the Pearson correlation of each agent's credit with its own outcome.

    Both are centered within decisions of one agent at one step of the episode, so that late steps,
    which have less to come than early ones, cause no correlation. Credit that is independent of the
    agent's own outcome has 0; under a common reward, 1 would be credit as if each agent had been
    paid for itself.

    Args:
        credit: [N] advantage of each decision.
        own: [N] the agent's own discounted return-to-go.
        agent: [N] index of the agent, below `agents`.
        turn: [N] step of the episode.
        agents: A.

    Returns:
        [A]; NaN where credit or outcome do not vary, or where an agent has fewer than 3 decisions.

    Raises:
        StatisticsError: columns of different lengths.

    Source:
        ours.
    """
    shapes = {np.shape(column) for column in (credit, own, agent, turn)}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise StatisticsError(f"got columns of shapes {sorted(shapes)}; wanted four of one [N]")
    out = np.full(agents, np.nan)
    _, turns = np.unique(turn, return_inverse=True)
    cell = np.asarray(agent) * (int(turns.max(initial=0)) + 1) + turns
    columns = (np.asarray(credit, float), np.asarray(own, float))
    left = [x - segment_mean(x, cell, int(cell.max(initial=-1)) + 1)[cell] for x in columns]
    x, y = (  # what is left by rounding alone is 0
        np.where(abs(away) <= 1e-12 * float(abs(given).max(initial=0.0)), 0.0, away)
        for away, given in zip(left, columns, strict=True)
    )
    for k in range(agents):
        a, b = x[agent == k], y[agent == k]
        size = float(np.sqrt((a**2).sum() * (b**2).sum()))
        if len(a) >= 3 and size > 0:
            out[k] = float((a * b).sum()) / size
    return out
