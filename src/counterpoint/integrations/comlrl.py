"""CoMLRL: our advantages in its trainers, by one call.

    credit = attach(MAGRPOTrainer(...), "agent_wise", record="credit.jsonl")

All that CoMLRL's agents get is one return, so that per agent and pooled are the same there;
`SplitRewards` pays each agent its own. Needs comlrl only where the trainer comes from. Source:
comlrl 1.4.3, `comlrl/trainers/reinforce/magrpo.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from counterpoint.credit import AnyScheme
from counterpoint.errors import RewardError, SettingError
from counterpoint.integrations.team_credit import TeamCredit

EXTRA = "counterpoint"
"""Its key in a checkpoint's extra state."""


class SplitRewards:
    """A reward function that pays each agent: give it to the trainer as `reward_func`.

    Args:
        function: takes the agents' texts, one list a joint sample and agent as CoMLRL gives them,
            and returns a reward for each agent.

    The trainer itself sees the mean over agents.
    """

    def __init__(self, function: Callable[..., Sequence[float]]) -> None:
        self.function = function
        self.calls: list[list[float]] = []
        """[calls][A] what training calls paid, since the last update."""
        self.listening = True

    def __call__(self, *texts: Any, batch_items: Any = None) -> list[float]:
        """[1] the mean of what the agents get."""
        given = {} if batch_items is None else {"batch_items": batch_items}
        paid = [float(value) for value in self.function(*texts, **given)]
        if len(paid) != len(texts):
            raise RewardError(
                f"got {len(paid)} rewards for {len(texts)} agents; wanted one for each"
            )
        if self.listening:
            self.calls.append(paid)
        return [float(np.mean(paid))]


def attach(
    trainer: Any, scheme: str | AnyScheme = "agent_wise", *, agents: Sequence[str] = (), **told: Any
) -> TeamCredit:
    """Let a trainer learn from our advantages.

    Rows of one update of all agents are normalized together: the prompt is the node (one prompt
    after one history), the rollout the place among its joint samples. `advantage_normalization`,
    which would standardize them again, is turned off.

    Args:
        trainer: MAGRPO, MARLOO, MAReMax or MAREINFORCE, before `train`.
        scheme: see `counterpoint schemes`.
        agents: [A] names for logs; `agent_0` and so on by default.
        told: for `TeamCredit`: `record`, `check_every`, `warn`.

    Returns: what computes them; its state is in the trainer's checkpoints from now on.

    Raises:
        SettingError: split rewards with several turns, or with joint samples that are not aligned.
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
    if trainer.args.advantage_normalization:
        trainer.args.advantage_normalization = False
        logging.getLogger("counterpoint").info("advantage_normalization is off: ours are final")
    credit = TeamCredit(scheme, **told)
    _Attached(trainer, credit, names, split).put_in()
    return credit


class _Attached:
    """What is put over a trainer's methods, by its own names."""

    def __init__(
        self, trainer: Any, credit: TeamCredit, names: Sequence[str], split: SplitRewards | None
    ) -> None:
        self.trainer, self.credit, self.names, self.split = trainer, credit, names, split
        self.values: dict[int, list[float]] = {}
        """By identity of a sample's list of returns: the trainer shuffles samples."""
        self.here = threading.local()  # agents may be updated in threads

    def put_in(self) -> None:
        trainer = self.trainer
        drain, loss, evaluate = (
            trainer._drain_ready_buffers, trainer._compute_loss_with_gradients, trainer.evaluate
        )  # fmt: skip

        def drained(ready: Sequence[int]) -> None:
            self.compute(sorted({int(agent) for agent in ready}))
            drain(ready)
            self.values.clear()

        def losses(agent: Any, completions: Any, returns: Any) -> Any:
            self.here.key = id(returns)
            return loss(agent, completions, returns)

        def evaluated(*args: Any, **kwargs: Any) -> Any:
            if self.split is None:
                return evaluate(*args, **kwargs)
            self.split.listening = False
            try:
                return evaluate(*args, **kwargs)
            finally:
                self.split.listening = True

        trainer._drain_ready_buffers = drained
        trainer._compute_loss_with_gradients = losses
        trainer.evaluate = evaluated
        trainer._compute_advantages = self.advantages
        trainer._checkpoint_extra_state = lambda: {EXTRA: self.credit.state_dict()}
        trainer._restore_checkpoint_extra_state = self.restore

    def compute(self, ready: Sequence[int]) -> None:
        """The advantages of every sample that is about to be learned from."""
        import torch

        samples = [one for agent in ready for one in self.trainer.rollout_buffers[agent]]
        if not samples:
            return
        returns, labels = [], {"prompt": [], "rollout": [], "agent": [], "turn": []}  # type: ignore[var-annotated]
        for one in samples:
            paid = torch.tensor(self.paid(one), dtype=torch.float64)
            paid = self.trainer._apply_reference_kl_to_returns(paid, one.completions_data)
            returns += paid.tolist()
            count = len(one.returns)
            labels["prompt"] += [int(one.node_env_step)] * count
            labels["rollout"] += range(count)
            labels["agent"] += [self.names[int(one.agent_idx)]] * count
            labels["turn"] += [int(one.turn_idx)] * count
        found = self.credit(np.array(returns), labels)
        at = 0
        for one in samples:
            self.values[id(one.returns)] = found[at : at + len(one.returns)].tolist()
            at += len(one.returns)
        if self.split is not None and len(ready) == len(self.names):
            self.split.calls.clear()

    def paid(self, one: Any) -> list[float]:
        """[K] what the sample's agent was paid for each answer."""
        if self.split is None:
            return list(one.returns)
        first = int(self.trainer.env_step) - len(self.split.calls)
        end = int(one.node_env_step) - first
        calls = self.split.calls[end - len(one.returns) : end]
        return [paid[int(one.agent_idx)] for paid in calls]

    def advantages(self, returns: Any) -> Any:
        """[K] of the sample whose loss is being computed."""
        return returns.new_tensor(self.values[self.here.key])

    def restore(self, extra: Any, folder: Any) -> None:
        """From a checkpoint; one that was written before has nothing of ours."""
        if isinstance(extra, dict) and EXTRA in extra:
            self.credit.load_state_dict(extra[EXTRA])
