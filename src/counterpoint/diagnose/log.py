"""A log with its ids: which rows share an agent, a step, a prompt, a rollout.

Start at `Log.of`; `logged_advantages` gives the advantages of its rows. If a return stands in the
last row of each episode, it counts for all rows (`paid_last`): the mean over the rows would divide
it by their number, so that long winners look like losers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.credit import RunningState, Scheme, advantages
from counterpoint.credit.labels import Labels, factorize, occurrence
from counterpoint.credit.segments import NUMPY, segment_max, segment_mean, segment_min, segment_sum
from counterpoint.errors import LabelError, RewardError
from counterpoint.records import Decisions

Ids = Ints

SAME = 1e-9
"""Rewards, or advantages, that differ by less than this, relative to the largest, are the same."""


@dataclass(frozen=True)
class Log:
    """Decisions with dense integer ids; a *block* is one prompt at one step."""

    decisions: Decisions
    labels: Labels
    """The label columns, with the step as `batch`: steps never share a statistic."""
    agents: tuple[str, ...]
    """[A] names in order of first appearance."""
    agent: Ids
    """[N] agent of each row."""
    steps: NDArray[Any]
    """[T] training updates in order; a single 0 where the log has none."""
    step: Ids
    """[N] index into `steps` of each row."""
    block: Ids
    """[N] prompt and step of each row."""
    n_blocks: int
    """Number of blocks."""
    rollout: Ids
    """[N] rollout of each row; a rollout belongs to one block."""
    n_rollouts: int
    """Number of rollouts."""
    columns: dict[str, NDArray[Any]]
    """The labels for `advantages`: those of the log, the step as `batch`, and a `turn` always."""
    returns: Floats | None
    """[N, K] the return of each row's episode, where it stands in the last row only; else None."""

    @classmethod
    def of(cls, decisions: Decisions) -> Log:
        """Returns `decisions` with its rows numbered.

        Raises:
            RewardError: there is no row, or a reward is infinite.
            LabelError: there is no `agent` or no `rollout` column, or a label is missing.
        """
        if not len(decisions):
            raise RewardError("got no decisions; wanted at least one row")
        if np.isinf(decisions.rewards).any():
            raise RewardError("got an infinite reward; wanted finite ones, or NaN where missing")
        for name in ("agent", "rollout"):
            if name not in decisions.labels:
                raise LabelError(
                    f"got labels {sorted(decisions.labels)}; a diagnosis also needs '{name}'"
                )
        step = np.zeros(len(decisions), np.int64) if decisions.step is None else decisions.step
        steps, numbered = np.unique(step, return_inverse=True)
        labels = Labels({**decisions.labels, "batch": numbered}, len(decisions), NUMPY)
        agent, first = dense(*factorize(np.asarray(decisions.labels["agent"])), order="appearance")
        block, blocks = dense(*labels.groups(("prompt",)))
        rollout, rollouts = dense(*labels.groups(("prompt", "rollout")))
        names = tuple(str(name) for name in np.asarray(decisions.labels["agent"])[first])
        if len(set(names)) < len(names):
            raise LabelError(f"got agents {names}; wanted names that differ as text")
        columns: dict[str, NDArray[Any]] = {**decisions.labels, "batch": numbered}
        row_of_agent = factorize(rollout * len(names) + agent)[0]
        turn = columns.setdefault("turn", occurrence(row_of_agent))
        returns = paid_last(decisions.rewards, np.asarray(turn), rollout, agent)
        return cls(
            decisions, labels, names, agent, steps, numbered.astype(np.int64), block, len(blocks),
            rollout, len(rollouts), columns, returns,
        )  # fmt: skip

    def components(self, scheme: Scheme) -> Floats:
        """Returns [N, K] the components as `scheme` is given them; NaN where they are missing.

        Where a return stands in the last row of an episode, it is given to each row, unless the
        scheme adds the rows up by itself.
        """
        adds_rows = scheme.rollout_reward in ("sum", "to_go")
        returns = None if adds_rows else self.returns
        return self.decisions.rewards if returns is None else returns

    def rewards(self, scheme: Scheme) -> Floats:
        """Returns [N] one reward a row as `scheme` adds the components; NaN where it skips the row.

        Components that the scheme normalizes first enter on one scale: divided by their deviation
        in their step.
        """
        values = self.components(scheme)
        weights = np.ones(values.shape[1]) if scheme.weights is None else np.array(scheme.weights)
        if scheme.components == "normalize_first":
            values = np.stack([standardized(c, self.step, len(self.steps)) for c in values.T], 1)
            return present_sum(values, weights)
        weighs = weights != 0
        if scheme.missing == "as_zero":
            return np.asarray(np.nan_to_num(values[:, weighs]) @ weights[weighs])
        return present_sum(values[:, weighs], weights[weighs])

    def pairs(self, ids: Ids, n: int) -> tuple[Ids, Ids]:
        """Returns ids [N] of pairs of an id below `n` and an agent, and each pair's first row."""
        agents = len(self.agents)
        return dense(ids * agents + self.agent, n * agents)


def present_sum(values: Floats, weights: Floats) -> Floats:
    """Returns [N] the weighted sum of the components that are there; NaN where none is."""
    missing = np.isnan(values)
    if not missing.any():
        return np.asarray(values @ weights)
    total = np.where(missing, 0.0, values) @ weights
    return np.where(missing.all(axis=1), np.nan, total)


