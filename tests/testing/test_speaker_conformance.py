"""Speakers pass their conformance suite; every planted defect is found."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from counterpoint.speakers import Message, RandomWord, Request
from counterpoint.testing import ConformanceError, check_speaker

UNSPEAKABLE = Request((Message("user", "Anything."),))


class Altered:
    """Says what a random word says, after something was done to it."""

    def __init__(self):
        self.inner = RandomWord(1)

    def answer(self, requests):
        return [self.alter(reply) for reply in self.inner.answer(requests)]

    def alter(self, reply):
        return reply


class Answers(Altered):
    def answer(self, requests):
        return super().answer(requests) or [self.inner.answer([UNSPEAKABLE])[0]]


class ReturnsATuple(Altered):
    def answer(self, requests):
        replies = super().answer(requests)
        return tuple(replies) if replies else []


class ForgetsTheLast(Altered):
    def answer(self, requests):
        return super().answer(requests)[: max(len(requests) - 1, 1)] if requests else []


class AnswersInAnyOrder(Altered):
    def answer(self, requests):
        return super().answer(requests)[::-1]


class AnswersEqualOnesOnce(Altered):
    """Drops what it was asked before, and fills up."""

    def answer(self, requests):
        replies = super().answer(list(dict.fromkeys(requests)))
        return [*replies, *replies[:1] * (len(requests) - len(replies))]


class EmptiesTheList(Altered):
    def answer(self, requests):
        replies = super().answer(requests)
        if isinstance(requests, list):
            requests.clear()
        return replies


class Shouts(Altered):
    def alter(self, reply):
        return replace(reply, text=reply.text.upper())


class AddsAPeriod(Altered):
    def alter(self, reply):
        return replace(reply, text=f"{reply.text}.") if len(reply.text) == 1 else reply


class SaysNothing(Altered):
    def alter(self, reply):
        return replace(reply, text="")


class AlwaysFails(Altered):
    def alter(self, reply):
        return replace(reply, text="", error="no")


class FailsAndSpeaks(Altered):
    def alter(self, reply):
        return replace(reply, error=reply.error and "no", text=reply.text or "but yes")


class SaysBytes(Altered):
    def alter(self, reply):
        return replace(reply, text=reply.text.encode())


class SaysText(Altered):
    def alter(self, reply):
        return reply.text


class TalksTooLong(Altered):
    def alter(self, reply):
        return replace(reply, completion_tokens=20)


class PaysBack(Altered):
    def alter(self, reply):
        return replace(reply, cost_dollars=-1.0)


class CountsBackwards(Altered):
    def alter(self, reply):
        return replace(reply, prompt_tokens=-1)


class CountsHalves(Altered):
    def alter(self, reply):
        return replace(reply, completion_tokens=0.5)


class NeverTried(Altered):
    def alter(self, reply):
        return replace(reply, tries=0)


class NeverEnds(Altered):
    def alter(self, reply):
        return replace(reply, seconds=float("inf"))


class SellsItsMemory(Altered):
    def alter(self, reply):
        return replace(reply, cached=True, cost_dollars=0.1)


class ForgetsSeeds(Altered):
    def answer(self, requests):
        return super().answer([replace(request, seed=None) for request in requests])


class SeedsByPlace(Altered):
    """Seeds depend on where a request stands in its batch."""

    def answer(self, requests):
        seeded = [replace(r, seed=(r.seed or 0) + 100 * i) for i, r in enumerate(requests)]
        return super().answer(seeded)


class SeedsByInstance(Altered):
    """Another speaker with other answers to the same seeds."""

    made = itertools.count()

    def __init__(self):
        self.inner = RandomWord(next(self.made))


class FailsTogether(Altered):
    def answer(self, requests):
        replies = super().answer(requests)
        failed = any(reply.error for reply in replies)
        return [replace(reply, text="", error="no") if failed else reply for reply in replies]


class NeverFails(Altered):
    def alter(self, reply):
        return replace(reply, text=reply.text or "yes", error=None)


class FailsSilently(Altered):
    def alter(self, reply):
        return replace(reply, error=None)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (Answers, "for no requests"),
        (ReturnsATuple, "got tuple; wanted a list"),
        (ForgetsTheLast, "29 replies; wanted 30"),
        (AnswersInAnyOrder, "in this order"),
        (AnswersEqualOnesOnce, "in this order"),
        (EmptiesTheList, "requests that were changed"),
        (Shouts, "in this order"),
        (AddsAPeriod, "'[ABC].'; wanted one of"),
        (SaysNothing, "in this order"),
        (AlwaysFails, "error 'no'; wanted an answer"),
        (FailsAndSpeaks, "text 'but yes' and error 'no'; wanted one of the two"),
        (SaysBytes, "bytes as text"),
        (SaysText, "got str; wanted a Reply"),
        (TalksTooLong, "20 tokens in 1 tries; wanted at most 8"),
        (PaysBack, "cost_dollars -1.0"),
        (CountsBackwards, "prompt_tokens -1"),
        (CountsHalves, "completion_tokens 0.5"),
        (NeverTried, "tries 0"),
        (NeverEnds, "seconds inf"),
        (SellsItsMemory, "of a cached reply"),
        (ForgetsSeeds, "a second time; wanted"),
        (SeedsByPlace, "beside another request; wanted"),
        (SeedsByInstance, "from a new speaker; wanted"),
        (FailsTogether, "beside a failure"),
        (NeverFails, "this request must fail"),
        (FailsSilently, "this request must fail"),
    ],
)
def test_a_broken_speaker_is_rejected(broken, complaint):
    with pytest.raises(ConformanceError, match=complaint):
        check_speaker(broken, failing=UNSPEAKABLE)


def test_the_speaker_they_are_made_from_passes():
    check_speaker(Altered, failing=UNSPEAKABLE)


def test_a_speaker_without_seeds_can_be_checked_too():
    check_speaker(ForgetsSeeds, seeded=False)
