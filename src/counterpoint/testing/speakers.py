"""`check_speaker`: a conformance suite for speakers, yours and ours.

It makes about 60 requests, each for a word or two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from counterpoint.speakers.speaker import Message, Reply, Request, Speaker
from counterpoint.testing.batches import demand

Make = Callable[[], Speaker]
"""Makes a new speaker."""

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def check_speaker(make: Make, *, failing: Request | None = None, seeded: bool = True) -> None:
    """Checks every promise of `Speaker`.

    Args:
        make: `make()` returns a new speaker, which must answer and not fail.
        failing: a request that it cannot answer, if there is one.
        seeded: whether a seed decides the text; not every server can promise that.

    Raises:
        ConformanceError: The first broken promise.
    """
    replies = make().answer([])
    demand(replies == [], f"{replies!r} for no requests", "an empty list")
    check_order(make())
    check_words(make())
    check_lengths(make())
    if seeded:
        check_seeds(make)
    if failing is not None:
        check_siblings(make(), failing)


def check_order(speaker: Speaker) -> None:
    """Checks that each request gets one reply, in order, also if a request occurs twice."""
    only = [_request(f"Say {word}.", (word,)) for word in (*NUMBERS, *NUMBERS, *NUMBERS)]
    for requests in (only, only[:1], tuple(reversed(only[:7]))):
        texts = [reply.text for reply in _answers(speaker, requests)]
        wanted = [request.words[0] for request in requests if request.words]
        demand(texts == wanted, f"{texts}", f"{wanted}, the only words there are, in this order")


def check_words(speaker: Speaker) -> None:
    """Checks that a request with words gets exactly one of them, at any temperature."""
    sets = [("red", "Blue"), ("A", "B", "C"), ("move left", "stay"), NUMBERS]
    for heat in (0.0, 1.0):
        requests = [_request("Choose.", words, temperature=heat, seed=3) for words in sets]
        for request, reply in zip(requests, _answers(speaker, requests), strict=True):
            legal = request.words or ()
            demand(reply.text in legal, f"{reply.text!r}", f"one of {legal}, exactly")


def check_lengths(speaker: Speaker) -> None:
    """Checks that no answer has more tokens than allowed, over all its tries."""
    for request in (_request("Choose.", NUMBERS, max_tokens=n) for n in (8, 32)):
        (reply,) = _answers(speaker, [request])
        most, wrote = request.max_tokens * reply.tries, reply.completion_tokens
        fine = reply.cached or wrote is None or wrote <= most
        demand(fine, f"{wrote} tokens in {reply.tries} tries", f"at most {most}")


def check_seeds(make: Make) -> None:
    """Checks that a request with a seed gets the same text: again, elsewhere, beside others."""
    requests = [_request("Choose a number.", NUMBERS, seed=seed) for seed in range(6)]
    speaker = make()
    first = [reply.text for reply in _answers(speaker, requests)]
    others = [_request("Something else.", NUMBERS, seed=9), *requests]
    for what, replies in (
        ("a second time", _answers(speaker, requests)),
        ("from a new speaker", _answers(make(), requests)),
        ("beside another request", _answers(make(), others)[1:]),
        ("in another order", _answers(make(), requests[::-1])[::-1]),
    ):
        texts = [reply.text for reply in replies]
        demand(texts == first, f"{texts} {what}", f"{first}, as for the same seeds before")


def check_siblings(speaker: Speaker, failing: Request) -> None:
    """Checks that a failed request gets a reply with the error, and the others are answered."""
    only = [_request(f"Say {word}.", (word,)) for word in NUMBERS[:4]]
    replies = _replies(speaker, [*only[:2], failing, *only[2:]])
    lost = replies.pop(2)
    demand(bool(lost.error), f"no error but {lost.text!r}", "an error: this request must fail")
    texts = [reply.text for reply in replies]
    demand(texts == list(NUMBERS[:4]), f"{texts} beside a failure", f"{NUMBERS[:4]}")


def _request(
    text: str,
    words: tuple[str, ...],
    *,
    max_tokens: int = 64,
    temperature: float = 1.0,
    seed: int | None = None,
) -> Request:
    messages = (Message("system", "You are in a test."), Message("user", text))
    return Request(messages, "tester", words, max_tokens, temperature, seed)


def _answers(speaker: Speaker, requests: Sequence[Request]) -> list[Reply]:
    """Returns the replies to requests that a speaker must answer."""
    replies = _replies(speaker, requests)
    for reply in replies:
        demand(reply.error is None, f"error {reply.error!r}", "an answer: the request is sound")
    return replies


def _replies(speaker: Speaker, requests: Sequence[Request]) -> list[Reply]:
    """Returns the replies, and checks each of them."""
    before = list(requests)
    replies = speaker.answer(requests)
    demand(list(requests) == before, "requests that were changed", "the same afterwards")
    demand(isinstance(replies, list), f"{type(replies).__name__}", "a list of replies")
    demand(len(replies) == len(before), f"{len(replies)} replies", f"{len(before)}, one each")
    for reply in replies:
        _check_reply(reply)
    return replies


def _check_reply(reply: Reply) -> None:
    """Checks the type and range of every field."""
    demand(isinstance(reply, Reply), f"{type(reply).__name__}", "a Reply")
    demand(isinstance(reply.text, str), f"{type(reply.text).__name__} as text", "text")
    if reply.error is not None:
        silent = bool(reply.error) and not reply.text
        demand(silent, f"text {reply.text!r} and error {reply.error!r}", "one of the two")
    for name in ("prompt_tokens", "completion_tokens"):
        count = getattr(reply, name)
        demand(count is None or _is_count(count), f"{name} {count!r}", "None or a number from 0")
    cost, seconds = reply.cost_dollars, reply.seconds
    is_cost = cost is None or _is_amount(cost)
    demand(is_cost, f"cost_dollars {cost!r}", "None or finite dollars from 0")
    demand(_is_amount(seconds), f"seconds {seconds!r}", "finite seconds from 0")
    least = 0 if reply.cached or reply.error is not None else 1
    is_sound = _is_count(reply.tries) and reply.tries >= least
    demand(is_sound, f"tries {reply.tries!r}", f"a number from {least}")
    free = not reply.cached or not cost
    demand(free, f"cost_dollars {cost} of a cached reply", "0: nobody was asked")


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def _is_amount(number: object) -> bool:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return math.isfinite(number) and number >= 0
