"""A small server for pages that update by themselves, on this machine alone: start at `serve`.

It knows nothing of what the pages show: `pages` answers a path, and `changed` says whether an
answer may differ by now. It answers GET and HEAD only, to a browser that names this machine, so
that a page from elsewhere whose name was pointed here gets nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socketserver import TCPServer
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from counterpoint import __version__
from counterpoint.errors import SettingError
from counterpoint.report.page import sort_script
from counterpoint.settings import require

HOST = "127.0.0.1"
SCRIPT, SORT, EVENTS = "/live.js", "/sort.js", "/events"
"""Paths of the scripts that update a page and sort its tables, and of the stream of changes."""
HTML, TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"
MOST_CLIENTS, MOST_STREAMS = 64, 32
"""Connections at a time, and those among them that are streams."""
PATIENCE_SECONDS = 10.0
"""A client that sends or takes nothing for so long is let go."""
TICK_SECONDS, QUIET_SECONDS, LIFE_SECONDS = 0.5, 15.0, 600.0
"""Of a stream: between two looks, until a sign of life, and until the browser connects anew."""
INTERVAL_SECONDS, SHARE = 1.0, 20
"""Time between two calls of `changed`: at least so long, and so many times what a call takes."""
MOST_BODY_BYTES = 1 << 16
HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; script-src 'self'; connect-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every answer tells the browser to refuse; a page adds a stricter policy of its own."""


class Response(NamedTuple):
    """What is sent for a path."""

    body: bytes
    type: str = HTML
    status: HTTPStatus = HTTPStatus.OK


Pages = Callable[[str], Response | None]
"""Path, percent-decoded and from `/` on, to its response; None if there is nothing."""


def text_response(sentence: str, status: HTTPStatus) -> Response:
    """Returns a sentence as a response."""
    return Response(f"{sentence}\n".encode("utf-8", "backslashreplace"), TEXT, status)


def serve(
    pages: Pages, changed: Callable[[], str], port: int, ready: Callable[[str], object]
) -> None:
    """Serves pages until the process is interrupted.

    Args:
        pages: answers a path; it is called from many threads.
        changed: returns a text that differs if an answer may differ; it is called about once a
            second while somebody looks at a page, from one thread at a time.
        port: of this machine; 0 takes a free one.
        ready: called once, with the URL, when a browser can connect.

    Raises:
        SettingError: the port is taken, may not be used, or is none.
    """
    with PageServer(pages, changed, port) as server:
        ready(server.url)
        try:
            server.serve_forever(poll_interval=TICK_SECONDS)
        finally:
            server.over.set()


