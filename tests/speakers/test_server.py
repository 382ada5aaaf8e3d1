"""A language server that works: what is sent, what comes back, and where a key may go."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys

import pytest
from faulty_server import body, completion, says, serving, status

from counterpoint.errors import MissingPackageError, SettingError
from counterpoint.speakers import Cached, Message, Request, Server, ServerSettings
from counterpoint.testing import check_speaker
from counterpoint.testing.speakers import NUMBERS

pytest.importorskip("openai")

KEY = "sk-" + "test-Q7vX2mZ9" * 3
ASK = (Message("system", "You are terse."), Message("user", "Choose."))


def server_at(playing, key=None, **settings):
    return Server(ServerSettings("m", playing.url, pause_seconds=0.01, **settings), api_key=key)


def obedient(handler):
    """Says the first of the words that it is asked for, with their usual decoration."""
    asked = handler.asked["messages"][-1]["content"].rpartition(": ")[2]
    handler.send(200, completion(f"**{asked.split(', ')[0].upper()}**."))


def test_it_keeps_what_a_speaker_promises():
    asked = ["Choose.", "Choose a number.", "Something else.", *(f"Say {n}." for n in NUMBERS)]
    scripts = {text: [obedient] * 99 for text in asked} | {"fail": [status(400)] * 9}
    failing = Request((Message("user", "fail"),))
    with serving(**scripts) as playing:
        check_speaker(lambda: server_at(playing), failing=failing)


def test_what_is_sent_is_the_request_and_nothing_of_the_agent():
    line = "Answer with exactly one of these, and nothing else: red, move left"
    with serving(**{line: [says("Red")]}) as playing:
        replies = server_at(playing).answer(
            [
                Request(ASK, "planner", max_tokens=5, temperature=0.5, seed=11),
                Request((*ASK, Message("assistant", "Yes.")), words=("red", "move left")),
            ]
        )
        first, second = (asked for _, _, asked, _ in playing.asked)
    assert [reply.text for reply in replies] == ["Choose.", "red"]
    if first["messages"][-1]["content"] != "Choose.":
        first, second = second, first
    assert first == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "Choose."},
        ],
        "max_tokens": 5,
        "temperature": 0.5,
        "seed": 11,
    }
    assert "seed" not in second
    assert second["messages"][-2:] == [
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": line},
    ]


def test_a_message_without_content_is_an_empty_text():
    with serving(silent=[says(None)]) as playing:
        (reply,) = server_at(playing).answer([Request((Message("user", "silent"),))])
    assert (reply.text, reply.error) == ("", None)


def test_it_answers_inside_of_a_running_event_loop():
    async def notebook(server):
        return server.answer([Request(ASK)])

    with serving() as playing:
        (reply,) = asyncio.run(notebook(server_at(playing)))
    assert reply.text == "Choose."


def test_nobody_asked_needs_no_server():
    assert Server(ServerSettings("m", "http://localhost:9/v1")).answer([]) == []


# --- keys ---------------------------------------------------------------------------------------


def test_the_key_goes_to_the_server_and_nowhere_else(tmp_path, monkeypatch, capfd, caplog):
    """Not into a reply, an error, a representation, the log, or a file, though it is repeated."""
    caplog.set_level("DEBUG")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANOTHER_API_KEY", KEY[::-1])
    echo = [says(f"Your key is {KEY}, is it not?")]
    refusal = [status(401, "x" * 250 + f" wrong key: {KEY}, please")] * 9
    page = [body(f"<html>{KEY}</html>".encode(), "text/html")] * 9
    raw = [lambda handler: handler.send(500, b"y" * 995 + KEY.encode())] * 9
    error = [body(f'{{"error": "{KEY}"}}'.encode())] * 9
    scripts = {"echo": echo, "refusal": refusal, "page": page, "raw": raw}
    scripts |= {"error": error, "word": echo * 9}
    with serving(**scripts) as playing:
        server = server_at(playing, retries=1)
        cached = Cached(server, tmp_path / "cache.sqlite", warn=pytest.fail)
        requests = [
            Request((Message("user", name),), words=("a", "b") if name == "word" else None, seed=1)
            for name in scripts
        ]
        replies = [*cached.answer(requests), *cached.answer(requests)]
        headers = [headers for _, _, _, headers in playing.asked]
    assert {header["Authorization"] for header in headers} == {f"Bearer {KEY}"}
    assert replies[0].text == "Your key is [key], is it not?"
    assert [bool(reply.error) for reply in replies[:6]] == [False] + [True] * 5
    out, err = capfd.readouterr()
    told = [
        *map(repr, replies),
        repr(server),
        repr(server.settings),
        repr(cached),
        repr(vars(cached)),
    ]
    told += [out, err, caplog.text, str(server.facts)]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "cache.sqlite" for path in files)
    told += [path.read_bytes().decode("latin-1") for path in files]
    for text in told:
        for part in (KEY, KEY[::-1], KEY[:12]):
            assert part not in text


def test_a_key_in_a_header_that_comes_back_is_not_told():
    odd = [body(b"{}", f"text/{KEY}"), body(b"{}", Content_Encoding=KEY)]
    with serving(odd=odd) as playing:
        for retries in (0, 1):
            server = server_at(playing, KEY, retries=retries)
            (reply,) = server.answer([Request((Message("user", "odd"),))])
            assert "[key]" in reply.error
            assert KEY not in reply.error


def test_a_redirect_is_not_followed_and_the_key_stays_here():
    with serving() as other:
        move = [status(308, Location=f"{other.url}/chat/completions")]
        with serving(move=move) as playing:
            (reply,) = server_at(playing, KEY).answer([Request((Message("user", "move"),))])
        assert other.asked == []
    assert reply.error == "the server refused with status 308: redirects are not followed"


def test_a_proxy_does_not_see_what_stays_on_this_machine(monkeypatch):
    with serving() as proxy, serving() as playing:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        (reply,) = server_at(playing, KEY).answer([Request(ASK)])
        assert (reply.text, proxy.asked) == ("Choose.", [])


def test_a_key_comes_from_the_variable_that_is_named(monkeypatch):
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    with serving() as playing:
        server = server_at(playing, key_variable="MY_KEY")
        server.answer([Request(ASK)])
        assert playing.asked[0][3]["Authorization"] == f"Bearer {KEY}"


def test_a_server_here_needs_no_key_and_one_elsewhere_does(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as playing:
        server_at(playing).answer([Request(ASK)])
        assert playing.asked[0][3]["Authorization"] == "Bearer none"
    with pytest.raises(SettingError, match="set OPENAI_API_KEY"):
        Server(ServerSettings("m", "https://example.com/v1"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = Server(ServerSettings("m", "https://example.com/v1"))
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(SettingError, match="set OPENAI_API_KEY"):
        server.answer([Request(ASK)])


@pytest.mark.parametrize("key", ["with space-secret", "line\nsecret", "caf\u00e9-secret"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_repeated(key):
    with pytest.raises(SettingError) as caught:
        Server(ServerSettings("m", "http://localhost/v1"), api_key=key)
    assert "secret" not in str(caught.value)


def test_a_server_with_a_key_of_its_own_is_not_pickled(monkeypatch):
    settings = ServerSettings("m", "http://localhost/v1")
    with pytest.raises(SettingError, match="set OPENAI_API_KEY"):
        pickle.dumps(Server(settings, api_key=KEY))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    written = pickle.dumps(Server(settings))
    assert KEY.encode() not in written
    assert b"http://localhost/v1" in written


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        *("https://api.example.com/v1", "http://localhost:8000/v1", "http://127.0.0.1/v1"),
        *("http://127.9.9.9:1/v1", "http://[::1]:8000/v1", "https://10.0.0.1/v1"),
    ],
)
def test_addresses_that_a_key_may_go_to(url):
    assert ServerSettings("m", url).base_url == url


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/v1", "http://10.0.0.1/v1", "http://0.0.0.0/v1", "ftp://localhost"),
        *("http://localhost.example.com/v1", "http://127.0.0.1.example.com", "http://[::2]/v1"),
        *("localhost:8000", "", "https://", "https:///v1", "http://localhost:99999/v1", 7),
        *("https://me:hidden@example.com", "http://127.0.0.1\\@hidden.com/", "http://[1"),
        *("https://example.com/v1?key=hidden", "https://example.com/#hidden"),
        *("http://localhost/ hidden", "http://local\nhost/hidden", "http://127.0.0.1@hidden/v1"),
        *("HTTP://localhost/v1", "http://2130706433/v1", "http://lo\u0441alhost/v1"),
    ],
)
def test_addresses_that_it_must_not_go_to(url):
    with pytest.raises(SettingError, match="wanted https://HOST/PATH") as caught:
        ServerSettings("m", url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"model": ""}, {"model": None}, {"key_variable": ""}, {"retries": -1}, {"retries": 1.5}),
        *({"repairs": True}, {"concurrency": 0}, {"most_bytes": 0}, {"pause_seconds": -1.0}),
        *({"deadline_seconds": 0}, {"deadline_seconds": float("inf")}, {"pause_seed": -1}),
        *({"dollars_per_million": (1.0,)}, {"dollars_per_million": (1.0, float("nan"))}),
        {"dollars_per_million": 1.0},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(SettingError, match=name):
        ServerSettings(**{"model": "m", "base_url": "http://localhost/v1", **wrong})


# --- the package --------------------------------------------------------------------------------


def test_openai_is_asked_for_late_and_by_name(monkeypatch):
    imports = "import sys, counterpoint.speakers, counterpoint.testing"
    script = f"{imports}; print('openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=os.environ)
    assert done.stdout.strip() == b"False"
    monkeypatch.setitem(sys.modules, "openai", None)
    server = Server(ServerSettings("m", "http://localhost/v1"))
    with pytest.raises(MissingPackageError, match=r"pip install .*\[llm\]"):
        server.answer([Request(ASK)])
