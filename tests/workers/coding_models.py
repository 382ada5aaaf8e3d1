"""A server on this machine that speaks as three makers of models do, and always repairs one line.

It answers what real coding agents ask: Anthropic's messages (Claude Code), OpenAI's responses
(Codex) and OpenAI's chat completions (aider). Each answer is a call of the agent's own tools, or an
edit in the form that the agent asked for, as a model would give it. Start with `CodingModel`.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PROMPT_TOKENS, REPLY_TOKENS = 100, 20
"""Of each request, as the server says them."""


class CodingModel(ThreadingHTTPServer):
    """A server whose model replaces `old` by `new` in the file `path`; a context manager."""

    daemon_threads = True

    def __init__(self, path: str, old: str, new: str) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.path, self.old, self.new = path, old, new
        self.keys: list[str] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Answer(BaseHTTPRequestHandler):
    """One request and its answer."""

    protocol_version = "HTTP/1.1"
    server: CodingModel

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.send([], "text/plain")

    def do_GET(self) -> None:
        self.send(['{"data": []}'], "application/json")

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.server.keys.append(self.headers.get("x-api-key") or bearer)
        where = self.path.partition("?")[0]
        self.server.asked.append((where, told))
        replies = {"/v1/messages": messages, "/v1/responses": responses,
                   "/v1/chat/completions": completions}  # fmt: skip
        if where not in replies:
            self.send_error(404)
            return
        events = replies[where](told, self.server)
        if told.get("stream"):
            lines = [("type" in event) * f"event: {event.get('type')}\n"
                     + f"data: {json.dumps(event)}\n\n" for event in events]  # fmt: skip
            self.send(lines, "text/event-stream")
        else:
            self.send([json.dumps(events[-1])], "application/json")

    def send(self, parts: list[str], kind: str) -> None:
        data = "".join(parts).encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def messages(told: dict[str, Any], model: CodingModel) -> list[dict[str, Any]]:
    """Anthropic's form: read the file, edit it with the tool for that, say so."""
    results = [part for message in told["messages"] if isinstance(message["content"], list)
               for part in message["content"] if part["type"] == "tool_result"]  # fmt: skip
    path = f"/task/{model.path}"
    calls = [
        ("Read", {"file_path": path}),
        ("Edit", {"file_path": path, "old_string": model.old, "new_string": model.new}),
    ]
    known = {tool["name"] for tool in told.get("tools", ())}
    block: dict[str, Any] = {"type": "text", "text": ""}
    delta: dict[str, Any] = {"type": "text_delta", "text": "It is repaired."}
    call = calls[len(results)] if len(results) < len(calls) else None
    if call and call[0] in known:
        block = {"type": "tool_use", "id": f"call_{len(results)}", "name": call[0], "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call[1])}
    usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": REPLY_TOKENS}
    why = "tool_use" if block["type"] == "tool_use" else "end_turn"
    begun = {"id": "msg_1", "type": "message", "role": "assistant", "model": told["model"],
             "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}  # fmt: skip
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": why, "stop_sequence": None},
         "usage": usage},
        {"type": "message_stop"},
    ]  # fmt: skip


def responses(told: dict[str, Any], model: CodingModel) -> list[dict[str, Any]]:
    """OpenAI's newer form: one command in the shell, then a message."""
    done = any(item.get("type") == "function_call_output" for item in told["input"])
    line = f"sed -i 's/{model.old}/{model.new}/' {model.path}"
    shells = {"exec_command": {"cmd": line}, "shell_command": {"command": line},
              "shell": {"command": ["sh", "-c", line]}}  # fmt: skip
    known = {tool.get("name") for tool in told.get("tools", ())}
    name = next((name for name in shells if name in known), None)
    item: dict[str, Any] = {
        "type": "message", "role": "assistant", "id": "msg_1",
        "content": [{"type": "output_text", "text": "It is repaired."}],
    }  # fmt: skip
    if name and not done:
        item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name,
                "arguments": json.dumps(shells[name])}  # fmt: skip
    usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": REPLY_TOKENS,
             "total_tokens": PROMPT_TOKENS + REPLY_TOKENS, "input_tokens_details": None,
             "output_tokens_details": None}  # fmt: skip
    return [
        {"type": "response.created", "response": {"id": "resp_1"}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": "resp_1", "usage": usage}},
    ]


def completions(told: dict[str, Any], model: CodingModel) -> list[dict[str, Any]]:
    """OpenAI's older form: ask aider for the file, then edit it as aider wants that."""
    text = f"I have to see {model.path}."
    if lines := [line for line in shown(told, model).splitlines() if model.old in line]:
        new = lines[0].replace(model.old, model.new)
        text = (f"{model.path}\n```\n<<<<<<< SEARCH\n{lines[0]}\n=======\n{new}\n"
                ">>>>>>> REPLACE\n```\n")  # fmt: skip
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": REPLY_TOKENS,
             "total_tokens": PROMPT_TOKENS + REPLY_TOKENS}  # fmt: skip
    word = "delta" if told.get("stream") else "message"
    choice = {"index": 0, word: {"role": "assistant", "content": text}, "finish_reason": "stop"}
    kind = "chat.completion" + (".chunk" if told.get("stream") else "")
    return [{"id": "c", "object": kind, "created": 0, "model": told["model"], "choices": [choice],
             "usage": usage}]  # fmt: skip


def shown(told: dict[str, Any], model: CodingModel) -> str:
    """The file as the prompt shows it, between fences below its name."""
    prompt = "\n".join(str(message["content"]) for message in told["messages"])
    _, _, rest = prompt.rpartition(f"\n{model.path}\n```\n")
    return rest.partition("```")[0]
