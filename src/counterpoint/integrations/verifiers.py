"""verifiers: our advantages on the message nodes of episodes.

verifiers records rewards and computes no advantages; its nodes have a field for them, which a
trainer fills between rollouts and update. This file does not import verifiers. Source: verifiers
0.4.0, `verifiers/v1/graph.py`, `trace.py`, `episode.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from counterpoint.integrations.draws import with_turns
from counterpoint.integrations.team_credit import TeamCredit


def assign(
    episodes: Sequence[Any], credit: TeamCredit, *, learning: bool = True
) -> list[list[float | None]]:
    """Sets the advantages of the sampled tokens of every trace, and returns those of the traces.

    The result has a list for each episode, with an advantage for each trace. It is None for a trace
    that is not ok or whose agent is not trained: its nodes do not change, and no statistic counts
    its reward. It is 0 for a trace without a scored reward.

    Args:
        episodes: the episodes of one training step, several for each task. The prompt of a trace is
            the episode's group, or the task's key if it has none; its rollout is the episode, its
            agent `trace.agent.name`. An agent's later traces in an episode are later turns.
        credit: the `TeamCredit` that computes advantages.
        learning: false in an evaluation.

    Raises:
        RewardError: a reward is infinite.
        LabelError: as `advantages`.
    """
    trained = [
        [trace for trace in episode.traces if trace.ok and trace.agent.trainable]
        for episode in episodes
    ]
    rows = [(episode, trace) for episode, traces in zip(episodes, trained, strict=True)
            for trace in traces]  # fmt: skip
    labels = {
        "prompt": [prompt_of(episode) for episode, _ in rows],
        "rollout": [str(episode.id) for episode, _ in rows],
        "agent": [str(trace.agent.name) for _, trace in rows],
    }
    rewards = [[trace_reward(trace) for trace in traces] for traces in trained]
    credit.trainer = credit.trainer or "verifiers"
    values = credit.by_group(rewards, with_turns(labels), learning=learning)
    assigned: list[list[float | None]] = []
    for episode, traces, advantages in zip(episodes, trained, values, strict=True):
        known = {id(trace): value for trace, value in zip(traces, advantages, strict=True)}
        assigned.append([known.get(id(trace)) for trace in episode.traces])
        for trace in traces:
            for node in trace.nodes:
                if node.sampled:
                    node.advantages = [known[id(trace)]] * sum(node.mask)
    return assigned


def prompt_of(episode: Any) -> str:
    """Returns the name of the group of the episode, or of its task."""
    group = getattr(episode, "group", None)
    return str(episode.task.key if group is None else group.id)


def trace_reward(trace: Any) -> float | None:
    """Returns the sum of the scored parts of a trace's reward, or None if there are none.

    A part that is None or NaN was not scored. verifiers only logs a part of weight 0.
    """
    parts = [one for one in trace.rewards.values() if one is not None and one.weight != 0]
    scored = [float(one.value) for one in parts if not math.isnan(one.value)]
    return sum(scored) if scored else None
