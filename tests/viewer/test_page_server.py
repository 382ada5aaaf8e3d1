"""The server alone: what it answers, what it refuses, how it ends. Its pages are three texts."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from counterpoint.errors import SettingError
from counterpoint.viewer import server as module
from counterpoint.viewer.server import PageServer, Response, serve

TEXTS = {"/": b"<p>first</p>", "/a b/ü": b"<p>named</p>"}


class Site:
    """Pages that a test changes, and how often somebody looked whether they changed."""

    def __init__(self):
        self.token, self.looks = "one", 0

    def page(self, path):
        if path == "/broken":
            raise ZeroDivisionError("a bug")
        return Response(TEXTS[path]) if path in TEXTS else None

    def changed(self):
        self.looks += 1
        return self.token


@contextmanager
def served(site):
    with PageServer(site.page, site.changed, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def site():
    return Site()


@pytest.fixture
def running(site):
    with served(site) as server:
        yield server


def ask(server, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text, answer.headers


def test_a_page_is_sent_with_what_the_browser_is_to_refuse(running):
    status, text, headers = ask(running, "/?x=1")
    assert (status, text) == (200, b"<p>first</p>")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
    assert ask(running, "/a%20b/%C3%BC")[1] == b"<p>named</p>"
    assert ask(running, "/", "HEAD")[:2] == (200, b"")
    assert ask(running, "/live.js")[2]["Content-Type"].startswith("text/javascript")
    assert ask(running, "/nowhere")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "ODD"])
def test_only_get_and_head_are_answered(running, method):
    status, _, headers = ask(running, "/", method, b"x" * 100)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("LocalHost", 200), ("127.0.0.1", 200), ("evil.example", 421),
     ("127.0.0.1.evil.example", 421), ("", 421)],
)  # fmt: skip
def test_the_browser_has_to_mean_this_machine(running, host, status):
    for path in ("/", "/events"):
        assert ask(running, path, "HEAD", Host=f"{host}:{running.server_port}")[0] == status
    assert ask(running, "/", Host=host)[0] == 421  # without the port


@pytest.mark.parametrize(
    "lines", [b"GET / HTTP/1.0\r\n\r\n", b"GET http://evil.example/ HTTP/1.0\r\nHost: %s\r\n\r\n",
              b"GET / HTTP/1.0\r\nHost: %s\r\nHost: evil.example\r\n\r\n", b"nonsense\r\n\r\n"],
)  # fmt: skip
def test_odd_requests_are_refused(running, lines):
    host = f"127.0.0.1:{running.server_port}".encode()
    with socket.create_connection(("127.0.0.1", running.server_port), timeout=10) as client:
        client.sendall(lines.replace(b"%s", host))
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert b" 4" in answer[:13] or b"Error response" in answer
    assert b"first" not in answer


def test_a_page_of_another_site_gets_nothing_but_a_link_leads_here(running):
    other = {"Sec_Fetch_Site": "cross-site"}
    assert ask(running, "/", Sec_Fetch_Mode="no-cors", **other)[0] == 403
    assert ask(running, "/", Sec_Fetch_Mode="navigate", **other)[0] == 200


def test_a_page_that_fails_is_one_line_and_the_next_one_is_shown(running, capsys):
    status, text, _ = ask(running, "/broken")
    assert status == 500
    assert b"ZeroDivisionError: a bug" in text
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert ask(running, "/")[0] == 200


def events(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", "/events")
    return connection, connection.getresponse()


def test_all_streams_are_told_of_a_change_and_ask_once(running, site, monkeypatch):
    monkeypatch.setattr(module, "INTERVAL_SECONDS", 0.3)
    streams = [events(running) for _ in range(5)]
    for _, stream in streams:
        assert stream.readline() == b"data: one\n"
        stream.readline()
    begun, looks, site.token = time.monotonic(), site.looks, "two"
    for _, stream in streams:
        assert stream.readline() == b"data: two\n"
    passed = time.monotonic() - begun
    assert site.looks - looks <= passed / 0.3 + 2
    for connection, _ in streams:
        connection.close()


def test_streams_are_bounded_and_one_that_leaves_makes_room(site, monkeypatch):
    monkeypatch.setattr(module, "MOST_STREAMS", 2)
    with served(site) as server:
        (first, one), (_, two) = events(server), events(server)
        assert (one.readline(), two.readline()) == (b"data: one\n", b"data: one\n")
        assert ask(server, "/events")[0] == 503
        assert ask(server, "/")[0] == 200
        one.close()
        first.close()
        assert wait_for(lambda: ask(server, "/events", "HEAD")[0] == 200)


def test_clients_that_hang_are_bounded_and_let_go(site, monkeypatch):
    monkeypatch.setattr(module, "MOST_CLIENTS", 3)
    monkeypatch.setattr(module._Handler, "timeout", 1.0)
    with served(site) as server:
        hanging = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(3)]
        assert wait_for(lambda: status_of(server) == 503)
        assert wait_for(lambda: status_of(server) == 200)
        for client in hanging:
            client.close()


def status_of(server):
    try:
        return ask(server, "/")[0]
    except (OSError, http.client.HTTPException):
        return None


def wait_for(holds):
    for _ in range(100):
        if holds():
            return True
        time.sleep(0.1)
    return False


def test_a_port_that_is_taken_or_none_is_one_sentence(running, site):
    with pytest.raises(SettingError, match=rf"port {running.server_port} .*--port 0"):
        serve(site.page, site.changed, running.server_port, print)
    with pytest.raises(SettingError, match="65535"):
        serve(site.page, site.changed, 70_000, print)


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_ends_the_command_though_a_client_hangs(number, status, tmp_path):
    line = [sys.executable, "-m", "counterpoint", "serve", str(tmp_path), "--port", "0", "--json"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        url = json.loads(process.stdout.readline())["url"]
        port = int(url.rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as hanging:
            hanging.sendall(b"GET / HT")
            os.kill(process.pid, number)
            _, printed = process.communicate(timeout=20)
    assert process.returncode == status
    assert "Traceback" not in printed
