"""NeMo-RL: an object with the method of its advantage estimators, by agents.

Its batch has a column `reward/<agent>` for each agent. A row is one joint rollout with every
agent's reward, or one agent's part with NaN in the columns of the others; `agent` [B], where the
batch has it, says whose row it is. NeMo-RL has no registry: put the object in the place of its
estimator. Nothing of NeMo-RL is imported. Source: NVIDIA-NeMo/RL,
`nemo_rl/algorithms/advantage_estimator.py`; read, not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import LabelError
from counterpoint.integrations.entry import Given, credit_of
from counterpoint.integrations.recorder import plain

PREFIX = "reward/"


class AdvantageEstimator:
    """Advantages by one of our schemes.

    Args:
        scheme: what to compute.
        agents: whose columns `reward/<agent>` are read; all that the batch has, by default.
        record: a file for the log.

    Raises:
        UnknownNameError: no scheme of that name.
        OutputError: the log cannot be written.
    """

    def __init__(
        self,
        scheme: Given = "agent_wise",
        *,
        agents: Sequence[str] = (),
        record: str | Path | None = None,
    ) -> None:
        self.credit, self.agents = credit_of(scheme, record), tuple(agents)

    def compute_advantage(
        self,
        prompt_ids: Any,
        rewards: Any,
        mask: Any,
        repeated_batch: Mapping[str, Any],
        valid_mask: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Advantages [B, S] times the mask.

        Args:
            prompt_ids: [B, L] tokens; rows that are equal are rollouts of one prompt.
            rewards: [B] read where the batch has no column `reward/<agent>`.
            mask: [B, S] tokens that are trained.
            repeated_batch: columns [B].
            valid_mask: [B] 0 leaves a row out of all statistics; so does a mask without a token.

        Returns: [B, S]. A row with several agents' rewards has the sum of their advantages.

        Raises:
            LabelError: the scheme needs agents, and the batch tells none.
            RewardError: an infinite reward.
        """
        counted: NDArray[np.bool_] = np.asarray(_array(mask).astype(bool).any(-1))
        if valid_mask is not None:
            counted &= _array(valid_mask).reshape(-1) > 0
        row, agent, paid = self._entries(
            np.asarray(_array(rewards), float), repeated_batch, counted
        )
        values = np.zeros(len(counted))
        if len(row):
            prompt = np.unique(_array(prompt_ids), axis=0, return_inverse=True)[1].reshape(-1)
            labels: dict[str, Any] = {"prompt": prompt[row], "rollout": row}
            if agent is not None:
                labels["agent"] = agent
            elif self.credit.scheme.groups_by_agent:
                raise LabelError(
                    "got a batch without agents; wanted columns 'reward/<agent>', or 'agent'"
                )
            np.add.at(values, row, self.credit(paid, labels))
        return rewards.new_tensor(values)[:, None] * mask

    def _entries(
        self, rewards: NDArray[np.float64], batch: Mapping[str, Any], counted: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], list[str] | None, NDArray[np.float64]]:
        """Row, agent and reward of every reward that somebody was paid."""
        found = [key.removeprefix(PREFIX) for key in batch if str(key).startswith(PREFIX)]
        if lacking := [agent for agent in self.agents if agent not in found]:
            raise LabelError(f"got a batch without {PREFIX}{lacking[0]}; wanted all of its agents")
        agents = self.agents or tuple(sorted(found))
        whose = [str(one) for one in plain(batch["agent"])] if "agent" in batch else None
        if whose is not None and agents and (strange := sorted(set(whose) - set(agents))):
            raise LabelError(
                f"got rows of agent '{strange[0]}' without a column {PREFIX}{strange[0]}"
            )
        if not agents:
            row = np.flatnonzero(counted)
            return row, None if whose is None else [whose[i] for i in row], rewards[row]
        table = np.stack([_array(batch[PREFIX + agent]).astype(float) for agent in agents], axis=1)
        there = counted[:, None] & ~np.isnan(table)
        if whose is not None:
            there &= np.array([[agent == one for agent in agents] for one in whose])
        row, column = np.nonzero(there)
        return row, [agents[k] for k in column], table[row, column]


def _array(values: Any) -> NDArray[Any]:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values
    return np.asarray(values)
