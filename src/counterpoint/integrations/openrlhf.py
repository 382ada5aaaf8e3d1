"""OpenRLHF: our advantages in its experience maker, which all of its PPO trainers share.

OpenRLHF computes advantages in one process, from groups of `n_samples_per_prompt` consecutive
samples. `install` replaces that. The agent is a number in the `extra_logs` of your reward function
or agent: `{"agent": 0}` means the first of `agents`. Source: openrlhf 0.11.2,
`openrlhf/trainer/ppo_utils/experience_maker.py`, `samples_generator.py`, `trainer/ppo_trainer.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.arrays import Array, Floats
from counterpoint.errors import LabelError, SettingError, StateError
from counterpoint.integrations.draws import (
    distinct_prompts,
    distinct_rollouts,
    names_by_number,
    with_turns,
)
from counterpoint.integrations.hook_check import HookCheck
from counterpoint.integrations.recorder import on_host
from counterpoint.integrations.team_credit import SchemeSource, TeamCredit, credit_of
from counterpoint.optional import import_optional

INSTALL = "pip install openrlhf"
TRAINER = "openrlhf.trainer.ppo_trainer"
STATE = "counterpoint"
"""Our key in the client states of a checkpoint."""
NUMBERS = ("agent", "task", "role", "turn")
"""What `extra_logs` may name, as numbers; `task` is the prompt of rows that differ in the agent."""


def install(
    scheme: SchemeSource = "agent_wise",
    *,
    agents: Sequence[str] = (),
    roles: Sequence[str] = (),
    record: str | Path | None = None,
) -> TeamCredit:
    """Makes OpenRLHF's trainers in this process compute our advantages.

    The trainer is a Ray actor: call this in `worker_process_setup_hook` of `ray.init`. Its first
    update without our advantages raises HookError.

    Args:
        scheme: a scheme or its name.
        agents: the names of the agents, by their number.
        roles: the names of the roles, by their number.
        record: a file for the log.

    Returns: the `TeamCredit`; OpenRLHF's checkpoints hold its state.

    Raises:
        MissingPackageError: openrlhf is not installed.
        UnknownNameError, OutputError: as `TeamCredit`.
    """
    module = import_optional("openrlhf.trainer.ppo_utils.experience_maker", INSTALL)
    credit, maker = credit_of(scheme, "OpenRLHF", record=record), module.RemoteExperienceMaker
    begin, compute = maker.__init__, maker.compute_advantages_and_returns

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        if self.advantage_estimator == "gae":
            raise SettingError(
                "got algo.advantage.estimator=gae, whose critic learns other returns; wanted an "
                "estimator without a critic, such as dr_grpo: its result is replaced"
            )
        if TRAINER in sys.modules:
            extend_trainer(sys.modules[TRAINER].BasePPOTrainer, credit)

    def compute_advantages_and_returns(self: Any, experiences: list[Any]) -> list[Any]:
        divergences = [one.kl for one in experiences]
        experiences = compute(self, experiences)
        count = int(self.args.rollout.n_samples_per_prompt)
        values = experience_advantages(experiences, count, credit, agents, roles)
        for one, own, kl in zip(experiences, values, divergences, strict=True):
            penalties = -max(0.0, float(self.kl_ctl.value)) * kl * one.action_mask
            later = penalties.flip(1).cumsum(1).flip(1)  # of this token and of those after it
            spread = kl.new_tensor(own)[:, None] * one.action_mask + later
            one.advantages, one.returns = spread, spread.clone()
            one.info["return"] = kl.new_tensor(own) + penalties.sum(1)
        return experiences

    maker.__init__ = __init__
    maker.compute_advantages_and_returns = compute_advantages_and_returns
    return credit


def experience_advantages(
    experiences: Sequence[Any],
    count: int,
    credit: TeamCredit,
    agents: Sequence[str] = (),
    roles: Sequence[str] = (),
) -> list[Floats]:
    """Returns the advantages [B_i] of the samples of each experience.

    Samples without an action are in no statistic; their advantage is 0.

    Args:
        experiences: OpenRLHF's experiences of one step. `index` numbers their samples.
        count: the number of consecutive samples that answer the same prompt.
        credit: the `TeamCredit` that computes advantages.
        agents: the names of the agents, by their number.
        roles: the names of the roles, by their number.

    Raises:
        LabelError: a sample has no agent although the scheme needs it or others have one, or its
            number has no name.
        RewardError: a reward is infinite.
    """
    index = [int(i) for one in experiences for i in one.index]
    rewards = np.concatenate([_numbers(one.rewards) for one in experiences])
    acts = np.concatenate([_numbers(one.action_mask).any(-1) for one in experiences])
    groups = [i // count for i in index]
    columns = {name: _column(experiences, name, len(index)) for name in NUMBERS}
    known: dict[str, list[Any]] = {
        name: column.tolist() for name, column in columns.items() if column is not None
    }
    for name, given in (("agent", agents), ("role", roles)):
        if name in known:
            known[name] = names_by_number(known[name], given, name)
    if credit.scheme.groups_by_agent and not {"agent", "role"} & set(known):
        raise LabelError(
            "got samples without an agent; wanted extra_logs={'agent': NUMBER} from the reward "
            "function or the agent"
        )
    names = known.get("agent", ["policy"] * len(index))
    turns = known.get("turn", [0] * len(index))
    prompts = distinct_prompts(
        known.pop("task", groups), groups, list(zip(names, turns, strict=True))
    )
    labels: dict[str, Any] = {
        **known,
        "prompt": prompts,
        "rollout": distinct_rollouts([i % count for i in index], prompts, names, turns),
    }
    values = credit(rewards, with_turns(labels), absent=None if acts.all() else ~acts)
    sizes = np.cumsum([len(one.index) for one in experiences])[:-1]
    return list(np.split(np.asarray(values, dtype=np.float64), sizes))


def extend_trainer(trainer: Any, credit: TeamCredit) -> None:
    """Makes OpenRLHF's trainer class save our state in its checkpoints, and resume from it.

    Its first update raises HookError if our advantages were not computed before; a checkpoint
    without our state raises StateError if the scheme has running statistics.
    """
    known = hasattr(trainer, "counterpoint")
    trainer.counterpoint = credit
    trainer.counterpoint_check = HookCheck(
        credit,
        "compute_advantages_and_returns of RemoteExperienceMaker",
        "use OpenRLHF's RemoteExperienceMaker, or a subclass that calls that method of it",
    )
    if known:
        return
    save, restore = trainer.save_logs_and_checkpoints, trainer.init_checkpoint_states
    update = trainer.ppo_train

    def ppo_train(self: Any, *args: Any, **kwargs: Any) -> Any:
        trainer.counterpoint_check.before_step()
        return update(self, *args, **kwargs)

    def save_logs_and_checkpoints(
        self: Any, global_step: int, logs_dict: Any = None, client_states: Any = None
    ) -> None:
        states = {} if client_states is None else client_states
        states[STATE] = trainer.counterpoint.state_dict()
        logs = {**(logs_dict or {}), **trainer.counterpoint.metrics}
        save(self, global_step, logs, states)

    def init_checkpoint_states(self: Any) -> Any:
        states = restore(self)
        if STATE in states:
            trainer.counterpoint.load_state_dict(states[STATE])
        elif states["global_step"] and trainer.counterpoint.scheme.keeps_state:
            raise StateError(
                "got a checkpoint without our state; wanted one that was saved with running "
                "statistics, or a new training"
            )
        return states

    trainer.ppo_train = ppo_train
    trainer.save_logs_and_checkpoints = save_logs_and_checkpoints
    trainer.init_checkpoint_states = init_checkpoint_states


def _column(experiences: Sequence[Any], name: str, count: int) -> Array | None:
    """Returns a column [N] of `info`, or None; raises LabelError if only some samples have it."""
    parts = [_numbers(one.info[name]).reshape(-1) for one in experiences if name in one.info]
    column = np.concatenate(parts) if parts else np.zeros(0)
    if 0 < len(column) < count:
        raise LabelError(
            f"got {len(column)} of {count} samples with '{name}' in extra_logs; wanted all or none"
        )
    return column if len(column) else None


def _numbers(values: Any) -> Floats:
    """Returns a tensor as an array of float64."""
    return np.asarray(on_host(values), dtype=np.float64)
