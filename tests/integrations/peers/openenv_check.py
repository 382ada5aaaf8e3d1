"""A text world behind OpenEnv's own server: run by test_openenv.py.

    python openenv_check.py

Prints one JSON line.
"""

from __future__ import annotations

import json
from importlib.metadata import version

from openenv.core.env_server import create_fastapi_app
from starlette.testclient import TestClient

from counterpoint.integrations.openenv import text_environment


def played(socket, seed, texts):
    socket.send_json({"type": "reset", "data": {"seed": seed}})
    seen = [socket.receive_json()["data"]]
    for text in texts(seen[0]):
        socket.send_json({"type": "step", "data": {"text": text}})
        seen.append(socket.receive_json()["data"])
    return seen


def main():
    parts = text_environment("relay", {"speaker_scale": 3.0})
    app = create_fastapi_app(parts.environment, parts.action, parts.observation,
                             max_concurrent_envs=2)  # fmt: skip
    with TestClient(app) as client, client.websocket_connect("/ws") as socket:

        def right(first):
            needed = first["observation"]["user"].partition("we need ")[2].strip(".")
            return needed, needed.replace(" and ", " ")

        good = played(socket, 1, right)
        again = played(socket, 1, right)
        socket.send_json({"type": "step", "data": {"text": "more"}})
        late = socket.receive_json()
        socket.send_json({"type": "reset", "data": {"seed": 1}})
        socket.receive_json()
        socket.send_json({"type": "step", "data": {"text": "x", "agent": "answerer"}})
        wrong = socket.receive_json()
        socket.send_json({"type": "state"})
        state = socket.receive_json()["data"]
        health = client.get("/health").status_code
    environment = text_environment("schelling").environment()
    first = environment.reset(seed=0)
    second = environment.step(parts.action(text=first.words[0]))
    last = environment.step(parts.action(text=first.words[0]))
    print(json.dumps({
        "version": version("openenv"), "good": good, "same": good == again,
        "late": late, "wrong": wrong, "state": state, "health": health,
        "schelling": [one.model_dump() for one in (first, second, last)],
    }))  # fmt: skip


main()
