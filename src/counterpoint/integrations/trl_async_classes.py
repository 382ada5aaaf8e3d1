"""The classes of `trl_async` that need trl: the rollout loop and its worker.

The worker's process imports this module to find the loop, so both are classes of a module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from trl.experimental.async_grpo.async_rollout_worker import (
    AsyncRolloutWorker,
    _AsyncRolloutLoop,
)

from counterpoint.integrations.trl_groups import GroupCredit, group_rewards, saved_state


class CreditedLoop(_AsyncRolloutLoop):  # type: ignore[misc]
    """TRL's rollout loop with our advantages.

    Args:
        credit: the arguments of `GroupCredit`.
        loop: the arguments of TRL's loop.
    """

    def __init__(self, *, credit: Mapping[str, Any], **loop: Any) -> None:
        super().__init__(**loop)
        self.group_credit = GroupCredit(credit)

    async def _score_group(self, group: Any) -> list[Any]:
        samples: list[Any] = await super()._score_group(group)
        conversations = list(rows_of_each(samples, map(len, group.completions_sequences)))
        there = [i for i, rows in enumerate(conversations) if rows]  # others train no token
        if there:
            metrics = [conversations[i][0].metrics for i in there]
            given = group.reward_kwargs
            dataset = {name: [column[i] for i in there] for name, column in given.items()}
            rewards = group_rewards(metrics, self.reward_func_names)
            values = self.group_credit(rewards, dataset, group.group_id)
            for i, value in zip(there, values, strict=True):
                for row in conversations[i]:
                    row.advantage = value
            self._push_metrics(dict(self.group_credit.credit.metrics))
        return samples


def rows_of_each(rows: list[Any], sizes: Iterable[int]) -> Iterator[list[Any]]:
    """Yields as many of the rows, in their order, as each size says."""
    remaining = iter(rows)
    for size in sizes:
        yield list(islice(remaining, size))


class CreditedWorker(AsyncRolloutWorker):  # type: ignore[misc]
    """TRL's rollout worker whose process runs a `CreditedLoop`.

    Args:
        credit: the arguments of `GroupCredit`.
        loop: the arguments of TRL's worker.
    """

    _loop_cls = CreditedLoop

    def __init__(self, *, credit: Mapping[str, Any], **loop: Any) -> None:
        super().__init__(credit=dict(credit), **loop)

    def resume(self, checkpoint: str | None) -> None:
        """Lets the process begin with the state of a checkpoint, or without one.

        Raises StateError as `saved_state`.
        """
        credit = self._loop_kwargs["credit"]
        credit["state"] = saved_state(checkpoint, credit["scheme"])
