"""When a log pays: a return that stands in the last row of an episode is the return of its rows.

A mean over the rows of such an episode divides the return by the length: long winners then look
like losers, and agents seem to have rewards of their own. Start at `paid_last`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.credit.segments import segment_max

Ids = NDArray[np.int64]

CHANCE = 0.001
"""Rewards that stand in last rows only are no accident below this probability: the product of
1 / rows over the episodes that are paid."""


def paid_last(
    rewards: Floats, turn: NDArray[np.generic], rollout: Ids, agent: Ids
) -> Floats | None:
    """The rewards with the return on every row, or None where rows are paid as they come.

    An episode is paid last where every reward other than 0 stands in the last row of its agent. If
    none but the very last row of each rollout is paid, the return is the whole team's; else it is
    that of the agent.

    Args:
        rewards: [N, K]; NaN is missing.
        turn: [N] order of the rows of an agent in its rollout; ties by place in the log.
        rollout: [N] dense ids.
        agent: [N] dense ids.

    Returns:
        [N, K] what each row's episode is worth, or None.

    Source: ours.
    """
    paid = np.any(np.nan_to_num(rewards) != 0, axis=1)
    agents = int(agent.max(initial=0)) + 1
    own = rollout * agents + agent
    rows = np.bincount(own)
    several = rows[own] > 1
    if not paid.any() or several.mean() <= 0.5:
        return None
    place = _place(turn)
    own_last = _last(place, own)
    if (paid & ~own_last).any():
        return None
    surprise = np.log(rows[own[paid]].astype(np.float64)).sum()
    if surprise < -np.log(CHANCE):
        return None
    team_last = _last(place, rollout)
    unit, last = (own, own_last) if (paid & ~team_last).any() else (rollout, team_last)
    value = np.full((int(unit.max()) + 1, rewards.shape[1]), np.nan)
    value[unit[last]] = rewards[last]
    return value[unit]


def _place(turn: NDArray[np.generic]) -> Ids:
    """[N] a rank of the rows by turn, then by place in the log."""
    place = np.empty(len(turn), dtype=np.int64)
    place[np.argsort(turn, kind="stable")] = np.arange(len(turn))
    return place


def _last(place: Ids, unit: Ids) -> NDArray[np.bool_]:
    last: NDArray[np.bool_] = segment_max(place, unit, int(unit.max()) + 1)[unit] == place
    return last
