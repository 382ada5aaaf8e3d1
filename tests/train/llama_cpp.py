"""llama.cpp's server from the package xllamacpp, in a process of its own.

`python llama_cpp.py MODEL ADAPTER...` serves until its standard input ends. With `--again STATE
PORT MODEL FOLDER` it ends the server that STATE names, starts one with the adapters of a folder in
the background, as a user's command does, and returns before that answers. Keys and values are
kept in 32-bit floats, and attention is the exact one, so that only the order of sums differs.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

START = "serving at "


class LlamaServer:
    """A running server."""

    def __init__(self, address):
        self.address = address

    def post(self, path, body):
        """The answer to a request."""
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def tokens(self, text):
        """The tokens of a text as the server reads a prompt: with those that begin every text."""
        body = {"content": text, "parse_special": True, "add_special": True}
        return self.post("/tokenize", body)["tokens"]

    def complete(self, prompt, most, banned=(), **more):
        """The greedy answer to tokens, and the log-probability of each of its tokens.

        Tokens that are a part of a character must be banned: the server reports none of them.
        """
        body = {
            "prompt": prompt,
            "n_predict": most,
            "temperature": 0,
            "n_probs": 1,
            "return_tokens": True,
            "cache_prompt": False,
            "logit_bias": [[token, False] for token in banned],
            **more,
        }
        answer = self.post("/completion", body)
        probabilities = answer["completion_probabilities"]
        assert [one["id"] for one in probabilities] == answer["tokens"]
        return answer["tokens"], [one["logprob"] for one in probabilities]


@contextmanager
def llama_server(model, *adapters):
    """Serves a GGUF model with GGUF adapters."""
    with subprocess.Popen(
        [sys.executable, __file__, str(model), *map(str, adapters)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = next((line for line in process.stdout if line.startswith(START)), "")
            assert line, process.stderr.read()[-2000:]
            yield LlamaServer(line.removeprefix(START).strip())
        finally:
            process.kill()


def free_port():
    """A port that nobody uses now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def restarted_server(model, folder):
    """The address and the command of a server that the command starts, again and again."""
    state, port = folder / "server.pid", free_port()
    command = shlex.join([sys.executable, __file__, "--again", str(state), str(port), str(model)])
    try:
        yield f"http://127.0.0.1:{port}/v1", command
    finally:
        end(state)


def end(state):
    """Ends the server that a file names, if there is one."""
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(state.read_text()), signal.SIGKILL)
    state.unlink(missing_ok=True)


def again(state, port, model, folder):
    """Ends the server and starts it with the adapters of a folder."""
    end(Path(state))
    files = sorted(map(str, Path(folder).glob("*.gguf")))
    command = [sys.executable, __file__, "--port", port, model, *files]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    Path(state).write_text(str(process.pid))


def serve(model, adapters, port=0):
    """Serves until standard input ends; at a given port for at most five minutes."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in adapters]
    settings.n_ctx, settings.n_parallel, settings.warmup, settings.use_jinja = 1024, 1, False, True
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    settings.verbosity, settings.port = 0, port or settings.port
    server = xllamacpp.Server(settings)
    print(START + server.listening_address, flush=True)  # noqa: T201
    time.sleep(300) if port else sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "--again":
        again(*sys.argv[2:])
    elif sys.argv[1] == "--port":
        serve(sys.argv[3], sys.argv[4:], int(sys.argv[2]))
    else:
        serve(sys.argv[1], sys.argv[2:])
