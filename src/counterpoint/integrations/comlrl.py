"""CoMLRL: our advantages in its trainers, by one call.

    credit = attach(MAGRPOTrainer(...), "agent_wise", record="credit.jsonl")

CoMLRL gives all agents the same return, so per-agent and pooled statistics are equal;
`SplitRewards` gives each agent its own reward. This file does not import comlrl. Source: comlrl
1.4.3, `comlrl/trainers/reinforce/magrpo.py`.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np

from counterpoint.credit import AnyScheme
from counterpoint.errors import RewardError, SettingError
from counterpoint.integrations.guards import reward_value
from counterpoint.integrations.hook_check import HookCheck
from counterpoint.integrations.team_credit import CreditOptions, TeamCredit, credit_of

HOOKS = ("_drain_ready_buffers", "_compute_loss_with_gradients", "_compute_advantages")
"""The methods of a trainer that `attach` replaces, and that make its advantages."""
EXTRA = "counterpoint"
"""Our key in a checkpoint's extra state."""


class SplitRewards:
    """A reward function with a reward for each agent; it is the trainer's `reward_func`.

    The trainer gets the mean over agents.

    Args:
        function: a function of the agents' texts, one list for each joint sample and agent as
            CoMLRL passes them. It returns a reward for each agent; None or NaN is missing.
    """

    def __init__(self, function: Callable[..., Sequence[float | None]]) -> None:
        self.function = function
        self.calls: list[list[float]] = []
        """`[calls][A]` rewards of the training calls since the last update."""
        self.listening = True

    def __call__(self, *texts: Any, batch_items: Any = None) -> list[float]:
        """Returns [1] the mean of the agents' rewards that are not missing, 0 if all are."""
        given = {} if batch_items is None else {"batch_items": batch_items}
        paid = [reward_value(value) for value in self.function(*texts, **given)]
        if len(paid) != len(texts):
            raise RewardError(
                f"got {len(paid)} rewards for {len(texts)} agents; wanted one for each"
            )
        if self.listening:
            self.calls.append(paid)
        known = [value for value in paid if not math.isnan(value)]
        return [float(np.mean(known)) if known else 0.0]


def attach(
    trainer: Any,
    scheme: str | AnyScheme = "agent_wise",
    *,
    agents: Sequence[str] = (),
    **options: Unpack[CreditOptions],
) -> TeamCredit:
    """Replaces a trainer's advantages by ours, and returns the `TeamCredit` that computes them.

    Rows of one update of all agents are normalized together: the prompt is the node (one prompt
    after one history), and the rollout is the place among its joint samples.
    `advantage_normalization`, which would standardize them again, is turned off. The state is in
    the trainer's checkpoints from now on.

    Args:
        trainer: MAGRPO, MARLOO, MAReMax or MAREINFORCE, before `train`.
        scheme: a scheme or its name, see `counterpoint schemes`.
        agents: [A] names for logs; `agent_0` and so on by default.
        options: arguments of `TeamCredit`: `record`, `check_every`, `warn`.

    Raises:
        SettingError: rewards are split, and there are several turns or joint samples that are not
            aligned; the number of names is not the number of agents; or the trainer makes its
            advantages elsewhere, as actor-critic trainers do.
        HookError: (from the training) the first optimizer step would use other advantages.
    """
    names = tuple(agents) or tuple(f"agent_{i}" for i in range(trainer.num_agents))
    if len(names) != trainer.num_agents:
        raise SettingError(f"got {len(names)} names for {trainer.num_agents} agents")
    split = trainer.reward_func if isinstance(trainer.reward_func, SplitRewards) else None
    if split is not None:
        mode, turns = str(trainer.args.joint_mode), int(trainer.args.num_turns)
        if mode not in ("align", "aligned") or turns != 1:
            raise SettingError(
                f"got joint_mode={mode}, num_turns={turns} with split rewards; wanted aligned, 1"
            )
    lacking = [name for name in HOOKS if not callable(getattr(trainer, name, None))]
    if lacking:
        raise SettingError(
            f"got {type(trainer).__name__} without {lacking[0]}, which makes its advantages "
            "elsewhere; wanted MAGRPO, MARLOO, MAReMax or MAREINFORCE"
        )
    if trainer.args.advantage_normalization:
        trainer.args.advantage_normalization = False
        logging.getLogger("counterpoint").info("advantage_normalization is off: ours are final")
    attached = _Attached(trainer, credit_of(scheme, "CoMLRL", **options), names, split)
    attached.replace_methods()
    return attached.credit


