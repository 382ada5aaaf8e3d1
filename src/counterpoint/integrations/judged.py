"""Judges as rewards of other trainers: a reward function for TRL and a scorer for ART.

A judge ranks the answers to one prompt against each other; rewards have mean 0 in their group. A
group is void if the judge's orders disagree, its replies cannot be read, or the answers differ only
in what is not shown (pictures, hidden reasoning, what a cut takes out): its answers have the reward
None and no advantage. Start with `judge_reward` or `art_judge`.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from counterpoint.judge import Candidate, Group, Judge, RankSettings, Verdict, rank_groups
from counterpoint.marks import plural_of
from counterpoint.readers.content import as_text
from counterpoint.readers.content import text_of as text_of_content
from counterpoint.readers.groups import messages_of
from counterpoint.readers.messages import events_of, members_of, parse_messages
from counterpoint.records import Episode, Event

Answer = str | Sequence[Mapping[str, Any]]
"""A text, or messages as OpenAI has them."""


class UnseenWarning(UserWarning):
    """The judge does not read all of the answers; the warning says what, and what to do."""


def rank_rewards(
    judge: Judge,
    groups: Sequence[tuple[str, Sequence[Answer]]],
    settings: RankSettings | None = None,
) -> list[list[float | None]]:
    """Returns `[P][n]` rewards of the answers to each task, None if the group is void.

    Args:
        judge: the judge.
        groups: [P] pairs of a task and its [n] answers.
        settings: settings of the ranking.

    Raises:
        LogError: a message of an answer has none of the known shapes.
        CounterpointError: the judge cannot be used.

    Warns:
        UnseenWarning: the judge does not read all of the answers.
    """
    candidates = [(task, [_candidate(i, answer) for i, answer in enumerate(answers)])
                  for task, answers in groups]  # fmt: skip
    return _ranked(judge, candidates, settings)


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
            groups.append((task, [completions[i] for i in rows]))
        return [value for group in rank_rewards(judge, groups, settings) for value in group]

    reward.__name__ = name
    return reward


def art_judge(judge: Judge, settings: RankSettings | None = None) -> Callable[[Any], Any]:
    """Returns a scorer for ART, for `gather_trajectory_groups(after_each=...)`.

    It reads whole trajectories, with their tools and all their histories, and sets the rewards of a
    group's trajectories; a void group becomes None, which ART drops.
    """

    async def score(group: Any) -> Any:
        trajectories = list(group)
        candidates = [_of_trajectory(i, each) for i, each in enumerate(trajectories)]
        questions = {
            next((e.text for e in c.episode.events if e.agent == "user"), "") for c in candidates
        }
        task = questions.pop() if len(questions) == 1 else ""
        (rewards,) = await asyncio.to_thread(_ranked, judge, [(task, candidates)], settings)
        if any(value is None for value in rewards):
            return None
        for each, value in zip(trajectories, rewards, strict=True):
            each.reward = value
        return group

    return score


def text_of(completion: Any) -> str:
    """Returns the text of a completion or prompt: a string, or a list of messages, in which a mark
    stands for each picture."""
    if isinstance(completion, str):
        return completion
    return "\n".join(text_of_content(message.get("content"), "prompt") for message in completion)


def _ranked(
    judge: Judge,
    groups: Sequence[tuple[str, Sequence[Candidate]]],
    settings: RankSettings | None,
) -> list[list[float | None]]:
    settings = settings or RankSettings()
    ranked = [Group(str(i), task, tuple(runs)) for i, (task, runs) in enumerate(groups)]
    rewards: list[list[float | None]] = []
    for group, verdict in zip(ranked, rank_groups(ranked, judge, settings), strict=True):
        rewards.append([verdict.rewards.get(run) for run in group.ids])
        for sentence in _unseen(verdict, settings):
            warnings.warn(sentence, UnseenWarning, stacklevel=2)
    return rewards


def _unseen(verdict: Verdict, settings: RankSettings) -> list[str]:
    """Returns what the judge does not read, without numbers: Python shows such a warning once."""
    unseen = verdict.unseen.values()
    kinds = sorted({kind for each in unseen for kind in each.parts})
    sentences = [f"The judge does not see {plural_of(kind)}: it reads a mark." for kind in kinds]
    if any(each.cut_characters for each in unseen):
        sentences.append(f"The judge does not read all of the answers: they are cut to "
                         f"{settings.longest:,} characters (RankSettings.longest).")  # fmt: skip
    if any(each.reasoning for each in unseen):
        sentences.append("The judge does not read the reasoning in the answers "
                         "(RankSettings.reasoning).")  # fmt: skip
    return sentences


def _candidate(number: int, answer: Answer) -> Candidate:
    name = str(number)
    if isinstance(answer, str):
        event = Event(0, "policy", "message", answer)
        return Candidate(name, Episode(name, (event,), ("policy",)))
    return _of_messages(name, list(answer), ())


def _of_messages(name: str, values: list[Any], definitions: tuple[str, ...]) -> Candidate:
    messages = parse_messages(values, f"answer {name}")
    events = events_of(messages)
    episode = Episode(name, events, *members_of(events, messages))
    return Candidate(name, episode, definitions=definitions)


def _of_trajectory(number: int, trajectory: Any) -> Candidate:
    """Returns a trajectory of ART's, whose histories are objects like itself."""
    histories = getattr(trajectory, "additional_histories", None) or []
    later = [{"messages": _messages(each)} for each in histories]
    run = {"messages": _messages(trajectory), "additional_histories": later}
    holders = (trajectory, *histories)
    tools = [tool for each in holders for tool in getattr(each, "tools", None) or []]
    definitions = tuple(dict.fromkeys(map(as_text, tools)))
    return _of_messages(str(number), messages_of(run, f"trajectory {number}"), definitions)


def _messages(holder: Any) -> list[Any]:
    """Returns the messages of a trajectory or a history; a choice has its message inside, which
    ART's own `messages()` gives without its calls of tools in some versions."""
    items = getattr(holder, "messages_and_choices", None)
    messages = [getattr(item, "message", item) for item in
                (holder.messages() if items is None else items)]  # fmt: skip
    return [each.model_dump(exclude_none=True) if hasattr(each, "model_dump") else each
            for each in messages]  # fmt: skip
