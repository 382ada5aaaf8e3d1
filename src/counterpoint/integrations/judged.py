"""Judges as rewards of other trainers: a reward function for TRL and a scorer for ART.

A judge ranks the answers to one prompt against each other; rewards have mean 0 in their group. A
group is void if the judge's orders disagree or its replies cannot be read: its answers have the
reward None and no advantage. Start with `judge_reward` or `art_judge`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from counterpoint.judge import Candidate, Group, Judge, RankSettings, rank_groups
from counterpoint.records import Episode, Event

Texts = Sequence[str]


def rank_rewards(
    judge: Judge, groups: Sequence[tuple[str, Texts]], settings: RankSettings | None = None
) -> list[list[float | None]]:
    """Returns `[P][n]` rewards of the answers to each task, None if the group is void.

    Args:
        judge: the judge.
        groups: [P] pairs of a task and its [n] answers.
        settings: settings of the ranking.

    Raises:
        CounterpointError: the judge cannot be used.
    """
    candidate_groups = [
        Group(str(number), task, tuple(
            Candidate(str(i), Episode(str(i), (Event(0, "policy", "answer", text),), ("policy",)))
            for i, text in enumerate(texts)
        ))
        for number, (task, texts) in enumerate(groups)
    ]  # fmt: skip
    return [
        [verdict.rewards.get(str(i)) for i in range(len(texts))]
        for verdict, (_, texts) in zip(
            rank_groups(candidate_groups, judge, settings), groups, strict=True
        )
    ]


def judge_reward(
    judge: Judge, settings: RankSettings | None = None, *, name: str = "judge"
) -> Callable[..., list[float | None]]:
    """Returns a reward function for TRL, which logs it as `name`.

    Consecutive rows with the same prompt are one group.
    """

    def reward(prompts: Any, completions: Any, **columns: Any) -> list[float | None]:
        agents = columns.get("agent") or [""] * len(prompts)
        keys = [(text_of(p), a) for p, a in zip(prompts, agents, strict=True)]
        groups = []
        for (task, _), rows in groupby(range(len(keys)), key=lambda i: keys[i]):
            groups.append((task, [text_of(completions[i]) for i in rows]))
        return [value for group in rank_rewards(judge, groups, settings) for value in group]

    reward.__name__ = name
    return reward


def art_judge(judge: Judge, settings: RankSettings | None = None) -> Callable[[Any], Any]:
    """Returns a scorer for ART, for `gather_trajectory_groups(after_each=...)`.

    It sets the rewards of a group's trajectories; a void group becomes None, which ART drops.
    """

    async def score(group: Any) -> Any:
        trajectories = list(group)
        transcripts = [each.messages() for each in trajectories]
        task = "\n".join(text_of([m]) for m in transcripts[0] if m.get("role") == "user")
        texts = [
            "\n".join(text_of([m]) for m in messages if m.get("role") == "assistant")
            for messages in transcripts
        ]
        (rewards,) = await asyncio.to_thread(rank_rewards, judge, [(task, texts)], settings)
        if any(value is None for value in rewards):
            return None
        for each, value in zip(trajectories, rewards, strict=True):
            each.reward = value
        return group

    return score


def text_of(completion: Any) -> str:
    """Returns the text of a completion or prompt: a string, or a list of messages."""
    if isinstance(completion, str):
        return completion
    return "\n".join(str(message.get("content") or "") for message in completion)
