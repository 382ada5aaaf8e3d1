"""Tensors with an axis of agents, as rows for a credit scheme: `AgentAdvantages`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from counterpoint.errors import LabelError, RewardError
from counterpoint.integrations.parts import refuse_rollouts
from counterpoint.integrations.team_credit import TeamCredit


class AgentAdvantages:
    """Tensors with an axis of agents, through a `TeamCredit`.

    A row is one agent's advantage in one step. Its labels are `agent` and `rollout`, the number of
    the step in the batch; `prompt` is 0 for all.

    Args:
        credit: the scheme at work, with its running state, log and warnings.
        names: [A] what the agents are called; empty calls them 0, 1, ...

    Raises:
        SchemeError: a scheme that takes the steps of a rollout together. A value estimator gives an
            advantage to each step, so there is nothing to take together.
    """

    def __init__(self, credit: TeamCredit, names: Sequence[str] = ()) -> None:
        refuse_rollouts(credit.scheme)
        self.credit, self.names = credit, tuple(names)
        self._labels: tuple[tuple[int, int], dict[str, Any]] | None = None

    def __call__(self, given: Any, present: Any = None, *, learning: bool = True) -> Any:
        """The normalized advantages.

        Args:
            given: [..., A, 1] a tensor of floats.
            present: [..., A] or [..., A, 1] booleans, false where the agent was not there: its row
                is 0 and has no part in any statistic. None: all were there.
            learning: false in an evaluation, which moves no running statistics.

        Returns: [..., A, 1] in the type and on the device of `given`, which is not changed.

        Raises:
            RewardError: other shapes, or a value of an agent that was there is no finite number.
            LabelError: names of another number of agents.
            OutputError: the log cannot be written.
        """
        if given.ndim < 2 or given.shape[-1] != 1:
            raise RewardError(f"got advantages of shape {tuple(given.shape)}; wanted [..., A, 1]")
        if present is not None and present.numel() != given.numel():
            raise RewardError(
                f"got a mask of shape {tuple(present.shape)} for advantages of shape "
                f"{tuple(given.shape)}; wanted a value a row"
            )
        rows, absent = given.detach(), None
        if present is not None and not bool(present.all()):
            absent = ~present.bool().reshape(given.shape)
            rows = rows.masked_fill(absent, 0.0)
        if not bool(rows.isfinite().all()):
            raise RewardError(
                "got advantages that are no finite numbers: the critic or the policy has diverged"
            )
        if absent is not None:
            rows = rows.masked_fill(absent, float("nan"))
        labels = self._labels_for(given.numel() // given.shape[-2], given.shape[-2])
        gone = None if absent is None else absent.reshape(-1)
        values = self.credit(rows.reshape(-1), labels, learning=learning, absent=gone)
        return values.reshape(given.shape).to(given.dtype)

    def _labels_for(self, steps: int, agents: int) -> Mapping[str, Any]:
        """Labels of [steps, agents] rows, kept for the next batch of that shape."""
        if self.names and len(self.names) != agents:
            raise LabelError(f"got {len(self.names)} names for {agents} agents; wanted one each")
        if self._labels is None or self._labels[0] != (steps, agents):
            names = np.array(self.names) if self.names else np.arange(agents)
            labels = {
                "prompt": np.zeros(steps * agents, dtype=np.int64),
                "rollout": np.arange(steps).repeat(agents),
                "agent": np.tile(names, steps),
            }
            self._labels = ((steps, agents), labels)
        return self._labels[1]
