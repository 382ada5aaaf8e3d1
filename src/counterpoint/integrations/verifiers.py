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
    rows = [
        (i, k, prompt_of(episode), episode, trace)
        for i, episode in enumerate(episodes)
        for k, trace in enumerate(episode.traces)
        if trace.ok and trace.agent.trainable
    ]
    assigned: list[list[float | None]] = [[None] * len(episode.traces) for episode in episodes]
    if not rows:
        return assigned
    labels = {
        "prompt": [prompt for _, _, prompt, _, _ in rows],
        "rollout": [str(episode.id) for _, _, _, episode, _ in rows],
        "agent": [str(trace.agent.name) for *_, trace in rows],
    }
    rewards = [trace_reward(trace) for *_, trace in rows]
    values = credit(rewards, with_turns(labels), learning=learning)
    for (i, k, _, _, trace), value in zip(rows, values, strict=True):
        assigned[i][k] = float(value)
        for node in trace.nodes:
            if node.sampled:
                node.advantages = [float(value)] * sum(node.mask)
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
