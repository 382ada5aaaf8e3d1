"""verl: an advantage estimator of our schemes, called by its name in `algorithm.adv_estimator`.

verl hands an estimator the uid of each row and no agent. The agent is read from a column `agent`
where a verl hands columns over, from what stands in `rows_of`, or from a uid "uid:agent".
`verl_trainer.py` has a trainer that brings agents along. Source: verl 0.9.1,
`verl/trainer/ppo/core_algos.py` and `ray_trainer.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import LabelError, RewardError
from counterpoint.integrations.draws import with_turns
from counterpoint.integrations.entry import Given, credit_of, imported
from counterpoint.integrations.team_credit import TeamCredit

INSTALL = "pip install verl"
COLUMNS = ("agent", "rollout", "role", "turn", "context")
"""Labels that are read from `non_tensor_batch` where it has them; `prompt` is the uid."""

_ROWS: ContextVar[Mapping[str, Sequence[Any]] | None] = ContextVar("rows", default=None)


def register(
    name: str = "counterpoint", scheme: Given = "agent_wise", record: str | Path | None = None
) -> TeamCredit:
    """Register our estimator with verl under `name`, in this process.

    The trainer is another process: put the call into a module that verl loads there, named in the
    environment variable `VERL_USE_EXTERNAL_MODULES`.

    Args:
        name: for `algorithm.adv_estimator`; not one of verl's own.
        scheme: what to compute.
        record: a file for the log.

    Returns: what the estimator computes with; `.metrics`, `.state_dict()` are there.

    Raises:
        MissingPackageError: verl is not installed.
        UnknownNameError: no scheme of that name.
        OutputError: the log cannot be written.
        ValueError: verl's own, where the name is taken.
    """
    core = imported("verl.trainer.ppo.core_algos", INSTALL)
    credit = credit_of(scheme, record)
    core.register_adv_est(name)(estimator(credit))
    return credit


def estimator(credit: TeamCredit) -> Any:
    """A function as verl's registry holds them.

    It takes `token_level_rewards` [B, T], whose sum over T is the row's reward, `response_mask`
    [B, T], `index` [B] uids, and `non_tensor_batch`, columns [B]; it gives `(advantages, returns)`,
    both [B, T] times the mask. Rows without any token in the mask are padding: they are in no
    statistic.

    Raises (the function):
        RewardError: the rewards are not [B, T] of the mask, or infinite.
        LabelError: the scheme needs agents, and a row has none.
    """

    def counterpoint(
        token_level_rewards: Any,
        response_mask: Any,
        index: Any = None,
        config: Any = None,
        non_tensor_batch: Any = None,
        **kwargs: Any,
    ) -> tuple[Any, Any]:
        if token_level_rewards.shape != response_mask.shape or response_mask.ndim != 2:
            raise RewardError(
                f"got rewards of shape {tuple(token_level_rewards.shape)} and a mask of shape "
                f"{tuple(response_mask.shape)}; wanted [B, T] twice"
            )
        given = token_level_rewards
        rewards = given.detach().cpu().double().sum(-1)  # a half type would round the sum
        kept = np.flatnonzero((response_mask != 0).any(-1).cpu().numpy())
        values = rewards.new_zeros(len(rewards))
        if len(kept):
            told = {**(non_tensor_batch or {}), **(_ROWS.get() or {})}
            if "agent_reward" in told:
                own = [np.nan if one is None else float(one) for one in told["agent_reward"]]
                rewards = rewards.new_tensor(own)
            labels = labels_of(index, told, kept, credit.scheme.groups_by_agent)
            values[kept] = credit(rewards[kept], with_turns(labels))
        spread = values.to(given)[:, None] * response_mask.to(given.dtype)
        return spread, spread

    return counterpoint


@contextmanager
def rows_of(**columns: Sequence[Any]) -> Iterator[None]:
    """Columns [B] for the estimator's calls inside: `with rows_of(agent=names): ...`.

    They come before those of `non_tensor_batch`. Besides labels there is `agent_reward`, floats or
    None, in place of the rewards that verl hands over.
    """
    token = _ROWS.set(columns)
    try:
        yield
    finally:
        _ROWS.reset(token)


def labels_of(
    index: Any, told: Mapping[str, Any], kept: NDArray[np.int64], needs_agent: bool
) -> dict[str, list[Any]]:
    """Labels [n] of the rows that are kept, out of uids [B] and columns [B].

    Raises:
        LabelError: agents are needed, and some row has none.
    """
    rows = kept.tolist()
    labels = {name: [told[name][i] for i in rows] for name in COLUMNS if name in told}
    if index is not None:
        uids = [str(index[i]) for i in rows]
        agents = labels.get("agent")
        if agents is not None:
            uids = [uid.removesuffix(f":{a}") for uid, a in zip(uids, agents, strict=True)]
        elif needs_agent and all(":" in uid for uid in uids):
            labels["agent"] = [uid.rpartition(":")[2] for uid in uids]
            uids = [uid.rpartition(":")[0] for uid in uids]
        labels["prompt"] = uids
    if needs_agent and not {"agent", "role"} & set(labels):
        raise LabelError(
            "got rows without an agent; wanted uids 'uid:agent', a column 'agent' in "
            "non_tensor_batch, or the trainer of counterpoint.integrations.verl_trainer"
        )
    return labels
