"""CrewAI: the result of each task."""

from __future__ import annotations

from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import EventFields, Format, episode
from counterpoint.records import Episode


def is_crewai(value: Any) -> bool:
    """Returns whether a value is the output of a crew, or its log of tasks."""
    tasks = value.get("tasks_output") if isinstance(value, dict) else value
    tasks = tasks if isinstance(tasks, list) else []
    return tasks != [] and all(
        isinstance(t, dict) and "agent" in t and ("raw" in t or "output" in t) for t in tasks
    )


def crewai(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode; each task is a message of its agent, with the request in `meta`."""
    tasks = value["tasks_output"] if isinstance(value, dict) else value
    events, first = list[EventFields](), ""
    for i, task in enumerate(tasks):
        output = task.get("raw", task.get("output"))
        if not isinstance(task["agent"], str):
            raise LogError(f"{where}, task {i}, agent: got {type(task['agent']).__name__}")
        request = str(task.get("description", task.get("task", "")))
        first = first or request
        events.append({"agent": task["agent"].strip(), "kind": "message",
                       "text": str(output or ""), "meta": {"asked": request}})  # fmt: skip
    return [episode(name, events, "crewai", task=first)]


FORMAT = Format(is_crewai, crewai)
