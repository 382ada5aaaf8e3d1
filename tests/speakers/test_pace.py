"""A server that is slow, does one thing at a time, refuses all, or is not there: what it is asked,
and what is lost."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import pytest
from faulty_server import completion, hangs, says, serving, status, waits

from counterpoint.speakers import Message, Request, Server, ServerSettings
from counterpoint.speakers.pace import Pace

pytest.importorskip("openai")


def ask(script):
    return Request((Message("user", script),))


def server_at(url, **settings):
    quick = {"deadline_seconds": 20.0, "pause_seconds": 0.01, "retries": 2}
    return Server(ServerSettings("m", url, **{**quick, **settings}), api_key="")


class OneAtATime(HTTPServer):
    """Takes a connection when it is done with the one before, and needs so long for an answer."""

    request_queue_size = 64

    def __init__(self, seconds):
        self.seconds, self.asked = seconds, 0
        super().__init__(("127.0.0.1", 0), Answers)


class Answers(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        time.sleep(self.server.seconds)
        body = completion("well")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


class SharesItsTime(ThreadingHTTPServer):
    """Works on all requests at once, each of them slower by as much."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, seconds):
        self.seconds, self.asked, self.now, self.lock = seconds, 0, 0, threading.Lock()
        super().__init__(("127.0.0.1", 0), Shares)


class Shares(Answers):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.asked += 1
            self.server.now += 1
        left = self.server.seconds
        while left > 0:
            time.sleep(0.01)
            left -= 0.01 / self.server.now
        with self.server.lock:
            self.server.now -= 1
        body = completion("well")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)


@contextlib.contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.fault("R11")
@pytest.mark.parametrize("kind", [OneAtATime, SharesItsTime])
def test_a_slow_server_loses_no_question(kind):
    """An answer takes 0.3 of 2 seconds; 8 of them at once would take 2.4 seconds."""
    server = kind(0.3)
    with running(server) as url:
        replies = server_at(url, deadline_seconds=2.0).answer([ask("x")] * 10)
    assert [reply.error for reply in replies] == [None] * 10
    assert server.asked == 10


@pytest.mark.fault("R11")
@pytest.mark.slow
def test_a_slow_server_loses_no_question_at_default_settings():
    """8 seconds an answer, one after the other: 12 questions take 96 seconds."""
    server = OneAtATime(8.0)
    with running(server) as url:
        replies = Server(ServerSettings("m", url), api_key="").answer([ask("x")] * 12)
    assert [reply.error for reply in replies] == [None] * 12
    assert server.asked == 12


@pytest.mark.fault("R11")
def test_the_deadline_counts_from_when_a_server_takes_a_request():
    """The first answer comes at once, so that 6 are sent; the others take 0.3 of 0.5 seconds
    each."""
    server = OneAtATime(0.0)
    with running(server) as url:
        speaker = server_at(url, deadline_seconds=0.5)
        speaker.answer([ask("x")])
        server.seconds = 0.3
        replies = speaker.answer([ask("x")] * 6)
    assert [reply.error for reply in replies] == [None] * 6
    assert max(reply.seconds for reply in replies) > 1.5


def test_a_server_with_room_for_one_is_asked_one_by_one():
    """Others get 429 while it works."""
    busy = threading.Lock()

    def one(handler):
        if not busy.acquire(blocking=False):
            return status(429)(handler)
        time.sleep(0.1)
        busy.release()
        return says("well")(handler)

    with serving(**{f"r{i}": [one] * 9 for i in range(20)}) as playing:
        replies = server_at(playing.url, retries=3).answer([ask(f"r{i}") for i in range(20)])
        assert sum(playing.tries.values()) < 40
    assert [reply.error for reply in replies] == [None] * 20


def test_a_quick_server_gets_all_that_is_allowed():
    slow = {f"r{i}": [waits(0.1, says("well"))] for i in range(24)}
    with serving(**slow) as playing:
        speaker = server_at(playing.url, concurrency=12)
        speaker.answer([ask("one")])
        speaker.answer([ask(name) for name in slow])
        assert playing.most == 12


@pytest.mark.fault("R33")
@pytest.mark.parametrize("code", [401, 403, 404])
def test_the_first_refusal_is_the_only_call(code):
    with serving(no=[status(code, "no such key")] * 99) as playing:
        replies = server_at(playing.url).answer([ask("no")] * 20)
        assert playing.tries["no"] == 1
    why = f"the server refused with status {code}: no such key"
    assert [reply.error for reply in replies] == [why, *[f"not asked: {why}"] * 19]
    assert all(reply.refused for reply in replies)
    assert [reply.tries for reply in replies] == [1] + [0] * 19
    assert {(reply.prompt_tokens, reply.completion_tokens) for reply in replies} == {(0, 0)}


@pytest.mark.fault("R33")
def test_a_refusal_keeps_the_answers_before_it():
    with serving(no=[status(401)] * 9) as playing:
        replies = server_at(playing.url, concurrency=1).answer([ask(x) for x in ("a", "no", "b")])
        assert playing.tries["b"] == 0
    assert [reply.text for reply in replies] == ["a", "", ""]


