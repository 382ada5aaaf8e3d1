"""What a server says, as bytes: a text or a fault, never anything else."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.speakers.answers import (
    Completion,
    Fault,
    one_line,
    read_completion,
    read_refusal,
    retry_after_seconds,
)

JSON = "application/json"
KEYS = st.sampled_from(["choices", "message", "content", "usage", "error", "prompt_tokens"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200), st.text(max_size=30))
def test_any_bytes_are_a_text_or_a_fault(content, kind):
    for media in (JSON, kind):
        with contextlib.suppress(Fault):
            assert isinstance(read_completion(media, content), Completion)
    assert isinstance(read_refusal(500, kind, content), Fault)


@given(VALUES)
@settings(max_examples=300)
def test_any_document_is_a_text_or_a_fault(document):
    content = json.dumps(document).encode()
    for body in (content, b'{"choices": [%b], "usage": %b}' % (content, content)):
        try:
            read = read_completion(JSON, body)
        except Fault as fault:
            tokens = fault.tokens
        else:
            assert isinstance(read.text, str)
            tokens = read.tokens
        assert all(n is None or (type(n) is int and n >= 0) for n in tokens)
        assert read_refusal(400, None, body).tokens == (0, 0)


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/problem+json"]
)
def test_kinds_of_json(kind):
    content = b'{"choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 1}}'
    assert read_completion(kind, content) == Completion("hi", (1, None))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"error": {"message": "too long"}}', "too long"),
        (b'{"error": "too long"}', "too long"),
        (b'{"object": "error", "message": "too\\nlong"}', "too long"),
        (b"<b>too long</b>", "<b>too long</b>"),
        (b"[]", "[]"),
        (b"\xfftoo\x00 long", "\ufffdtoo long"),
        (b"", ""),
    ],
)
def test_a_refusal_says_what_the_server_said(content, said):
    why = read_refusal(400, None, content).why
    assert why == "the server refused with status 400" + (f": {said}" if said else "")


@pytest.mark.parametrize(
    ("status", "again", "tokens"),
    [
        (204, False, (None, None)),
        *((status, False, (0, 0)) for status in (301, 307, 400, 401, 403, 404, 413, 422)),
        *((status, True, (0, 0)) for status in (408, 409, 425, 429, 500, 502, 503, 504, 529)),
    ],
)
def test_which_refusals_may_be_over_soon(status, again, tokens):
    fault = read_refusal(status, None, b"")
    assert (fault.again, fault.tokens) == (again, tokens)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *((None, None), ("", None), ("soon", None), ("nan", None), ("inf", None), ("-3", 0.0)),
        *(("0", 0.0), ("7", 7.0), (" 2.5 ", 2.5), ("1e3", 1000.0)),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:10 GMT", None),
    ],
)
def test_how_long_a_server_wants_us_to_wait(header, seconds):
    assert retry_after_seconds(header, now=60.0) == seconds


def test_one_line_has_no_control_characters():
    assert one_line("a\r\n\x1b[31mb\u2028 c\t") == "a [31mb c"
