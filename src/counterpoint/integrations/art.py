"""ART (openpipe-art): one group for each prompt and agent, whose rewards are our advantages.

ART's trajectories hold no advantage, so the reward becomes it: train with
`normalize_advantages=False`. The agent stands in `trajectory.metadata["agent"]`. Nothing of ART is
imported; its own groups and trajectories are copied. Source: openpipe-art 0.5.18,
`art/trajectories.py`, `art/gather.py`, `art/preprocessing/tokenize.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

from counterpoint.errors import LabelError
from counterpoint.integrations.draws import distinct_prompts, with_turns
from counterpoint.integrations.entry import Given, credit_of
from counterpoint.integrations.team_credit import TeamCredit

RAW = "reward_raw"
"""The metric that keeps the reward as it was."""
MISSING = "reward_missing"
"""The metric that says there was none."""
STATE = "counterpoint"
"""Our key in a model's state."""


class after_each:  # used like the function that ART calls so
    """What `art.gather_trajectory_groups(after_each=...)` calls: one group in, one an agent out.

    Each prompt's group is an update of its own: statistics over several prompts, where a scheme has
    them, and the steps of the log need `credited`, called on what was gathered.

    Args:
        scheme: what to compute; a `TeamCredit` keeps its state.
        record: a file for the log.
        balance: add to a group whose advantages do not sum to 0 a trajectory that makes them do so.
            It has no answer, so ART's local backend trains nothing on it; its tinker backend
            refuses it. Without it ART subtracts the mean again.

    Raises:
        UnknownNameError: no scheme of that name.
        OutputError: the log cannot be written.
    """

    def __init__(
        self,
        scheme: Given = "agent_wise",
        *,
        record: str | Path | None = None,
        balance: bool = False,
    ) -> None:
        self.credit, self.balance = credit_of(scheme, record), balance

    async def __call__(self, group: Any) -> list[Any]:
        """The groups of one prompt's agents.

        Raises:
            LabelError: a trajectory has no agent.
            RewardError: an infinite reward.
        """
        return credited([group], self.credit, balance=self.balance)


def credited(groups: Sequence[Any], credit: TeamCredit, *, balance: bool = False) -> list[Any]:
    """The groups of one training step as one group for each prompt and agent, with our advantages.

    Args:
        groups: ART's, each of one prompt; `metadata["prompt"]` names it where that is there. Two
            groups of the same prompt and agent are two draws of it, which are not compared.
        credit: what to compute.
        balance: as in `after_each`.

    Returns: copies; the reward is the advantage, and `metrics["reward_raw"]` the reward. A reward
        that is missing (NaN) has the advantage 0, and `metrics["reward_missing"]` instead.

    Raises:
        LabelError: a trajectory has no agent.
        RewardError: an infinite reward.
    """
    rows = [
        (i, str(group.metadata.get("prompt", f"{credit.updates}/{i}")), one)
        for i, group in enumerate(groups)
        for one in group
    ]
    if not rows:
        return []
    rewards = [
        math.nan if one.metrics.get(MISSING) else one.metrics.get(RAW, one.reward)
        for *_, one in rows
    ]
    places, prompts, runs = (list(column) for column in zip(*rows, strict=True))
    agents = [agent_of(one) for one in runs]
    labels: dict[str, list[Any]] = {
        "prompt": distinct_prompts(prompts, places, agents), "agent": agents,
    }  # fmt: skip
    for name in ("rollout", "role", "turn", "context"):
        if all(name in one.metadata for one in runs):
            labels[name] = [one.metadata[name] for one in runs]
    values = iter(credit(rewards, with_turns(labels)))
    found = []
    for group in groups:
        paid = copy(group)
        paid.trajectories = [_paid(one, float(next(values))) for one in group]
        parts = split_by_agent(paid)
        found += [_balanced(part) for part in parts] if balance else parts
    return found


def split_by_agent(group: Any) -> list[Any]:
    """One group for each agent, in the order of their first trajectory; rewards stay as they are.

    Each has `metadata["agent"]`; exceptions and logs go with the first.

    Raises:
        LabelError: a trajectory has no agent.
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
    """Whose trajectory it is.

    Raises:
        LabelError: its metadata do not say.
    """
    agent = trajectory.metadata.get("agent")
    if agent is None:
        raise LabelError("got a trajectory without metadata['agent']; wanted the agent's name")
    return str(agent)


def save_state(model: Any, credit: TeamCredit) -> None:
    """Put running statistics into the state of ART's model, a file in its folder."""
    model.merge_state({STATE: credit.state_dict()})


def load_state(model: Any, credit: TeamCredit) -> bool:
    """Take them from there; whether there were any.

    Raises:
        StateError: they are those of another scheme.
    """
    told = (model.read_state() or {}).get(STATE)
    if told is None:
        return False
    credit.load_state_dict(told)
    return True


def _paid(trajectory: Any, advantage: float) -> Any:
    raw = trajectory.metrics.get(RAW, trajectory.reward)
    missing = math.isnan(raw) or bool(trajectory.metrics.get(MISSING))
    kept = {MISSING: 1.0} if missing else {RAW: raw}
    return trajectory.model_copy(
        update={"reward": advantage, "metrics": {**trajectory.metrics, **kept}}
    )


def _balanced(group: Any) -> Any:
    rewards = [one.reward for one in group]
    off = math.fsum(rewards)
    if abs(off) > 1e-9 * max(map(abs, rewards)):
        extra = type(group.trajectories[0])(
            messages_and_choices=[{"role": "user", "content": "balance"}],
            reward=-off,
            metadata={**group.metadata, "balance": True},
        )
        group.trajectories = [*group.trajectories, extra]
    return group
