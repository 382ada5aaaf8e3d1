"""Our judges where other trainers want rewards: a reward function for TRL, a scorer for ART.

A judge ranks the answers to one prompt against each other; what comes out has mean 0 in its group.
A group in which the judge's words are worth nothing (its orders disagree, its replies cannot be
read) is void: its answers get None, and so no advantage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from counterpoint.judge import Candidate, Group, Judge, RankSettings, rank_groups
from counterpoint.records import Episode, Event

Texts = Sequence[str]


def judged(
    judge: Judge, groups: Sequence[tuple[str, Texts]], settings: RankSettings | None = None
) -> list[list[float | None]]:
    """Rewards of the answers to each task.

    Args:
        judge: who judges.
        groups: [P] task and [n] answers.
        settings: what it is asked.

    Returns: [P][n] rewards, None where the group is void.

    Raises:
        CounterpointError: the judge cannot be used.
    """
    asked = [
        Group(str(number), task, tuple(
            Candidate(str(i), Episode(str(i), (Event(0, "policy", "answer", text),), ("policy",)))
            for i, text in enumerate(texts)
        ))
        for number, (task, texts) in enumerate(groups)
    ]  # fmt: skip
    return [
        [verdict.rewards.get(str(i)) for i in range(len(texts))]
        for verdict, (_, texts) in zip(rank_groups(asked, judge, settings), groups, strict=True)
    ]


def judge_reward(
    judge: Judge, settings: RankSettings | None = None, *, name: str = "judge"
) -> Callable[..., list[float | None]]:
    """A reward function in TRL's signature: rows with the same prompt in a row are one group.

    Args:
        judge: who judges; see `counterpoint.judge`.
        settings: what it is asked.
        name: in TRL's logs.
    """

    def reward(prompts: Any, completions: Any, **columns: Any) -> list[float | None]:
        agents = columns.get("agent") or [""] * len(prompts)
        keys = [(text_of(p), a) for p, a in zip(prompts, agents, strict=True)]
        groups = []
        for (task, _), rows in groupby(range(len(keys)), key=lambda i: keys[i]):
            groups.append((task, [text_of(completions[i]) for i in rows]))
        return [value for group in judged(judge, groups, settings) for value in group]

    reward.__name__ = name
    return reward


def art_judge(judge: Judge, settings: RankSettings | None = None) -> Callable[[Any], Any]:
    """A scorer for ART: give it to `gather_trajectory_groups` as `after_each`.

    A group's trajectories get their rewards; one that is void is dropped, as ART does with None.

    Args:
        judge: who judges.
        settings: what it is asked.
    """

    async def score(group: Any) -> Any:
        trajectories = list(group)
        told = [each.messages() for each in trajectories]
        task = "\n".join(text_of([m]) for m in told[0] if m.get("role") == "user")
        texts = [
            "\n".join(text_of([m]) for m in messages if m.get("role") == "assistant")
            for messages in told
        ]
        (rewards,) = await asyncio.to_thread(judged, judge, [(task, texts)], settings)
        if any(value is None for value in rewards):
            return None
        for each, value in zip(trajectories, rewards, strict=True):
            each.reward = value
        return group

    return score


def text_of(told: Any) -> str:
    """The text of a completion or prompt: a string, or a list of messages."""
    if isinstance(told, str):
        return told
    return "\n".join(str(message.get("content") or "") for message in told)
