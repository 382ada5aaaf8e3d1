"""SWE-agent and mini-swe-agent: the trajectory of an agent that works in a shell.

SWE-agent writes `trajectory` (actions with their observations), `history` (messages, each with its
agent) and `info`. mini-swe-agent writes `messages` and `info`; a command stands in the text of a
message, and what the shell answers is a message of the user or of a tool.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from counterpoint.readers.build import (
    EventFields,
    Format,
    count,
    episode,
    finite,
    list_of,
    object_of,
)
from counterpoint.readers.content import as_text, text_of
from counterpoint.readers.messages import (
    MEMBERS,
    Facts,
    LoggedMessage,
    facts_of,
    fields_of,
    outsiders,
    parse_message,
)
from counterpoint.records import Episode, Json

SHELL = "bash"
"""The tool of an action that names none."""
_BLOCK = re.compile(r"```(?:bash|sh|mswea_bash_command)\n([^`]*+)```")
_CODE = re.compile(r"<returncode>(-?\d{1,9})</returncode>")


def is_swe_agent(value: Any) -> bool:
    """Returns whether a value is a trajectory of SWE-agent."""
    if not isinstance(value, dict):
        return False
    steps, history = value.get("trajectory"), value.get("history")
    if isinstance(steps, list) and steps and "info" in value:
        return isinstance(steps[0], dict) and {"action", "observation"} <= set(steps[0])
    return isinstance(history, list) and history != [] and all(
        isinstance(m, dict) and "role" in m and "agent" in m for m in history[:2]
    )  # fmt: skip


def swe_agent(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode: the prompts, then each thought, action and observation."""
    history = [
        object_of(each, f"{where}, history {i}")
        for i, each in enumerate(list_of(value.get("history") or [], f"{where}, history"))
    ]
    real = [message for message in history if message.get("is_demo") is not True]
    written = [message for message in real if message.get("role") == "assistant"]
    names = [as_text(message.get("agent")) or "main" for message in written] or ["main"]
    steps = list_of(value.get("trajectory") or [], f"{where}, trajectory")
    fields: list[EventFields] = []
    called: dict[str, str] = {}
    for i, message in enumerate(real):
        if steps and message.get("role") == "assistant":
            break
        fields += _turn(message, f"{where}, history {i}", called)
    for i, step in enumerate(steps):
        step = object_of(step, f"{where}, trajectory {i}")
        fields += _step(step, names[min(i, len(names) - 1)], f"{where}, trajectory {i}", i)
    members = list(dict.fromkeys(names))
    meta, ending = _about(value.get("info"))
    if len(real) < len(history):
        meta["demonstration_messages"] = len(history) - len(real)
    if isinstance(value.get("environment"), str):
        meta["environment"] = value["environment"]
    task = next((f.get("text", "") for f in fields if f["agent"] == "user"), "")
    return [episode(name, fields, "swe_agent", outsiders(fields, members), members=members,
                    task=task, meta=meta, ending=ending)]  # fmt: skip


def _turn(message: Mapping[str, Any], at: str, called: dict[str, str]) -> list[EventFields]:
    """Returns the fields of a message of the history.

    Args:
        called: the id of each earlier call to the name of its tool; calls are added.
    """
    role, text = message.get("role"), text_of(message.get("content"), at)
    if role == "assistant":
        who = as_text(message.get("agent")) or "main"
        thought, action = as_text(message.get("thought")) or text, as_text(message.get("action"))
        tool, call = _tool(message.get("tool_calls"))
        called[call] = tool
        return _acted(who, thought, action, tool, call, {}, message)
    ids = message.get("tool_call_ids")
    if message.get("message_type") == "observation" and isinstance(ids, list) and ids:
        call = as_text(ids[0])
        tool = called.get(call, SHELL)
        return [{"agent": tool, "kind": "message", "text": text, "tool": tool, "call": call}]
    return [{"agent": str(role or "user"), "kind": "message", "text": text}]


def _step(step: Mapping[str, Any], who: str, at: str, number: int) -> list[EventFields]:
    """Returns the fields of a step: a thought, an action and what came back."""
    facts: Facts = {}
    if (took := finite(step.get("execution_time"))) is not None:
        facts["duration"] = took
    thought = as_text(step.get("thought")) or as_text(step.get("response"))
    tool, call = _tool(step.get("tool_calls"))
    call = call or f"step {number}"
    fields = _acted(who, thought, as_text(step.get("action")), tool, call, facts, step)
    seen = text_of(step.get("observation"), f"{at}, observation")
    if any(f["kind"] == "action" for f in fields) or seen:
        fields.append({"agent": tool, "kind": "message", "text": seen, "tool": tool, "call": call})
    return fields


