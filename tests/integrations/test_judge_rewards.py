"""Our judges as reward functions: groups, voids, both signatures."""

from __future__ import annotations

import asyncio

import pytest

from counterpoint.integrations.judged import (
    UnseenWarning,
    art_judge,
    judge_reward,
    rank_rewards,
    text_of,
)
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


def picture(data):
    url = f"data:image/png;base64,{data}"
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}]
    return {"role": "assistant", "content": parts}


def test_completions_that_differ_only_in_a_picture_have_no_reward():
    with pytest.warns(UnseenWarning, match="does not see images"):
        (paid,) = rank_rewards(Longest(), [("t", [[picture("A")], [picture("B")]])], PLAIN)
    assert paid == [None, None]
    with pytest.warns(UnseenWarning):
        (twin,) = rank_rewards(Longest(), [("t", [[picture("A")], [picture("A")]])], PLAIN)
    assert twin == [0, 0]
    asked = text_of([picture("A")])
    assert asked != text_of([picture("B")])  # prompts with other pictures are other groups
    assert asked.startswith("see\n[image #")


def test_a_cut_and_hidden_reasoning_are_said():
    answers = ["x" * 30, "y"]
    with pytest.warns(UnseenWarning, match="cut to 20 characters"):
        rank_rewards(Longest(), [("t", answers)], RankSettings(canaries="none", longest=20))
    thought = {"role": "assistant", "content": "5", "reasoning_content": "2 and 3"}
    with pytest.warns(UnseenWarning, match="reasoning"):
        rank_rewards(Longest(), [("t", [[thought], "five"])], PLAIN)


class Message:
    def __init__(self, **fields):
        self.fields = fields

    def model_dump(self, exclude_none):
        return {k: v for k, v in self.fields.items() if not exclude_none or v is not None}


class Choice:
    def __init__(self, **fields):
        self.message = Message(role="assistant", **fields)


class WholeTrajectory:
    """As ART has it: choices of a chat completion, definitions of tools, other histories."""

    def __init__(self, answer, query, later=()):
        call = {"id": "c", "type": "function", "function": {"name": "find", "arguments": query}}
        self.messages_and_choices = [
            {"role": "user", "content": "where?"},
            Choice(content=None, tool_calls=[call], refusal=None),
            {"role": "tool", "tool_call_id": "c", "content": "found"},
            Choice(content=answer, tool_calls=None),
        ]
        self.tools = [{"type": "function", "function": {"name": "find"}}]
        self.additional_histories, self.reward = list(later), 0.0


class Remembers(Longest):
    def __init__(self):
        self.sheets = []

    def judge(self, sheets):
        self.sheets += sheets
        return super().judge(sheets)


def test_a_whole_trajectory_is_judged():
    judge = Remembers()
    group = [WholeTrajectory("here", "{}"), WholeTrajectory("here", '{"where": "the attic"}')]
    scored = asyncio.run(art_judge(judge, PLAIN)(group))
    assert scored is group
    assert group[1].reward > 0 > group[0].reward  # they differ only in a call of a tool
    sheet = judge.sheets[0]
    assert sheet.task == "where?"
    assert sheet.common.count("[tool definition]") == 1
    assert any('[assistant (action) find] {"where"' in shown.text for shown in sheet.shown)
    later = WholeTrajectory("and that is all", "{}")
    group = [WholeTrajectory("here", "{}", [later]), WholeTrajectory("here", "{}")]
    asyncio.run(art_judge(judge, PLAIN)(group))
    assert group[0].reward > 0 > group[1].reward
