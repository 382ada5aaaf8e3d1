"""ART (openpipe-art): one group for each prompt and agent, whose rewards are our advantages.

ART's trajectories hold no advantage, so the reward is replaced by it: train with
`normalize_advantages=False`. ART then subtracts the mean of each group, which changes nothing where
advantages sum to 0; other groups are refused, or balanced. `trajectory.metadata["agent"]` names the
agent. This file does not import ART; it copies ART's groups and trajectories. Source: openpipe-art
0.5.23, `art/trajectories`, `art/gather.py`, `art/preprocessing/tokenize.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

from counterpoint.errors import LabelError, SchemeError
from counterpoint.integrations.draws import common_labels, distinct_prompts, with_turns
from counterpoint.integrations.team_credit import SchemeSource, TeamCredit, credit_of

RAW = "reward_raw"
"""The metric that keeps the reward."""
MISSING = "reward_missing"
"""The metric that marks a missing reward."""
ROUNDING = 1e-9
"""The largest sum of a group's advantages, relative to the largest one, that is rounding."""
STATE = "counterpoint"
"""Our key in a model's state."""


class after_each:  # it has the name of the argument that it is for
    """Splits a group into one group an agent, for `art.gather_trajectory_groups(after_each=...)`.

    Each prompt's group is an update of its own. If a scheme has statistics over several prompts, or
    the log needs the trainer's steps, call `credited` on the gathered groups instead.

    Args:
        scheme: a scheme or its name; a `TeamCredit` keeps its state.
        record: a file for the log.
        balance: whether a trajectory is added to a group whose advantages do not sum to 0, so that
            they do. It has no answer, so ART's local backend trains nothing on it; its tinker
            backend refuses it. Without it, such a group is refused.

    Raises:
        UnknownNameError, OutputError: as `TeamCredit`.
    """

    def __init__(
        self,
        scheme: SchemeSource = "agent_wise",
        *,
        record: str | Path | None = None,
        balance: bool = False,
    ) -> None:
        self.credit, self.balance = credit_of(scheme, "ART", record=record), balance

    async def __call__(self, group: Any) -> list[Any]:
        """Returns the groups of one prompt's agents; raises the errors of `credited`."""
        return credited([group], self.credit, balance=self.balance)


def credited(groups: Sequence[Any], credit: TeamCredit, *, balance: bool = False) -> list[Any]:
    """Returns one group for each prompt and agent, with our advantages as rewards.

    The groups are copies; `metrics["reward_raw"]` keeps the reward. A missing reward (NaN) has the
    advantage 0 and `metrics["reward_missing"]` instead.

    Args:
        groups: ART's groups of one training step, one for each prompt; `metadata["prompt"]` may
            name it. Two groups of the same prompt and agent are two draws, which are not compared.
        credit: the `TeamCredit` that computes advantages.
        balance: as in `after_each`.

    Raises:
        LabelError: a trajectory has no agent.
        RewardError: a reward is infinite.
        SchemeError: the advantages of a group do not sum to 0, and `balance` is false.
    """
    rewards = [
        [math.nan if one.metrics.get(MISSING) else one.metrics.get(RAW, one.reward)
         for one in group]
        for group in groups
    ]  # fmt: skip
    runs = [one for group in groups for one in group]
    agents = [agent_of(one) for one in runs]
    places = [i for i, group in enumerate(groups) for _ in group]
    names = [str(group.metadata.get("prompt", f"{credit.updates}/{i}"))
             for i, group in enumerate(groups)]  # fmt: skip
    labels: dict[str, Sequence[Any]] = {
        "prompt": distinct_prompts([names[i] for i in places], places, agents),
        "agent": agents,
        **common_labels([one.metadata for one in runs], ("rollout", "role", "turn", "context")),
    }
    credit.trainer = credit.trainer or "ART"
    split = []
    for group, raw, values in zip(
        groups, rewards, credit.by_group(rewards, with_turns(labels)), strict=True
    ):
        paid = copy(group)
        paid.trajectories = [_paid(*row) for row in zip(group, raw, values, strict=True)]
        parts = split_by_agent(paid)
        for part in parts:
            off = math.fsum(one.reward for one in part)
            if abs(off) <= ROUNDING * max((abs(one.reward) for one in part), default=0.0):
                split.append(part)
            elif balance:
                split.append(_balanced(part, off))
            else:
                raise SchemeError(
                    f"got advantages of agent '{part.metadata['agent']}' that sum to {off:.3g} "
                    "over a group, from which ART would subtract their mean; wanted a scheme with "
                    "per-prompt and per-agent means, such as agent_wise, or balance=True"
                )
    return split


def split_by_agent(group: Any) -> list[Any]:
    """Returns one group for each agent, in the order of their first trajectory.

    Rewards do not change. Each group has `metadata["agent"]`; the first one keeps exceptions and
    logs. Raises LabelError as `agent_of`.
    """
    parts: list[Any] = []
    for agent in dict.fromkeys(agent_of(one) for one in group):
        part = copy(group)
        part.trajectories = [one for one in group if agent_of(one) == agent]
        part.metadata = {**group.metadata, "agent": agent}
        if parts:
            part.exceptions, part.logs = [], []
        parts.append(part)
    return parts


def agent_of(trajectory: Any) -> str:
    """Returns the agent of a trajectory; raises LabelError if its metadata name none."""
    agent = trajectory.metadata.get("agent")
    if agent is None:
        raise LabelError("got a trajectory without metadata['agent']; wanted the agent's name")
    return str(agent)


def save_state(model: Any, credit: TeamCredit) -> None:
    """Saves running statistics in the state of ART's model, a file in its folder."""
    model.merge_state({STATE: credit.state_dict()})


def load_state(model: Any, credit: TeamCredit) -> bool:
    """Restores running statistics, and returns whether there were any.

    Raises StateError if they belong to another scheme.
    """
    saved = (model.read_state() or {}).get(STATE)
    if saved is not None:
        credit.load_state_dict(saved)
    return saved is not None


def _paid(trajectory: Any, raw: float, advantage: float) -> Any:
    """Returns a copy of the trajectory that has its advantage as reward, and its reward `raw`."""
    kept = {MISSING: 1.0} if math.isnan(raw) else {RAW: raw}
    return trajectory.model_copy(
        update={"reward": advantage, "metrics": {**trajectory.metrics, **kept}}
    )


def _balanced(group: Any, off: float) -> Any:
    """Returns the group, with a trajectory that brings the sum `off` of its rewards to 0."""
    extra = type(group.trajectories[0])(
        messages_and_choices=[{"role": "user", "content": "balance"}],
        reward=-off,
        metadata={**group.metadata, "balance": True},
    )
    group.trajectories = [*group.trajectories, extra]
    return group
