"""tinker-cookbook: our advantages as group rewards, or instead of its own advantages.

Start with `patch`: it replaces the advantages of the training loop, by any scheme and over the
whole batch. `group_rewards` needs no patch, but tinker-cookbook has a place for rewards only there,
and changes what it takes for one: it sets positive totals of trajectories that were stopped at a
limit to 0 (`zero_reward_on_limit`), and subtracts the group's mean. So the limit's zero comes
before our credit, no total is above 0, and schemes whose advantages do not sum to 0 are refused.
Source: tinker-cookbook 0.6.1, `tinker_cookbook/rl/rollouts.py`, `rl/data_processing.py`,
`rl/train.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from counterpoint.credit import AnyScheme, advantages, scheme_named
from counterpoint.errors import LabelError, RewardError, SchemeError, SettingError
from counterpoint.integrations.draws import common_labels, occurrences, with_turns
from counterpoint.integrations.hook_check import HookCheck
from counterpoint.integrations.team_credit import SchemeSource, TeamCredit, credit_of
from counterpoint.optional import import_optional

INSTALL = "pip install tinker-cookbook"
TRAINING = "tinker_cookbook.rl.train"
"""The module whose function for advantages is replaced."""

UNKNOWN: Any = object()
"""The termination of a training that was not given."""

_PRINTING: ContextVar[bool] = ContextVar("printing", default=False)


def group_rewards(
    trajectories: Sequence[Any],
    agents: Sequence[str],
    scheme: str | AnyScheme = "agent_wise",
    rewards: Sequence[float | None] | None = None,
    *,
    termination: Any = UNKNOWN,
) -> list[tuple[float, dict[str, float]]]:
    """Returns [G] pairs (reward, metrics) for `EnvGroupBuilder.compute_group_rewards`.

    With the rewards of its steps, the total of each trajectory is its advantage minus the group's
    largest one. tinker-cookbook subtracts the mean of the totals, and so trains the advantages.

    Args:
        trajectories: [G] the argument of that method: rollouts of all agents for one prompt.
        agents: [G] the agent of each trajectory; the environments know it, in the same order. Other
            labels come from logs, as for `batch_advantages`.
        scheme: a scheme without memory, whose advantages sum to 0 over the group.
        rewards: [G] the reward of each trajectory; by default the sum of its steps' rewards.
        termination: the training's `config.effective_termination()`, or None if it has none. It
            must be given if a trajectory has a `stop_reason`: with `zero_reward_on_limit`, a
            positive reward of a trajectory that was stopped at a limit counts as 0.

    Raises:
        SettingError: a trajectory has a `stop_reason`, and `termination` was not given.
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
    given: Sequence[float | None] = steps if rewards is None else rewards
    if len(given) != len(steps):
        raise RewardError(f"got {len(given)} rewards; wanted one for each of {len(steps)}")
    stopped = stopped_at_limit(trajectories, termination)
    raw = [
        0.0 if at_limit and reward is not None and reward > 0 else reward
        for at_limit, reward in zip(stopped, given, strict=True)
    ]
    labels: dict[str, Sequence[Any]] = {
        "agent": list(agents),
        "rollout": occurrences(list(agents)),
        **logged_labels(trajectories),
    }
    values = [float(v) for v in advantages(raw, with_turns(labels), resolved).values] if raw else []
    off = math.fsum(values)
    if abs(off) > 1e-6 * max([1.0, *map(abs, values)]):
        raise SchemeError(
            f"got advantages that sum to {off:.3g} over the group, from which tinker-cookbook "
            "would subtract their mean; wanted a scheme that sums to 0, or use patch"
        )
    paid, highest = [], max(values, default=0.0)
    for value, step, reward, before, cut in zip(values, steps, raw, given, stopped, strict=True):
        metrics = {"counterpoint/advantage": value}
        if reward is not None and not math.isnan(reward):
            metrics["reward_raw"] = float(reward)
        if cut and reward != before:
            metrics["zero_reward_on_limit"] = 1.0
        # A total above 0 would be set to 0 once more if the trajectory was stopped at a limit.
        paid.append((-step if value == highest else value - highest - step, metrics))
    return paid


