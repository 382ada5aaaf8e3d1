"""verifiers: our advantages on the message nodes of episodes.

verifiers records rewards and computes no advantages; its nodes have a field for them, which a
trainer fills between rollouts and update. Nothing of verifiers is imported. Source: verifiers
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
    """Write the advantage of every trace on the sampled tokens of its nodes.

    Args:
        episodes: those of one training step, several for each task. Of a trace, the prompt is the
            episode's group, or the task's key where it has none; the rollout is the episode, the
            agent `trace.agent.name`; an agent's later traces in an episode are later turns.
        credit: what to compute.
        learning: false in an evaluation.

    Returns: of each episode, of each trace in its order, the advantage; None for a trace that is
        not ok or whose agent is not trained. Their nodes stay unassigned, and their rewards are in
        no statistic. A trace of whose reward no part was scored has 0.

    Raises:
        RewardError: an infinite reward.
        LabelError: as `advantages`.
    """
    rows = [
        (i, k, prompt_of(episode), episode, trace)
        for i, episode in enumerate(episodes)
        for k, trace in enumerate(episode.traces)
        if trace.ok and trace.agent.trainable
    ]
    found: list[list[float | None]] = [[None] * len(episode.traces) for episode in episodes]
    if not rows:
        return found
    labels = {
        "prompt": [prompt for _, _, prompt, _, _ in rows],
        "rollout": [str(episode.id) for _, _, _, episode, _ in rows],
        "agent": [str(trace.agent.name) for *_, trace in rows],
    }
    rewards = [reward_of(trace) for *_, trace in rows]
    values = credit(rewards, with_turns(labels), learning=learning)
    for (i, k, _, _, trace), value in zip(rows, values, strict=True):
        found[i][k] = float(value)
        for node in trace.nodes:
            if node.sampled:
                node.advantages = [float(value)] * sum(node.mask)
    return found


def prompt_of(episode: Any) -> str:
    """What the episode is compared with: its group, or its task."""
    group = getattr(episode, "group", None)
    return str(episode.task.key if group is None else group.id)


def reward_of(trace: Any) -> float | None:
    """The sum of the parts of a trace's reward that were scored; None where none was.

    A part that is None or NaN was not scored. A part of weight 0 is only logged by verifiers.
    """
    parts = [one for one in trace.rewards.values() if one is not None and one.weight != 0]
    scored = [float(one.value) for one in parts if not math.isnan(one.value)]
    return sum(scored) if scored else None