class PageServer(ThreadingHTTPServer):
    """The server; see `serve` for the arguments and the errors."""

    daemon_threads = True
    block_on_close = False  # a client that hangs does not keep the process
    request_queue_size = MOST_CLIENTS

    def __init__(self, pages: Pages, changed: Callable[[], str], port: int) -> None:
        require("port", port, 0, 65535)
        self.pages = pages
        self.over = threading.Event()
        self.streams = threading.Semaphore(MOST_STREAMS)
        self._clients = threading.Semaphore(MOST_CLIENTS)
        self._changed = changed
        self._lock = threading.Lock()
        self._token, self._next_look = "", 0.0
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise SettingError(
                f"port {port} of this machine cannot be used ({error.strerror or error}); wanted a "
                "free one: --port 0 takes any"
            ) from error

    def server_bind(self) -> None:
        """Takes the port, without a look at what the network calls this machine."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.socket.getsockname()[1]

    @property
    def url(self) -> str:
        """The address of the first page."""
        return f"http://{HOST}:{self.server_port}/"

    @property
    def names(self) -> tuple[str, ...]:
        """What the browser may call this machine."""
        return f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"

    def token(self) -> str:
        """Returns what `changed` returned last, and calls it again if that was long ago.

        All streams ask here, so that many of them cost no more than one.
        """
        with self._lock:
            begun = time.monotonic()
            if begun >= self._next_look:
                self._token = self._changed()
                ended = time.monotonic()
                self._next_look = ended + max(INTERVAL_SECONDS, SHARE * (ended - begun))
            return self._token

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers a connection in a thread of its own, or refuses it if there are too many."""
        if not self._clients.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.setblocking(False)
                request.send(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._clients.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._clients.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints a line about an error of ours; a client that has left is none."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            sys.stderr.write(f"counterpoint: a request failed ({type(error).__name__}: {error})\n")


class _Handler(BaseHTTPRequestHandler):
    """One connection, which carries one request."""

    server: PageServer
    timeout = PATIENCE_SECONDS
    server_version, sys_version = f"Counterpoint/{__version__}", ""

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # any method but those below
            return self._refuse_method
        raise AttributeError(name)

    def do_GET(self) -> None:
        if (refused := self._refused()) is not None:
            self._send(refused)
            return
        path = self.path.partition("?")[0]
        if path == EVENTS:
            self._stream()
        elif path in (SCRIPT, SORT):
            live = files("counterpoint.viewer").joinpath("live.js")
            script = live.read_bytes() if path == SCRIPT else sort_script()
            self._send(Response(script, "text/javascript; charset=utf-8"))
        else:
            self._send(self._page(os.fsdecode(unquote_to_bytes(path))))

    do_HEAD = do_GET

    def _refused(self) -> Response | None:
        """Returns why a request is not answered; None if it is."""
        hosts = [host.lower() for host in self.headers.get_all("Host", [])]
        if len(hosts) != 1 or hosts[0] not in self.server.names:
            wanted = " or ".join(self.server.names)
            return text_response(f"wanted host {wanted}", HTTPStatus.MISDIRECTED_REQUEST)
        if not self.path.startswith("/"):
            return text_response("wanted a path from / on", HTTPStatus.BAD_REQUEST)
        fetch = self.headers.get("Sec-Fetch-Site"), self.headers.get("Sec-Fetch-Mode")
        if fetch[0] in ("cross-site", "same-site") and fetch[1] != "navigate":
            return text_response("a page of another site asked", HTTPStatus.FORBIDDEN)
        return None

    def _page(self, path: str) -> Response:
        try:
            page = self.server.pages(path)
        except Exception as error:  # one page that fails ends neither the server nor other pages
            why = f"{type(error).__name__}: {error}"
            sys.stderr.write(f"counterpoint: the page {path!r} could not be drawn ({why})\n")
            failed = f"this page could not be drawn ({why})"
            return text_response(failed, HTTPStatus.INTERNAL_SERVER_ERROR)
        return page or text_response("there is no such page", HTTPStatus.NOT_FOUND)

    def _refuse_method(self) -> None:
        with contextlib.suppress(ValueError):  # a body that is not read could cut the answer off
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(min(max(length, 0), MOST_BODY_BYTES))
        refused = text_response("wanted GET or HEAD", HTTPStatus.METHOD_NOT_ALLOWED)
        self._send(refused, Allow="GET, HEAD")

    def _send(self, response: Response, **more: str) -> None:
        length = str(len(response.body))
        self._head(response.status, {"Content-Length": length, **more}, response.type)
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def _head(self, status: HTTPStatus, more: dict[str, str], type_: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": type_, **HEADERS, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self) -> None:
        """Sends the token of the pages now, and again each time that it changes."""
        if not self.server.streams.acquire(blocking=False):
            full = f"{MOST_STREAMS} pages are open already"
            self._send(text_response(full, HTTPStatus.SERVICE_UNAVAILABLE))
            return
        try:
            self._head(HTTPStatus.OK, {}, "text/event-stream; charset=utf-8")
            if self.command != "HEAD":
                self._send_events()
        finally:
            self.server.streams.release()

    def _send_events(self) -> None:
        self.connection.settimeout(TICK_SECONDS)  # for a client that takes nothing, too
        begun = spoken = time.monotonic()
        sent = None
        while not self.server.over.is_set() and time.monotonic() - begun < LIFE_SECONDS:
            token, now = self.server.token(), time.monotonic()
            if token != sent:
                self.wfile.write(f"data: {token}\n\n".encode())
                sent, spoken = token, now
            elif now - spoken > QUIET_SECONDS:
                self.wfile.write(b":\n\n")
                spoken = now
            if self._has_left():
                return

    def _has_left(self) -> bool:
        """Waits for a moment; returns whether the client has closed the connection meanwhile."""
        try:
            return not self.connection.recv(1024)
        except TimeoutError:
            return False

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Prints nothing: the terminal shows the URL alone."""