def stopped_at_limit(trajectories: Sequence[Any], termination: Any) -> list[bool]:
    """Returns [G] whether tinker-cookbook would set a positive reward of a trajectory to 0.

    Raises SettingError if a trajectory has a `stop_reason`, and the termination is not known.
    """
    reasons = [getattr(one, "stop_reason", None) for one in trajectories]
    if termination is UNKNOWN:
        known = [reason for reason in reasons if reason is not None]
        if known:
            raise SettingError(
                f"got a trajectory that was stopped by {str(known[0])!r}, and no termination; "
                "wanted termination=config.effective_termination() in group_rewards (None if the "
                "training has none), or patch, which needs neither"
            )
        return [False] * len(reasons)
    if termination is None or not termination.zero_reward_on_limit:
        return [False] * len(reasons)
    limits = termination.limit_stop_reasons
    return [reason is not None and reason in limits for reason in reasons]


@contextmanager
def patch(
    scheme: SchemeSource = "agent_wise",
    *,
    record: str | Path | None = None,
    agent_of: Callable[[Any], str] | None = None,
) -> Iterator[TeamCredit]:
    """Makes tinker-cookbook's training loop use our advantages inside the `with` block.

    The loop also prints a few groups with their advantages; that changes no running statistics and
    is not logged. A first optimizer step without our advantages stops the training: another loop,
    such as one of `tinker_cookbook.distillation`, makes its own.

    Args:
        scheme: a scheme or its name; a `TeamCredit` keeps its state.
        record: a file for the log.
        agent_of: returns the agent of a trajectory; by default `logs["agent"]` of its last step.

    Yields: the `TeamCredit` that computes advantages.

    Raises:
        MissingPackageError: tinker-cookbook is not installed.
        UnknownNameError, OutputError: as `TeamCredit`.
        HookError: (from the training) the loop steps without our advantages.
    """
    client: Any = import_optional("tinker", INSTALL).TrainingClient
    training = import_optional(TRAINING, INSTALL)
    torch = import_optional("torch", "pip install torch")
    credit = credit_of(scheme, "tinker-cookbook", record=record)
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

    check = HookCheck(
        credit,
        f"{TRAINING}.compute_advantages",
        "train with tinker_cookbook.rl.train.main inside the block, since this loop makes its "
        "advantages elsewhere",
    )
    step, step_async = client.optim_step, client.optim_step_async

    def optim_step(*args: Any, **kwargs: Any) -> Any:
        check.before_step()
        return step(*args, **kwargs)

    async def optim_step_async(*args: Any, **kwargs: Any) -> Any:
        check.before_step()
        return await step_async(*args, **kwargs)

    training.compute_advantages, training.print_group = compute_advantages, print_group
    client.optim_step, client.optim_step_async = optim_step, optim_step_async
    try:
        yield credit
    finally:
        training.compute_advantages, training.print_group = theirs, printed
        client.optim_step, client.optim_step_async = step, step_async


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
    labels: dict[str, Sequence[Any]] = {
        "prompt": [i for i, names in enumerate(agents) for _ in names],
        "agent": [name for names in agents for name in names],
        "rollout": [place for names in agents for place in occurrences(names)],
        **logged_labels([one for group in groups for one in group.trajectories_G]),
    }
    return credit.by_group(
        [group.get_total_rewards() for group in groups], with_turns(labels), learning=learning
    )


def logged_labels(trajectories: Sequence[Any]) -> dict[str, list[Any]]:
    """Returns the labels [N] that the logs of all trajectories have, besides the agent."""
    return common_labels(
        [last_logs(one) for one in trajectories], ("rollout", "role", "turn", "context")
    )


def last_logs(trajectory: Any) -> Mapping[str, Any]:
    """Returns the logs of the last step of a trajectory; without a step there are none."""
    steps = trajectory.transitions
    return getattr(steps[-1], "logs", {}) if steps else {}


def logged_agent(trajectory: Any) -> str:
    """Returns `logs["agent"]` of the last step of a trajectory; raises LabelError without it."""
    logs = last_logs(trajectory)
    if "agent" not in logs:
        raise LabelError(
            "got a trajectory whose last step has no logs['agent']; wanted the agent's name there, "
            "or agent_of"
        )
    return str(logs["agent"])