@pytest.mark.fault("R33")
def test_a_server_that_is_not_there_costs_the_tries_of_one_question():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        replies = server_at(url).answer([ask("x")] * 30)
    assert [reply.tries for reply in replies] == [3] + [0] * 29
    assert all("the connection failed" in reply.error for reply in replies)
    assert all(reply.refused for reply in replies)


@pytest.mark.timed
@pytest.mark.fault("R33")
@pytest.mark.parametrize("fault", [hangs, status(500)], ids=["hangs", "500"])
def test_a_server_that_never_answers_is_given_up(fault):
    with serving(x=[fault] * 99) as playing:
        begun = time.monotonic()
        replies = server_at(playing.url, deadline_seconds=0.3).answer([ask("x")] * 60)
        seconds = time.monotonic() - begun
    assert [reply.error is None for reply in replies] == [False] * 60
    assert sum(reply.tries > 0 for reply in replies) <= 20
    assert seconds < 3


@pytest.mark.fault("R11")
def test_an_outage_costs_what_was_under_way():
    """All eight that are under way fail at once: that is one strike, and the others go on."""
    with serving(**{f"r{i}": [status(500)] * 3 for i in range(8)}) as playing:
        speaker = server_at(playing.url)
        speaker.answer([ask("one")])
        replies = speaker.answer([ask(f"r{i}") for i in range(8)] + [ask("x")] * 20)
    assert [reply.error is None for reply in replies[8:]] == [True] * 20


def test_lost_questions_hint_at_the_settings():
    with serving(x=[hangs] * 9) as playing:
        speaker = server_at(playing.url, deadline_seconds=0.2)
        speaker.answer([ask("one")])
        (reply,) = speaker.answer([ask("x")])
    assert "no answer within 0.2 seconds, 1 tries; the last: nothing came back;" in reply.error
    assert "a longer deadline_seconds or a lower concurrency may help" in reply.error


def test_the_numbers_of_a_pace():
    """Deadline 120: an answer in 20 seconds allows 120 / 2 / 20 = 3 at once, and each later one
    within 60 seconds one more. What comes too late halves it, once for all that were under way;
    then ten answers allow one more."""
    pace = Pace(ServerSettings("m", "http://localhost/v1"))
    assert pace.limit == 1
    pace.answered(20.0)
    assert pace.limit == 3
    pace.answered(50.0)
    assert pace.limit == 4
    pace.answered(61.0)
    assert pace.limit == 4
    sent = time.monotonic()
    pace.too_late(sent)
    pace.too_late(sent - 1)
    assert pace.limit == 2
    pace.answered(30.0)
    assert pace.limit == pytest.approx(2.1)
    pace.too_busy(1)
    assert pace.limit == 1
    for _ in range(99):
        pace.answered(1.0)
    assert pace.limit == 8


def test_long_answers_that_come_side_by_side_are_no_crowd():
    """All take 70 of 120 seconds, however many there are: more at once cost nothing."""
    pace = Pace(ServerSettings("m", "http://localhost/v1"))
    for _ in range(10):
        pace.answered(70.0)
    assert pace.limit == 8


def certificate(folder):
    """A key and a certificate of this machine's own, in one file."""
    line = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    done = subprocess.run(
        [*line.split(), "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        capture_output=True,
    )
    if done.returncode:
        pytest.skip("openssl makes no certificate here")
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.timed
@pytest.mark.parametrize("kind", [HTTPServer, ThreadingHTTPServer])
def test_https_to_an_http_port_says_so_within_seconds(kind):
    class Waits(Answers):
        def do_POST(self):
            raise AssertionError("no request can come through")

    with running(kind(("127.0.0.1", 0), Waits)) as url:
        begun = time.monotonic()
        speaker = Server(ServerSettings("m", url.replace("http:", "https:")), api_key="none")
        replies = speaker.answer([ask("x")] * 9)
        seconds = time.monotonic() - begun
    assert "speaks http, without encryption: base_url begins with https://" in replies[0].error
    assert all(reply.refused for reply in replies)
    assert seconds < 12


@pytest.mark.timed
def test_a_port_that_is_mute_under_https_ends_within_seconds():
    """A server that waits for the end of a line, which a TLS greeting may not have."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        begun = time.monotonic()
        settings = ServerSettings("m", f"https://127.0.0.1:{mute.getsockname()[1]}/v1", retries=0)
        (reply,) = Server(settings, api_key="none").answer([ask("x")])
        seconds = time.monotonic() - begun
    assert "the connection failed" in reply.error
    assert seconds < 12


@pytest.mark.timed
def test_http_to_an_https_port_says_so_within_seconds(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))

    class Encrypted(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request, client_address):
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(request, server_side=True) as encrypted,
            ):
                super().finish_request(encrypted, client_address)

    with running(Encrypted(("127.0.0.1", 0), Answers)) as url:
        begun = time.monotonic()
        replies = Server(ServerSettings("m", url), api_key="none").answer([ask("x")] * 9)
        seconds = time.monotonic() - begun
    assert "speaks https: base_url begins with http://" in replies[0].error
    assert all(reply.refused for reply in replies)
    assert seconds < 12