def dense(ids: Ids, n: int, order: str = "value") -> tuple[Ids, Ids]:
    """Returns ids without gaps [N], by value or by first appearance, and the first row of each."""
    first = np.full(n, -1, dtype=np.int64)
    # Written from the last row to the first, so that the first row of an id stays.
    first[ids[::-1]] = np.arange(len(ids))[::-1]
    present = np.flatnonzero(first >= 0)
    if order == "appearance":
        present = present[np.argsort(first[present])]
    place = np.zeros(n, dtype=np.int64)
    place[present] = np.arange(len(present))
    return place[ids], first[present]


def distinct(ids: Ids) -> Ids:
    """Returns the distinct ids in order: `np.unique`, whose hash table takes 50 times as long."""
    ordered: Ids = np.sort(ids)
    is_new: Bools = np.diff(ordered, prepend=ordered[:1] - 1) != 0
    return ordered[is_new]


def varies(column: Floats, ids: Ids, n: int) -> Bools:
    """Returns [n] whether a column [N] takes two values in a segment; NaN is no value."""
    ok = ~np.isnan(column)
    low, high = segment_min(column[ok], ids[ok], n), segment_max(column[ok], ids[ok], n)
    seen = np.isfinite(low)
    near = SAME * np.where(seen, np.maximum(abs(low), abs(high)), 0.0)
    return np.asarray(seen & (np.where(seen, high - low, 0.0) > near))


def centered(values: Floats, ids: Ids, n: int) -> Floats:
    """Returns [N] known values minus their segment's mean; exactly 0 where a segment does not vary.

    The mean of equal values differs from them by rounding, and shares of such differences say
    nothing.
    """
    low = segment_min(values, ids, n)
    away = values - low[ids]  # distances from the least value keep the digits of large ones
    away -= segment_mean(away, ids, n)[ids]
    away[~varies(values, ids, n)[ids]] = 0.0
    return away


def standardized(values: Floats, ids: Ids, n: int) -> Floats:
    """Returns [N] values minus their segment's mean, over its deviation; 0 in constant segments."""
    ok = ~np.isnan(values)
    count = np.maximum(np.bincount(ids[ok], minlength=n), 1)
    mean = segment_sum(values[ok], ids[ok], n) / count
    deviation = values - mean[ids]
    deviation[abs(deviation) <= 1e-12 * abs(mean[ids])] = 0.0
    var = segment_sum(deviation[ok] ** 2, ids[ok], n) / count
    return np.divide(deviation, np.sqrt(np.where(var > 0, var, 1.0))[ids])


def finite_or_none(value: float) -> float | None:
    """Returns the number, or None where it is infinite or undefined."""
    return value if math.isfinite(value) else None


def number_of(n: int, noun: str) -> str:
    """Returns the number with the noun: `1 key`, `2 keys`."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def logged_advantages(log: Log, scheme: Scheme) -> Floats:
    """Returns [N] the advantages of the log's rows; each step is one call, in order."""
    rewards = log.components(scheme)
    if not scheme.keeps_state:
        return np.asarray(advantages(rewards, log.columns, scheme).values)
    order = np.argsort(log.step, kind="stable")
    values = np.zeros(len(rewards))
    state: RunningState | None = None
    for rows in np.split(order, np.flatnonzero(np.diff(log.step[order])) + 1):
        labels = {name: np.asarray(c)[rows] for name, c in log.columns.items() if name != "batch"}
        credit = advantages(rewards[rows], labels, scheme, state=state)
        values[rows], state = credit.values, credit.state
    return values


def decoupling_difference(log: Log, scheme: Scheme) -> float:
    """Returns the largest difference between the twins' advantages, over the largest advantage."""
    one = logged_advantages(log, scheme.coupled())
    two = logged_advantages(log, scheme.decoupled())
    largest = max(float(abs(one).max()), float(abs(two).max()))
    return float(abs(one - two).max()) / largest if largest > 0 else 0.0


CHANCE = 0.001
"""Rewards that stand in last rows only are no accident below this probability: the product of
1 / rows over the episodes that are paid."""


def paid_last(
    rewards: Floats, turn: NDArray[np.generic], rollout: Ids, agent: Ids
) -> Floats | None:
    """Returns the rewards with the return on every row, or None where rows are paid as they come.

    An episode is paid last where every reward other than 0 stands in the last row of its agent. If
    none but the very last row of each rollout is paid, the return is the whole team's; else it is
    that of the agent. `turn` [N] orders the rows of an agent in its rollout, ties by place in the
    log; `rollout` and `agent` are dense ids [N].

    Source: ours.
    """
    paid = np.any(np.nan_to_num(rewards) != 0, axis=1)
    agents = int(agent.max(initial=0)) + 1
    own = rollout * agents + agent
    rows = np.bincount(own)
    several = rows[own] > 1
    if not paid.any() or several.mean() <= 0.5:
        return None
    place = np.empty(len(turn), dtype=np.int64)  # rank by turn, then by place in the log
    place[np.argsort(turn, kind="stable")] = np.arange(len(turn))
    own_last, team_last = (
        segment_max(place, unit, int(unit.max()) + 1)[unit] == place for unit in (own, rollout)
    )
    surprise = np.log(rows[own[paid]].astype(np.float64)).sum()
    if (paid & ~own_last).any() or surprise < -np.log(CHANCE):
        return None
    unit, last = (own, own_last) if (paid & ~team_last).any() else (rollout, team_last)
    value = np.full((int(unit.max()) + 1, rewards.shape[1]), np.nan)
    value[unit[last]] = rewards[last]
    return value[unit]
