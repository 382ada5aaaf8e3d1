"""Agent Lightning: our advantages in its verl trainer, for the agents of one rollout.

Agent Lightning groups the rows of verl's batch by the sample of a rollout and gives each the
rollout's last reward. Here each agent's requests are rows of their own group, "sample:agent", with
the agent's own reward if there is one. A request names its agent in OpenAI's field `user`; a reward
event may name one in `agent`. Source: agentlightning 1.0.2, `agentlightning/verl/trainer.py`,
`rollout_adapter.py`, `agl_rollout_manager.py`; verl 0.9.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.arrays import Columns
from counterpoint.errors import HookError, LabelError, SettingError
from counterpoint.integrations import verl
from counterpoint.integrations.draws import occurrences
from counterpoint.integrations.hook_check import HookCheck
from counterpoint.integrations.team_credit import SchemeSource, TeamCredit
from counterpoint.integrations.verl_trainer import keeping_state
from counterpoint.optional import import_optional

INSTALL = "pip install agentlightning verl"
COLUMN = "counterpoint_{}"
"""How our columns are named in `non_tensor_batch`."""
COLUMNS = ("agent", "rollout", "turn", "agent_reward")

AgentOf = Callable[[Mapping[str, Any]], "str | None"]


def requested_by(request: Mapping[str, Any]) -> str | None:
    """Returns the field `user` of a request in OpenAI's format, or None."""
    user = request.get("user")
    return None if user is None else str(user)


def register(
    name: str = "counterpoint",
    scheme: SchemeSource = "agent_wise",
    record: str | Path | None = None,
    *,
    agent_of: AgentOf = requested_by,
) -> TeamCredit:
    """Registers our estimator with verl, and makes Agent Lightning's trainer pass it agents.

    Call it in the trainer's process: put the call into a module named in the environment variable
    `VERL_USE_EXTERNAL_MODULES`, which verl loads there. The trainer logs our metrics and keeps
    running statistics in its checkpoints.

    Args:
        name: the name for `algorithm.adv_estimator`.
        scheme: a scheme or its name.
        record: a file for the log.
        agent_of: returns the agent of a request, given its body; None if it names none.

    Raises:
        MissingPackageError: verl or Agent Lightning is not installed.
        UnknownNameError, OutputError: as `TeamCredit`.
        ValueError: the name is taken (raised by verl).
        HookError: (from the training) the actor is updated without our advantages.
        SettingError: (from the training) `algorithm.enable_rollout_level_advantage` is true.
    """
    module = import_optional("agentlightning.verl.trainer", INSTALL)
    credit = verl.register(name, scheme, record)
    credit.trainer = "Agent Lightning"
    adapter: Any = module.RolloutAdapter
    compute = module.compute_advantage

    class Adapter(adapter):  # type: ignore[misc]  # the base is known at run time
        """Agent Lightning's adapter, whose rows name their agent."""

        def get_train_data_batch(self, rollouts: Any, **kwargs: Any) -> Any:
            parts, rewards = by_agent(rollouts, agent_of, credit.scheme.groups_by_agent)
            batch, metrics = super().get_train_data_batch(parts, **kwargs)
            columns = batch.non_tensor_batch
            samples, ids = (columns[f"{one}_id_list"].tolist() for one in ("data", "rollout"))
            for column, values in row_columns(samples, ids, rewards).items():
                columns[COLUMN.format(column)] = np.array(values, dtype=object)
            return batch, metrics

    def compute_advantage(batch: Any, adv_estimator: Any, **kwargs: Any) -> Any:
        if adv_estimator != name:
            raise HookError(
                f"got algorithm.adv_estimator={adv_estimator}; wanted {name}, since the rows of "
                "each agent are a group of their own"
            )
        given = {one: batch.non_tensor_batch[COLUMN.format(one)] for one in COLUMNS}
        scores = batch.batch["token_level_scores"].float()  # they come with 8 bits of precision
        paid = batch.batch["token_level_rewards"].float()
        batch.batch["token_level_rewards"] = paid
        penalty = (paid - scores).double().sum(-1).tolist()  # of the KL divergence, 0 without one
        given["agent_reward"] = [
            math.nan if reward is None else reward + off
            for reward, off in zip(given["agent_reward"], penalty, strict=True)
        ]
        with verl.rows_of(**given):
            return compute(batch, adv_estimator=adv_estimator, **kwargs)

    def compute_rollout_level_advantage(*args: Any, **kwargs: Any) -> Any:
        raise SettingError(
            "got algorithm.enable_rollout_level_advantage=true, which gives all agents of a "
            "rollout one advantage; wanted false: schemes such as grpo count a rollout once"
        )

    module.RolloutAdapter = Adapter
    module.compute_advantage = compute_advantage
    module.compute_rollout_level_advantage = compute_rollout_level_advantage
    module.AgentLightningRayPPOTrainer = trainer(module.AgentLightningRayPPOTrainer, credit)
    return credit


