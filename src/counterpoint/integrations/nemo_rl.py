"""NeMo-RL: an advantage estimator with per-agent rewards.

The batch has a column `reward/<agent>` for each agent. A row is one joint rollout with every
agent's reward, or one agent's part with NaN in the columns of the others; a column `agent` [B] may
name the agent of each row. NeMo-RL has no registry: replace its estimator object by ours. This file
does not import NeMo-RL. Source: NVIDIA-NeMo/RL, `nemo_rl/algorithms/advantage_estimator.py`; read,
not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.arrays import Array, Bools, Columns, Floats, Ints
from counterpoint.errors import LabelError
from counterpoint.integrations.guards import require_agents
from counterpoint.integrations.recorder import on_host, plain_values
from counterpoint.integrations.team_credit import SchemeSource, credit_of

PREFIX = "reward/"
LABELS = ("rollout", "role", "turn", "context")
"""Columns [B] of the batch that are labels; without `rollout` every row is a rollout."""


class AdvantageEstimator:
    """Computes the advantages of one of our schemes.

    Args:
        scheme: a scheme or its name.
        agents: the agents whose columns `reward/<agent>` are read; all of the batch by default.
        record: a file for the log.

    Raises:
        UnknownNameError, OutputError: as `TeamCredit`.
    """

    def __init__(
        self,
        scheme: SchemeSource = "agent_wise",
        *,
        agents: Sequence[str] = (),
        record: str | Path | None = None,
    ) -> None:
        self.credit, self.agents = credit_of(scheme, "NeMo-RL", record=record), tuple(agents)

    def compute_advantage(
        self,
        prompt_ids: Array,
        rewards: Array,
        mask: Array,
        repeated_batch: Columns,
        valid_mask: Array | None = None,
        **kwargs: Any,
    ) -> Array:
        """Returns advantages [B, S] times the mask.

        If a row has rewards of several agents, its advantage is the sum of theirs.

        Args:
            prompt_ids: [B, L] tokens; equal rows are rollouts of one prompt.
            rewards: [B] rewards that are used if the batch has no column `reward/<agent>`.
            mask: [B, S] tokens that are trained.
            repeated_batch: name to column [B].
            valid_mask: [B] 0 if no statistic counts the row, as for a mask without a token.

        Raises:
            LabelError: the scheme needs agents, and the batch names none.
            RewardError: a reward is infinite.
        """
        counted: Bools = np.asarray(np.asarray(on_host(mask), bool).any(-1))
        if valid_mask is not None:
            counted &= np.asarray(on_host(valid_mask)).reshape(-1) > 0
        row, agent, paid = self._entries(
            np.asarray(on_host(rewards), float), repeated_batch, counted
        )
        values = np.zeros(len(counted))
        if len(row):
            tokens = np.asarray(on_host(prompt_ids))
            prompt = np.unique(tokens, axis=0, return_inverse=True)[1].reshape(-1)
            labels: dict[str, Array] = {"prompt": prompt[row], "rollout": row}
            for name in LABELS:
                if name in repeated_batch:
                    column = plain_values(repeated_batch[name])
                    labels[name] = [column[i] for i in row]
            if agent is not None:
                labels["agent"] = agent
            wanted = "columns 'reward/<agent>', or 'agent'"
            require_agents(labels, self.credit.scheme, wanted)
            np.add.at(values, row, self.credit(paid, labels))
        return rewards.new_tensor(values)[:, None] * mask

    def _entries(
        self, rewards: Floats, batch: Columns, counted: Bools
    ) -> tuple[Ints, list[str] | None, Floats]:
        """Returns the row, the agent and the value of every reward.

        Without the agents of rows, NaN says that an agent had no part in the rollout.
        """
        paid_agents = [key.removeprefix(PREFIX) for key in batch if str(key).startswith(PREFIX)]
        if lacking := [agent for agent in self.agents if agent not in paid_agents]:
            raise LabelError(f"got a batch without {PREFIX}{lacking[0]}; wanted all of its agents")
        agents = self.agents or tuple(sorted(paid_agents))
        row_agents = (
            [str(one) for one in plain_values(batch["agent"])] if "agent" in batch else None
        )
        if row_agents and agents and (strange := sorted(set(row_agents) - set(agents))):
            raise LabelError(
                f"got rows of agent '{strange[0]}' without a column {PREFIX}{strange[0]}"
            )
        if not agents:
            row = np.flatnonzero(counted)
            return row, None if row_agents is None else [row_agents[i] for i in row], rewards[row]
        columns = [np.asarray(on_host(batch[PREFIX + agent]), float) for agent in agents]
        table = np.stack(columns, axis=1)
        there = counted[:, None] & ~np.isnan(table)
        if row_agents is not None:  # a row's own reward counts as missing where it is NaN
            own = np.array([[agent == one for agent in agents] for one in row_agents])
            there = counted[:, None] & own
        row, column = np.nonzero(there)
        return row, [agents[k] for k in column], table[row, column]
