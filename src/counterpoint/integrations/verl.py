"""verl: an advantage estimator of our schemes, chosen by `algorithm.adv_estimator`.

verl passes the uid of each row to an estimator, but no agent. The agent comes from a column `agent`
if verl passes columns, from `rows_of`, or from a uid "uid:agent". `verl_trainer.py` has a trainer
that passes agents. Source: verl 0.9.1, `verl/trainer/ppo/core_algos.py` and `ray_trainer.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.arrays import Columns, Ints
from counterpoint.credit import AnyScheme
from counterpoint.errors import RewardError
from counterpoint.integrations.draws import with_turns
from counterpoint.integrations.guards import require_agents, reward_value
from counterpoint.integrations.team_credit import SchemeSource, TeamCredit, credit_of
from counterpoint.optional import import_optional

INSTALL = "pip install verl"
COLUMNS = ("agent", "rollout", "role", "turn", "context")
"""Labels that are read from `non_tensor_batch` if it has them; `prompt` is the uid."""

_ROWS: ContextVar[Columns | None] = ContextVar("rows", default=None)


def register(
    name: str = "counterpoint",
    scheme: SchemeSource = "agent_wise",
    record: str | Path | None = None,
) -> TeamCredit:
    """Registers our estimator with verl in this process, and returns its `TeamCredit`.

    The trainer is another process: put the call into a module that verl loads there, named in the
    environment variable `VERL_USE_EXTERNAL_MODULES`.

    Args:
        name: the name for `algorithm.adv_estimator`; it cannot be a name of verl's estimators.
        scheme: a scheme or its name.
        record: a file for the log.

    Raises:
        MissingPackageError: verl is not installed.
        UnknownNameError, OutputError: as `TeamCredit`.
        ValueError: the name is taken (raised by verl).
    """
    core = import_optional("verl.trainer.ppo.core_algos", INSTALL)
    credit = credit_of(scheme, "verl", record=record)
    core.register_adv_est(name)(estimator(credit))
    return credit


def estimator(credit: TeamCredit) -> Any:
    """Returns an estimator for verl's registry.

    Its arguments are `token_level_rewards` [B, T], whose sum over T is the row's reward,
    `response_mask` [B, T], `index` [B] uids, and `non_tensor_batch`, columns [B]. It returns
    advantages and returns, both [B, T] times the mask. Rows without a token in the mask are
    padding: no statistic counts them.

    Raises (the estimator):
        RewardError: rewards and mask are not both [B, T], or a reward is infinite.
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
            columns = {**(non_tensor_batch or {}), **(_ROWS.get() or {})}
            if "agent_reward" in columns:
                own = [reward_value(one) for one in columns["agent_reward"]]
                rewards = rewards.new_tensor(own)
            labels = batch_labels(index, columns, kept, credit.scheme)
            values[kept] = credit(rewards[kept], with_turns(labels))
        spread = values.to(given)[:, None] * response_mask.to(given.dtype)
        return spread, spread

    return counterpoint


@contextmanager
def rows_of(**columns: Sequence[Any]) -> Iterator[None]:
    """Passes columns [B] to the estimator inside the block: `with rows_of(agent=names): ...`.

    They replace columns of `non_tensor_batch`. Besides labels there is `agent_reward`, floats or
    None, which replaces the rewards that verl passes.
    """
    token = _ROWS.set(columns)
    try:
        yield
    finally:
        _ROWS.reset(token)


def batch_labels(
    index: Any, columns: Columns, kept: Ints, scheme: AnyScheme
) -> dict[str, list[Any]]:
    """Returns labels [n] of the rows that are kept, from uids [B] and columns [B].

    Raises LabelError if the scheme needs agents, and a row has none.
    """
    rows = kept.tolist()
    labels = {name: [columns[name][i] for i in rows] for name in COLUMNS if name in columns}
    if index is not None:
        uids = [str(index[i]) for i in rows]
        agents = labels.get("agent")
        if agents is not None:
            uids = [uid.removesuffix(f":{a}") for uid, a in zip(uids, agents, strict=True)]
        elif scheme.groups_by_agent and all(":" in uid for uid in uids):
            labels["agent"] = [uid.rpartition(":")[2] for uid in uids]
            uids = [uid.rpartition(":")[0] for uid in uids]
        labels["prompt"] = uids
    require_agents(
        labels, scheme, "uids 'uid:agent', a column 'agent' in non_tensor_batch, or the trainer of "
        "counterpoint.integrations.verl_trainer",
    )  # fmt: skip
    return labels
