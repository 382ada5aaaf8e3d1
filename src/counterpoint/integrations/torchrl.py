"""TorchRL: advantages normalized by a scheme after the value estimator, and our environments.

Start with `AgentAdvantages`, which does the work and does not need TorchRL. `NormalizeAdvantage` (a
module), `NormalizeOnExtend` (a transform of a replay buffer) and `WorldEnv` (an environment) are
loaded from `torchrl_classes.py` at their first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from counterpoint.arrays import Array
from counterpoint.errors import LabelError, RewardError
from counterpoint.integrations.guards import refuse_rollouts
from counterpoint.integrations.team_credit import TeamCredit
from counterpoint.optional import import_optional

__all__ = ["AgentAdvantages", "NormalizeAdvantage", "NormalizeOnExtend", "WorldEnv"]  # noqa: F822

INSTALL = "pip install torchrl"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_optional(f"{__name__}_classes", INSTALL, name), name)


class AgentAdvantages:
    """Normalizes advantages with an axis of agents by a `TeamCredit`.

    A row is one agent's advantage in one step. Its labels are `agent` and `rollout`, the number of
    the step in the batch; `prompt` is 0 for all.

    Args:
        credit: the scheme with its running state, log and warnings.
        names: [A] names of the agents; without names they are 0, 1, ...

    Raises:
        SchemeError: the scheme combines the steps of a rollout. A value estimator gives an
            advantage to each step, so there is nothing to combine.
    """

    def __init__(self, credit: TeamCredit, names: Sequence[str] = ()) -> None:
        refuse_rollouts(credit.scheme)
        self.credit, self.names = credit, tuple(names)

    def __call__(
        self, given: Array, present: Array | None = None, *, learning: bool = True
    ) -> Array:
        """Returns normalized advantages [..., A, 1] in the type and on the device of `given`.

        Args:
            given: [..., A, 1] a tensor of floats; it is not changed.
            present: [..., A] or [..., A, 1] booleans, false where the agent was absent: its
                advantage is 0 and no statistic counts it. None means that no agent was absent.
            learning: false in an evaluation, which changes no running statistics.

        Raises:
            RewardError: another shape, or an infinite or missing value of a present agent.
            LabelError: the number of names is not the number of agents.
            OutputError: the log cannot be written.
        """
        if given.ndim < 2 or given.shape[-1] != 1:
            raise RewardError(f"got advantages of shape {tuple(given.shape)}; wanted [..., A, 1]")
        if present is not None and present.numel() != given.numel():
            raise RewardError(
                f"got a mask of shape {tuple(present.shape)} for advantages of shape "
                f"{tuple(given.shape)}; wanted a value a row"
            )
        rows, absent = given.detach().reshape(-1), None
        if present is not None and not bool(present.all()):
            absent = ~present.bool().reshape(-1)
            rows = rows.masked_fill(absent, 0.0)
        if not bool(rows.isfinite().all()):
            count = int((~rows.isfinite()).sum())
            raise RewardError(
                f"got {count} advantages that are no finite numbers; wanted finite ones from every "
                "present agent: the critic or the policy has diverged"
            )
        agents = given.shape[-2]
        if self.names and len(self.names) != agents:
            raise LabelError(f"got {len(self.names)} names for {agents} agents; wanted one each")
        steps = len(rows) // agents
        labels = {
            "prompt": np.zeros(len(rows), dtype=np.int64),
            "rollout": np.arange(steps).repeat(agents),
            "agent": np.tile(np.array(self.names) if self.names else np.arange(agents), steps),
        }
        values = self.credit(rows, labels, learning=learning, absent=absent)
        return values.reshape(given.shape).to(given.dtype)