def trainer(base: Any, credit: TeamCredit) -> Any:
    """Returns a subclass of Agent Lightning's trainer that logs our metrics and keeps our state.

    It raises HookError if the actor is to be updated before our estimator was called.
    """
    parent: Any = keeping_state(base, credit)
    check = HookCheck(
        credit,
        "the estimator that counterpoint.integrations.agent_lightning.register registered",
        "set algorithm.adv_estimator to its name, counterpoint by default",
    )

    class AgentLightningRayPPOTrainer(parent):  # type: ignore[misc]
        """Agent Lightning's trainer with our credit."""

        def _update_actor(self, *args: Any, **kwargs: Any) -> Any:
            check.before_step()
            return super()._update_actor(*args, **kwargs)

        def _train_step(self, *args: Any, **kwargs: Any) -> Any:
            result = super()._train_step(*args, **kwargs)
            if result is not None:
                result[0].update(credit.metrics)
            return result

    return AgentLightningRayPPOTrainer


def by_agent(
    rollouts: Sequence[Any], agent_of: AgentOf = requested_by, needs_agent: bool = False
) -> tuple[list[Any], dict[tuple[str, str], tuple[str, float | None]]]:
    """Returns rollouts of one agent each, and the agent and reward of each of them.

    A part has the requests of one agent in a rollout, and the sample "sample:agent". If reward
    events of a rollout name agents, each agent's reward is its last one, or None without one;
    otherwise all have the rollout's. The key of a reward is the sample and the rollout of its part.

    Args:
        rollouts: Agent Lightning's completed rollouts.
        agent_of: returns the agent of a request, given its body.
        needs_agent: whether a rollout without any name is refused; else its agent is `policy`.

    Raises:
        LabelError: a request names no agent, and others do or `needs_agent` is true.
    """
    parts, rewards = [], {}
    for rollout in rollouts:
        by: dict[str, list[Any]] = {}
        authors = _authors(rollout, agent_of, needs_agent)
        for triplet, agent in zip(rollout.triplets or (), authors, strict=True):
            by.setdefault(agent, []).append(triplet)
        own = {
            str(event["data"]["agent"]): _number(event["data"].get("value"))
            for event in rollout.events
            if event["event_type"] == "reward" and event["data"].get("agent") is not None
        }
        for agent, triplets in by.items():
            reward = own.get(agent) if own else rollout.final_reward
            sample = f"{rollout.data_id}:{agent}"
            rewards[sample, rollout.rollout_id] = agent, reward
            update = {"triplets": triplets, "data_id": sample, "final_reward": reward}
            parts.append(rollout.model_copy(update=update))
        if not by:  # Agent Lightning says that it has no requests
            parts.append(rollout)
    return parts, rewards


def row_columns(
    samples: Sequence[str],
    rollouts: Sequence[str],
    rewards: Mapping[tuple[str, str], tuple[str, float | None]],
) -> Columns:
    """Returns the columns `agent`, `rollout`, `turn` and `agent_reward` [B] of a batch's rows.

    Args:
        samples: [B] the sample of each row, "sample:agent".
        rollouts: [B] the rollout of each row.
        rewards: as `by_agent` returns them.
    """
    known = [rewards[key] for key in zip(samples, rollouts, strict=True)]
    return {
        "agent": [agent for agent, _ in known],
        "rollout": list(rollouts),
        "turn": occurrences(samples, rollouts),
        "agent_reward": [reward for _, reward in known],
    }


def _number(value: Any) -> float | None:
    """Returns a reward as Agent Lightning reads it: a value that is not a number is missing."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _authors(rollout: Any, agent_of: AgentOf, needs_agent: bool) -> list[str]:
    """Returns the agent of each triplet of a rollout: triplets are some of its requests."""
    requests = [one for one in rollout.events if one["event_type"] == "model_request"]
    remaining = iter(requests)
    kept = []
    for event in rollout.triplet_events:
        data = event["data"]
        failed = data.get("status") == "error" or (data.get("http_status") or 0) >= 400
        if event["event_type"] != "model_request":
            continue
        request = next(one for one in remaining if one["timestamp"] == event["timestamp"])
        if not failed and data.get("response_token_ids"):
            kept.append(agent_of(request["data"].get("request") or {}))
    if len(kept) != len(rollout.triplets or ()):
        raise LabelError(
            f"got {len(kept)} requests for the {len(rollout.triplets or ())} rows of rollout "
            f"{rollout.rollout_id}; wanted one each"
        )
    lacking = sum(agent is None for agent in kept)
    if lacking and (needs_agent or lacking < len(kept)):
        raise LabelError(
            f"got {lacking} of {len(kept)} requests without an agent in rollout "
            f"{rollout.rollout_id}; wanted user='NAME' in each request"
        )
    return [agent or "policy" for agent in kept]
