"""CooperBench: a folder with the messages and the actions of the agents of one run, two or more.

The conversation is a list of {from, to, message, timestamp, feature_id}; the trajectory of each
agent has its `agent_id` and its messages; a result has the setting, the agents and the costs; an
evaluation, if there is one, says what passed. Files are recognized by their first keys, so their
names do not matter. This reader follows the runner's own code:
https://github.com/cooperbench/CooperBench, runner/coop.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import EventFields, finite
from counterpoint.records import Episode, Event, Json

Load = Callable[[Path], Any]
PARTS: Mapping[str, tuple[str, ...]] = {
    "trajectory": ("agent_id", "messages"),
    "result": ("setting", "agents", "features"),
    "eval": ("merge", "feature"),
    "conversation": ("from", "to", "message"),
}
"""Part of a run to the keys that stand in the first bytes of its file."""
_FEATURE = re.compile(r"feature\d*+")
ENVIRONMENT = "environment"
"""The speaker of what a step gives back."""


def _part(path: Path) -> str:
    """Returns which part of a run a file is, or an empty text."""
    named = path.name in ("eval.json", "result.json")
    if named or path.name.endswith("_traj.json"):
        return path.stem if named else "trajectory"
    if path.suffix != ".json" or not path.is_file():
        return ""
    with path.open("rb") as file:
        head = file.read(4096).decode(errors="replace")
    is_list = head.lstrip()[:1] == "["
    for part, keys in PARTS.items():
        if is_list == (part == "conversation") and all(f'"{key}' in head for key in keys):
            return part
    return "conversation" if path.name == "conversation.json" else ""


def is_cooperbench(folder: Path) -> bool:
    """Returns whether a folder is one run: it has a result and the trajectory of an agent."""
    parts = {_part(path) for path in folder.iterdir()}
    return {"result", "trajectory"} <= parts


def cooperbench(folder: Path, load: Load) -> Episode:
    """Returns one run: messages between agents, and each step of each agent with its output.

    Steps without a time stand behind the messages, agent by agent.

    Args:
        folder: the folder of the run.
        load: reads a JSON file, or raises LogError.

    Raises:
        LogError: A file of the run is not as the runner writes it.
    """
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        files.setdefault(_part(path), []).append(path)
    timed: list[tuple[float, int, EventFields]] = []
    for talk in files.get("conversation", []):
        for i, message in enumerate(_list(load(talk), talk)):
            if not isinstance(message, dict) or not isinstance(message.get("from"), str):
                raise LogError(f"{talk}, message {i}: got no sender; wanted from, to and message")
            to = message.get("to")
            timed.append((_time(message), len(timed), {
                "agent": message["from"], "kind": "message",
                "text": str(message.get("message") or ""), "to": (str(to),) if to else (),
                "meta": {"feature": message.get("feature_id")},
                "seconds": finite(message.get("timestamp")),
            }))  # fmt: skip
    costs: dict[str, Json] = {}
    received = 0
    for path in files["trajectory"]:
        track = load(path)
        if not isinstance(track, dict):
            raise LogError(f"{path}: got {type(track).__name__}; wanted an object with messages")
        who = str(track.get("agent_id") or path.stem.removesuffix("_traj"))
        if (cost := finite(track.get("cost"))) is not None:
            costs[who] = cost
        has_acted = False
        for message in _list(track.get("messages") or [], path):
            role = message.get("role") if isinstance(message, dict) else None
            has_acted = has_acted or role == "assistant"
            if not has_acted or role not in ("assistant", "user", "tool"):
                continue  # prompts
            text = message.get("content")
            text = text if isinstance(text, str) else str(text or "")
            if role != "assistant" and text.startswith("[Message from "):
                received += 1  # it is in the conversation
                continue
            timed.append((_time(message), len(timed), {
                "agent": who if role == "assistant" else ENVIRONMENT,
                "kind": "action" if role == "assistant" else "message", "text": text,
                "tool": "step", "to": () if role == "assistant" else (who,),
                "seconds": finite(message.get("timestamp")),
            }))  # fmt: skip
    timed.sort(key=lambda each: each[:2])
    events = tuple(Event(t=t, **each) for t, (_, _, each) in enumerate(timed))
    result = load(files["result"][0])
    result = result if isinstance(result, dict) else {}
    graded = load(files["eval"][0]) if "eval" in files else None
    given = result.get("agents")
    roster = given if isinstance(given, dict) else {}
    spoken = [e.agent for e in events if e.agent != ENVIRONMENT]
    agents = tuple(dict.fromkeys([*spoken, *roster]))
    features = result.get("features")
    task = f"{result.get('repo', '')}/{result.get('task_id', '')}"
    task = f"{task}/{'-'.join(map(str, features if isinstance(features, list) else []))}"
    merge = graded.get("merge") if isinstance(graded, dict) else None
    meta: dict[str, Json] = {"format": "cooperbench", "setting": result.get("setting"),
                             "cost": result.get("total_cost"), "merge": merge}  # fmt: skip
    if costs:
        meta["costs"] = costs
    if received:
        meta["left_out"] = {"messages that arrived, which the conversation has": received}
    faults = [
        f"{who}: {each.get('error') or each.get('status')}"
        for who, each in roster.items()
        if isinstance(each, dict) and (each.get("error") or each.get("status") == "Error")
    ]
    name, run = str(result.get("run_id") or folder.name), str(result.get("run_name", ""))
    tools = (ENVIRONMENT,) if any(e.agent == ENVIRONMENT for e in events) else ()
    return Episode(name, events, agents, tools, run, task, _success(graded), meta,
                   ending="; ".join(faults))  # fmt: skip


def _success(graded: Any) -> float | None:
    if not isinstance(graded, dict):
        return None
    for key in ("both_passed", "all_passed"):
        if isinstance(graded.get(key), bool):
            return float(graded[key])
    passed = [v.get("passed") for k, v in graded.items()
              if _FEATURE.fullmatch(k) and isinstance(v, dict)]  # fmt: skip
    return float(all(passed)) if passed and all(isinstance(p, bool) for p in passed) else None


def _time(message: Any) -> float:
    at = finite(message.get("timestamp"))
    return math.inf if at is None else at


def _list(value: Any, path: Path) -> list[Any]:
    if not isinstance(value, list):
        raise LogError(f"{path}: got {type(value).__name__}; wanted a list of messages")
    return value
