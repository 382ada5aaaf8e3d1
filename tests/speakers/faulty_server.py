"""A chat-completions server on this machine that plays the faults it is told to, for real.

The last message of a request names its script: the faults of its tries, one after another; a try
beyond them, and a text that names no script, gets an answer.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[["Handler"], None]

USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
PIECE = 65_536


def completion(text: str | None, usage: Any = USAGE, **more: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    document = {"id": "c", "object": "chat.completion", "model": "m", "created": 1, **more}
    document["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    if usage is not None:
        document["usage"] = usage
    return json.dumps(document).encode()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked = json.loads(body)
        self.script = self.asked["messages"][-1]["content"].partition("\n")[0]
        with self.server.under_way():
            fault = self.server.next_fault(self)
            with contextlib.suppress(ConnectionError):
                fault(self)

    def send(
        self, status: int, body: bytes, kind: str = "application/json", **headers: Any
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class FaultyServer(ThreadingHTTPServer):
    """Serves until it is closed; knows what it was asked, how often, and when."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, scripts: Mapping[str, Sequence[Fault]]) -> None:
        self.scripts = scripts
        self.asked: list[tuple[str, float, dict[str, Any], Message]] = []
        self.tries: Counter[str] = Counter()
        self.counting = threading.Lock()
        self.closing = threading.Event()
        self.now = self.most = 0
        self.sent = 0
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        with self.counting:
            self.now += 1
            self.most = max(self.most, self.now)
        yield
        with self.counting:
            self.now -= 1

    def next_fault(self, handler: Handler) -> Fault:
        with self.counting:
            script = handler.script
            faults = self.scripts.get(script, ())
            n = self.tries[script]
            self.tries[script] += 1
            self.asked.append((script, time.monotonic(), handler.asked, handler.headers))
        return faults[n] if n < len(faults) else says(script)

    def times(self, script: str) -> list[float]:
        return [when for name, when, _, _ in self.asked if name == script]

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no news."""


@contextlib.contextmanager
def serving(**scripts: Sequence[Fault]) -> Iterator[FaultyServer]:
    """A server whose scripts are named by these words."""
    server = FaultyServer(scripts)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def says(text: str | None, usage: Any = USAGE, kind: str = "application/json") -> Fault:
    return lambda handler: handler.send(200, completion(text, usage), kind)


def status(code: int, said: str = "not now", **headers: Any) -> Fault:
    body = json.dumps({"error": {"message": said, "type": "t", "code": "c"}}).encode()
    return lambda handler: handler.send(code, body, **headers)


def body(content: bytes, kind: str = "application/json", **headers: Any) -> Fault:
    return lambda handler: handler.send(200, content, kind, **headers)


def waits(seconds: float, then: Fault) -> Fault:
    def fault(handler: Handler) -> None:
        if not handler.server.closing.wait(seconds):
            then(handler)

    return fault


def hangs(handler: Handler) -> None:
    """Takes the request and never says anything."""
    handler.server.closing.wait(60)


def drips(handler: Handler) -> None:
    """Begins an answer, and goes on with a byte every few milliseconds."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.closing.wait(0.02):
        handler.wfile.write(b" ")


def drips_headers(handler: Handler) -> None:
    """Never comes to the end of its headers."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server.closing.wait(0.02):
        handler.wfile.write(b"a")


def resets(handler: Handler) -> None:
    """Hangs up with a reset instead of an answer."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
    handler.close_connection = True


def half(handler: Handler) -> None:
    """Promises a whole answer, sends half of it, and hangs up."""
    whole = completion("half")
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(whole)))
    handler.end_headers()
    handler.wfile.write(whole[: len(whole) // 2])
    handler.close_connection = True


def floods(size: int | None, code: int = 200) -> Fault:
    """So many bytes of an answer; None never ends."""

    def fault(handler: Handler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Type", "application/json")
        if size is not None:
            handler.send_header("Content-Length", str(size))
        handler.end_headers()
        handler.close_connection = True
        piece, left = b" " * PIECE, size
        while (left is None or left > 0) and not handler.server.closing.is_set():
            handler.wfile.write(piece)
            handler.server.sent += PIECE
            left = None if left is None else left - PIECE

    return fault
