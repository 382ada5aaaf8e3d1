"""Our judges as reward functions: groups, voids, both signatures."""

from __future__ import annotations

import asyncio

import pytest

from counterpoint.integrations.judged import art_judge, judge_reward, rank_rewards, text_of
from counterpoint.judge import RankSettings
from counterpoint.judge.judges import Opinion, written


class Longest:
    """Likes long answers; says nonsense of what contains it."""

    facts = {"judge": "longest"}  # noqa: RUF012
    at_once = 4

    def judge(self, sheets):
        opinions = []
        for sheet in sheets:
            texts = [shown.text for shown in sheet.shown]
            broken = any("nonsense" in text for text in texts)
            opinions.append(Opinion("?" if broken else written(sheet, [len(t) for t in texts])))
        return opinions


PLAIN = RankSettings(canaries="none")  # this judge would like a canary that is long


def test_longer_answers_are_paid_more():
    (first, second) = rank_rewards(
        Longest(), [("t", ["a", "aaa", "aa"]), ("u", ["bb", "b"])], PLAIN
    )
    assert first[1] > first[2] > first[0]
    assert sum(first) == pytest.approx(0)
    assert second[0] > second[1]


def test_a_group_that_cannot_be_judged_is_void():
    (void, fine) = rank_rewards(Longest(), [("t", ["nonsense", "a"]), ("u", ["bb", "b"])], PLAIN)
    assert void == [None, None]
    assert None not in fine


def test_trl_signature_groups_rows_of_one_prompt_and_agent():
    reward = judge_reward(Longest(), PLAIN, name="length")
    assert reward.__name__ == "length"
    chat = [[{"role": "assistant", "content": "x" * n}] for n in (1, 3, 2, 5)]
    paid = reward(prompts=["p", "p", "p", "p"], completions=chat, agent=["a", "a", "b", "b"])
    assert paid[1] > paid[0]
    assert paid[3] > paid[2]
    assert paid[1] == pytest.approx(paid[3])  # of its own group each is the better one


class Trajectory:
    def __init__(self, text):
        self.text, self.reward = text, 0.0

    def messages(self):
        return [{"role": "user", "content": "say"}, {"role": "assistant", "content": self.text}]


def test_art_signature():
    group = [Trajectory("long answer"), Trajectory("short")]
    scored = asyncio.run(art_judge(Longest(), PLAIN)(group))
    assert scored is group
    assert group[0].reward > 0 > group[1].reward
    assert (
        asyncio.run(art_judge(Longest(), PLAIN)([Trajectory("nonsense"), Trajectory("x")])) is None
    )


def test_texts():
    assert text_of("x") == "x"
    assert text_of([{"content": "a"}, {"content": None}, {"content": "b"}]) == "a\n\nb"
