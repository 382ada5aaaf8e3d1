"""A server on this machine that speaks what a training asks of vLLM: completions of tokens, and the
loading and unloading of adapters. It is not vLLM: it writes tokens drawn from the seed alone.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

NATS = -2.0
"""The log-probability that it says of each token."""
END = 0
"""Drawn as the last token, it ends an answer."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.asked.append((self.path, body, self.headers.get("Authorization", "")))
            dies = server.dies_after is not None and len(server.asked) > server.dies_after
            status, answer = (500, {}) if dies else server.answer(self.path, body)
        if dies:
            self.close_connection = True
            return
        text = answer if isinstance(answer, str) else json.dumps(answer)
        self.send_response(status)
        kind = "text/plain" if isinstance(answer, str) else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(text.encode())

    def log_message(self, *_):
        """Say nothing."""


class LoraServer(ThreadingHTTPServer):
    """Knows what it was asked, and the weights of each adapter as they were when it was loaded.

    Args:
        decode: text of tokens.
        loads: whether adapters may be loaded while it runs.
        says_tokens: whether it says the tokens of an answer.
        dies_after: requests after which it closes every connection without an answer.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, decode, *, loads=True, says_tokens=True, dies_after=None):
        self.decode, self.loads, self.says_tokens = decode, loads, says_tokens
        self.dies_after = dies_after
        self.lock, self.asked = threading.Lock(), []
        self.adapters, self.loaded = {}, []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def answer(self, path, body):
        if path == "/v1/completions":
            return self.complete(body)
        if not self.loads:
            return 404, {"detail": "Not Found"}
        name = body["lora_name"]
        if path == "/v1/unload_lora_adapter":
            if self.adapters.pop(name, None) is None:
                return 404, {"error": {"message": "cannot be found", "code": 404}}
            return 200, f"Success: LoRA adapter '{name}' removed successfully."
        assert path == "/v1/load_lora_adapter"
        if name in self.adapters:
            return 400, {"error": {"message": "has already been loaded", "code": 400}}
        self.adapters[name] = load_file(Path(body["lora_path"]) / "adapter_model.safetensors")
        self.loaded.append((name, self.adapters[name]))
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def complete(self, body):
        if body["model"] not in self.adapters:
            message = f"The model `{body['model']}` does not exist."
            return 404, {"error": {"message": message}}
        rng = np.random.default_rng([body["seed"], len(body["prompt"])])
        tokens = rng.integers(5, 60, body["max_tokens"]).tolist()
        ended = rng.random() < 0.5
        if ended:
            tokens[-1] = body["stop_token_ids"][END]
        told = tokens[:-1] if ended else tokens
        choice = {
            "text": self.decode(told),
            "finish_reason": "stop" if ended else "length",
            "logprobs": None,
        }
        if self.says_tokens:
            choice["token_ids"] = tokens
            choice["logprobs"] = {"token_logprobs": [NATS] * len(tokens)}
        used = {"prompt_tokens": len(body["prompt"]), "completion_tokens": len(tokens)}
        return 200, {"choices": [choice], "usage": used}


@contextmanager
def lora_server(decode, **given):
    """A running server."""
    with LoraServer(decode, **given) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