class _Attached:
    """The functions that replace methods of a trainer."""

    def __init__(
        self, trainer: Any, credit: TeamCredit, names: Sequence[str], split: SplitRewards | None
    ) -> None:
        self.trainer, self.credit, self.names, self.split = trainer, credit, names, split
        self.values: dict[int, list[float]] = {}
        """Advantages by identity of a sample's list of returns: the trainer shuffles samples."""
        self.check = HookCheck(
            credit,
            "the advantages that attach(...) set",
            "attach to the finished trainer, and let its class keep _update_from_samples and "
            "_compute_loss_with_gradients",
            calls=lambda: self.used,
        )
        self.used = 0
        """The number of samples whose loss used our advantages."""
        self.here = threading.local()  # agents may be updated in threads

    def replace_methods(self) -> None:
        trainer = self.trainer
        drain, loss = trainer._drain_ready_buffers, trainer._compute_loss_with_gradients
        evaluate, split = trainer.evaluate, self.split

        def drained(ready: Sequence[int]) -> None:
            self.compute(sorted({int(agent) for agent in ready}))
            drain(ready)
            self.values.clear()

        def losses(agent: Any, completions: Any, returns: Any) -> Any:
            self.here.key = id(returns)
            return loss(agent, completions, returns)

        def evaluated(*args: Any, **kwargs: Any) -> Any:
            if split is None:
                return evaluate(*args, **kwargs)
            split.listening = False
            try:
                return evaluate(*args, **kwargs)
            finally:
                split.listening = True

        trainer._drain_ready_buffers = drained
        trainer._compute_loss_with_gradients = losses
        trainer.evaluate = evaluated
        for optimizer in trainer.optimizers:
            self.check.watch(optimizer)
        trainer._compute_advantages = self.advantages
        trainer._checkpoint_extra_state = lambda: {EXTRA: self.credit.state_dict()}
        trainer._restore_checkpoint_extra_state = self.restore

    def compute(self, ready: Sequence[int]) -> None:
        """Computes the advantages of every sample of the next update."""
        import torch

        samples = [one for agent in ready for one in self.trainer.rollout_buffers[agent]]
        returns = []
        for one in samples:
            paid = torch.tensor([reward_value(x) for x in self.paid(one)], dtype=torch.float64)
            paid = self.trainer._apply_reference_kl_to_returns(paid, one.completions_data)
            returns.append(paid.tolist())
        rows = [(one, k) for one in samples for k in range(len(one.returns))]
        labels = {
            "prompt": [int(one.node_env_step) for one, _ in rows],
            "rollout": [k for _, k in rows],
            "agent": [self.names[int(one.agent_idx)] for one, _ in rows],
            "turn": [int(one.turn_idx) for one, _ in rows],
        }
        for one, values in zip(samples, self.credit.by_group(returns, labels), strict=True):
            self.values[id(one.returns)] = values
        if self.split is not None and samples and len(ready) == len(self.names):
            self.split.calls.clear()

    def paid(self, one: Any) -> list[float]:
        """Returns [K] the rewards of the sample's agent, one for each answer."""
        if self.split is None:
            return list(one.returns)
        first = int(self.trainer.env_step) - len(self.split.calls)
        end = int(one.node_env_step) - first
        calls = self.split.calls[end - len(one.returns) : end]
        return [paid[int(one.agent_idx)] for paid in calls]

    def advantages(self, returns: Any) -> Any:
        """Returns [K] the advantages of the sample whose loss is being computed."""
        self.used += 1
        return returns.new_tensor(self.values[self.here.key])

    def restore(self, extra: Any, folder: Any) -> None:
        """Restores the state from a checkpoint, if it has one."""
        if isinstance(extra, dict) and EXTRA in extra:
            self.credit.load_state_dict(extra[EXTRA])
