"""CAMEL: the log of a workforce, a list of events about workers and their tasks.

A worker is known from its creation on. The log has no words of the coordinator, which is not
counted as a team member: it hands each task to a worker, whose result or error is the worker's
message.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from counterpoint.readers.build import EventFields, Format, count, episode, finite, seconds_of
from counterpoint.readers.handoffs import text_of
from counterpoint.records import Episode, Json

COORDINATOR = "coordinator"
NOBODY = "unknown"
"""The worker of a task that none was given."""
EVENTS = ("log", "stream_chunk", "task_decomposed", "task_created", "task_assigned", "task_started",
         "task_updated", "task_completed", "task_failed", "worker_created", "worker_deleted",
         "queue_status", "all_tasks_completed")  # fmt: skip
LONGEST_NAME = 60
_END_OF_NAME = re.compile(r"[,:;.\n]")
"""What separates the name of a role from its description."""


def is_workforce(value: Any) -> bool:
    """Returns whether a value is the list of events of a workforce."""
    return (
        isinstance(value, list)
        and value != []
        and all(
            isinstance(each, dict)
            and each.get("event_type") in EVENTS
            and ("workforce_id" in each or "task_id" in each or "worker_id" in each)
            for each in value[:3]
        )
    )


def workforce(value: list[Any], where: str, name: str) -> list[Episode]:
    """Returns one episode: each task that a worker was given, and what came of it."""
    names: dict[str, str] = {}
    tasks: dict[str, str] = {}
    parents: set[str] = set()
    events: list[EventFields] = []
    others: Counter[str] = Counter()
    first, ending = "", ""
    for each in value:
        if not isinstance(each, dict):
            others["values that are no event"] += 1
            continue
        kind, task = text_of(each.get("event_type")), text_of(each.get("task_id"))
        worker, seconds = text_of(each.get("worker_id")), seconds_of(each.get("timestamp"))
        worker = "" if worker == NOBODY else worker
        if kind == "worker_created":
            names[worker] = _name(text_of(each.get("role")), worker, names)
        elif kind == "task_created":
            tasks[task] = text_of(each.get("description"))
            first = first or tasks[task]
        elif kind == "task_decomposed":
            parents.add(text_of(each.get("parent_task_id")))
        elif kind == "task_assigned":
            to = (names.setdefault(worker, worker),) if worker else ()
            events.append({"agent": COORDINATOR, "kind": "message", "to": to, "seconds": seconds,
                           "text": tasks.get(task, ""), "meta": {"task": task}})  # fmt: skip
        elif kind in ("task_completed", "task_failed") and task not in parents and worker:
            meta: dict[str, Json] = {"task": task}
            usage = each.get("token_usage")
            if isinstance(usage, dict) and (total := count(usage.get("total_tokens"))) is not None:
                meta["total_tokens"] = total
            events.append({"agent": names.setdefault(worker, worker), "kind": "message",
                           "text": text_of(each.get("result_summary")), "seconds": seconds,
                           "duration": finite(each.get("processing_time_seconds")),
                           "error": text_of(each.get("error_message")), "meta": meta})  # fmt: skip
        elif kind in ("task_completed", "task_failed", "all_tasks_completed"):
            ending = kind
        else:
            others[kind] += 1
    about: dict[str, Json] = {"other_events": dict(others)} if others else {}
    return [episode(name, events, "camel workforce", (COORDINATOR,), task=first, meta=about,
                    members=tuple(names.values()), ending=ending)]  # fmt: skip


def _name(role: str, worker: str, names: dict[str, str]) -> str:
    """Returns the name in a role, with a number if another worker has it."""
    base = _END_OF_NAME.split(role, maxsplit=1)[0].strip()[:LONGEST_NAME] or worker or "worker"
    taken, name, number = set(names.values()), base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


FORMAT = Format(is_workforce, workforce)
