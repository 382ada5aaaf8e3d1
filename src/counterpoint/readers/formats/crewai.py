"""CrewAI: the output of a crew, or the log of its tasks as `output_log_file` writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import EventFields, Format, episode, object_of, seconds_of
from counterpoint.readers.formats.autogen_chat import chat_events, tools_of
from counterpoint.readers.handoffs import text_of
from counterpoint.records import Episode, Json

DELEGATION = ("delegate work to coworker", "ask question to coworker")
"""CrewAI's tools that give work to another member, in lower case."""
STATES = ("started", "completed", "failed")


def _tasks(value: Any) -> list[Any]:
    """Returns the outputs of a crew's tasks, or the rows of a log of tasks."""
    tasks = value.get("tasks_output") if isinstance(value, dict) else value
    return tasks if isinstance(tasks, list) else []


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and "agent" in value and value.get("status") in STATES


def is_crewai(value: Any) -> bool:
    """Returns whether a value is the output of a crew, or its log of tasks."""
    tasks = _tasks(value)
    return tasks != [] and all(
        isinstance(task, dict)
        and "agent" in task
        and ("raw" in task or "output" in task or _is_row(task))
        for task in tasks
    )


def crewai(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode: what each agent did for its task, and the task's output as a message."""
    about = value if isinstance(value, dict) else {}
    events: list[EventFields] = []
    members: dict[str, None] = {}
    started: dict[tuple[str, str], float | None] = {}
    first = ""
    for i, each in enumerate(_tasks(value)):
        at = f"{where}, task {i}"
        task = object_of(each, at)
        who = task["agent"]
        if not isinstance(who, str):
            raise LogError(f"{at}, agent: got {type(who).__name__}")
        who = who.strip()
        members.setdefault(who)
        request = text_of(task.get("description", task.get("task")))
        first = first or request
        key, time = (who, request), seconds_of(task.get("timestamp"))
        if task.get("status") == "started":
            started[key] = time
            continue
        output = text_of(task.get("raw", task.get("output")))
        events += _steps(task, who, output, at, members)
        event: EventFields = {"agent": who, "kind": "message", "text": output,
                              "meta": {"asked": request}, "seconds": time}  # fmt: skip
        start = started.pop(key, None)
        if start is not None and time is not None:
            event["seconds"], event["duration"] = start, time - start
        if task.get("status") == "failed":
            event["error"] = output or "failed"
        events.append(event)
    usage = about.get("token_usage")
    meta: dict[str, Json] = {"token_usage": usage} if isinstance(usage, dict) else {}
    if started:
        meta["unfinished"] = len(started)
    ending = "a task has no end" if started else ""
    return [episode(name, events, "crewai", tools_of(events), members=tuple(members), task=first,
                    meta=meta, ending=ending)]  # fmt: skip


def _steps(
    task: Mapping[str, Json], who: str, output: str, at: str, members: dict[str, None]
) -> list[EventFields]:
    """Returns what an agent did for its task, without its prompts and without the output."""
    messages = task.get("messages")
    spoken = [
        {"name": who, **each} if each.get("role") == "assistant" else each
        for each in (messages if isinstance(messages, list) else [])
        if isinstance(each, dict) and each.get("role") in ("assistant", "tool")
    ]
    steps: list[EventFields] = []
    for each in chat_events(spoken, at):
        is_text = each["kind"] == "message" and not each.get("tool")
        if is_text and (found := _react(each.get("text", ""), who)):
            steps += found
        elif not is_text or not _is_output(each, output):
            steps.append(each)
    coworkers: dict[str, str] = {}
    for step in steps:
        _delegate(step, who, coworkers, members)
    return steps


def _react(text: str, who: str) -> list[EventFields]:
    """Returns the call and its result in a text of thought, action, input and observation."""
    before, mark, after = text.partition("Action:")
    tool, has_input, rest = after.partition("Action Input:")
    if not mark or not has_input or (before and not before.endswith("\n")):
        return []
    given, observed, result = rest.partition("\nObservation:")
    call: EventFields = {"agent": who, "kind": "action", "tool": tool.strip(),
                         "text": given.strip()}  # fmt: skip
    if thought := before.strip().removeprefix("Thought:").strip():
        call["meta"] = {"thinking": thought}
    if not observed:
        return [call]
    return [call, {"agent": tool.strip(), "kind": "message", "tool": tool.strip(),
                   "text": result.strip()}]  # fmt: skip


def _delegate(
    step: EventFields, who: str, coworkers: dict[str, str], members: dict[str, None]
) -> None:
    """Makes a call of CrewAI's tools for coworkers a handoff, and its result their message."""
    tool = step.get("tool", "").lower().replace("_", " ")
    if tool not in DELEGATION:
        return
    call = step.get("call", "")
    if step["kind"] == "action":
        try:
            arguments = json.loads(step.get("text", ""))
        except (ValueError, RecursionError):
            return
        other = arguments.get("coworker") if isinstance(arguments, dict) else None
        if isinstance(other, str) and other.strip():
            coworkers[call] = other.strip()
            members.setdefault(other.strip())
            step["kind"], step["to"] = "handoff", (other.strip(),)
    elif other := coworkers.get(call):
        step["agent"], step["to"] = other, (who,)


def _is_output(event: EventFields, output: str) -> bool:
    """Returns whether a message is the output of the task, which follows by itself."""
    text = event.get("text", "").strip()
    return not text or (output != "" and text.endswith(output.strip()))


FORMAT = Format(is_crewai, crewai)
