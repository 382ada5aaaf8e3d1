"""tinker-cookbook: our advantages as group rewards, or instead of its own advantages.

tinker-cookbook's advantage is the total reward minus the mean of its group. `group_rewards` returns
rewards whose totals are our advantages; this is right for schemes that sum to 0 over the group, as
`agent_wise` does. `patch` uses any scheme in its training loop, over the whole batch. Source:
tinker-cookbook 0.5.8, `tinker_cookbook/rl/data_processing.py`, `rl/train.py`, `rl/types.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from counterpoint.credit import AnyScheme, advantages, scheme_named
from counterpoint.errors import LabelError, RewardError, SchemeError
from counterpoint.integrations.draws import common_labels, occurrences, with_turns
from counterpoint.integrations.team_credit import SchemeSource, TeamCredit, credit_of
from counterpoint.optional import import_optional

INSTALL = "pip install tinker-cookbook"
TRAINING = "tinker_cookbook.rl.train"
"""The module whose function for advantages is replaced."""

_PRINTING: ContextVar[bool] = ContextVar("printing", default=False)


def group_rewards(
    trajectories: Sequence[Any],
    agents: Sequence[str],
    scheme: str | AnyScheme = "agent_wise",
    rewards: Sequence[float | None] | None = None,
) -> list[tuple[float, dict[str, float]]]:
    """Returns [G] pairs (reward, metrics) for `EnvGroupBuilder.compute_group_rewards`.

    With the rewards of its steps, the total of each trajectory is its advantage.

    Args:
        trajectories: [G] the argument of that method: rollouts of all agents for one prompt.
        agents: [G] the agent of each trajectory; the environments know it, in the same order.
        scheme: a scheme without memory, whose advantages sum to 0 over the group.
        rewards: [G] the reward of each trajectory; by default the sum of its steps' rewards.

    Raises:
        SchemeError: the scheme has memory, or advantages do not sum to 0: use `patch`.
        RewardError: a reward is infinite, or a step's reward is not finite.
        LabelError: there is not one agent for each trajectory.
    """
    resolved = scheme_named(scheme) if isinstance(scheme, str) else scheme
    if resolved.keeps_state:
        raise SchemeError(
            "got a scheme with memory, which a builder loses when it is sent to a worker; "
            "wanted one without, or use patch"
        )
    steps = [math.fsum(t.reward for t in one.transitions) for one in trajectories]
    if not all(map(math.isfinite, steps)):
        raise RewardError("got steps with rewards that are not finite; give rewards another way")
    raw = list(steps if rewards is None else rewards)
    labels = {"agent": list(agents), "rollout": occurrences(list(agents))}
    values = [float(v) for v in advantages(raw, labels, resolved).values] if raw else []
    off = math.fsum(values)
    if abs(off) > 1e-6 * max([1.0, *map(abs, values)]):
        raise SchemeError(
            f"got advantages that sum to {off:.3g} over the group, from which tinker-cookbook "
            "would subtract their mean; wanted a scheme that sums to 0, or use patch"
        )
    paid = []
    for value, step, reward in zip(values, steps, raw, strict=True):
        metrics = {"counterpoint/advantage": value}
        if reward is not None and not math.isnan(reward):
            metrics["reward_raw"] = float(reward)
        paid.append((value - step, metrics))
    return paid


@contextmanager
def patch(
    scheme: SchemeSource = "agent_wise",
    *,
    record: str | Path | None = None,
    agent_of: Callable[[Any], str] | None = None,
) -> Iterator[TeamCredit]:
    """Makes tinker-cookbook's training loop use our advantages inside the `with` block.

    The loop also prints a few groups with their advantages; that changes no running statistics and
    is not logged.

    Args:
        scheme: a scheme or its name; a `TeamCredit` keeps its state.
        record: a file for the log.
        agent_of: returns the agent of a trajectory; by default `logs["agent"]` of its last step.

    Yields: the `TeamCredit` that computes advantages.

    Raises:
        MissingPackageError: tinker-cookbook is not installed.
        UnknownNameError, OutputError: as `TeamCredit`.
    """
    training = import_optional(TRAINING, INSTALL)
    torch = import_optional("torch", "pip install torch")
    credit = credit_of(scheme, record)
    theirs, printed = training.compute_advantages, training.print_group

    def compute_advantages(trajectory_groups_P: list[Any]) -> list[Any]:
        learning = not _PRINTING.get()
        values = batch_advantages(trajectory_groups_P, credit, agent_of, learning=learning)
        return [torch.tensor(one, dtype=torch.float32) for one in values]

    def print_group(*args: Any, **kwargs: Any) -> Any:
        token = _PRINTING.set(True)
        try:
            return printed(*args, **kwargs)
        finally:
            _PRINTING.reset(token)

    training.compute_advantages, training.print_group = compute_advantages, print_group
    try:
        yield credit
    finally:
        training.compute_advantages, training.print_group = theirs, printed


def batch_advantages(
    groups: Sequence[Any],
    credit: TeamCredit,
    agent_of: Callable[[Any], str] | None = None,
    *,
    learning: bool = True,
) -> list[list[float]]:
    """Returns the advantage of each trajectory in each group; a group is a prompt.

    The logs of a trajectory's last step may also have `rollout`, `role`, `turn` and `context`.
    Without `rollout`, a trajectory's rollout is its place among those of its agent.

    Raises LabelError if a trajectory has no agent, and RewardError if a reward is infinite.
    """
    agent_name = agent_of or logged_agent
    agents = [[agent_name(one) for one in group.trajectories_G] for group in groups]
    logs = [last_logs(one) for group in groups for one in group.trajectories_G]
    labels: dict[str, Sequence[Any]] = {
        "prompt": [i for i, names in enumerate(agents) for _ in names],
        "agent": [name for names in agents for name in names],
        "rollout": [place for names in agents for place in occurrences(names)],
        **common_labels(logs, ("rollout", "role", "turn", "context")),
    }
    return credit.by_group(
        [group.get_total_rewards() for group in groups], with_turns(labels), learning=learning
    )


def last_logs(trajectory: Any) -> Mapping[str, Any]:
    """Returns the logs of the last step of a trajectory; without a step there are none."""
    logs: Mapping[str, Any] = trajectory.transitions[-1].logs if trajectory.transitions else {}
    return logs


def logged_agent(trajectory: Any) -> str:
    """Returns `logs["agent"]` of the last step of a trajectory; raises LabelError without it."""
    logs = last_logs(trajectory)
    if "agent" not in logs:
        raise LabelError(
            "got a trajectory whose last step has no logs['agent']; wanted the agent's name there, "
            "or agent_of"
        )
    return str(logs["agent"])
