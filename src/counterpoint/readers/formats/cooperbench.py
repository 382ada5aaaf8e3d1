"""CooperBench: a folder with the messages and the actions of the agents of one run.

`conversation.json` is a list of {from, to, message, timestamp, feature_id};
`agent{feature}_traj.json` has the `agent_id` and its messages; `result.json` and `eval.json`, if
they exist, have the results. This reader follows the runner's own code:
https://github.com/cooperbench/CooperBench, runner/coop.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import EventFields
from counterpoint.records import Episode, Event

TRAJECTORY = re.compile(r"^agent\w*_traj\.json$")
Load = Callable[[Path], Any]


def is_cooperbench(folder: Path) -> bool:
    """Returns whether a folder is one run."""
    names = {path.name for path in folder.iterdir()}
    return "result.json" in names and any(TRAJECTORY.match(name) for name in names)


def cooperbench(folder: Path, load: Load) -> Episode:
    """Returns one run: messages between agents, and an action for each step of each agent.

    Steps without a time stand behind the messages, agent by agent.

    Args:
        folder: the folder of the run.
        load: reads a JSON file, or raises LogError.

    Raises:
        LogError: A file of the run is not as the runner writes it.
    """
    timed: list[tuple[float, int, EventFields]] = []
    talk = folder / "conversation.json"
    for i, message in enumerate(_list(load(talk), talk) if talk.exists() else []):
        if not isinstance(message, dict) or not isinstance(message.get("from"), str):
            raise LogError(f"{talk}, message {i}: got no sender; wanted from, to and message")
        to = message.get("to")
        timed.append((_time(message), len(timed), {
            "agent": message["from"], "kind": "message", "text": str(message.get("message") or ""),
            "to": (str(to),) if to else (),
            "meta": {"feature": message.get("feature_id")}, "seconds": _seconds(message),
        }))  # fmt: skip
    for path in sorted(p for p in folder.iterdir() if TRAJECTORY.match(p.name)):
        track = load(path)
        if not isinstance(track, dict):
            raise LogError(f"{path}: got {type(track).__name__}; wanted an object with messages")
        who = str(track.get("agent_id") or path.name.removesuffix("_traj.json"))
        for message in _list(track.get("messages", []), path):
            if isinstance(message, dict) and message.get("role") == "assistant":
                timed.append((_time(message), len(timed), {
                    "agent": who, "kind": "action", "text": str(message.get("content") or ""),
                    "tool": "step", "seconds": _seconds(message),
                }))  # fmt: skip
    timed.sort(key=lambda each: each[:2])
    events = tuple(Event(t=t, **each) for t, (_, _, each) in enumerate(timed))
    result = load(folder / "result.json")
    result = result if isinstance(result, dict) else {}
    graded = load(folder / "eval.json") if (folder / "eval.json").exists() else None
    agents = tuple(result.get("agents") or {}) or tuple(dict.fromkeys(e.agent for e in events))
    task = f"{result.get('repo', '')}/{result.get('task_id', '')}"
    task = f"{task}/{'-'.join(map(str, result.get('features') or []))}"
    merge = graded.get("merge") if isinstance(graded, dict) else None
    meta = {"format": "cooperbench", "setting": result.get("setting"),
            "cost": result.get("total_cost"), "merge": merge}  # fmt: skip
    name, run = str(result.get("run_id") or folder.name), str(result.get("run_name", ""))
    return Episode(name, events, agents, (), run, task, _success(graded), meta)


def _success(graded: Any) -> float | None:
    if not isinstance(graded, dict):
        return None
    if isinstance(graded.get("both_passed"), bool):
        return float(graded["both_passed"])
    passed = [v.get("passed") for k, v in graded.items()
              if re.match(r"feature\d*$", k) and isinstance(v, dict)]  # fmt: skip
    return float(all(passed)) if passed and all(isinstance(p, bool) for p in passed) else None


def _time(message: Any) -> float:
    at = message.get("timestamp")
    return float(at) if isinstance(at, int | float) and not isinstance(at, bool) else float("inf")


def _seconds(message: Any) -> float | None:
    at = _time(message)
    return at if math.isfinite(at) else None


def _list(value: Any, path: Path) -> list[Any]:
    if not isinstance(value, list):
        raise LogError(f"{path}: got {type(value).__name__}; wanted a list of messages")
    return value