def _acted(
    who: str, thought: str, action: str, tool: str, call: str, facts: Facts,
    value: Mapping[str, Any],
) -> list[EventFields]:  # fmt: skip
    blocks = value.get("thinking_blocks")
    thinking = [block.get("thinking") for block in (blocks if isinstance(blocks, list) else [])
                if isinstance(block, dict)]  # fmt: skip
    fields: list[EventFields] = []
    if thought.strip() and thought.strip() != action.strip():
        fields.append({"agent": who, "kind": "message", "text": thought})
    if action.strip():
        act: EventFields = {"agent": who, "kind": "action", "text": action, "tool": tool,
                            "call": call}  # fmt: skip
        if "duration" in facts:
            act["duration"] = facts["duration"]
        fields.append(act)
    fields = fields or [{"agent": who, "kind": "message", "text": ""}]
    if any(isinstance(each, str) and each for each in thinking):
        fields[0]["meta"] = {"thinking": "\n".join(str(each) for each in thinking if each)}
    return fields


def _tool(calls: Any) -> tuple[str, str]:
    """Returns the name of the first tool that is called, and the id of the call."""
    first = calls[0] if isinstance(calls, list) and calls else None
    first = first if isinstance(first, dict) else {}
    function = first.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) and name else SHELL, as_text(first.get("id"))


def _about(info: Any) -> tuple[dict[str, Json], str]:
    """Returns the usage and the submission of a run, and how it ended."""
    meta: dict[str, Json] = {}
    if not isinstance(info, dict):
        return meta, ""
    stats = info.get("model_stats")
    stats = stats if isinstance(stats, dict) else {}
    for key in ("instance_cost", "total_cost"):
        if (cost := finite(stats.get(key))) is not None:
            meta.setdefault("total_cost", cost)
    for key in ("tokens_sent", "tokens_received", "api_calls"):
        if (number := count(stats.get(key))) is not None:
            meta[key] = number
    if isinstance(info.get("submission"), str):
        meta["submission"] = info["submission"]
    return meta, as_text(info.get("exit_status"))


def is_mini(value: Any) -> bool:
    """Returns whether a value is a trajectory of mini-swe-agent."""
    if isinstance(value, dict):
        mine = str(value.get("trajectory_format")).startswith("mini-swe-agent")
        return isinstance(value.get("messages"), list) and (
            mine or (isinstance(value.get("info"), dict) and "exit_status" in value["info"])
        )
    first = value[:8] if isinstance(value, list) else []
    return all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in first) and any(
        m["role"] == "user" and str(m.get("content")).startswith("<returncode>") for m in first
    )


def mini(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode; a command in a text is an action, and the next message its result."""
    about = value if isinstance(value, dict) else {}
    messages = list_of(about.get("messages", value), f"{where}, messages")
    fields: list[EventFields] = []
    called: dict[str, str] = {}
    open_call = ""
    meta, ending = _about(about.get("info"))
    for i, each in enumerate(messages):
        at = f"{where}, message {i}"
        message = parse_message(each, at)
        extra = each.get("extra")
        extra = extra if isinstance(extra, dict) else {}
        if message.role == "exit":
            ending = ending or message.text
            continue
        if message.role in MEMBERS:
            message = structs.replace(message, name="agent", facts=_facts(extra, message))
            block = _BLOCK.search(message.text) if not message.calls else None
            open_call = f"step {i}" if block else ""
            turn = fields_of([message], called)
            if block:
                turn.append({"agent": "agent", "kind": "action", "text": block[1].strip(),
                             "tool": SHELL, "call": open_call})  # fmt: skip
            fields += turn
        elif message.role == "tool":
            fields += [_failed(f, message.text, extra) for f in fields_of([message], called)]
        elif open_call:
            one: EventFields = {"agent": SHELL, "kind": "message", "text": message.text,
                                "tool": SHELL, "call": open_call}  # fmt: skip
            fields.append(_failed(one, message.text, extra))
            open_call = ""
        else:
            fields += fields_of([message], called)
    task = next((f.get("text", "") for f in fields if f["agent"] == "user"), "")
    own = as_text(about.get("instance_id")) or name
    return [episode(own, fields, "mini-swe-agent", outsiders(fields, ["agent"]), members=["agent"],
                    task=task, meta=meta, ending=ending)]  # fmt: skip


def _facts(extra: Mapping[str, Any], message: LoggedMessage) -> Facts:
    response = extra.get("response")
    response = response if isinstance(response, dict) else {}
    known = {key: extra.get(key) for key in ("cost", "timestamp")}
    own = facts_of({**known, "usage": response.get("usage"), "model": response.get("model")})
    return {**own, **(message.facts or {})}


def _failed(each: EventFields, text: str, extra: Mapping[str, Any]) -> EventFields:
    """Returns the fields of a result, with the error if its command failed."""
    match = _CODE.search(text[:100])
    code = finite(extra.get("returncode"))
    code = float(match[1]) if match else code
    if code:
        each["error"] = f"exit code {code:g}"
    return each


FORMAT = Format(is_swe_agent, swe_agent)
MINI = Format(is_mini, mini)
