"""A real server on loopback that judges: it reads `quality=NUMBER` in what it is shown, with noise
and a taste for the first, and can get replies wrong in the ways that servers do. `answer` replies
otherwise, and `status` refuses everything."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np


class Judging(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        text = self.server.reply(asked["messages"][-1]["content"])
        message = {"role": "assistant", "content": text}
        body = json.dumps({
            "id": "c", "object": "chat.completion", "model": "m", "created": 1,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }).encode()  # fmt: skip
        if self.server.status != 200:
            body = json.dumps({"error": {"message": "no such key"}}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class JudgingServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, noise=0.0, position_bias=0.0, spoil=None, wait=0.0, seed=0,
                 answer=None, status=200):  # fmt: skip
        super().__init__(("127.0.0.1", 0), Judging)
        self.noise, self.position_bias, self.spoil, self.wait = noise, position_bias, spoil, wait
        self.answer, self.status = answer, status
        self.rng, self.lock, self.asked = np.random.default_rng(seed), threading.Lock(), []

    def handle_error(self, *_):
        """Clients are killed: say nothing."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def reply(self, prompt):
        if self.wait:
            threading.Event().wait(self.wait)
        if self.answer:
            return self.answer(prompt)
        shown = re.findall(r"^==\w+== id (\w+)\n(.*?)\n==\w+== end of", prompt, re.M | re.S)
        with self.lock:
            scores = []
            for place, (_, text) in enumerate(shown):
                known = re.search(r"quality=([\d.]+)", text)
                worth = float(known.group(1)) if known else -1.0
                bias = self.position_bias * (1 - place / max(len(shown) - 1, 1))
                scores.append(worth + bias + self.noise * self.rng.standard_normal())
        order = sorted(range(len(shown)), key=lambda i: -scores[i])
        said = json.dumps({"ranking": [[shown[i][0]] for i in order]})
        return self.spoil(said) if self.spoil else said


@contextmanager
def judging(**told):
    server = JudgingServer(**told)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
