"""A language server that fails in every way we know: bounded, counted, and no request is lost."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import threading
import time
import tracemalloc

import pytest
from faulty_server import (
    USAGE,
    body,
    completion,
    drips,
    drips_headers,
    floods,
    half,
    hangs,
    resets,
    says,
    serving,
    status,
    waits,
)

from counterpoint.speakers import Message, Request, Server, ServerSettings

pytest.importorskip("openai")

DEADLINE = 0.8
UNPAID, UNKNOWN = (0, 0), (None, None)
ONCE = (10, 2)


def ask(script, words=None, **more):
    return Request((Message("user", script),), "a", words, **more)


def server_at(url, **settings):
    quick = {"deadline_seconds": 20.0, "pause_seconds": 0.01, "retries": 2, "repairs": 2}
    prices = {"dollars_per_million": (1.0, 100.0)}
    return Server(ServerSettings("m", url, **{**quick, **prices, **settings}), api_key="")


# The faults of a script, one a try; the text and the tries wanted, what the error says, the tokens.
RECOVERS = {
    "busy": ([status(429)], 2, ONCE),
    "broken": ([status(500), status(503)], 3, ONCE),
    "timeout_status": ([status(408)], 2, ONCE),
    "reset": ([resets], 2, UNKNOWN),
    "half": ([half], 2, UNKNOWN),
    "half_json": ([body(completion("x")[:40])], 2, UNKNOWN),
    "empty": ([body(b"")], 2, UNKNOWN),
    "no_utf8": ([body(b'{"choices": "\xff"}')], 2, UNKNOWN),
    "deep": ([body(b"[" * 100_000)], 2, UNKNOWN),
    "list": ([body(b"[1, 2]")], 2, UNKNOWN),
    "other_schema": ([body(b'{"choices": []}')], 2, UNKNOWN),
    "other_schema_paid": ([body(json.dumps({"usage": USAGE}).encode())], 2, (20, 4)),
    "number_as_text": ([body(completion(7))], 2, (20, 4)),
    "page": ([body(b"<html>gateway</html>", "text/html")], 2, UNKNOWN),
    "json_called_text": ([says("x", kind="text/plain")], 2, UNKNOWN),
    "error_object": ([body(b'{"error": {"message": "overloaded"}}')], 2, UNKNOWN),
    "error_text": ([body(b'{"error": "overloaded"}')], 2, UNKNOWN),
}
REFUSED = ("unknown_model", "no_key")
FAILS = {
    "always_busy": ([status(429, "come back later")] * 9, 3, "429: come back later", UNPAID),
    "always_broken": ([status(500)] * 9, 3, "500: not now", UNPAID),
    "always_reset": ([resets] * 9, 3, "connection failed", UNKNOWN),
    "always_half": ([half] * 9, 3, "connection failed", UNKNOWN),
    "always_error": ([body(b'{"error": {"message": "bad"}}')] * 9, 3, "said: bad", UNKNOWN),
    "wrong": ([status(400, "no such field")] * 9, 1, "400: no such field", UNPAID),
    "unknown_model": ([status(404)] * 9, 1, "404", UNPAID),
    "no_key": ([status(401, "who are you")] * 9, 1, "401: who are you", UNPAID),
    "moved": ([status(307, Location="http://127.0.0.1:9/v1")] * 9, 1, "redirects", UNPAID),
    "large": ([floods(10_000_000)] * 9, 1, "longer than 1000000 bytes", UNKNOWN),
    "endless": ([floods(None)] * 9, 1, "longer than 1000000 bytes", UNKNOWN),
    "large_refusal": ([floods(10_000_000, 500)] * 9, 3, "500", UNPAID),
    "bomb": (
        [body(gzip.compress(b" " * 10_000_000), Content_Encoding="gzip")],
        *(1, "encoded .gzip., unasked", UNKNOWN),
    ),
    "later": ([status(503, Retry_After=3600)], 1, "1 tries; the last: .*503", UNPAID),
}


@pytest.mark.fault("R11")
@pytest.mark.parametrize("name", RECOVERS)
def test_a_fault_that_passes_costs_a_try(name):
    faults, tries, tokens = RECOVERS[name]
    with serving(**{name: faults}) as playing:
        replies = server_at(playing.url).answer([ask("one"), ask(name), ask("two")])
    assert [reply.text for reply in replies] == ["one", name, "two"]
    assert [reply.error for reply in replies] == [None] * 3
    assert [reply.tries for reply in replies] == [1, tries, 1]
    assert playing.tries[name] == tries
    assert (replies[1].prompt_tokens, replies[1].completion_tokens) == tokens
    known = tokens != UNKNOWN
    cost = (tokens[0] * 1.0 + tokens[1] * 100.0) / 1e6 if known else None
    assert replies[1].cost_dollars == pytest.approx(cost)
    assert replies[0].cost_dollars == pytest.approx((10 * 1.0 + 2 * 100.0) / 1e6)


@pytest.mark.fault("R11")
@pytest.mark.parametrize("name", FAILS)
def test_a_fault_that_stays_is_a_reply_and_hurts_nobody_else(name):
    faults, tries, error, tokens = FAILS[name]
    with serving(**{name: faults}) as playing:
        replies = server_at(playing.url).answer([ask("one"), ask(name), ask("two")])
    assert [reply.text for reply in replies] == ["one", "", "two"]
    assert [reply.error is None for reply in replies] == [True, False, True]
    assert playing.tries[name] == replies[1].tries == tries
    assert (replies[1].prompt_tokens, replies[1].completion_tokens) == tokens
    assert re.search(error, replies[1].error)
    assert replies[1].seconds < 5


@pytest.mark.timed
@pytest.mark.fault("R11")
def test_the_deadline_holds_however_a_server_dawdles():
    dawdling = {
        "hangs": [hangs],
        "slow": [waits(5, says("late"))],
        "drips": [drips],
        "drips_headers": [drips_headers],
        "hangs_later": [status(500), resets, hangs],
    }
    with serving(**dawdling) as playing:
        server = server_at(playing.url, deadline_seconds=DEADLINE)
        begun = time.monotonic()
        replies = server.answer([ask("one"), *map(ask, dawdling), ask("two")])
        seconds = time.monotonic() - begun
    assert [replies[0].text, replies[-1].text] == ["one", "two"]
    for reply in replies[1:-1]:
        assert "no answer within 0.8 seconds" in reply.error
        assert DEADLINE <= reply.seconds < DEADLINE + 0.4
        assert (reply.prompt_tokens, reply.cost_dollars) == (None, None)
    assert [reply.tries for reply in replies] == [1, 1, 1, 1, 1, 3, 1]
    assert "; the last: the connection failed (" in replies[-2].error
    assert seconds < DEADLINE + 0.6


@pytest.mark.fault("R11")
def test_a_large_answer_fills_neither_memory_nor_the_line():
    with serving(large=[floods(10_000_000)] * 2, endless=[floods(None)] * 2) as playing:
        server = server_at(playing.url, most_bytes=200_000, deadline_seconds=5)
        server.answer([ask("warm")])
        tracemalloc.start()
        try:
            replies = server.answer([ask("large"), ask("endless")])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert all("longer than 200000 bytes" in reply.error for reply in replies)
    assert peak < 3_000_000
    assert max(reply.seconds for reply in replies) < 3


@pytest.mark.fault("R11", cases=100)
def test_a_hundred_requests_among_faults_all_have_their_own_reply():
    faults = [resets, status(429), half, body(b""), status(500), says("x", kind="text/html")]
    scripts = {f"r{i}": [faults[i % 6]] * (i % 3) for i in range(100)}
    with serving(**scripts | {"r50": [resets] * 9}) as playing:
        replies = server_at(playing.url, concurrency=16).answer([ask(f"r{i}") for i in range(100)])
        assert playing.most <= 16
    wanted = ["" if i == 50 else f"r{i}" for i in range(100)]
    assert [reply.text for reply in replies] == wanted
    assert [bool(reply.error) for reply in replies] == [i == 50 for i in range(100)]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_are_under_way_than_asked_for_and_waiting_costs_no_deadline(concurrency):
    slow = {f"r{i}": [waits(0.08, says(f"r{i}"))] for i in range(8)}
    with serving(**slow) as playing:
        replies = server_at(playing.url, concurrency=concurrency, deadline_seconds=0.5).answer(
            [ask(name) for name in slow]
        )
        assert playing.most == concurrency
    assert [reply.text for reply in replies] == list(slow)


def test_it_waits_as_long_as_the_server_wants_before_it_tries_again():
    with serving(busy=[status(429, Retry_After=0.3), status(503, Retry_After="0.2")]) as playing:
        (reply,) = server_at(playing.url, deadline_seconds=3).answer([ask("busy")])
        first, second, third = playing.times("busy")
    assert reply.text == "busy"
    assert 0.3 <= second - first < 0.6
    assert 0.2 <= third - second < 0.5


@pytest.mark.fault("R11")
def test_a_wait_beyond_the_deadline_ends_the_request_at_once():
    with serving(later=[status(429, Retry_After=30)]) as playing:
        (reply,) = server_at(playing.url, deadline_seconds=5).answer([ask("later")])
    assert reply.seconds < 1
    assert "no answer within 5 seconds, 1 tries; the last: the server refused" in reply.error


@pytest.mark.fault("R11")
def test_a_server_that_is_not_there_is_an_error_that_cost_nothing():
    with serving() as playing:
        url = playing.url
    (reply,) = server_at(url).answer([ask("anybody")])
    assert reply.error.startswith("the connection failed")
    assert (reply.tries, reply.prompt_tokens, reply.cost_dollars) == (3, 0, 0.0)


@pytest.mark.parametrize(
    ("usage", "prompt", "completion"),
    [
        (None, None, None),
        ({}, None, None),
        ("many", None, None),
        ({"prompt_tokens": 3}, 3, None),
        ({"prompt_tokens": -3, "completion_tokens": 1.5}, None, None),
        ({"prompt_tokens": True, "completion_tokens": 0}, None, 0),
    ],
)
def test_a_count_that_is_missing_is_unknown_and_not_zero(usage, prompt, completion):
    with serving(odd=[says("fine", usage)]) as playing:
        (reply,) = server_at(playing.url).answer([ask("odd")])
    assert (reply.text, reply.error) == ("fine", None)
    assert (reply.prompt_tokens, reply.completion_tokens) == (prompt, completion)
    assert reply.cost_dollars is None


def test_without_prices_there_is_no_cost():
    with serving() as playing:
        (reply,) = server_at(playing.url, dollars_per_million=None).answer([ask("x")])
    assert (reply.prompt_tokens, reply.cost_dollars) == (10, None)


@pytest.fixture
def hears_interrupts():
    """A shell that runs tests in the background has told them to ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.timed
@pytest.mark.usefixtures("hears_interrupts")
def test_an_interrupt_ends_the_batch_at_once():
    with serving(hangs=[hangs]) as playing:
        server = server_at(playing.url)
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            server.answer([ask("hangs")])
        assert time.monotonic() - begun < 2
        timer.join()
