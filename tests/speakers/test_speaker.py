"""What can be asked, and what cannot; speakers without a model."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.speakers import FirstWord, Fixed, Message, RandomWord, Request, Scripted
from counterpoint.testing import check_speaker

ASK = (Message("user", "Choose."),)
COLOURS = ("red", "blue", "green")


@pytest.mark.parametrize(
    ("role", "content"),
    [("robot", "x"), ("", "x"), (None, "x"), ("user", 7), ("user", None), ("user", "\ud800")],
)
def test_a_message_that_makes_no_sense_cannot_be_made(role, content):
    with pytest.raises(SettingError, match="; wanted"):
        Message(role, content)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"messages": ()}, {"messages": list(ASK)}, {"messages": ("Choose.",)}, {"agent": None}),
        *({"words": ()}, {"words": ["a"]}, {"words": "ab"}, {"words": ("",)}, {"words": (" a",)}),
        *({"words": ("a\nb",)}, {"words": (1,)}, {"words": ("a", "a")}, {"words": ("\udfff",)}),
        *({"max_tokens": 0}, {"max_tokens": 1.0}, {"max_tokens": True}, {"temperature": -0.1}),
        *({"temperature": float("nan")}, {"temperature": float("inf")}, {"temperature": "hot"}),
        *({"temperature": True}, {"seed": -1}, {"seed": 2**63}, {"seed": 1.0}, {"seed": True}),
        {"seed": np.int64(3)},
    ],
)
def test_a_request_that_makes_no_sense_cannot_be_made(wrong):
    (name,) = wrong
    with pytest.raises(SettingError, match=f"{name.removesuffix('s')}.*; wanted"):
        Request(**{"messages": ASK, **wrong})


def test_the_limits_themselves_can_be_asked():
    Request(ASK, words=("+", "move left"), max_tokens=1, temperature=0, seed=2**63 - 1)


@pytest.mark.parametrize("make", [FirstWord, lambda: RandomWord(5)])
def test_speakers_of_words_keep_what_a_speaker_promises(make):
    check_speaker(make, failing=Request(ASK))


def test_a_script_keeps_it_too():
    check_speaker(lambda: Scripted(lambda request: request.words[-1]), failing=Request(ASK))


def test_a_script_sees_the_request_and_pays_nothing():
    speaker = Scripted(lambda request: f"{request.agent}: {request.messages[-1].content}")
    first, second = speaker.answer([Request(ASK, "a"), Request(ASK, "b")])
    assert (first.text, second.text) == ("a: Choose.", "b: Choose.")
    counts = (first.prompt_tokens, first.completion_tokens, first.cost_dollars, first.tries)
    assert counts == (0, 0, 0.0, 1)


def test_a_text_that_is_no_legal_word_is_an_error():
    speaker = Fixed("Red")
    free, bound = speaker.answer([Request(ASK), Request(ASK, words=COLOURS)])
    assert (free.text, free.error) == ("Red", None)
    assert (bound.text, bound.error) == ("", "got 'Red'; wanted one of red, blue, green")


def test_a_script_that_fails_hurts_nobody_else():
    replies = Scripted(lambda request: str(1 // (request.max_tokens - 5))).answer(
        [Request(ASK, max_tokens=n) for n in (4, 5, 6)]
    )
    assert [reply.text for reply in replies] == ["-1", "", "1"]
    assert replies[1].error.startswith("the script failed (ZeroDivisionError: ")


def test_a_script_that_says_no_text_is_an_error():
    free, bound = Scripted(lambda request: None).answer([Request(ASK), Request(ASK, words=COLOURS)])
    assert (free.text, free.error) == ("", "got None; wanted text")
    assert bound.error == "got None; wanted one of red, blue, green"


def test_random_words_are_all_as_likely():
    said = [reply.text for reply in RandomWord(0).answer([Request(ASK, words=COLOURS)] * 3000)]
    for colour in COLOURS:
        assert abs(said.count(colour) - 1000) < 5 * 26  # sd = sqrt(3000 * 1/3 * 2/3) = 25.8


def test_seeds_draw_the_words_apart_and_again():
    requests = [Request(ASK, words=COLOURS, seed=seed) for seed in range(3000)]
    said = [reply.text for reply in RandomWord(0).answer(requests)]
    assert all(abs(said.count(colour) - 1000) < 5 * 26 for colour in COLOURS)
    assert [reply.text for reply in RandomWord(0).answer(requests)] == said
    assert [reply.text for reply in RandomWord(1).answer(requests)] != said
