"""One request under way, without a server: pauses, repairs, and what is counted."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from counterpoint.speakers import Message, Request, ServerSettings
from counterpoint.speakers.answers import NONE, UNKNOWN, Completion, Fault
from counterpoint.speakers.pace import Line, Pace
from counterpoint.speakers.pending import PendingRequest

RED_OR_BLUE = Request((Message("user", "Choose."),), "a", ("red", "blue"))
FREE = Request((Message("user", "Choose."),))


def take(request, *tries, seed=0, **bounds):
    """The reply after these tries, and the conversations that were sent."""
    sent, coming = [], iter(tries)

    async def post(_, messages):
        sent.append([(message.role, message.content) for message in messages])
        came = next(coming)
        if isinstance(came, Exception):
            raise came
        return came

    settings = ServerSettings("m", "http://localhost/v1", **bounds)
    reply = asyncio.run(
        PendingRequest(
            request, post, settings, np.random.default_rng(seed), Line(Pace(settings))
        ).reply()
    )
    return reply, sent


@pytest.fixture
def pauses(monkeypatch):
    """The seconds that were slept, instead of sleeping."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


def said(text, prompt=10, completion=2):
    return Completion(text, (prompt, completion))


def fault(again=True, tokens=NONE, wait=None):
    return Fault("it failed", again=again, tokens=tokens, wait_seconds=wait)


def test_pauses_double_and_chance_takes_up_to_half_of_them(pauses):
    reply, _ = take(FREE, *[fault()] * 5, said("well"), retries=5, pause_seconds=1.0)
    assert (reply.text, reply.tries) == ("well", 6)
    for pause, longest in zip(pauses, (1, 2, 4, 8, 16), strict=True):
        assert longest / 2 <= pause < longest


def test_the_chance_is_that_of_the_seed(pauses):
    for seed in (1, 1, 2):
        take(FREE, fault(), said("well"), seed=seed)
    assert pauses[0] == pauses[1] != pauses[2]


def test_a_pause_is_at_least_what_the_server_wants(pauses):
    take(FREE, fault(wait=7.0), said("well"), pause_seconds=1.0)
    assert 7.5 <= pauses[0] < 8


def test_a_pause_that_the_deadline_forbids_is_not_begun(pauses):
    reply, _ = take(FREE, fault(wait=7.0), deadline_seconds=7)
    assert pauses == []
    assert reply.error == "no answer within 7 seconds, 1 tries; the last: it failed; " + (
        "a longer deadline_seconds may help"
    )


def test_thousands_of_retries_have_a_longest_pause(pauses):
    bounds = {"retries": 2000, "pause_seconds": 1e-9, "deadline_seconds": 1e6}
    reply, _ = take(FREE, *[fault()] * 2001, **bounds)
    assert reply.tries == 2001
    assert max(pauses) < 1.1


def test_a_fault_that_will_stay_is_not_tried_again():
    reply, sent = take(FREE, fault(again=False))
    assert (reply.text, reply.error, reply.tries, len(sent)) == ("", "it failed", 1, 1)


def test_a_bug_is_the_error_of_one_reply():
    reply, _ = take(FREE, ZeroDivisionError("of ours"))
    assert reply.error == "unexpected ZeroDivisionError: of ours"
    assert (reply.tries, reply.prompt_tokens) == (1, None)


def test_a_word_that_is_not_legal_is_asked_for_again_and_paid_for():
    reply, sent = take(RED_OR_BLUE, said("green"), said("  "), said("Blue!", 30, 3))
    assert (reply.text, reply.error, reply.tries) == ("blue", None, 3)
    assert (reply.prompt_tokens, reply.completion_tokens) == (50, 7)
    line = "Answer with exactly one of these, and nothing else: red, blue"
    first = [("user", f"Choose.\n\n{line}")]
    again = "That is none of them. Write one of these, and nothing else: red, blue"
    assert sent == [first, [*first, ("assistant", "green"), ("user", again)], first]


def test_repairs_are_bounded_and_what_was_refused_is_counted():
    reply, _ = take(RED_OR_BLUE, *[said("green")] * 3, repairs=2)
    assert reply.error == 'the answer "green" is none of the words, after 2 repairs'
    assert (reply.text, reply.tries, reply.prompt_tokens, reply.completion_tokens) == ("", 3, 30, 6)


def test_retries_are_for_the_whole_turn(pauses):
    tries = [fault(), said("green"), fault(), said("green"), fault()]
    reply, _ = take(RED_OR_BLUE, *tries, retries=2)
    assert (reply.tries, reply.error) == (5, "it failed")
    assert (reply.prompt_tokens, reply.completion_tokens) == (20, 4)


def test_one_try_that_nobody_counted_makes_the_sum_unknown(pauses):
    reply, _ = take(FREE, fault(tokens=UNKNOWN), said("well"))
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("well", None, None)
    reply, _ = take(FREE, fault(tokens=(5, None)), said("well"))
    assert (reply.prompt_tokens, reply.completion_tokens) == (15, None)
