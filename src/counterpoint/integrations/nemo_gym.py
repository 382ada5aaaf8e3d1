"""NeMo Gym: named rewards as the rewards of agents, for NeMo-RL or a trainer of your own.

NeMo Gym's environments return `reward_components`, a reward for each name. Here a name is an agent,
or "agent/component". NeMo Gym trains nothing: `columns` gives NeMo-RL's batch the columns that
`counterpoint.integrations.nemo_rl` reads, and `result_advantages` returns advantages. This file
does not import NeMo Gym. Source: nemo-gym 0.7.0, `nemo_gym/base_resources_server.py`,
`nemo_gym/rollout_collection.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from counterpoint.errors import LabelError
from counterpoint.integrations.nemo_rl import PREFIX
from counterpoint.integrations.team_credit import TeamCredit

TASK = "_ng_task_index"
"""The key of a record that holds the number of its task."""
MASKED = "mask_sample"
"""The key that says that a reward is no measurement."""


def agent_rewards(result: Any) -> dict[str, float]:
    """Returns agent to reward of one result; a reward that was not measured is NaN.

    An agent's components, "agent" and "agent/component", are summed; NaN among them is absent.

    Args:
        result: a record of NeMo Gym's rollouts, or a verify response.

    Raises:
        LabelError: the result has no named rewards.
    """
    read = _reader(result)
    named = read("reward_components")
    if not isinstance(named, Mapping) or not named:
        raise LabelError(
            "got a result without reward_components; wanted a reward for each agent, as "
            "BaseMultiRewardVerifyResponse has them"
        )
    rewards: dict[str, float] = {}
    for name, value in named.items():
        agent = str(name).partition("/")[0]
        paid = math.nan if value is None or read(MASKED) else float(value)
        known = rewards.get(agent, math.nan)
        rewards[agent] = paid if math.isnan(known) else known + (0.0 if math.isnan(paid) else paid)
    return rewards


def columns(results: Sequence[Any]) -> dict[str, list[float]]:
    """Returns NeMo-RL's columns `reward/<agent>` [B] of the results of a batch.

    NaN stands where an agent had no part, or its reward was not measured.

    Args:
        results: [B] records or verify responses, in the order of the batch's rows.

    Raises:
        LabelError: as `agent_rewards`.
    """
    rows = [agent_rewards(one) for one in results]
    agents = sorted({agent for row in rows for agent in row})
    return {PREFIX + agent: [row.get(agent, math.nan) for row in rows] for agent in agents}


def result_advantages(results: Sequence[Any], credit: TeamCredit) -> list[dict[str, float]]:
    """Returns [B] agent to advantage of each result.

    An agent whose reward was not measured has the advantage 0.

    Args:
        results: [B] records of NeMo Gym's rollouts of one training step. Each record is a rollout
            of its task, which `_ng_task_index` or `task_id` names.
        credit: the `TeamCredit` that computes advantages.

    Raises:
        LabelError: a result has no named rewards or no task.
        RewardError: a reward is infinite.
    """
    rows = [agent_rewards(one) for one in results]
    labels: dict[str, list[Any]] = {"prompt": [], "rollout": [], "agent": []}
    for i, (result, row) in enumerate(zip(results, rows, strict=True)):
        read = _reader(result)
        task = read(TASK)
        if task is None and (task := read("task_id")) is None:
            raise LabelError(f"got a result without {TASK} or task_id; wanted the task's name")
        labels["prompt"] += [str(task)] * len(row)
        labels["rollout"] += [i] * len(row)
        labels["agent"] += list(row)
    paid = [reward for row in rows for reward in row.values()]
    credit.trainer = credit.trainer or "NeMo Gym"
    values = iter(credit(paid, labels) if paid else ())
    return [{agent: float(next(values)) for agent in row} for row in rows]


def _reader(result: Any) -> Any:
    """Returns a function that reads a field of a record or of a response; None if it is absent."""
    if isinstance(result, Mapping):
        return result.get
    return lambda name: getattr(result, name, None)
